"""Times that have more than one reading, and forms that pandas does not know."""

import datetime

import numpy as np
import pandas as pd
import pytest

from tests.support.tables import stamped
from tsgen.data.frames import from_dataframe

MONTHS = pd.date_range("2018-01-01", periods=60, freq="MS")
DAYS = pd.date_range("2019-01-01", periods=200)


def series(table, **options):
    """The one series of a table, with its first period and the summary."""
    (entry,), summary = from_dataframe(table, **options)
    return np.ravel(entry["target"]), entry["start"], summary


@pytest.mark.parametrize(
    "form",
    [
        "%b-%y", "%b %y", "%b%y", "%B-%y", "%y-%b", "%b '%y", "%m/%y", "%m-%y", "%Y%m", "%Y-%m",
        "%Y/%m", "%Y.%m", "%m/%Y", "%m.%Y", "%m-%Y", "%b-%Y", "%b. %Y", "%B %Y", "%Y-%b",
        "%YM%m", "%Y M%m",
    ],
)  # fmt: skip
def test_months_alone(form):
    table = stamped(MONTHS.strftime(form))
    for other in (table, table.astype({"time": "string"}), table.astype({"time": "category"})):
        values, start, summary = series(other)
        assert start == pd.Period("2018-01", "M") and np.array_equal(values, np.arange(60.0))
    later = stamped(MONTHS[:3].strftime(form))  # too few to tell: the first table's reading holds
    assert summary.layout.read(later).dataset[0]["start"] == pd.Period("2018-01", "M")


def test_numbers_of_months_and_years():
    for name, options in (("month", {}), ("when", {"time": "when"})):
        table = stamped(MONTHS.strftime("%Y%m").astype(int)).rename(columns={"time": name})
        _, start, summary = series(table, **options)
        assert start == pd.Period("2018-01", "M")
        assert "times were read as time_format='%Y%m' says" in summary.changes
    years = stamped(np.arange(1950, 1980)).rename(columns={"time": "year"})
    assert series(years)[1] == pd.Period("1950", "Y")
    assert series(years.astype({"year": str}), time="year")[1] == pd.Period("1950", "Y")


@pytest.mark.parametrize(
    ("texts", "start"),
    [
        ([f"{2001 + i // 4}Q{i % 4 + 1}" for i in range(30)], pd.Period("2001Q1", "Q")),
        ([f"Q{i % 4 + 1} {2001 + i // 4}" for i in range(30)], pd.Period("2001Q1", "Q")),
        ([f"Q{i % 4 + 1}/{1 + i // 4:02d}" for i in range(30)], pd.Period("2001Q1", "Q")),
        ([f"{i % 4 + 1}Q{1 + i // 4:02d}" for i in range(30)], pd.Period("2001Q1", "Q")),
        ([f"{1980 + i // 2}H{i % 2 + 1}" for i in range(30)], pd.Period("1980Q1", "2Q")),
        ([f"{d:%G-W%V}" for d in pd.date_range("2018-01-01", periods=60, freq="W-MON")],
         pd.Period("2018-01-01", "W-MON")),
        ([f"{d:%G-W%V-%u}" for d in pd.date_range("2018-01-01", periods=60)],
         pd.Period("2018-01-01", "D")),
        ([f"Week {d:%V %G}" for d in pd.date_range("2018-01-01", periods=60, freq="W-MON")],
         pd.Period("2018-01-01", "W-MON")),
        ([f"{d:%Y-%j}" for d in pd.date_range("2018-12-01", periods=60)], pd.Period("2018-12-01")),
    ],
)  # fmt: skip
def test_quarters_halves_weeks_and_days_of_the_year(texts, start):
    values, first, _ = series(stamped(texts))
    assert first.start_time == start.start_time and np.array_equal(values, np.arange(len(texts)))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (DAYS.strftime("%y%m%d"), r"'190101' .* year month day \(%y%m%d: 2019-01-01\) or day mont"),
        (MONTHS.strftime("%d%m%y"), r"'010118' .* or day month year .* or month day year .* pass "
                                    "time_format="),
        (DAYS.strftime("%y%m%d").astype(int), "'190101' and the like may be year month day"),
        (MONTHS.strftime("%d%m%Y"), r"'01012018' .* day month year \(%d%m%Y\) or month day year"),
        (DAYS.strftime("%y-%m-%d"), r"'19-01-01' .* year month day \(%y-%m-%d: 2019-01-01\)"),
        (pd.date_range("2024-01-01", periods=366).strftime("%b-%d"), "'Jan-01' .* days without a "),
        (pd.date_range("2023-01-01", periods=365).strftime("%m/%d"), "'01/01' .* days without a y"),
        ([f"Jan-{y}" for y in range(10, 30)], "month year .* or days without a year; pass time_fo"),
        ([f"{y}-{(y + 1) % 100:02d}" for y in range(2000, 2011)], "'2000-01' .* a season of two y"),
        ([f"{y}/{(y + 1) % 100:02d}" for y in range(2000, 2030)], "a season of two years; write i"),
        ([f"{2010 + i // 12}.{i % 12 + 1}" for i in range(60)], "'2010.1' may be the first month "),
        ([f"{2010 + i // 12}-{i % 12 + 3}" for i in range(60)], "row 10: '2010-13' is not a time "),
        (["2019-W51", "2019-W52", "2019-W53", "2020-W01"], "row 2: '2019-W53' is no time of the c"),
        (["13:00 soon", "14:00 soon", "15:00 soon"], "'13:00 soon' is no time that can be read; e"),
        (["Mon", "Tue", "Wed"], "row 0: 'Mon' is no time that can be read; expected times such as"),
        (["Jan-18", "Feb-18", "Mrz-18"], "'Jan-18' and the like are no times that can be read"),
        (["2018Q1", "2018Q2", "soon"], "row 2: 'soon' is not a time written like '2018Q1'"),
        (["1500000000", "1500003600", "?"], r"row 2: '\?' is not a time written like '1500000000'"),
    ],
)  # fmt: skip
def test_what_has_several_readings_or_none_is_asked_for(times, message):
    with pytest.raises(ValueError, match=message) as error:
        from_dataframe(stamped(times), time="time")
    assert "\n" not in str(error.value)


