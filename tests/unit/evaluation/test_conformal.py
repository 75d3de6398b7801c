import math

import numpy as np
import pandas as pd
import pytest
import torch
from gluonts.model.forecast import QuantileForecast, SampleForecast
from gluonts.model.predictor import Predictor

import tsgen
from tests.support.panels import counted
from tsgen.cli.checks import check_band
from tsgen.data.splits import rolling
from tsgen.data.synthetic import VAR, ExactPredictor, ornstein_uhlenbeck
from tsgen.estimators import LastValueEstimator, RandomWalkEstimator
from tsgen.evaluation import (
    CalibratedForecast,
    CalibratedPredictor,
    Calibration,
    backtest,
    calibrate,
)
from tsgen.evaluation.conformal import measure, windows_needed
from tsgen.report.tables import paths_held

LEVELS = (0.5, 0.8, 0.9, 0.95)


class Wrong(Predictor):
    """The exact law with its spread and centre changed, the same for all histories."""

    def __init__(self, law, horizon, stretch, shift):
        super().__init__(prediction_length=horizon)
        self.exact, self.stretch, self.shift = ExactPredictor(law, horizon), stretch, shift

    def predict(self, dataset, num_samples=100, seed=None):
        for forecast in self.exact.predict(dataset, num_samples, seed):
            middle = forecast.samples.mean(0)
            forecast.samples = middle + self.shift + self.stretch * (forecast.samples - middle)
            yield forecast


@pytest.mark.parametrize(("stretch", "shift"), [(0.5, 0.0), (3.0, 0.0), (1.0, 0.7)])
def test_wrong_spread_and_centre_are_mended(stretch, shift):
    """OU, 400 windows to calibrate, 1500 to look at, all independent series."""
    law, horizon = ornstein_uhlenbeck(), 4
    wrong = Wrong(law, horizon, stretch, shift)
    held_out, later = (law.dataset(n, 30, seed=n) for n in (400, 1500))
    mended = calibrate(wrong, held_out, seed=0)
    before, after = (backtest(p, later, num_samples=200, seed=1) for p in (wrong, mended))
    # error of the 400 stretches' quantile and of 1500 outcomes, a step at a time: 4.5 standard
    # errors of each; the interpolated sample quantile adds up to 1 / 201
    for level in LEVELS:
        band = 4.5 * math.sqrt(level * (1 - level) * (1 / 400 + 1 / 1500)) + 1 / 201 + 1 / 401
        found = after.scores.per_step[f"coverage_{level * 100:g}"]
        assert np.abs(found - level).max() < band, (level, found)
    broken = before.scores.per_step["coverage_90"]
    assert np.abs(broken - 0.9).min() > 0.08 and after.scores["crps"] < before.scores["crps"]


def test_factors_are_of_each_step_and_channel():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((500, 200, 3, 2))
    scale = np.array([[1.0, 2.0], [0.5, 4.0], [3.0, 1.0]])
    truth = scale * rng.standard_normal((500, 3, 2))
    found = measure(samples, truth, LEVELS)
    assert found.factors.shape == (4, 3, 2) and found.windows == 500
    # a quantile of 500 half-normal values has a relative error of 5 to 7 %: 4 of them
    assert np.abs(found.factors[2] / scale - 1).max() < 0.25
    # the joint band is in units of the 95 % reach, 1.96, and as wide as the widest 90 % interval
    assert (np.diff(found.joint) > 0).all()
    assert 1.96 * found.joint[2] > 1.645 * found.factors[2].max()


def test_guarantee_with_few_windows():
    """Of 19 windows the 90 % interval has rank 18: coverage 18 / 20, whatever the forecast."""
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        samples, truth = 0.3 * rng.standard_normal((20, 99, 4, 3)), rng.standard_normal((20, 4, 3))
        calibration = measure(samples[:19], truth[:19], (0.9,))
        one = SampleForecast(samples[19], pd.Period("2021", freq="D"))
        mended = CalibratedForecast(one, calibration, "real")
        low, high = np.quantile(mended.samples, [0.05, 0.95], axis=0, method="weibull")
        inside.append(((low <= truth[19]) & (truth[19] <= high)).mean())
    assert abs(np.mean(inside) - 0.9) < 4 * np.std(inside) / np.sqrt(300) + 1 / 100


