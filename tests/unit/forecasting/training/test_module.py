from typing import ClassVar

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.support.two_player import TinyGAN, TinyGANEstimator
from tsgen import ComposedEstimator, GaussianEstimator, TimeGradEstimator, Training
from tsgen.core import seeded
from tsgen.forecasting.training.module import ForecastModule
from tsgen.models import Gaussian
from tsgen.nets import Residual


def data(length=80, dims=2):
    y = np.random.default_rng(0).normal(5, 1, (dims, length))
    return [{"start": pd.Period("2021-01-01", freq="h"), "target": y}]


QUICK = {
    "max_epochs": 2,
    "num_batches_per_epoch": 4,
    "batch_size": 8,
    "verbose": False,
    "lags_seq": (1, 2),
}


class Exploding(Gaussian):
    """Its loss is infinite from the fourth call on."""

    calls = 0

    def _loss(self, x, cond, observed, times):
        type(self).calls += 1
        value = super()._loss(x, cond, observed, times)
        return value * float("inf") if self.calls > 3 else value


class ExplodingEstimator(GaussianEstimator):
    head = Exploding


def test_a_loss_that_is_not_finite_stops_and_names_step_and_channel():
    wild = data()
    wild[0]["target"][1, 40] = 1e7
    Exploding.calls = 0
    with pytest.raises(
        FloatingPointError, match=r"loss is .* at step 3 \(epoch 0\).*in channel 1.*lower lr"
    ):
        ExplodingEstimator(2, **{**QUICK, "batch_size": 64}).train(wild, seed=0)


@pytest.mark.parametrize("estimator", [GaussianEstimator, TinyGANEstimator])
def test_gradients_are_clipped_for_every_player(estimator):
    norms = []

    def watch(optimiser, *_):
        parameters = [p for g in optimiser.param_groups for p in g["params"] if p.grad is not None]
        norms.append(
            torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in parameters])).item()
        )

    hook = register_optimizer_step_pre_hook(watch)
    try:
        estimator(2, training=Training(gradient_clip=1e-3), **QUICK).train(data(), seed=0)
        clipped = list(norms)
        norms.clear()
        estimator(2, training=Training(gradient_clip=None), **QUICK).train(data(), seed=0)
    finally:
        hook.remove()
    players = 2 if estimator is TinyGANEstimator else 1
    assert len(clipped) == len(norms) == 8 * players
    assert max(clipped) <= 1e-3 * 1.001 and min(norms) > 1e-3


def test_players_move_only_what_is_theirs():
    module = ForecastModule(TinyGANEstimator(2, **QUICK).train(data(), seed=0).prediction_net)
    module.requires_grad_(True)
    groups = [module.player_parameters(player) for player in module.forecaster.model.players]
    names = {id(p): n for n, p in module.forecaster.named_parameters()}
    critic, generator = ({names[id(p)] for p in group} for group in groups)
    assert critic == {n for n in names.values() if n.startswith("model.critic")}
    assert generator == set(names.values()) - critic and any(
        n.startswith("encoder") for n in generator
    )


class RareGAN(TinyGAN):
    """Its critic takes every second step, at a rate and with betas of its own."""

    steps: ClassVar[list[tuple[str, float]]] = []

    @property
    def players(self):
        critic, generator = super().players
        return critic._replace(every=2, lr=0.25, betas=(0.5, 0.9)), generator

    def after_step(self, player, progress):
        type(self).steps.append((player, progress))


def test_players_have_a_rhythm_and_an_optimiser_of_their_own():
    RareGAN.steps.clear()
    options = {**QUICK, "lr": 0.01, "training": Training(lr_schedule="constant")}
    moves = []

    def watch(optimiser, *_):
        group = optimiser.param_groups[0]
        moves.append((group["lr"], tuple(group["betas"])))

    hook = register_optimizer_step_pre_hook(watch)
    try:
        ComposedEstimator(2, model=RareGAN, **options).train(data(), seed=0)
    finally:
        hook.remove()
    players = [player for player, _ in RareGAN.steps]
    assert players == ["critic", "generator", "generator"] * 4
    assert [share for _, share in RareGAN.steps][-1] == 1 and RareGAN.steps[0][1] == 1 / 8
    rates = {"critic": (0.0025, (0.5, 0.9)), "generator": (0.01, (0.9, 0.999))}
    assert moves == [rates[player] for player in players]


def test_one_cycle_leaves_the_betas_that_a_player_chose():
    betas = []
    hook = register_optimizer_step_pre_hook(
        lambda optimiser, *_: betas.append(optimiser.param_groups[0]["betas"][0])
    )
    try:
        ComposedEstimator(2, model=RareGAN, **QUICK).train(data(), seed=0)
    finally:
        hook.remove()
    critic, generator = betas[::3], betas[1::3] + betas[2::3]
    assert critic == [0.5] * 4
    assert len(generator) == 8 and max(generator) > 0.94 and min(generator) < 0.86


def test_validation_of_several_players_watches_a_proper_score():
    """Not a loss: the energy score of two draws, which a better generator lowers."""
    model = TinyGAN((2,), (3,))
    x, cond = torch.zeros(4000, 2), torch.zeros(4000, 3)
    with torch.no_grad():
        model.generator.layers[-1].weight.zero_()
        model.generator.layers[-1].bias.fill_(3.0)
        far = model.monitor(x, cond)
        assert torch.allclose(far, torch.full((4000,), 3 * 2**0.5))  # draws alike: the distance
        observed = torch.tensor([1.0, 0.0]).expand(4000, 2)
        assert torch.allclose(model.monitor(x, cond, observed), torch.full((4000,), 3.0))
    gaussian = Gaussian((2,), (3,))
    assert torch.equal(gaussian.monitor(x, cond), gaussian.loss(x, cond))
    predictor = TinyGANEstimator(2, **QUICK).train(data(), data(90), seed=0)
    assert all(0 < row["val_loss"] < 10 for row in predictor.history)


