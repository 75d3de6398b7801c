"""Baselines on histories with gaps: they are as sure of themselves as without."""

import numpy as np
import pandas as pd
import pytest

from tests.support.baselines import EVERY, entry, needs, only, wave
from tsgen.estimators.baselines import GARCHEstimator, RandomWalkEstimator, VAREstimator
from tsgen.estimators.baselines.histories import fill_gaps, hot_deck
from tsgen.estimators.registry import baselines
from tsgen.evaluation import backtest

NAN = np.nan


def walks(count, length, seed=0):
    rng = np.random.default_rng(seed)
    start = pd.Period("2021-01-01", freq="D")
    return [
        {"start": start, "target": 50 + rng.standard_normal(length).cumsum(), "item_id": str(i)}
        for i in range(count)
    ]


@pytest.mark.parametrize("name", EVERY)
def test_what_comes_before_the_first_value_does_not_matter(name):
    y = wave(300, 2)
    late = np.concatenate([np.full((2, 77), NAN), y], axis=1)
    early = entry(late)
    early["start"] = early["start"] - 77
    predictor = baselines[name](6).train([])
    one, two = (
        next(iter(predictor.predict([e], num_samples=20, seed=0))) for e in (entry(y), early)
    )
    assert np.array_equal(one.samples, two.samples) and one.start_date == two.start_date


@pytest.mark.parametrize("name", EVERY)
def test_steps_without_values_at_the_end_are_forecast_too(name):
    y = wave(300, 2)
    outage = np.concatenate([y, np.full((2, 9), NAN)], axis=1)
    short = only(baselines[name](6), outage, num_samples=20, seed=0)
    long = only(baselines[name](15), y, num_samples=20, seed=0)
    assert np.array_equal(short.samples, long.samples[:, 9:])
    assert short.start_date == long.start_date + 9


@pytest.mark.parametrize("name", ["random_walk", "random_walk_gaussian", *EVERY[-3:]])
def test_coverage_of_walks_with_a_third_of_the_values_missing(name):
    rng = np.random.default_rng(1)
    data = walks(60, 330)
    for series in data:
        series["target"][100:200] = NAN
        series["target"][:320][rng.random(320) < 0.1] = NAN
    found = backtest(baselines[name](10).train([]), data, 1, seed=0).scores["coverage_90"]
    # errors of a walk's steps hang together: some 3 independent ones in each of 60
    assert found > 0.9 - 4 * np.sqrt(0.09 / 180), found


@pytest.mark.parametrize("name", ["seasonal_naive", "ridge"])
def test_coverage_of_waves_with_a_third_of_the_values_missing(name):
    rng = np.random.default_rng(1)
    data = [{**entry(wave(24 * 60, seed=i)[0]), "item_id": str(i)} for i in range(30)]
    whole = backtest(baselines[name](24).train([]), data, 1, seed=0).scores
    for series in data:
        y = series["target"]
        y[300:700] = NAN
        y[:-24][rng.random(len(y) - 24) < 0.1] = NAN
    found = backtest(baselines[name](24).train([]), data, 1, seed=0).scores
    # the difference of two shares of 720 values
    assert found["coverage_90"] > whole["coverage_90"] - 4 * np.sqrt(2 * 0.1 / 720)
    assert found["crps"] < 1.2 * whole["crps"]


@pytest.mark.parametrize("name", ["random_walk", "random_walk_gaussian", *EVERY[-2:]])
def test_a_channel_that_fell_silent_is_less_sure(name):
    y = np.random.default_rng(0).standard_normal((2, 400)).cumsum(1)
    y[1, -50:] = NAN
    spread = only(baselines[name](1), y, num_samples=2000, seed=0).samples.std(0)[0]
    # 51 steps of 1 against a single one
    assert spread[0] == pytest.approx(1, rel=0.25) and spread[1] == pytest.approx(51**0.5, rel=0.25)


def test_walks_go_on_from_each_channels_last_value_together():
    rng = np.random.default_rng(0)
    step = rng.standard_normal(300)
    y = np.stack([step, step]).cumsum(1)
    y[1, -3:] = NAN
    samples = only(RandomWalkEstimator(4), y, num_samples=500, seed=0).samples
    moved = np.diff(samples, axis=1)
    # three steps of 299 are not known of both
    assert np.isclose(moved[..., 0], moved[..., 1]).mean() > 0.97


def test_seasonal_repetition_uses_the_season_before_a_gap():
    y = np.tile(np.arange(24.0), 40)
    y[-30:-3] = NAN
    found = only(baselines["seasonal_naive"](24), y, num_samples=4).samples
    assert np.array_equal(found, np.tile(np.arange(24.0), (4, 1)))


def test_filling():
    values = np.array([[NAN, 1.0], [2.0, NAN], [3.0, NAN], [NAN, 4.0], [NAN, NAN]])
    assert np.array_equal(fill_gaps(values), [[2, 1], [2, 1], [3, 1], [3, 4], [3, 4]])
    assert np.array_equal(fill_gaps(values, 2), [[2, 1], [2, 1], [3, 1], [2, 4], [3, 1]])
    known = np.array([[True, False], [False, False], [True, False]])
    deck = hot_deck(np.array([[1.0, 5.0], [9.0, 5.0], [1.0, 5.0]]), known)
    assert np.array_equal(deck, [[1, 0], [1, 0], [1, 0]])


def test_a_straight_line_goes_on():
    pytest.importorskip("arch")
    y = np.stack([np.arange(100.0), np.random.default_rng(0).standard_normal(100).cumsum()])
    samples = only(GARCHEstimator(3), y, num_samples=5).samples
    assert np.allclose(samples[..., 0], [100, 101, 102]) and samples[..., 1].std(0).min() > 0


def test_channels_that_determine_each_other():
    pytest.importorskip("statsmodels")
    y = np.random.default_rng(0).standard_normal(400).cumsum()
    samples = only(VAREstimator(3), np.stack([y, 2 * y]), num_samples=50).samples
    assert np.allclose(samples[..., 1], 2 * samples[..., 0], rtol=1e-3, atol=1e-3)


def test_small_channels_beside_huge_ones_keep_their_variance():
    """And a channel that never moves stays where it is."""
    sizes = np.array([[1.0], [1e9], [1.0], [0.0], [1e-12]])
    steps = sizes * np.random.default_rng(0).standard_normal((5, 400))
    estimator = RandomWalkEstimator(1, increments="gaussian")
    samples = only(estimator, steps.cumsum(1), num_samples=4000, seed=0).samples
    # the standard error of a standard deviation of 4000 draws is 1.1 %
    assert np.allclose(samples.std((0, 1)), steps[:, 1:].std(1), rtol=0.05, atol=0)


@needs("statsmodels")
def test_smoothing_takes_a_channel_that_ends_before_its_second_season():
    values = wave(60, 2)
    values[1, 40:] = np.nan  # 40 of 48 hours
    samples = only(baselines["ets"](4), values, num_samples=50, seed=0).samples
    assert np.isfinite(samples).all() and np.abs(samples.mean(0) - 5).max() < 3
    values[1, 9:] = np.nan
    with pytest.raises(ValueError, match="9 steps are too few, .* of channel 1 needs at least 10"):
        only(baselines["ets"](4), values)
