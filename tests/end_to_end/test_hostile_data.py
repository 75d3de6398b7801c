"""Data that break careless numerics.

Every estimator trains and forecasts finite values, or says what is wrong.
"""

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.support.baselines import PACKAGES, SIMPLE
from tests.support.families import GENERATIVE, OPTIONS, TINY
from tsgen import GaussianEstimator, StudentTEstimator, TimeGradEstimator
from tsgen.diffusion import LinearSchedule
from tsgen.estimators.baselines import FitWarning
from tsgen.estimators.registry import estimators, peers

HORIZON, LENGTH = 4, 120
QUICK = {
    "context_length": 8, "lags_seq": (1, 4), "max_epochs": 1, "num_batches_per_epoch": 6,
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
START = pd.Period("2024-01-01", freq="h")
SCALINGS = ["mean", "standard", "robust", "anchored"]


def forecasts_of(estimator, targets):
    """Samples by the names of the series that are trained on."""
    data = [{"start": START, "target": y, "item_id": name} for name, y in targets.items()]
    forecasts = estimator.train(data, seed=0).predict(data, seed=0)
    samples = {forecast.item_id: forecast.samples for forecast in forecasts}
    for name, values in samples.items():
        assert np.isfinite(values).all(), name
    return samples


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("name", NEURAL)
def test_forecasts_beside_each_other_are_finite(name, scaling):
    targets = {kind: hostile(kind) for kind in KINDS if kind != "one channel"}
    samples = forecasts_of(NEURAL[name](HORIZON, scaling=scaling, **QUICK), targets)
    if scaling != "mean":  # the level must survive the network's single precision
        assert np.abs(samples["large"] - 1e9).max() < 1e3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NEURAL)
def test_forecasts_of_one_kind_alone_are_finite(name, kind):
    estimator = NEURAL[name](HORIZON, scaling="standard", **QUICK)
    samples = forecasts_of(estimator, {kind: hostile(kind)})[kind]
    assert kind != "large" or np.abs(samples - 1e9).max() < 1e3


@pytest.mark.parametrize("kind", KINDS)
def test_horizon_decoding_is_finite(kind):
    estimator = StudentTEstimator(HORIZON, decoding="horizon", scaling="anchored", **QUICK)
    forecasts_of(estimator, {kind: hostile(kind)})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SIMPLE)