def test_paths_keep_their_ranks_and_intervals_land_where_they_should():
    rng = np.random.default_rng(0)
    samples = rng.gamma(2, size=(399, 5, 3))
    calibration = Calibration(LEVELS, rng.uniform(0.3, 3, (4, 5, 3)), np.ones(4), 100)
    one = SampleForecast(samples, pd.Period("2021", freq="D"))
    mended = CalibratedForecast(one, calibration, "real").samples
    ranks = (np.argsort(np.argsort(x, axis=0), axis=0) for x in (samples, mended))
    flat = np.diff(np.sort(mended, axis=0), axis=0) == 0  # where intervals would cross
    assert np.array_equal(*ranks) or flat.any()
    assert (np.diff(np.take_along_axis(mended, samples.argsort(0), 0), axis=0) >= 0).all()
    middle = np.median(samples, axis=0)
    reach = np.zeros((2, 5, 3))
    for level, factor in zip(LEVELS, calibration.factors, strict=True):
        tails = [(1 - level) / 2, (1 + level) / 2]
        old, new = (np.quantile(x, tails, axis=0, method="weibull") for x in (samples, mended))
        reach = np.maximum(reach, factor * np.abs(old - middle))  # never inside a smaller level's
        assert np.allclose(np.abs(new - middle), reach, rtol=0.02, atol=0.02)
    assert np.allclose(np.median(mended, axis=0), middle)


def test_factors_of_one_change_nothing():
    samples = np.random.default_rng(0).gamma(2, size=(50, 4, 2))
    same = Calibration(LEVELS, np.ones((4, 4, 2)), np.ones(4), 100)
    forecast = CalibratedForecast(
        SampleForecast(samples, pd.Period("2021", freq="D")), same, "real"
    )
    assert np.allclose(forecast.samples, samples)
    unknown = same._replace(factors=np.full((4, 4, 2), np.inf))
    forecast = CalibratedForecast(
        SampleForecast(samples, pd.Period("2021", freq="D")), unknown, "real"
    )
    assert np.allclose(forecast.samples, samples)


def test_joint_band_holds_whole_paths():
    law, horizon = VAR(), 5
    wrong = Wrong(law, horizon, 0.6, 0.0)
    mended = calibrate(wrong, law.dataset(300, 30, seed=1), seed=0)
    later = law.dataset(800, 30, seed=2)
    result = backtest(mended, later, num_samples=200, seed=3)
    for level in (0.5, 0.9):
        held = []
        for forecast, truth in zip(result.forecasts, result.truth, strict=True):
            low, high = forecast.band(level)
            assert low.shape == (horizon, 3)
            held.append(((low <= truth) & (truth <= high)).all())
        band = 4 * math.sqrt(level * (1 - level) * (1 / 300 + 1 / 800)) + 1 / 301
        assert abs(np.mean(held) - level) < band
        assert paths_held(result, level) == np.mean(held)
    unknown = result._replace(truth=np.full_like(result.truth, np.nan))
    assert paths_held(result, 0.7) is None and paths_held(unknown, 0.9) is None
    with pytest.raises(ValueError, match="level=0.7 was not calibrated; the levels are 0.5, 0.8"):
        result.forecasts[0].band(0.7)


def test_panels_pool_their_series_and_supports_are_kept():
    data = counted()
    estimator = tsgen.GaussianEstimator(
        4, support="count", max_epochs=1, num_batches_per_epoch=10, verbose=False, device="cpu"
    )
    predictor = estimator.train([{**e, "target": e["target"][:100]} for e in data], seed=0)
    mended = calibrate(predictor, data, windows=2, seed=0)
    assert mended.calibration.windows == 60 and mended.calibration.factors.shape == (4, 4, 1)
    for forecast in mended.predict(data, num_samples=50, seed=1):
        assert forecast.samples.shape == (50, 4) and (forecast.samples >= 0).all()
        assert (forecast.samples == np.round(forecast.samples)).all()
        low, _ = forecast.band(0.9)
        assert low.shape == (4,) and (low >= 0).all()


def test_missing_truth_is_left_out():
    rng = np.random.default_rng(0)
    samples, truth = rng.standard_normal((60, 99, 2, 1)), rng.standard_normal((60, 2, 1))
    truth[:50, 1] = np.nan
    with pytest.warns(UserWarning) as said:
        found = measure(samples, truth, (0.5, 0.95))
    assert "1 of 2 steps and channels were observed in fewer than 19" in str(said[0].message)
    assert "10 of 60 held-out windows were observed completely" in str(said[1].message)
    whole = measure(samples[50:], truth[50:], (0.5,))
    assert found.factors[0, 1] == whole.factors[0, 1] and np.isfinite(found.factors[:, 0]).all()
    assert found.factors[1, 1] == np.inf  # 10 windows tell no 95 % interval