def test_values_that_exclude_all_readings_but_one():
    days = pd.date_range("1932-01-01", periods=400)  # no day 32
    values, start, summary = series(stamped(days.strftime("%y-%m-%d")))
    assert str(start) == "2032-01-01" and np.array_equal(values, np.arange(400.0))
    assert "times were read as time_format='%y-%m-%d' says" in summary.changes
    for first in (13, 2):  # a day above 12 comes first, or later
        stamps = pd.date_range(f"2023-01-{first:02d}", periods=60)
        values, start, summary = series(stamped(stamps.strftime("%d/%m/%Y")))
        assert start == pd.Period(stamps[0], "D") and np.array_equal(values, np.arange(60.0))
        assert summary.layout.dayfirst  # which the next table is read with
    later = summary.layout.read(stamped(["03/04/2023", "04/04/2023"]))
    assert later.dataset[0]["start"] == pd.Period("2023-04-03", "D")
    with pytest.raises(ValueError, match="row 1: '13/02/2023' is not a time written like '01/13"):
        from_dataframe(stamped(["01/13/2023", "13/02/2023", "01/14/2023"]))


@pytest.mark.parametrize(
    ("form", "freq", "start"),
    [
        ("%y%m%d", "D", "2019-01-01"), ("%d%m%y", "D", "2019-01-01"),
        ("%d.%m.%Y", "D", "2019-01-01"), ("%m/%d/%y %H:%M", "h", "2019-01-01 00:00"),
        ("%d-%b-%y", "D", "2019-01-01"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("numbers", [False, True])
def test_a_format_that_is_given(form, freq, start, numbers, tmp_path):
    stamps = pd.date_range("2019-01-01", periods=100, freq=freq).strftime(form)
    table = stamped(stamps.astype(int) if numbers and form in ("%y%m%d", "%d%m%y") else stamps)
    values, first, summary = series(table, time_format=form)
    assert first == pd.Period(start, freq) and np.array_equal(values, np.arange(100.0))
    assert summary.layout.read(table).dataset[0]["start"] == first
    stamped(stamps).to_csv(tmp_path / "a.csv", index=False)  # 010119 keeps its zero
    assert series(tmp_path / "a.csv", time_format=form)[1] == first
    with pytest.raises(ValueError, match="row 3: 'soon' is not a time written as time_format='%"):
        from_dataframe(stamped([*stamps[:3], "soon", *stamps[4:]]), time_format=form)


@pytest.mark.parametrize(
    ("numbers", "form", "freq", "start"),
    [
        (43101 + np.arange(60), "excel", "D", "2018-01-01"),
        (43101 + np.arange(60) / 24, "excel", "h", "2018-01-01 00:00"),
        (3600 * np.arange(60), "unix_s", "h", "1970-01-01 00:00"),
        (3_600_000 * np.arange(60), "unix_ms", "h", "1970-01-01 00:00"),
    ],
)
def test_times_that_are_counted(numbers, form, freq, start):
    values, first, _ = series(stamped(numbers), time="time", time_format=form)
    assert first == pd.Period(start, freq) and np.array_equal(values, np.arange(60.0))
    with pytest.raises(ValueError, match="column 'time' holds numbers"):
        from_dataframe(stamped(numbers), time="time")
    with pytest.raises(ValueError, match=f"row 0: 'x' is no number, as time_format='{form}' exp"):
        from_dataframe(stamped(["x", *numbers[1:]]), time="time", time_format=form)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (2023010100 + np.arange(24), "2023010100 as year month day hour"),
        (202301010000 + 100 * np.arange(24), "as year month day hour minute"),
        (2018001 + np.arange(24), "2018001 as year and day of the year"),
        ((1_700_000_000 + 3600 * np.arange(24)) * 10**6, "Unix microseconds"),
        (999_990_000 + 3600 * np.arange(24), "Unix seconds"),
    ],
)
def test_more_times_in_digits(numbers, said):
    for cells in (numbers, numbers.astype(str)):
        values, _, summary = series(stamped(cells))
        assert said in summary.changes[0] and np.array_equal(values, np.arange(24.0))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("%d.%m.", "time_format='%d.%m.' has no year"),
        ("%Q %Y", "is no format of times: 'Q' is a bad directive"),
        ("%G-%V", "is no format of times: ISO year directive"),
        (7, "time_format=7: expected a text"),
        ("", "time_format='' has no year"),
    ],
)
def test_formats_that_are_none(form, message):
    with pytest.raises(ValueError, match=message):
        from_dataframe(stamped(DAYS.astype(str)), time_format=form)
    with pytest.raises(ValueError, match="it tells the order of day and month; leave out dayfirst"):
        from_dataframe(stamped(DAYS.astype(str)), time_format="%Y-%m-%d", dayfirst=True)


