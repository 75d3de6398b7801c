"""Strategies that make the encoder's inputs, and encoders that use all they are given."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from tests.support.encoders import Penalised, Relaxing, Whole
from tests.support.two_player import TinyGANEstimator
from tsgen import GaussianEstimator
from tsgen.core import seeded
from tsgen.encoders import GRUEncoder
from tsgen.forecasting.assemble import assemble, build
from tsgen.forecasting.data.grid import GridWindows
from tsgen.forecasting.data.spec import infer_spec
from tsgen.forecasting.network.timed_inputs import TimedInputs
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.models import Gaussian

H, L = 3, 8
SMALL = {
    "context_length": L, "lags_seq": (1,), "scaling": "none", "batch_size": 32, "verbose": False,
    "device": "cpu", "time_features": (),
}  # fmt: skip


class TimedEstimator(GaussianEstimator):
    """A Gaussian law given values, masks and times."""

    def build_inputs(self, layout):
        return TimedInputs(layout)


def gaps(count=4, length=300, seed=0, missing=0.0):
    r"""An Ornstein-Uhlenbeck process, observed after gaps of 0.1 or 2.

    Given the value before, the next has mean :math:`e^{-d} y` and variance :math:`1 - e^{-2 d}`.
    """
    rng = np.random.default_rng(seed)
    data = []
    for i in range(count):
        gap = rng.choice([0.1, 2.0], length + H)
        y = np.zeros(length + H)
        for t in range(1, length + H):
            decay = np.exp(-gap[t])
            y[t] = decay * y[t - 1] + np.sqrt(1 - decay**2) * rng.normal()
        target = np.stack([y, -y])[:, :length] + [[0.0], [1.0]]
        target = target + 0.05 * rng.normal(size=target.shape)
        target[rng.random(target.shape) < missing] = np.nan
        start = pd.Period("2024-01-01", freq="h")
        entry = {"start": start, "target": target, "item_id": str(i), "times": np.cumsum(gap)}
        data.append(entry)
    return data


def forecaster_of(estimator, data, number=40):
    """An untrained forecaster and one window of its data."""
    spec = infer_spec(data, H, estimator.support)
    assembly = assemble(spec, estimator)
    entries = list(assembly.transformation.apply(data, is_train=True))
    width = 0 if estimator.scaling in ("none", "global") else spec.num_channels
    width *= spec.is_panel
    layout = assembly.layout.replace(statistics_mean=(0.0,) * width, statistics_std=(1.0,) * width)
    with seeded(0):
        forecaster = build(dataclasses.replace(assembly, layout=layout), estimator)
    return forecaster.eval(), GridWindows(entries, assembly.shape).gather(torch.tensor([number]))


def test_timed_inputs_hold_values_masks_and_times():
    """By hand, from the entry's own values and times."""
    data = gaps(1, missing=0.4)
    entry, (forecaster, window) = data[0], forecaster_of(TimedEstimator(H, **SMALL), data)
    calls = []
    forecaster.encoder.register_forward_pre_hook(lambda _, inputs: calls.append(inputs))
    forecaster.pairs(window)
    ((inputs, _, times, inputs_observed, query),) = calls
    assert inputs.shape[1] == L + H - 1
    first = int(np.flatnonzero(~np.isnan(entry["target"][0]))[0])
    assert first < 5
    unit = np.median(np.diff(entry["times"][:300]))
    number = 40 + L + 1  # windows are numbered from the first with a whole past
    observed = ~np.isnan(entry["target"])
    for i in range(L + H - 1):
        step = number - L + i
        row, t = inputs[0, i].numpy(), entry["times"] / unit
        mask = observed[:, step]
        assert (row[2:4] == mask).all() and (inputs_observed[0, i, :2].numpy() == mask).all()
        assert (inputs_observed[0, i, 2:] == 1).all()
        np.testing.assert_allclose(row[:2][mask], entry["target"][mask, step], atol=1e-5)
        start = number - L - 1
        since = [
            t[step] - t[max([start, *np.flatnonzero(observed[c, start : step + 1]) + start])]
            for c in range(2)
        ]
        np.testing.assert_allclose(row[4:6], np.log1p(since), atol=1e-4)
        np.testing.assert_allclose(row[6], np.log1p(t[step + 1] - t[step]), atol=1e-4)
        np.testing.assert_allclose(times[0, i], t[step] - t[number - 1], atol=1e-3)
        np.testing.assert_allclose(query[0, i], t[step + 1] - t[number - 1], atol=1e-3)