def test_joint_band_with_holes_in_the_held_out_windows():
    rng = np.random.default_rng(0)
    samples, truth = rng.standard_normal((80, 99, 3, 2)), rng.standard_normal((80, 3, 2))
    whole = measure(samples[:40], truth[:40], LEVELS)
    empty = truth.copy()
    empty[40:] = np.nan
    found = measure(samples, empty, LEVELS)
    assert found.windows == 40 and np.array_equal(found.joint, whole.joint)
    assert np.array_equal(found.factors, whole.factors)
    empty[40:, 0] = 0.0  # observed in part: they tell of intervals, not of whole paths
    assert np.array_equal(measure(samples, empty, LEVELS).joint, whole.joint)
    with pytest.raises(ValueError, match="10 held-out windows tell no 95% interval"):
        measure(
            samples[30:], np.where(np.arange(50)[:, None, None] < 10, truth[30:], np.nan), LEVELS
        )
    holes = np.where(rng.random(truth.shape) < 0.5, np.nan, truth)
    with pytest.warns(UserWarning, match="which tell no joint band"):
        found = measure(samples, holes, LEVELS)
    one = SampleForecast(samples[0], pd.Period("2021", freq="D"))
    one.samples[:, 1, 1] = 5.0  # without spread
    low, high = CalibratedForecast(one, found, "real").band(0.95)
    assert (low == -np.inf).all() and (high == np.inf).all()
    never = truth.copy()
    never[:, 1, 1] = np.nan
    with pytest.warns(UserWarning, match="1 of 6 steps and channels"):
        found = measure(samples, never, LEVELS)
    low, high = CalibratedForecast(one, found, "real").band(0.9)
    assert np.isinf(low[1, 1]) and np.isfinite(low).sum() == np.isfinite(high).sum() == 5


def test_numbers_of_paths(tmp_path):
    data = counted(5)
    mended = calibrate(RandomWalkEstimator(4, num_parallel_samples=50).train(data), data, 4, seed=0)
    (first, *_), state = list(mended.predict(data, seed=0)), torch.get_rng_state()
    assert first.samples.shape == (50, 4)
    assert np.array_equal(next(iter(mended.predict(data, seed=0))).samples, first.samples)
    assert torch.equal(torch.get_rng_state(), state)
    few, more = (next(iter(mended.predict(data, n, seed=0))) for n in (3, 39))
    assert np.array_equal(few.samples, more.samples[:3])
    assert np.array_equal(few.band(0.9), more.band(0.9))
    small = calibrate(RandomWalkEstimator(4, num_parallel_samples=20).train(data), data, 4, seed=0)
    with pytest.raises(ValueError, match="calibrated with its own sampler"):
        mended.with_sampler(None)
    with pytest.raises(ValueError, match="20 sample paths make no 95% interval, which needs 39"):
        list(small.predict(data))
    bounded = calibrate(RandomWalkEstimator(4, low=0.0).train(data), data, 4, seed=0)
    assert bounded.support == (0.0, math.inf)
    law = ornstein_uhlenbeck()
    foreign = calibrate(Wrong(law, 4, 1.0, 0.0), law.dataset(20, 30, seed=0), seed=0)
    with pytest.raises(ValueError, match="Wrong cannot be loaded again by tsgen"):
        foreign.serialize(tmp_path / "model")
    assert not (tmp_path / "model").exists()


class Quantiles(Predictor):
    """Quantiles that paths have to be drawn from."""

    def predict(self, dataset, num_samples=100):
        levels = ["0.1", "0.5", "0.9"]
        values = np.tile([[-1.0], [0.0], [1.0]], self.prediction_length)
        for entry in dataset:
            yield QuantileForecast(values, entry["start"] + len(entry["target"]), levels)