YEARS_1650 = [f"{1650 + i}-01-01" for i in range(60)]
UNENDING = [*pd.date_range("2020-01-01", periods=59).date, datetime.date(9999, 12, 31)]


@pytest.mark.parametrize(
    ("times", "row", "cell"),
    [
        (YEARS_1650, 0, "1650-01-01"),
        ([datetime.date.fromisoformat(t) for t in YEARS_1650], 0, "1650-01-01"),
        (np.array(YEARS_1650, dtype="datetime64[s]"), 0, "1650-01-01"),
        (pd.period_range("1650", periods=60, freq="Y"), 0, "1650"),
        (UNENDING, 59, "9999-12-31"),
        ([str(day) for day in UNENDING], 59, "9999-12-31"),
        ([*map(str, UNENDING[:-1]), "0001-01-01"], 59, "0001-01-01"),
    ],
)
def test_times_out_of_range_are_named_as_such(times, row, cell):
    table = pd.DataFrame({"time": times, "a": np.arange(60.0)})
    with pytest.raises(
        ValueError, match=f"row {row}: '{cell}.*' is outside the years 1678 to 2261"
    ):
        from_dataframe(table)


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        ([pd.Timestamp(y, 1, 1) + pd.Timedelta(16 * k, "D") for y in (2015, 2016, 2017)
          for k in range(23)], r"steps of 16 days begin anew .* 16 days \(97%\)"),
        ([pd.Timestamp(y, 1, 1) + pd.Timedelta(8 * k, "D") for y in (2015, 2016)
          for k in range(46)], "steps of 8 days begin anew"),
        ([pd.Timestamp(2018 + i // 36, i % 36 // 3 + 1, (1, 11, 21)[i % 3]) for i in range(60)],
         r"steps of 10 days begin anew .* 11 days \(19%\).*freq='M' with duplicates='mean'"),
        (pd.date_range("2018-01-01", periods=60, freq="SMS"), "steps of 14 days begin anew|SMS"),
        ([pd.Timestamp("2018-01-01") + pd.Timedelta(i // 4, "D") + pd.Timedelta(7 * (i % 4), "h")
          for i in range(60)], "steps of 0 days 07:00:00 begin anew"),
    ],
)  # fmt: skip
def test_steps_that_begin_anew_are_on_no_grid(stamps, message):
    with pytest.raises(ValueError, match=message):
        from_dataframe(stamped(stamps))
    hours = any(stamp.hour for stamp in stamps)
    values, _, _ = series(stamped(stamps), freq="h" if hours else "D")  # with gaps, but whole
    assert np.array_equal(values[np.isfinite(values)], np.arange(len(stamps)))


def test_clocks_that_change_and_weeks_that_move_are_read():
    local = pd.date_range("2023-03-25", periods=300, freq="2h", tz="Europe/Berlin")
    moved = pd.date_range("2018-01-01", periods=60, freq="7D").to_series()
    moved.iloc[30:] += pd.Timedelta("1D")
    for stamps in (local.tz_localize(None), moved):
        values, _, _ = series(stamped(stamps))
        assert np.array_equal(values[np.isfinite(values)], np.arange(len(stamps)))
