import json

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from scipy.stats import genpareto

from tsgen.anomaly import hold_out
from tsgen.anomaly.budget import CalibratedThreshold, calibrate_threshold
from tsgen.anomaly.events import AlarmPolicy, find_events
from tsgen.anomaly.thresholds import MADThreshold, QuantileThreshold

DAY = 1440


def white(days, seed):
    return np.abs(np.random.default_rng(seed).normal(size=days * DAY))


def heavy(days, seed):
    return np.abs(np.random.default_rng(seed).standard_t(3, size=days * DAY))


def slow(days, seed, memory=0.9):
    noise = np.random.default_rng(seed).normal(size=days * DAY)
    return np.abs(lfilter([(1 - memory**2) ** 0.5], [1, -memory], noise))


def slower(days, seed):
    return slow(days, seed, 0.99)


def garch(days, seed):
    """GARCH(1, 1): calm and stormy times, a heavy tail."""
    noise = np.random.default_rng(seed).normal(size=days * DAY)
    found, variance, last = np.empty(len(noise)), 1.0, 0.0
    for i, shock in enumerate(noise):
        variance = 0.02 + 0.08 * last + 0.9 * variance
        found[i] = shock * variance**0.5
        last = found[i] ** 2
    return np.abs(found)


def test_quantile_and_mad():
    scores = np.arange(1001.0)
    scores[5] = np.nan
    assert QuantileThreshold(0.9).fit(np.arange(1001.0)) == 900
    assert MADThreshold(2.0).fit(np.arange(1001.0)) == pytest.approx(500 + 2 * 1.4826 * 250)
    assert np.isfinite(QuantileThreshold().fit(scores))


POLICIES = [AlarmPolicy(), AlarmPolicy(min_duration=3), AlarmPolicy(merge_gap=300)]


