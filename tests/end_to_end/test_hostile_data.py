"""Data that break careless numerics.

Every estimator trains and forecasts finite values, or says what is wrong.
"""

import numpy as np
import pandas as pd
import pytest

from tsgen import GaussianEstimator, StudentTEstimator, TimeGradEstimator
from tsgen.diffusion import LinearSchedule
from tsgen.estimators import LastValueEstimator, RandomWalkEstimator, SeasonalNaiveEstimator

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
