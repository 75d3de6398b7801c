"""Anchors and target maps from outside the library, trained and drawn from in both decodings."""

import numpy as np
import pandas as pd
import pytest
import torch

from tsgen import GaussianEstimator, GenerativeEstimator
from tsgen.core import seeded
from tsgen.forecasting.assemble import assemble, build
from tsgen.forecasting.data.grid import GridWindows
from tsgen.forecasting.data.spec import infer_spec
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.forecasting.target.anchors import Anchor
from tsgen.forecasting.target.target import TargetMap
from tsgen.models import GenerativeModel

H = 4
SMALL = {
    "context_length": 6, "lags_seq": (1, 2), "num_batches_per_epoch": 10, "batch_size": 16,
    "verbose": False, "device": "cpu", "time_features": (),
}  # fmt: skip


class Drift(Anchor):
    """Goes on with the mean change of the last steps."""

    def __init__(self, steps: int = 8) -> None:
        super().__init__()
        self.steps, self.memory = steps, steps + 1

    def one_step(self, z, observed):
        z = z.nan_to_num(0.0)
        before = torch.cat([z[:, :1].expand(-1, self.steps, -1), z[:, : -self.steps]], 1)
        return z + (z - before[:, : z.shape[1]]) / self.steps

    def ahead(self, z, observed, horizon):
        z = z.nan_to_num(0.0)
        slope = (z[:, -1:] - z[:, -1 - self.steps :][:, :1]) / self.steps
        return z[:, -1:] + torch.arange(1, horizon + 1, device=z.device)[:, None] * slope


class DriftEstimator(GaussianEstimator):
    """A Gaussian law around a drift."""

    def build_anchor(self, spec):
        return Drift()


