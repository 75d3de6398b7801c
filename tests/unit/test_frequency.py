import numpy as np
import pandas as pd
import pytest

from tsgen.data.frequency import infer_frequency, lay_grid, period_frequency, stamps_of

OFFSETS = {
    "MS": "M", "ME": "M", "QS": "Q-DEC", "QE": "Q-DEC", "QS-FEB": "Q-OCT", "QE-JAN": "Q-OCT",
    "YS": "Y-DEC", "YE": "Y-DEC", "YS-JUL": "Y-JUN", "W-WED": "W-WED", "D": "D", "B": "B",
    "h": "h", "15min": "15min", "2h": "2h", "s": "s", "250ms": "250ms", "us": "us",
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
    [("H", "h"), ("15T", "15min"), ("W", "W-SUN"), ("2D", "2D"), ("QE-JAN", "Q-OCT"), ("S", "s")],
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
