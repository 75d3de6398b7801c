import numpy as np
import pandas as pd
import pytest

from tsgen.estimators.baselines import (
    LastValueEstimator,
    RandomWalkEstimator,
    SeasonalNaiveEstimator,
)
from tsgen.estimators.registry import baselines, estimators
from tsgen.evaluation import backtest, coverage


def entry(y, freq="h"):
    return {"start": pd.Period("2021-01-01", freq=freq), "target": y, "item_id": "a"}


def only(estimator, y, **kwargs):
    (forecast,) = estimator.train([entry(y)]).predict([entry(y)], **kwargs)
    return forecast


def test_last_value_repeats():
    forecast = only(LastValueEstimator(3), np.array([[1.0, 2.0], [5.0, np.nan]]), num_samples=4)
    assert forecast.samples.shape == (4, 3, 2) and (forecast.samples == [2.0, 5.0]).all()
    assert (
        forecast.start_date == pd.Period("2021-01-01 02:00", freq="h") and forecast.item_id == "a"
    )


def test_random_walk_is_calibrated_on_a_random_walk_and_keeps_channels_together():
    rng = np.random.default_rng(0)
    root = np.array([[1.0, 0.0], [0.9, 0.3]])
    walk = (rng.standard_normal((400, 600, 2)) @ root.T).cumsum(1)
    tests = [entry(w.T) for w in walk]
    result = backtest(RandomWalkEstimator(5).train(tests), tests, num_samples=200, seed=0)
    assert np.abs(coverage(result.samples, result.truth) - 0.9).max() < 4 * np.sqrt(0.09 / 400)
    first = result.samples[0, :, 0] - walk[0, 594]
    assert np.corrcoef(first.T)[0, 1] > 0.85


def test_seasonal_naive_finds_the_season_and_its_errors():
    t = np.arange(24 * 60)
    pure = np.sin(t / 24 * 2 * np.pi)
    exact = only(SeasonalNaiveEstimator(48), pure, num_samples=10)
    assert exact.samples.shape == (10, 48)
    assert np.allclose(
        exact.samples, np.sin(np.arange(len(t), len(t) + 48) / 24 * 2 * np.pi), atol=1e-9
    )
    noisy = pure + 0.1 * np.random.default_rng(0).standard_normal(len(t))
    spread = only(SeasonalNaiveEstimator(24), noisy, num_samples=500, seed=0).samples.std(0)
    assert np.abs(spread - 0.1 * np.sqrt(2)).max() < 0.06  # the errors of y_t - y_{t - 24}
    weekly = only(
        SeasonalNaiveEstimator(24, season=168), np.tile(np.arange(168.0), 9), num_samples=5
    )
    assert np.allclose(weekly.samples, np.arange(24.0))


def test_baselines_stay_above_a_floor_and_follow_the_seed():
    y = np.abs(np.random.default_rng(0).standard_normal((2, 100)))
    for name in baselines:
        made = estimators[name](6, low=0.0)
        one, two = (only(made, y, num_samples=7, seed=3).samples for _ in range(2))
        assert (one >= 0).all() and (one == two).all() and one.shape == (7, 6, 2)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_short_histories(length):
    for name in baselines:
        forecast = only(estimators[name](4), np.arange(float(length)), num_samples=3)
        assert forecast.samples.shape == (3, 4) and np.isfinite(forecast.samples).all()


def test_bad_horizon():
    with pytest.raises(
        ValueError, match="LastValueEstimator: prediction_length=0 must be at least 1"
    ):
        LastValueEstimator(0)


def test_bad_number_of_samples():
    with pytest.raises(ValueError, match="num_samples=0 must be at least 1"):
        only(LastValueEstimator(3), np.ones(5), num_samples=0)