def slopes(count=3, length=80):
    """Noisy lines of two channels, of different slopes and levels."""
    rng = np.random.default_rng(0)
    return [
        {
            "start": pd.Period("2024-01-01", freq="h"),
            "target": np.outer([3.0 + i, -2.0], np.arange(length)) + 50 * i
            + 0.1 * rng.normal(size=(2, length)),
            "item_id": str(i),
        }
        for i in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_an_anchor_locates_training_pairs_and_paths(decoding, tmp_path):
    """A drift makes lines stationary: events are small at every step, paths go on with the line."""
    estimator = DriftEstimator(H, decoding=decoding, scaling="anchored", max_epochs=2, **SMALL)
    data = slopes()
    predictor = estimator.train(data, seed=0)
    assert predictor.shape.past_length == 6 + 9  # the anchor looks further back than the lags
    predictor.serialize(tmp_path)
    loaded = GenerativePredictor.deserialize(tmp_path)
    for entry, one, two in zip(
        data, predictor.predict(data, seed=1), loaded.predict(data, seed=1), strict=True
    ):
        ahead = np.arange(80, 80 + H)[:, None] * [3.0 + int(entry["item_id"]), -2.0]
        expected = ahead + 50 * int(entry["item_id"])
        # a scale is the root mean square of changes, 2 to 5; the path's noise adds up over H steps
        assert (np.abs(np.median(one.samples, 0) - expected) < 2.5).all()
        assert np.array_equal(one.samples, two.samples)
    assert np.isfinite(predictor.log_prob(data)).all()


def forecaster_of(estimator, data):
    """An untrained forecaster and one window of its data."""
    spec = infer_spec(data, H, estimator.support)
    assembly = assemble(spec, estimator)
    entries = list(assembly.transformation.apply(data, is_train=True))
    with seeded(0):
        forecaster = build(assembly, estimator)
    return forecaster.eval(), GridWindows(entries, assembly.shape).gather(torch.tensor([30]))


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_paths_are_located_as_the_pairs_of_what_they_became(decoding, monkeypatch):
    """Put into the window as its truth, a path has the events that it was drawn as."""
    estimator = DriftEstimator(H, decoding=decoding, scaling="anchored", **SMALL)
    forecaster, window = forecaster_of(estimator, slopes(1))
    draws = []

    def sample(cond):
        draws.append(forecaster.model.sample(cond))
        return draws[-1]

    monkeypatch.setattr(forecaster.model, "sampling_plan", lambda: sample)
    with torch.no_grad(), seeded(0):
        path = forecaster.sample_paths(window, 1)[:, 0] - window.center[:, None]
        future = window.future._replace(
            target=path.float(), observed=torch.ones_like(window.future.observed)
        )
        x = forecaster.pairs(window._replace(future=future)).x
    drawn = torch.stack(draws, 1) if decoding == "step" else draws[0]
    torch.testing.assert_close(x[:, -H:], drawn, rtol=1e-3, atol=1e-3)


def test_a_horizon_has_a_location_for_each_of_its_steps():
    """What a window says of its horizon's steps is what scales them, in both decodings."""
    for decoding in ("step", "horizon"):
        estimator = GaussianEstimator(H, decoding=decoding, scaling="standard", **SMALL)
        forecaster, window = forecaster_of(estimator, slopes(1))
        moved = torch.arange(float(H))[:, None].expand(1, H, 2) + 1
        future = window.future._replace(location=moved, scale=1.0 + moved)
        pairs = forecaster.pairs(window._replace(future=future))
        steps = slice(1, None) if decoding == "step" else slice(None)
        expected = (window.future.target - moved) / (1 + moved)
        torch.testing.assert_close(pairs.x[:, -H:][:, steps], expected[:, steps])
        with torch.no_grad(), seeded(0):
            plain = forecaster.sample_paths(window, 200)
            paths = forecaster.sample_paths(window._replace(future=future), 200)
        assert (paths.mean(1) - plain.mean(1))[0, steps].abs().min() > 5  # it was located elsewhere


class Rungs(TargetMap):
    """Codes of a vocabulary: the nearest of 9 rungs around the location, half a scale apart."""

    event_kind = "codes"
    words = 9

    def encode(self, y, location, scale, cond, observed):
        rung = (2 * (self.on_line(y) - location) / scale).nan_to_num(0.0).round()
        codes = rung.clamp(-4, 4).long() + 4
        return codes, cond.new_zeros(codes.shape[: codes.dim() - self.event_rank])

    def decode(self, x, location, scale):
        return self.link.inverse(location + scale * (x - 4) / 2)


class Categorical(GenerativeModel):
    """Independent probabilities of each channel's words."""

    event_kind = "codes"
    partial = "marginal"

    def __init__(self, event_shape, cond_shape):
        super().__init__(event_shape, cond_shape)
        self.logits = torch.nn.Linear(cond_shape[-1], event_shape[-1] * Rungs.words)

    @property
    def has_log_prob(self):
        return "exact"

    def _words(self, cond):
        return self.logits(cond).unflatten(-1, (-1, Rungs.words)).log_softmax(-1)

    def _log_prob(self, x, cond, observed, times):
        assert x.dtype == torch.int64
        chosen = self._words(cond).gather(-1, x[..., None])[..., 0]
        return (chosen if observed is None else chosen * observed).flatten(1).sum(1)

    def _loss(self, x, cond, observed, times):
        return -self._log_prob(x, cond, observed, times)

    def _sample(self, cond, times):
        return torch.distributions.Categorical(logits=self._words(cond)).sample()


class CodesEstimator(GenerativeEstimator):
    """A categorical law of rungs."""

    def build_model(self, event_shape, cond_shape):
        return Categorical(event_shape, cond_shape)

    def build_target(self, layout, anchor, model):
        return Rungs(layout.link, len(model.event_shape), anchor)


class MixedUpEstimator(CodesEstimator):
    """A target map of real numbers for a model of codes."""

    def build_target(self, layout, anchor, model):
        return TargetMap(layout.link, len(model.event_shape), anchor)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_codes_are_trained_and_drawn_as_real_values(decoding, tmp_path):
    """Values 0, 1 and 2 come with known probabilities; forecasts hold these and nothing else."""
    rng, chances = np.random.default_rng(0), [0.6, 0.1, 0.3]
    start = pd.Period("2024-01-01", freq="h")
    target = rng.choice([0.0, 1.0, 2.0], (2, 400), p=chances)
    target[:, rng.random(400) < 0.1] = np.nan
    data = [{"start": start, "target": target}]
    options = {**SMALL, "num_batches_per_epoch": 80, "batch_size": 32}
    estimator = CodesEstimator(
        H, decoding=decoding, scaling="none", max_epochs=1, **{**options, "lr": 1e-2}
    )
    predictor = estimator.train(data, seed=0)
    (forecast,) = predictor.predict(data, num_samples=2000, seed=0)
    # rungs are half a unit apart; those between 0, 1 and 2 have never been seen
    shares = [(forecast.samples == value).mean() for value in (0.0, 1.0, 2.0)]
    assert np.abs(np.array(shares) - chances).max() < 0.12 and sum(shares) > 0.97
    assert set(np.unique(forecast.samples)) <= {k / 2 for k in range(-4, 5)}
    predictor.serialize(tmp_path)
    (again,) = GenerativePredictor.deserialize(tmp_path).predict(data, num_samples=2000, seed=0)
    assert np.array_equal(forecast.samples, again.samples)
    full = [{"start": start, "target": np.nan_to_num(target, nan=0.0)}]
    assert predictor.log_prob(full)[0] == pytest.approx(-2 * H * 0.9, abs=0.5 * 2 * H)


def test_codes_and_real_numbers_do_not_mix():
    data = slopes(1)
    options = {**SMALL, "max_epochs": 1}
    with pytest.raises(ValueError, match="Categorical has events of kind 'codes', TargetMap makes"):
        MixedUpEstimator(H, **options).train(data, seed=0)