class NormalGAN(TinyGAN):
    """It draws from N(0, 1), whatever it is conditioned on."""

    def _sample(self, cond, times):
        return torch.randn(len(cond), *self.event_shape)


def test_what_is_watched_is_the_energy_score_of_a_known_law():
    r"""Of N(0, 1) for x from N(0, 1): :math:`E |X - x| - E |X - X'| / 2 = 1 / \sqrt\pi`."""
    model = NormalGAN((1,), (3,))
    with seeded(0):
        scores = model.monitor(torch.randn(40_000, 1), torch.zeros(40_000, 3))
    assert abs(scores.mean() - torch.pi**-0.5) < 4 * scores.std() / 200


def test_two_players_learn_a_location():
    """A generator that starts at zero ends where the data are."""
    y = 20 + np.random.default_rng(0).normal(size=(1, 500))
    options = {
        **QUICK,
        "max_epochs": 8,
        "num_batches_per_epoch": 50,
        "lr": 3e-3,
        "scaling": "none",
        "training": Training(gradient_clip=1.0),
    }
    entry = [{"start": pd.Period("2021-01-01", freq="h"), "target": y / 10}]
    predictor = TinyGANEstimator(2, **options).train(entry, seed=0)
    forecast = next(iter(predictor.predict(entry, num_samples=500, seed=0)))
    assert abs(forecast.samples.mean() - 2) < 0.2


def test_the_moving_average_is_one_and_is_what_predicts():
    decay = 0.8
    seen = []

    class Watch(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            seen.append(torch.cat([p.detach().flatten() for p in module.forecaster.parameters()]))

    predictor = GaussianEstimator(
        2, training=Training(ema_decay=decay), trainer_kwargs={"callbacks": [Watch()]}, **QUICK
    ).train(data(), seed=0)
    expected = seen[0]
    for later in seen[1:]:
        expected = decay * expected + (1 - decay) * later
    average = torch.cat([p.flatten() for p in predictor.prediction_net.parameters()])
    assert torch.allclose(average, expected, atol=1e-6)
    assert not torch.allclose(average, seen[-1], atol=1e-4)


def test_one_cycle_reaches_its_peak_and_ends_low():
    rates = []
    hook = register_optimizer_step_pre_hook(
        lambda optimiser, *_: rates.append(optimiser.param_groups[0]["lr"])
    )
    try:
        GaussianEstimator(2, lr=0.02, **{**QUICK, "max_epochs": 5}).train(data(), seed=0)
        assert len(rates) == 20 and max(rates) == pytest.approx(0.02, rel=0.05)
        assert rates[0] == pytest.approx(0.02 / 25) and rates[-1] < 1e-4
        rates.clear()
        GaussianEstimator(2, lr=0.02, training=Training(lr_schedule="constant"), **QUICK).train(
            data(), seed=0
        )
        assert set(rates) == {0.02}
    finally:
        hook.remove()


@pytest.mark.parametrize("lr_inputs", [None, 100, 1000])
@pytest.mark.parametrize("lr_schedule", ["constant", "onecycle"])
@pytest.mark.parametrize("estimator", [GaussianEstimator, TinyGANEstimator])
def test_weights_of_many_inputs_learn_more_slowly(estimator, lr_schedule, lr_inputs):
    steps = []

    def watch(optimiser, *_):
        steps.append({id(p): g["lr"] for g in optimiser.param_groups for p in g["params"]})

    hook = register_optimizer_step_pre_hook(watch)
    try:
        recipe = Training(lr_schedule=lr_schedule, lr_inputs=lr_inputs)
        wide = {**QUICK, "lr": 0.02, "training": recipe}
        out = estimator(2, **wide).train_model(data(dims=120), seed=0)
    finally:
        hook.remove()
    forecaster = out.trained_net
    inputs = forecaster.encoder.input_size
    slow = id(forecaster.encoder.get_parameter("rnn.weight_ih_l0"))
    players = len(forecaster.model.players)
    expected = 100 / inputs if lr_inputs == 100 else 1
    assert 240 < inputs < 1000 and len(steps) == 8 * players
    every = {id(p) for p in forecaster.parameters()}
    for turn in range(0, len(steps), players):
        taken = steps[turn : turn + players]
        assert sum(len(t) for t in taken) == len(every) and set().union(*taken) == every
        last = taken[-1]  # the player that trains the encoder
        usual = {rate for p, rate in last.items() if p != slow}
        assert len(usual) == 1
        assert last[slow] == pytest.approx(usual.pop() * expected)


def test_hundreds_of_channels_are_learnt():
    """With one rate for all weights the loss of the second epoch is .149 instead of .100."""
    random = np.random.default_rng(0)
    level, phase = random.normal(size=(2, 300, 1))
    wave = 1 + 0.5 * np.sin(2 * np.pi * np.arange(500) / 24 + phase / 2)
    target = np.exp(level) * (wave + 0.1 * random.normal(size=(300, 500)))
    entry = [{"start": pd.Period("2021-01-01", freq="h"), "target": target}]
    options = {"max_epochs": 2, "num_batches_per_epoch": 75, "batch_size": 4, "verbose": False}
    predictor = TimeGradEstimator(24, network=Residual(layers=2), **options).train(entry, seed=0)
    assert predictor.history[1]["train_loss"] < 0.12