def test_paths_drawn_from_quantiles_are_repeatable():
    data = counted(5)
    calibrated = calibrate(Quantiles(prediction_length=4), data, 4, seed=0)
    state = torch.get_rng_state()
    one, two = (list(calibrated.predict(data, num_samples=60, seed=3)) for _ in range(2))
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(one, two, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert next(iter(calibrated.predict(data, seed=3))).samples.shape == (100, 4)


def test_a_band_that_is_infinite_cannot_be_asked_for():
    factors = np.ones((2, 1, 1))
    calibration = Calibration((0.5, 0.9), factors, np.array([1.0, np.inf]), 10)
    predictor = CalibratedPredictor(RandomWalkEstimator(1).train([]), calibration)
    check_band(0.5, predictor)
    with pytest.raises(ValueError, match=r"--band 0.9: expected one of the calibrated levels, 0.5"):
        check_band(0.9, predictor)


def test_windows_that_a_level_needs():
    assert [windows_needed(level) for level in LEVELS] == [1, 4, 9, 19]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda d: calibrate(RandomWalkEstimator(4).train(d), d[:1], windows=7),
            "7 held-out windows tell no 95% interval .* expected at least 19",
        ),
        (
            lambda d: calibrate(LastValueEstimator(4).train(d), d, windows=2),
            "most forecasts have no spread",
        ),
        (
            lambda d: calibrate(RandomWalkEstimator(4).train(d), d, windows=1, levels=(1.5,)),
            r"must be one or more in \(0, 1\)",
        ),
        (
            lambda d: list(
                calibrate(RandomWalkEstimator(4).train(d), d, windows=2).predict(
                    [{**d[0], "target": np.ones((2, 30)) * np.arange(30)}]
                )
            ),
            "has 2 channels, calibration had 1",
        ),
    ],
)
def test_bad_requests(call, message):
    with pytest.raises(ValueError, match=message):
        call(counted(10))


def test_rolling_windows_of_one_series():
    rng = np.random.default_rng(0)
    walk = {
        "start": pd.Period("2021-01-01", freq="D"),
        "target": rng.standard_normal((2, 900)).cumsum(1),
    }
    base = RandomWalkEstimator(3, window=10).train([])
    mended = calibrate(base, rolling([{**walk, "target": walk["target"][:, :600]}], 60, 3), seed=0)
    later = [backtest(p, [walk], windows=90, seed=1).scores for p in (base, mended)]
    assert abs(later[1]["coverage_90"] - 0.9) < abs(later[0]["coverage_90"] - 0.9)
    assert abs(later[1]["coverage_90"] - 0.9) < 0.05


@pytest.mark.parametrize("support", ["positive", (0.0, math.inf), (0.0, 9.0), "count"])
def test_stretched_quantiles_stay_inside_and_cover(support):
    """Gamma truths near the end of their support, forecasts three times too narrow."""
    rng = np.random.default_rng(0)

    def draw(count, spread, *shape):
        values = np.minimum(np.exp(spread * rng.standard_normal((count, *shape))), 9.0)
        return np.floor(3 * values) if support == "count" else values

    truth, later = draw(400, 1.2, 2, 1), draw(300, 1.2, 2, 1)
    calibration = measure(draw(400, 0.4, 199, 2, 1), truth, LEVELS, support)
    inside = {level: 0.0 for level in LEVELS}
    for y in later:
        one = SampleForecast(draw(1, 0.4, 199, 2, 1)[0], pd.Period("2021", freq="D"))
        mended = CalibratedForecast(one, calibration, support)
        order = one.samples.argsort(0)
        assert (np.diff(np.take_along_axis(mended.samples, order, 0), axis=0) >= 0).all()
        if support == "positive":
            assert mended.samples.min() > 1e-6  # on the logarithm's scale, not the smallest float
        assert mended.samples.min() >= 0
        bands = [mended.band(level) for level in LEVELS]
        for (low, high), (wider_low, wider_high) in zip(bands, bands[1:], strict=False):
            assert (wider_low <= low).all() and (wider_high >= high).all() and (low <= high).all()
        for level in LEVELS:
            tails = [(1 - level) / 2, (1 + level) / 2]
            low, high = np.quantile(mended.samples, tails, axis=0, method="weibull")
            inside[level] += ((low <= y) & (y <= high)).mean() / len(later)
    for level, found in inside.items():
        band = 4.5 * math.sqrt(level * (1 - level) * (1 / 400 + 1 / 300)) + 1 / 200 + 1 / 401
        assert found > level - band
        if support == "positive":  # atoms of the others cover more than they must
            assert found < level + band


def test_a_calibration_of_plain_differences_leaves_no_sample_at_zero():
    """As folders of earlier versions have them: ranks stay, and 0 is not a positive value."""
    samples = np.random.default_rng(0).gamma(0.5, size=(199, 2, 1)) + 1e-3
    old = Calibration(LEVELS, np.full((4, 2, 1), 8.0), np.ones(4), 100)
    mended = CalibratedForecast(
        SampleForecast(samples, pd.Period("2021", freq="D")), old, "positive"
    ).samples
    ordered = np.take_along_axis(mended, samples.argsort(0), 0)
    assert ordered.min() > 1e-9 and (np.diff(ordered, axis=0) >= 0).all()
