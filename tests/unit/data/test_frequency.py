import numpy as np
import pandas as pd
import pytest

from tsgen.data.frequency import infer_frequency, period_frequency
from tsgen.data.grid import lay_grid, stamps_of

OFFSETS = {
    "MS": "M", "ME": "M", "QS": "Q-DEC", "QE": "Q-DEC", "QS-FEB": "Q-OCT", "QE-JAN": "Q-OCT",
    "YS": "Y-DEC", "YE": "Y-DEC", "YS-JUL": "Y-JUN", "W-WED": "W-WED", "D": "D", "B": "B",
    "h": "h", "15min": "15min", "2h": "2h", "s": "s", "250ms": "250ms",
    "2MS": "2M", "2ME": "2M", "6MS": "2Q-DEC", "2YS": "2Y-DEC", "2W-SUN": "2W-SUN",
}  # fmt: skip


@pytest.mark.parametrize("name", OFFSETS)
def test_whole_and_gappy_stamps_tell_their_period_and_come_back(name):
    stamps = pd.date_range("2010-01-01", periods=60, freq=name)
    gappy = stamps.delete([3, 10, 11, 30])
    for seen in (stamps, gappy):
        freq = infer_frequency(seen)
        assert freq == OFFSETS[name]
        grid = lay_grid(seen, freq)
        assert grid.length == 60 and not grid.irregular.any()
        assert list(stamps_of(grid.start, 60, grid.stamp)) == list(stamps)
        assert np.array_equal(stamps.get_indexer(seen), grid.position)


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("H", "h"),
        ("15T", "15min"),
        ("W", "W-SUN"),
        ("2D", "2D"),
        ("QE-JAN", "Q-OCT"),
        ("S", "s"),
        ("2MS", "2M"),
        ("2ME", "2M"),
        ("6MS", "6M"),
        ("2YS", "2Y-DEC"),
    ],
)
def test_names_of_periods(given, known):
    assert period_frequency(given) == known


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("BME", "M"), ("BQE", "Q"), ("SMS", "M"), ("C", "B"), ("bh", "h"), ("WOM-1MON", "M")],
)
def test_offsets_without_a_period_name_the_nearest(given, nearest):
    with pytest.raises(ValueError, match=f"freq='{given}' has no pandas period.*'{nearest}'"):
        period_frequency(given)


def test_stamps_of_business_months_name_the_month_where_some_are_missing():
    for name in ("BME", "BMS"):
        stamps = pd.date_range("2010-01-01", periods=60, freq=name).delete([7])
        with pytest.raises(ValueError, match=f"'{name}' has no pandas period.*'M'"):
            infer_frequency(stamps)


@pytest.mark.parametrize("name", ["us", "250us", "ns"])
def test_steps_are_milliseconds_at_least(name):
    with pytest.raises(ValueError, match=f"freq='{name}' is too fine; expected steps of a milli"):
        infer_frequency(pd.date_range("2010-01-01", periods=60, freq=name))


@pytest.mark.parametrize(
    ("months", "day", "freq", "start"),
    [
        (1, 15, "M", "2010-01"), (1, 30, "M", "2010-01"), (3, 15, "Q-DEC", "2010Q1"),
        (12, 4, "Y-DEC", "2010"), (2, 9, "2M", "2010-01"),
    ],
)  # fmt: skip
def test_any_day_of_the_month(months, day, freq, start):
    firsts = pd.date_range("2010-01-01", periods=30, freq=f"{months}MS")
    days = np.minimum(day, firsts.days_in_month) - 1
    stamps = (firsts + pd.to_timedelta(days, unit="D") + pd.Timedelta("6h")).delete([4, 9])
    assert infer_frequency(stamps) == freq
    grid = lay_grid(stamps, freq)
    assert grid.start == pd.Period(start, freq) and grid.length == 30
    assert not grid.irregular.any()
    assert grid.shift == pd.Timedelta(days=day - 1, hours=6)


def test_stamps_between_steps_of_several_periods_are_irregular():
    stamps = pd.DatetimeIndex(["2010-01-01", "2010-03-01", "2010-04-01", "2010-07-01"])
    grid = lay_grid(stamps, "2M")
    assert list(grid.position) == [0, 1, 1, 3] and list(np.flatnonzero(grid.irregular)) == [2]


