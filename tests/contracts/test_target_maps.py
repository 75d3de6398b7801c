"""Anchors and target maps from outside the library, trained and drawn from in both decodings."""

import numpy as np
import pandas as pd
import pytest
import torch

from tsgen import GaussianEstimator
from tsgen.core import seeded
from tsgen.forecasting.data.grid import GridWindows
from tsgen.forecasting.data.spec import infer_spec
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.forecasting.target.anchors import Anchor

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
    shape, lags = estimator._window(spec)
    entries = list(estimator.create_transformation(spec, shape).apply(data, is_train=True))
    with seeded(0):
        anchor = estimator.build_anchor(spec)
        forecaster = estimator._build_forecaster(estimator._layout(spec, lags), anchor)
    return forecaster.eval(), GridWindows(entries, shape).gather(torch.tensor([30]))


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_paths_are_located_as_the_pairs_of_what_they_became(decoding, monkeypatch):
    """Put into the window as its truth, a path has the events that it was drawn as."""
    estimator = DriftEstimator(H, decoding=decoding, scaling="anchored", **SMALL)
    forecaster, window = forecaster_of(estimator, slopes(1))
    draws = []

    def sample(cond):
        draws.append(forecaster.model.sample(cond))
        return draws[-1]

    monkeypatch.setattr(forecaster.model, "drawer", lambda: sample)
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