@pytest.mark.parametrize("encoder", [GRUEncoder, Relaxing])
@pytest.mark.parametrize("regular", [False, True])
@pytest.mark.parametrize("scaling", ["none", "mean", "anchored"])
def test_unrolling_meets_the_conditioning_of_the_pairs(encoder, regular, scaling, monkeypatch):
    """Step by step, times and masks are those of one pass over the path that was drawn."""
    data = gaps(2, missing=0.3)
    if regular:
        data = [{k: v for k, v in entry.items() if k != "times"} for entry in data]
    options = {**SMALL, "encoder": encoder, "scaling": scaling}
    forecaster, window = forecaster_of(TimedEstimator(H, **options), data)
    conds = []

    def sample(cond):
        conds.append(cond)
        return forecaster.model.sample(cond)

    monkeypatch.setattr(forecaster.model, "sampling_plan", lambda: sample)
    with torch.no_grad(), seeded(0):
        path = forecaster.sample_paths(window, 1)[:, 0] - window.center[:, None]
        future = window.future._replace(
            target=path.float(), observed=torch.ones_like(window.future.observed)
        )
        cond = forecaster.pairs(window._replace(future=future)).cond
    torch.testing.assert_close(torch.stack(conds, 1), cond[:, L - 1 :], rtol=1e-4, atol=1e-5)


def test_times_tell_how_far_the_next_value_may_be(tmp_path):
    """A network told the gaps learns what one step costs; one that is not cannot.

    Given the gap d a step has variance 0.18 or 0.98; told nothing of it, the best Gaussian law has
    the mean 0.52 y and variance 0.73, and loses (log 0.73 - log(0.18 * 0.98) / 2) / 2 = 0.28 nats.
    """
    train, held = gaps(6, 400), gaps(150, 40, seed=1)
    options = {**SMALL, "max_epochs": 2, "num_batches_per_epoch": 100, "lr": 1e-2}
    scores = {}
    for estimator in (TimedEstimator, GaussianEstimator):
        predictor = estimator(H, **options).train(train, seed=0)
        scores[estimator] = predictor.log_prob(held) / (2 * H)
        if estimator is TimedEstimator:
            predictor.serialize(tmp_path)
            loaded = GenerativePredictor.deserialize(tmp_path)
            one, two = (next(iter(p.predict(held[:1], seed=0))) for p in (predictor, loaded))
            assert np.array_equal(one.samples, two.samples)
    gain = scores[TimedEstimator] - scores[GaussianEstimator]
    assert gain.mean() - 2 * gain.std() / np.sqrt(len(gain)) > 0.1


def test_an_encoder_in_time_is_asked_for_the_times_of_the_forecast():
    """A forecast further ahead is another one."""
    data = gaps(2, 120)
    options = {**SMALL, "encoder": Relaxing, "max_epochs": 1, "num_batches_per_epoch": 20}
    predictor = TimedEstimator(H, **options).train(data, seed=0)
    later = [{**e, "times": np.r_[e["times"][:120], e["times"][120:] + 5]} for e in data]
    near, far = (next(iter(predictor.predict(d, seed=0))).samples for d in (data, later))
    assert not np.allclose(near[:, 0], far[:, 0], atol=1e-3)
    with pytest.raises(ValueError, match="times has 120 steps, needs 123"):
        list(predictor.predict([{**e, "times": e["times"][:120]} for e in data]))
    with pytest.raises(ValueError, match="has no times, other series have some"):
        list(predictor.predict([{k: v for k, v in data[0].items() if k != "times"}]))


class Timetable(Gaussian):
    """A Gaussian law of a horizon whose mean moves by the times of its steps."""

    takes_times = True
    is_late = True

    def _loss(self, x, cond, observed, times):
        return super()._loss(x - times[..., None], cond, observed, None)

    def _sample(self, cond, times):
        return super()._sample(cond, None) + self.is_late * times[..., None]

    def _log_prob(self, x, cond, observed, times):
        return super()._log_prob(x - times[..., None], cond, observed, None)


