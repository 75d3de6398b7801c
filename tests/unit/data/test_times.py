import numpy as np
import pandas as pd
import pytest

from tests.support.tables import stamped
from tsgen.data.frames import from_dataframe

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize("freq", ["D", "MS", "W-MON", "B"])
@pytest.mark.parametrize("text", [False, True])
def test_midnights_of_a_zone_stand_for_their_days(freq, text):
    stamps = pd.date_range("2014-01-01", periods=120, freq=freq, tz=BERLIN)
    table = stamped([s.isoformat() for s in stamps] if text else stamps)
    dataset, summary = from_dataframe(table)
    expected = from_dataframe(stamped(stamps.tz_localize(None)))
    assert dataset[0]["start"] == expected.dataset[0]["start"]
    assert dataset[0]["target"].shape == (120,)
    assert "times are midnights of " in summary.changes[0]


def test_a_midnight_read_in_steps_of_hours_is_no_day():
    hours = stamped(pd.date_range("2024-01-01", periods=60, freq="h", tz=BERLIN))
    layout = from_dataframe(hours).summary.layout
    assert layout.read(hours[:1]).dataset[0]["start"] == pd.Period("2023-12-31 23:00", "h")


def test_days_and_months_that_tell_a_frequency_either_way():
    table = stamped(pd.date_range("2024-01-01", periods=12, freq="MS").strftime("%d.%m.%Y"))
    with pytest.raises(ValueError, match="'01.01.2024' .* pass dayfirst=True or freq='D'"):
        from_dataframe(table)
    assert from_dataframe(table, dayfirst=True).summary.layout.freq == "M"
    assert from_dataframe(table, freq="D").dataset[0]["target"].shape == (12,)


@pytest.mark.parametrize(
    ("numbers", "freq", "start", "said"),
    [
        (1_704_067_200 + 3600 * np.arange(30), "h", "2024-01-01 00:00", "Unix seconds"),
        (1_704_067_200_000 + 100 * np.arange(30), "100ms", "2024-01-01", "Unix milliseconds"),
        (20240101 + np.arange(30), "D", "2024-01-01", "20240101 as year month day"),
    ],
)
def test_times_as_numbers(numbers, freq, start, said):
    dataset, summary = from_dataframe(stamped(numbers))
    assert dataset[0]["start"] == pd.Period(start, freq) and dataset[0]["target"].shape == (30,)
    assert said in summary.changes[0]
    other = stamped(numbers).rename(columns={"time": "t"})
    assert from_dataframe(other, time="t").summary.layout.freq == freq


@pytest.mark.parametrize("numbers", [[1.5, 2.5, 3.5], [1, 2, 3], [20241301, 20241302, 20241303]])
def test_other_numbers_are_no_times(numbers):
    with pytest.raises(ValueError, match="column 'time' holds numbers .*expected times such as"):
        from_dataframe(stamped(numbers), time="time")
