"""One loop for all trainings, and what of a network it lets learn."""

import pytest
import torch

from tests.support.trainings import QUICK, data
from tests.support.two_player import TinyGANEstimator
from tsgen import GaussianEstimator, TimeGradEstimator
from tsgen.core import seeded
from tsgen.diffusion import LinearSchedule
from tsgen.forecasting.assemble import assemble, build
from tsgen.forecasting.data.source import TrainingSource
from tsgen.forecasting.data.spec import infer_spec, with_target_statistics
from tsgen.forecasting.target.links import Link
from tsgen.forecasting.training.fit import fit
from tsgen.forecasting.training.options import Training
from tsgen.forecasting.training.run import TrainingRun
from tsgen.nets.optimise import minimise

CPU = torch.device("cpu")


def network(estimator):
    """An untrained network and batches of windows, by the library's own steps."""
    spec = with_target_statistics(infer_spec(data(), 2), data(), Link(), estimator.scaling)
    assembly = assemble(spec, estimator)
    source = TrainingSource(data(), spec, assembly.transformation, assembly.shape, 10**9)
    forecaster = build(assembly.with_statistics(source.entries), estimator)
    return forecaster, source.batches(8, 4, CPU)


def learn(forecaster, windows, **options):
    run = TrainingRun(None, {})
    trained = fit(forecaster, windows, None, options.pop("training", Training()), run,
                  max_epochs=2, **options)  # fmt: skip
    run.close()
    return trained


@pytest.mark.parametrize("ema_decay", [None, 0.8])
@pytest.mark.parametrize(
    ("trainable", "moving"),
    [
        (("model",), ("model.",)),
        (("encoder",), ("encoder.",)),
        (("model.net.output",), ("model.net.output",)),
        (("model", "encoder"), ("model.", "encoder.")),
    ],
)
def test_what_is_not_trainable_keeps_its_weights_bit_for_bit(trainable, moving, ema_decay):
    estimator = TimeGradEstimator(2, schedule=LinearSchedule(5, beta_end=0.5), lags_seq=(1, 2))
    forecaster, windows = network(estimator)
    if not any(name.startswith(moving) for name, _ in forecaster.named_parameters()):
        pytest.fail(f"no weight is called {moving}")
    before = {name: w.clone() for name, w in forecaster.state_dict().items()}
    training = Training(ema_decay=ema_decay, weight_decay=0.1)
    trained = learn(forecaster, windows, training=training, trainable=trainable)
    moved = {name for name, w in trained.state_dict().items() if not torch.equal(w, before[name])}
    assert moved and all(name.startswith(moving) for name in moved)
    assert all(w.requires_grad for w in forecaster.parameters())


def test_a_player_whose_parts_are_frozen_sits_out():
    forecaster, windows = network(TinyGANEstimator(2, lags_seq=(1, 2)))
    before = {name: w.clone() for name, w in forecaster.state_dict().items()}
    trained = learn(forecaster, windows, trainable=("encoder",))
    moved = {name for name, w in trained.state_dict().items() if not torch.equal(w, before[name])}
    assert moved and all(name.startswith("encoder.") for name in moved)


def test_frozen_parts_are_in_evaluation_mode_and_others_are_not():
    forecaster, windows = network(GaussianEstimator(2, lags_seq=(1, 2)))
    modes = []
    forecaster.encoder.register_forward_hook(
        lambda *_: modes.append((forecaster.encoder.training, forecaster.model.training))
    )
    learn(forecaster, windows, trainable=("model",))
    assert modes and set(modes) == {(False, True)}


def test_a_part_that_is_not_there_is_refused():
    forecaster, windows = network(GaussianEstimator(2, lags_seq=(1, 2)))
    with pytest.raises(ValueError, match="trainable='head' is no part of the network: it must be"):
        learn(forecaster, windows, trainable=("head",))
    with pytest.raises(ValueError, match="leaves no weight to learn"):
        learn(forecaster, windows, trainable=())


def test_fit_is_what_an_estimator_trains_by():
    estimator = GaussianEstimator(2, **{**QUICK, "max_epochs": 2})
    trained = estimator.train(data(), seed=3).prediction_net
    with seeded(3):
        own = learn(*network(estimator), lr=estimator.lr)
    for name, weights in trained.state_dict().items():
        assert torch.equal(weights, own.state_dict()[name]), name


def test_minimise_takes_a_step_for_each_loss_and_clips():
    x = torch.tensor([3.0, 4.0], requires_grad=True)
    optimiser = torch.optim.SGD([x], lr=1.0)
    halve = torch.optim.lr_scheduler.StepLR(optimiser, 1, gamma=0.5)
    losses = ((x**2).sum() / 2 for _ in range(2))
    losses = list(minimise(losses, optimiser, halve, gradient_clip=1.0))
    assert losses == pytest.approx([12.5, 8.0], rel=1e-6)
    assert torch.allclose(x, torch.tensor([0.6, 0.8]) * 3.5, atol=1e-5)  # steps of 1 and of 1/2
