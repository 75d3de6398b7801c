"""Data that break careless numerics.

Every estimator trains and forecasts finite values, or says what is wrong.
"""

import numpy as np
import pandas as pd
import pytest

from tsgen import GaussianEstimator, StudentTEstimator, TimeGradEstimator
from tsgen.diffusion import LinearSchedule
from tsgen.estimators import LastValueEstimator, RandomWalkEstimator, SeasonalNaiveEstimator
from tsgen.estimators.registry import estimators

HORIZON, LENGTH = 4, 120
QUICK = {
    "context_length": 8, "lags_seq": (1, 4), "max_epochs": 2, "num_batches_per_epoch": 10,
    "batch_size": 16, "num_parallel_samples": 20, "verbose": False, "device": "cpu",
}  # fmt: skip


def hostile(kind):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((3, LENGTH))
    if kind == "constant":
        return np.full((3, LENGTH), 7.0)
    if kind == "zero":
        return np.zeros((3, LENGTH))
    if kind == "large":
        return 1e9 + noise
    if kind == "spike":
        flat = np.zeros((3, LENGTH))
        flat[1, 60] = 1e6
        return flat
    if kind == "all NaN channel":
        noise[1] = np.nan
        return noise
    if kind == "one channel":
        return noise[0]
    noise[:, 1:-1] = np.nan
    return noise


KINDS = [
    "constant",
    "zero",
    "large",
    "spike",
    "all NaN channel",
    "one channel",
    "only the ends observed",
]
NEURAL = {
    "gaussian": GaussianEstimator,
    "gaussian, full": lambda h, **o: GaussianEstimator(h, covariance="full", **o),
    "student": StudentTEstimator,
    "timegrad": lambda h, **o: TimeGradEstimator(h, schedule=LinearSchedule(10, beta_end=0.5), **o),
}
SIMPLE = {
    "last value": LastValueEstimator,
    "random walk": RandomWalkEstimator,
    "seasonal": SeasonalNaiveEstimator,
}


def forecast(estimator, kind):
    entry = {"start": pd.Period("2024-01-01", freq="h"), "target": hostile(kind)}
    samples = next(iter(estimator.train([entry]).predict([entry]))).samples
    assert np.isfinite(samples).all()
    return samples


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scaling", ["mean", "standard", "robust", "anchored"])
@pytest.mark.parametrize("name", NEURAL)
def test_forecasts_are_finite(name, scaling, kind):
    samples = forecast(NEURAL[name](HORIZON, scaling=scaling, **QUICK), kind)
    if (
        kind == "large" and scaling != "mean"
    ):  # the level must survive the network's single precision
        assert np.abs(samples - 1e9).max() < 1e3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SIMPLE)
def test_baselines_are_finite(name, kind):
    forecast(SIMPLE[name](HORIZON), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_horizon_decoding_is_finite(kind):
    forecast(StudentTEstimator(HORIZON, decoding="horizon", scaling="anchored", **QUICK), kind)


@pytest.mark.parametrize("name", NEURAL)
def test_a_series_of_three_steps_is_too_short(name):
    entry = {
        "start": pd.Period("2024-01-01", freq="h"),
        "target": np.arange(3.0),
        "item_id": "tiny",
    }
    with pytest.raises(ValueError, match=r"length 3|3 steps"):
        NEURAL[name](HORIZON, **QUICK).train([entry])


def late(kind):
    rng = np.random.default_rng(0)
    values = rng.gamma(4, 2, (3, LENGTH))
    if kind == "not yet sold":
        values[1, :90] = 0
    elif kind == "not yet measured":
        values[1, :90] = np.nan
    elif kind == "tiny at first":
        values[1, :80] = 1e-9
    elif kind == "channel of zeros":
        values[1] = 0
    else:
        values *= np.array([[1e-12], [1.0], [1e12]])
    return values


@pytest.mark.parametrize(
    "kind",
    ["not yet sold", "not yet measured", "tiny at first", "channel of zeros", "units far apart"],
)
@pytest.mark.parametrize("name", ["gaussian", "timegrad", "tempflow"])
@pytest.mark.parametrize("scaling", ["mean", "standard", "anchored"])
def test_late_channels_and_odd_units_cost_no_loss(name, scaling, kind):
    entry = {"start": pd.Period("2024-01-01", freq="h"), "target": late(kind)}
    predictor = estimators[name](HORIZON, scaling=scaling, **QUICK).train([entry], seed=0)
    assert max(epoch["train_loss"] for epoch in predictor.history) < 1e4
    for count in (1, 20):
        (forecast,) = predictor.predict([entry], num_samples=count, seed=0)
        assert np.isfinite(forecast.samples).all()
    size = np.nanmax(np.abs(entry["target"]), axis=1)
    assert (np.abs(forecast.samples).max((0, 1))[size > 0] < 1e4 * size[size > 0]).all()