def test_baselines_are_finite(name, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        forecasts_of(estimators[name](HORIZON), {kind: hostile(kind)})


@pytest.mark.parametrize("name", NEURAL)
def test_a_series_of_three_steps_is_too_short(name):
    entry = {"start": START, "target": np.arange(3.0), "item_id": "tiny"}
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


LATE = ["not yet sold", "not yet measured", "tiny at first", "channel of zeros", "units far apart"]


def check_late(estimator, kinds):
    """The loss and the forecasts stay in the units of each channel."""
    data = [{"start": START, "target": late(kind), "item_id": kind} for kind in kinds]
    predictor = estimator.train(data, seed=0)
    assert max(epoch["train_loss"] for epoch in predictor.history) * len(kinds) < 1e4
    for count in (1, 20):
        for entry, forecast in zip(
            data, predictor.predict(data, num_samples=count, seed=0), strict=True
        ):
            assert np.isfinite(forecast.samples).all()
            size = np.nanmax(np.abs(entry["target"]), axis=1)
            largest = np.abs(forecast.samples).max((0, 1))
            assert (largest[size > 0] < 1e4 * size[size > 0]).all(), entry["item_id"]


@pytest.mark.parametrize("name", ["gaussian", "timegrad", "tempflow"])
@pytest.mark.parametrize("scaling", ["mean", "standard", "anchored"])
def test_late_channels_and_odd_units_cost_no_loss(name, scaling):
    options = QUICK | OPTIONS.get(name, {}) | {"max_epochs": 2, "num_batches_per_epoch": 10}
    check_late(estimators[name](HORIZON, scaling=scaling, **options), LATE)


@pytest.mark.parametrize("kind", LATE)
@pytest.mark.parametrize("scaling", ["mean", "standard", "anchored"])
def test_a_late_channel_alone_costs_no_loss(scaling, kind):
    check_late(GaussianEstimator(HORIZON, scaling=scaling, **QUICK), [kind])


CHANNELS = {
    "usual": 10.0,
    "constant": 7.0,
    "zeros": 1.0,
    "huge": 1e12,
    "tiny": 1e-12,
    "one outlier": 1e6,
    "long unobserved": 10.0,
}
"""What is wrong with a channel, and its size; that of zeros is one, for want of another."""


def hostile_channels(length, seed):
    """Channels of every kind, (C, T)."""
    noise = 1 + 0.1 * np.random.default_rng(seed).standard_normal((len(CHANNELS), length))
    values = dict(zip(CHANNELS, noise, strict=True))
    for name in ("usual", "huge", "tiny", "long unobserved"):
        values[name] *= CHANNELS[name]
    values["constant"][:] = 7.0
    values["zeros"][:] = 0.0
    values["one outlier"][length // 2] = 1e6
    values["long unobserved"][length // 4 : -3] = np.nan
    return np.stack(list(values.values()))


def hostile_series():
    """Long ones, of which one has a stretch without any value and one ends in it, and short."""
    whole, gap, silent, short = (hostile_channels(n, i) for i, n in enumerate((120, 120, 100, 16)))
    gap[:, 40:70] = np.nan
    silent[:, -20:] = np.nan
    return [
        {"start": START, "target": target, "item_id": str(i)}
        for i, target in enumerate((whole, gap, silent, short))
    ]


def check_forecasts(predictor, data, times=1e3):
    """Finite, in shape, and no value so many times beyond the size of what its channel had."""
    sizes = np.array(list(CHANNELS.values()))
    forecasts = list(predictor.predict(data, num_samples=4, seed=0))
    assert len(forecasts) == len(data)
    for forecast in forecasts:
        assert forecast.samples.shape == (4, HORIZON, len(CHANNELS))
        assert np.isfinite(forecast.samples).all(), forecast.item_id
        largest = np.abs(forecast.samples).max((0, 1))
        assert (largest < times * sizes).all(), (forecast.item_id, largest)


@pytest.mark.parametrize("name", GENERATIVE)
def test_every_family_trains_and_forecasts(name):
    """One training, with all that is hostile in one data set."""
    options = OPTIONS.get(name, TINY) | {"num_batches_per_epoch": 2, "batch_size": 8}
    predictor = GENERATIVE[name](HORIZON, **options).train(hostile_series(), seed=0)
    assert all(np.isfinite(epoch["train_loss"]) for epoch in predictor.history)
    check_forecasts(predictor, hostile_series())


@pytest.mark.parametrize("name", peers)
def test_every_peer_forecasts(name):
    options = {"num_batches_per_epoch": 2, "batch_size": 16, "context_length": 8}
    estimator = peers[name](HORIZON, max_epochs=1, options=options, device="cpu")
    predictor = estimator.train(hostile_series(), seed=0)
    check_forecasts(predictor, hostile_series(), times=np.inf)  # its scale can be another channel's


@pytest.mark.parametrize("name", SIMPLE)
def test_every_baseline_forecasts(name):
    data = hostile_series()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        check_forecasts(estimators[name](HORIZON).train(data), data)


@pytest.mark.parametrize("name", PACKAGES)
def test_baselines_that_are_fitted_forecast_or_name_the_series(name):
    """Those that need more values of a channel say so."""
    pytest.importorskip(PACKAGES[name])
    data = hostile_series()
    predictor = estimators[name](HORIZON).train(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        if name == "garch":
            with pytest.raises(ValueError, match="^series '0': .* 32 steps are too few"):
                list(predictor.predict(data))
        else:
            check_forecasts(predictor, data)