class TimetableEstimator(GaussianEstimator):
    """Its model takes the times of a horizon."""

    def build_model(self, event_shape, cond_shape):
        return Timetable(event_shape, cond_shape)


@pytest.mark.parametrize("regular", [False, True])
def test_a_model_that_takes_times_gets_those_of_the_horizon(regular):
    """From the last step of the past on, in units of the median gap, or steps."""
    data = gaps(2, 120)
    times = np.stack([e["times"][120:] - e["times"][119] for e in data])
    if regular:
        data = [{k: v for k, v in entry.items() if k != "times"} for entry in data]
    options = {**SMALL, "max_epochs": 1, "num_batches_per_epoch": 2}
    with pytest.raises(
        ValueError, match="must be .horizon, channels., for the model takes the times"
    ):
        TimetableEstimator(H, **options).train(data, seed=0)
    options["decoding"] = "horizon"
    predictor = TimetableEstimator(H, **options).train(data, seed=0)
    times = np.arange(1.0, 1 + H)[None] if regular else times / predictor.spec.median_gap
    drawn = np.stack([f.samples for f in predictor.predict(data, num_samples=50, seed=0)])
    predictor.prediction_net.model.is_late = False
    plain = np.stack([f.samples for f in predictor.predict(data, num_samples=50, seed=0)])
    expected = np.broadcast_to(times[:, None, :, None], drawn.shape)
    np.testing.assert_allclose(drawn - plain, expected, atol=1e-4)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_a_penalty_is_part_of_the_loss(decoding):
    """It is a mean over the windows, and an encoder learns to keep it small."""
    data = gaps(2, 120)
    options = {**SMALL, "encoder": Penalised, "decoding": decoding}
    forecaster, window = forecaster_of(TimedEstimator(H, **options), data)
    pairs = forecaster.pairs(window)
    assert pairs.penalty.shape == (1,) and pairs.penalty > 0
    forecaster.encoder.penalised = False
    without = forecaster.loss(window)
    forecaster.encoder.penalised = True
    torch.testing.assert_close(forecaster.loss(window), without + pairs.penalty[0])
    sizes = []
    for encoder in (Penalised, Relaxing):
        estimator = TimedEstimator(
            H, max_epochs=1, num_batches_per_epoch=60, **{**options, "encoder": encoder}
        )
        trained = estimator.train(data, seed=0).prediction_net
        trained.encoder.penalised = True
        sizes.append(trained.pairs(window).penalty.item())
    assert sizes[0] < 0.3 * sizes[1]


def test_of_several_players_the_one_that_trains_the_encoder_has_its_penalty():
    """The generator does, the critic does not."""
    data = gaps(2, 120)
    forecaster, window = forecaster_of(TinyGANEstimator(H, **SMALL, encoder=Penalised), data)
    losses = {}
    for penalised in (True, False):
        forecaster.encoder.penalised = penalised
        for player in ("critic", "generator"):
            with seeded(0):
                losses[player, penalised] = forecaster.loss(window, player)
    forecaster.encoder.penalised = True
    penalty = forecaster.pairs(window).penalty[0]
    assert penalty > 0 and torch.equal(losses["critic", True], losses["critic", False])
    torch.testing.assert_close(losses["generator", True], losses["generator", False] + penalty)


def test_an_encoder_with_hindsight_conditions_horizons_only():
    """Step decoding is refused when the network is built; a horizon sees the past as a whole."""
    data = gaps(2, 120)
    options = {**SMALL, "encoder": Whole, "max_epochs": 1, "num_batches_per_epoch": 2}
    with pytest.raises(ValueError, match="Whole is not causal.*decoding='horizon', not 'step'"):
        GaussianEstimator(H, **options).train(data, seed=0)
    predictor = GaussianEstimator(H, decoding="horizon", **options).train(data, seed=0)
    assert next(iter(predictor.predict(data, seed=0))).samples.shape == (100, H, 2)