@pytest.mark.parametrize("law", [white, heavy, slow, slower, garch])
@pytest.mark.parametrize("method", ["pot", "conformal"])
@pytest.mark.parametrize("policy", POLICIES, ids=["plain", "on_delay", "merged"])
def test_the_budget_is_kept_in_alarms(law, method, policy):
    """Sixty alarms are asked; both counts are Poisson's in flocks: so is their difference."""
    days, fresh, asked = 60, 60, 1.0
    options = {"false_alarms_per_day": asked, "rows_per_day": DAY, "policy": policy}
    found = calibrate_threshold(law(days, 0), method=method, **options)
    alarms = find_events(law(fresh, 1), found.threshold, policy)
    known = find_events(law(days, 0), found.threshold, policy)
    starts = [event.start // found.block for event in alarms]
    starts += [-1 - event.start // found.block for event in known]
    counts = np.unique(starts, return_counts=True)[1]
    flock = (counts**2).sum() / counts.sum()
    limit = 3 * np.sqrt(flock * (asked * fresh + asked * fresh**2 / days))
    print(f"{law.__name__}, {method}: {len(alarms)} of {asked * fresh:.0f}, flocks of {flock:.2f}")
    assert abs(len(alarms) - asked * fresh) < limit


@pytest.mark.slow
@pytest.mark.parametrize("law", [white, heavy, slow, slower, garch])
def test_the_interval_of_a_calibration(law):
    """Over 20 repetitions the mean rate is the asked one, and 90 % intervals hold it mostly."""
    rates, held = [], 0
    for seed in range(20):
        found = calibrate_threshold(law(40, seed), false_alarms_per_day=1, rows_per_day=DAY)
        rate = len(find_events(law(400, 100 + seed), found.threshold)) / 400
        rates.append(rate)
        held += found.low <= rate <= found.high
    print(f"{law.__name__}: {np.mean(rates):.2f} ({min(rates):.2f} to {max(rates):.2f}), {held}")
    assert 0.7 < np.mean(rates) < 1.4
    assert held >= 14  # of 20 at .9, with a probability of .998


def test_an_on_delay_has_p_values_of_its_own():
    """Of white noise: a block has three in a row above s with its tail's cube, roughly."""
    policy = AlarmPolicy(min_duration=3)
    scores = np.random.default_rng(0).exponential(size=60 * DAY)
    options = {"false_alarms_per_day": 1, "rows_per_day": DAY, "block": 20}
    found = calibrate_threshold(scores, policy=policy, **options)
    for level in (2.5, 3.0):
        exact = 1 - (1 - np.exp(-3 * level)) ** 20
        assert abs(np.log(found.p_value(level) / exact)) < np.log(2)
    event = find_events(np.array([0, 9, 4.0, 3.0, 2.0]), 1.0, policy)[0]
    assert (event.score, event.sustained) == (9.0, 3.0)


def test_blocks_are_shorter_where_data_are_few():
    """Down to three times the lag; with less there is no threshold, unless alarms are counted."""
    noise = np.random.default_rng(0).standard_normal(200_000)
    scores = np.convolve(noise, np.ones(20), "valid")  # correlated over 18 rows at .1
    options = {"false_alarms_per_day": 1, "rows_per_day": 2000}
    assert 160 <= calibrate_threshold(scores, **options).block <= 200
    few = calibrate_threshold(scores[:2000], **options)
    assert few.block == 2000 // 21
    with pytest.raises(ValueError, match="have 1. blocks of 5. rows"):
        calibrate_threshold(scores[:1000], **options)
    counted = calibrate_threshold(scores[:1000], false_alarms_per_day=30, rows_per_day=2000)
    assert counted.block == 1000 // 21 and 10 <= counted.seen <= 15


def test_scores_with_ties_have_short_blocks():
    """Most rows of a plant's score may be exactly 0: equal ranks are no memory."""
    scores = np.random.default_rng(0).exponential(size=30 * DAY)
    scores[scores < 1] = 0.0
    assert calibrate_threshold(scores, false_alarms_per_day=1, rows_per_day=DAY).block == 10


@pytest.mark.slow
@pytest.mark.parametrize("law", [white, heavy, slow])
def test_the_tail_extrapolates(law):
    """Ten days of normal data, an alarm in two days: mean of the realised over 20 repetitions."""
    ratios = []
    for seed in range(20):
        found = calibrate_threshold(law(10, seed), false_alarms_per_day=0.5, rows_per_day=DAY)
        assert found.extrapolated
        ratios.append(len(find_events(law(100, 100 + seed), found.threshold)) / 50)
    print(f"{law.__name__}: {np.mean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    assert 0.6 < np.mean(ratios) < 1.4


def test_p_values_of_an_exponential_tail():
    """Near the level; farther off the 50 peaks leave the shape, and so the tail, open."""
    scores = np.random.default_rng(0).exponential(size=40 * DAY)
    found = calibrate_threshold(scores, false_alarms_per_day=1, rows_per_day=DAY, block=10)
    for score in (7.5, 9.0):
        exact = 1 - (1 - np.exp(-score)) ** 10
        assert abs(np.log(found.p_value(score) / exact)) < np.log(3)
    assert found.p_value(50.0) < found.p_value(20.0) < found.p_value(10.0) <= 1


def test_the_tail_of_a_known_pareto_law():
    scores = genpareto.rvs(0.3, size=60 * DAY, random_state=np.random.default_rng(3))
    found = calibrate_threshold(scores, false_alarms_per_day=0.05, rows_per_day=DAY, block=10)
    exact = genpareto.isf(0.05 / DAY, 0.3)
    assert found.extrapolated
    assert 0.6 * exact < found.threshold < 1.8 * exact


def test_what_is_known_of_a_calibration():
    found = calibrate_threshold(white(60, 0), false_alarms_per_day=1, rows_per_day=DAY)
    assert not found.extrapolated
    assert found.seen == len(find_events(white(60, 0), found.threshold)) <= 60
    assert found.low < 1 < found.high * 1.05
    assert CalibratedThreshold.from_state_dict(json.loads(json.dumps(found.state_dict()))) == found


def test_missing_scores_are_left_out():
    scores = white(30, 0)
    spoilt = np.insert(scores, 100, np.full(5, np.nan))
    options = {"false_alarms_per_day": 1, "rows_per_day": DAY}
    assert calibrate_threshold(spoilt, **options).threshold == pytest.approx(
        calibrate_threshold(scores, **options).threshold
    )


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (
            white(3, 0),
            {"false_alarms_per_day": 0},
            "false_alarms_per_day=0 must be above 0 and finite",
        ),
        (white(3, 0), {"rows_per_day": -1}, "rows_per_day=-1 must be above 0 and finite"),
        (white(3, 0), {"method": "spot"}, "method='spot' must be 'pot' or 'conformal'"),
        (white(3, 0), {"block": 0}, "block=0 must be at least 1"),
        (white(1, 0)[:90], {}, r"have 9 blocks of 10 rows .* at least 20 are needed"),
        (np.append(white(1, 0), np.inf), {}, "infinite"),
        (np.full(100, np.nan), {}, "all missing"),
        (
            white(3, 0),
            {"method": "conformal", "false_alarms_per_day": 0.1},
            r"needs at least 1[0-9.]* days of normal data, there are 3; method='pot' extrapolates",
        ),
    ],
)
def test_bad_input(scores, options, message):
    with pytest.raises(ValueError, match=message):
        calibrate_threshold(scores, **{"false_alarms_per_day": 1, "rows_per_day": DAY, **options})


@pytest.mark.parametrize("threshold", [lambda: QuantileThreshold(1.0), lambda: MADThreshold(0.0)])
def test_options_out_of_range(threshold):
    with pytest.raises(ValueError, match=r"must be in|must be above"):
        threshold()


def test_every_season_is_learnt_from_and_held_out():
    """The ends of pieces of all rows, whatever the runs; nothing is lost and nothing is twice."""
    whole = pd.DataFrame({"x": np.arange(1000)})
    learn, held = hold_out([whole], 0.3, pieces=2)
    assert [(part["x"].min(), part["x"].max()) for part in held] == [(350, 499), (850, 999)]
    assert [(part["x"].min(), part["x"].max()) for part in learn] == [(0, 349), (500, 849)]
    runs = [whole.iloc[:420], whole.iloc[420:900], whole.iloc[900:]]
    learn, held = hold_out(runs, 0.3, pieces=2)
    assert [(part["x"].min(), part["x"].max()) for part in held] == [
        (350, 419), (420, 499), (850, 899), (900, 999)
    ]  # fmt: skip
    both = pd.concat([*learn, *held])["x"].sort_values().to_list()
    assert both == list(range(1000))
    for share, pieces in ((0, 5), (1, 5), (0.3, 0)):
        with pytest.raises(ValueError, match=f"share={share} must lie .* pieces={pieces}"):
            hold_out([whole], share, pieces)