@pytest.mark.parametrize(
    ("unit", "low", "high", "start"),
    [
        ("h", -3, 1, "2021-01-01 10:00"), ("h", 0, 300, "2021-01-01 10:00"),
        ("s", -0.04, 0.04, "2021-01-01 10:00:00"), ("h", 1700, 1900, "2021-01-01 10:00"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rule", ["nearest", "floor"])
def test_jitter_keeps_stamps_in_their_step(unit, low, high, start, rule):
    exact = pd.date_range("2021-01-01 10:00", periods=400, freq=unit)
    noise = np.random.default_rng(0).uniform(low, high, 400).round(3)
    stamps = exact + pd.to_timedelta(noise, unit="s")
    grid = lay_grid(stamps, unit, rule)
    if rule == "nearest" or low >= 0:
        assert grid.start == pd.Period(start, unit)
        assert np.array_equal(grid.position, np.arange(400))
    else:
        before = pd.PeriodIndex(stamps.to_period(unit))
        assert np.array_equal(grid.position, before.asi8 - before.asi8.min())


def test_positions_are_exact_over_centuries():
    start = pd.Timestamp("1700-01-01")
    stamps = pd.DatetimeIndex([start + pd.Timedelta(i, "ms") for i in (0, 3 * 10**12, 9 * 10**12)])
    assert list(lay_grid(stamps, "ms").position) == [0, 3 * 10**12, 9 * 10**12]


def test_unknown_names():
    with pytest.raises(ValueError, match="freq='fortnight' is not a frequency of pandas"):
        period_frequency("fortnight")


def test_jittered_stamps_tell_the_nearest_unit():
    rng = np.random.default_rng(0)
    for unit, jitter in (("h", 60), ("15min", 20), ("1s", 0.03), ("100ms", 0.004)):
        stamps = pd.date_range("2021-01-01", periods=400, freq=unit)
        noisy = stamps + pd.to_timedelta(rng.normal(0, jitter, 400), unit="s")
        freq = infer_frequency(noisy)
        assert freq == period_frequency(unit)
        grid = lay_grid(noisy, freq)
        # moved by at most one step where the phase is taken from the noise, too
        assert np.array_equal(np.diff(grid.position), np.ones(399)) and grid.irregular.sum() >= 300


def test_stamps_missing_at_random_are_gaps():
    rng = np.random.default_rng(0)
    stamps = pd.date_range("2021-01-01", periods=2000, freq="h")
    assert infer_frequency(stamps[rng.random(2000) < 0.6]) == "h"


def test_mixed_frequencies():
    hours = pd.date_range("2021-01-01", periods=240, freq="h")
    for other in ("D", "15min"):
        mixed = hours.append(pd.date_range(hours[-1], periods=60, freq=other)[1:])
        with pytest.raises(ValueError, match="mixed frequencies: the time stamps are .* apart"):
            infer_frequency(mixed)
    with pytest.raises(ValueError, match="2 time stamps do not tell a frequency; pass freq="):
        infer_frequency(hours[:2])


def test_rules_for_stamps_off_the_grid():
    hours = pd.date_range("2021-01-01", periods=6, freq="h").to_series().reset_index(drop=True)
    hours[3] += pd.Timedelta("40min")
    stamps = pd.DatetimeIndex(hours)
    assert list(lay_grid(stamps, "h").position) == [0, 1, 2, 4, 4, 5]
    floor = lay_grid(stamps, "h", "floor")
    assert list(floor.position) == [0, 1, 2, 3, 4, 5] and list(floor.irregular) == [
        False, False, False, True, False, False
    ]  # fmt: skip
    phase = lay_grid(stamps + pd.Timedelta("7min"), "h", "floor")
    assert phase.irregular.sum() == 1 and str(phase.start) == "2021-01-01 00:00"
    assert phase.shift == pd.Timedelta("7min")  # an hour's period starts with the hour
    minutes = lay_grid(pd.date_range("2021-01-01 00:07", periods=5, freq="15min"), "15min")
    assert str(minutes.start) == "2021-01-01 00:07" and minutes.shift == pd.Timedelta(0)


def test_business_days_take_weekends_to_a_neighbour():
    stamps = pd.date_range("2021-01-01", periods=4, freq="D")  # Friday to Monday
    nearest, floor = (lay_grid(stamps, "B", rule) for rule in ("nearest", "floor"))
    assert list(nearest.position) == [0, 0, 1, 1] and list(floor.position) == [0, 0, 0, 1]
    assert list(nearest.irregular) == [False, True, True, False]


def test_any_order():
    stamps = pd.date_range("2021-01-01", periods=5, freq="D")[[3, 0, 4, 1, 2]]
    assert list(lay_grid(stamps, "D").position) == [3, 0, 4, 1, 2]
