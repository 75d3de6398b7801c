import numpy as np
import pandas as pd
import pytest

from tests.support.tables import written
from tsgen.data.frames import from_dataframe

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize("freq", ["D", "MS", "W-MON", "B"])
@pytest.mark.parametrize("text", [False, True])
def test_midnights_of_a_zone_stand_for_their_days(freq, text):
    stamps = pd.date_range("2014-01-01", periods=120, freq=freq, tz=BERLIN)
    table = written([s.isoformat() for s in stamps] if text else stamps)
    dataset, summary = from_dataframe(table)
    expected = from_dataframe(written(stamps.tz_localize(None)))
    assert dataset[0]["start"] == expected.dataset[0]["start"]
    assert dataset[0]["target"].shape == (120,)
    assert "times are midnights of " in summary.changes[0]


def test_offsets_that_change_with_summer_time():
    stamps = pd.date_range("2024-03-30", periods=60, freq="h", tz=BERLIN)
    for table in (
        written([s.isoformat() for s in stamps]),
        written([s.to_pydatetime() for s in stamps]).astype({"time": object}),
    ):
        (entry,), summary = from_dataframe(table)
        assert entry["start"] == pd.Period("2024-03-29 23:00", "h")
        assert entry["target"].shape == (60,) and " to UTC" in summary.changes[0]


def test_a_midnight_read_in_steps_of_hours_is_no_day():
    hours = written(pd.date_range("2024-01-01", periods=60, freq="h", tz=BERLIN))
    layout = from_dataframe(hours).summary.layout
    assert layout.read(hours[:1]).dataset[0]["start"] == pd.Period("2023-12-31 23:00", "h")


@pytest.mark.parametrize("freq", ["100ms", "6h"])
def test_isoformat_leaves_out_what_is_zero(freq):
    stamps = pd.date_range("2024-01-01", periods=30, freq=freq)
    for texts in (
        [s.isoformat() for s in stamps],
        [str(s).removesuffix(" 00:00:00") for s in stamps],
    ):
        assert from_dataframe(written(texts)).summary.layout.freq == freq


def test_the_year_first_is_never_the_day_first():
    stamps = pd.date_range("2024-01-01", periods=12, freq="MS")
    dataset, summary = from_dataframe(written(stamps.strftime("%Y-%m-%d")), dayfirst=True)
    assert summary.layout.freq == "M" and dataset[0]["target"].shape == (12,)


def test_days_and_months_that_tell_a_frequency_either_way():
    table = written(pd.date_range("2024-01-01", periods=12, freq="MS").strftime("%d.%m.%Y"))
    with pytest.raises(ValueError, match="'01.01.2024' .* pass dayfirst=True or freq='D'"):
        from_dataframe(table)
    assert from_dataframe(table, dayfirst=True).summary.layout.freq == "M"
    assert from_dataframe(table, freq="D").dataset[0]["target"].shape == (12,)


def test_bad_stamps():
    hours = [str(s) for s in pd.date_range("2024-01-01", periods=30, freq="h")]
    with pytest.raises(ValueError, match="row 2: 'soon' is not a time written like [^;]*$"):
        from_dataframe(written([*hours[:2], "soon", *hours[3:]]))
    with pytest.raises(ValueError, match="no time in row 2"):
        from_dataframe(written([*hours[:2], " ", *hours[3:]]))
    with pytest.raises(ValueError, match="row 0: '00:00' is a time of day, expected a date"):
        from_dataframe(written([s[11:16] for s in hours]))
    with pytest.raises(ValueError, match="row 0: '2024-01-01 00:00:00 CET' names a zone, expected"):
        from_dataframe(written([f"{s} CET" for s in hours]))
    for known in (" UTC", "Z", " GMT"):
        assert from_dataframe(written([s + known for s in hours])).summary.changes == ()


@pytest.mark.parametrize(
    ("numbers", "freq", "start", "said"),
    [
        (1_704_067_200 + 3600 * np.arange(30), "h", "2024-01-01 00:00", "Unix seconds"),
        (1_704_067_200_000 + 100 * np.arange(30), "100ms", "2024-01-01", "Unix milliseconds"),
        (20240101 + np.arange(30), "D", "2024-01-01", "20240101 as year month day"),
    ],
)
def test_times_as_numbers(numbers, freq, start, said):
    dataset, summary = from_dataframe(written(numbers))
    assert dataset[0]["start"] == pd.Period(start, freq) and dataset[0]["target"].shape == (30,)
    assert said in summary.changes[0]
    other = written(numbers).rename(columns={"time": "t"})
    assert from_dataframe(other, time="t").summary.layout.freq == freq


@pytest.mark.parametrize("numbers", [[1.5, 2.5, 3.5], [1, 2, 3], [20241301, 20241302, 20241303]])
def test_other_numbers_are_no_times(numbers):
    with pytest.raises(ValueError, match="column 'time' holds numbers .*expected times such as"):
        from_dataframe(written(numbers), time="time")
