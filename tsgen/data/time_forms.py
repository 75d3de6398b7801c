"""Written times that have more than one reading, or none that pandas has: months, quarters, weeks.

A column has one form. Where several readings of it are times, the values must exclude all but one;
else the reading is asked for, by a format as ``strptime`` takes it.
"""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from tsgen.core import option_text

YEARS = (1500, 2199)
"""The years that four digits are taken for."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = pd.date_range("2000-01-01", periods=12, freq="MS").month_name().str.lower()
_NAME = r"(?P<name>[A-Za-z]{3,9})\.?"
_YEAR = r"(?P<year>\d{4})"
_SINGLE = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_YEAR}[ ./-]?Q(?P<quarter>[1-4])",
        r"Q(?P<quarter>[1-4])[ ./-]*'?(?P<year>\d{4}|\d{2})",
        r"(?P<quarter>[1-4])\.? ?Q(?:uarter)?[ ./-]*'?(?P<year>\d{4}|\d{2})",
        rf"{_YEAR}[ ./-]?[HS](?P<half>[12])",
        rf"[HS](?P<half>[12])[ ./-]?{_YEAR}",
        rf"{_YEAR}[ ./-]?M(?P<month>\d{{1,2}})",
        rf"{_YEAR}[ ./-]?W(?:eek|k)?[ ./-]?(?P<week>\d{{1,2}})(?:[.-](?P<weekday>[1-7]))?",
        rf"W(?:eek|k)? ?(?P<week>\d{{1,2}})[ ./-]+{_YEAR}",
        rf"{_YEAR}-(?P<day>\d{{3}})",
        rf"(?P<month>\d{{1,2}})[ ./-]{_YEAR}",
        rf"{_YEAR}[ /-](?P<month>\d{{1,2}})",
        rf"{_YEAR}\.(?P<month>\d{{2}})",
        rf"{_NAME}[ ./-]*{_YEAR}",
        rf"{_YEAR}[ ./-]*{_NAME}",
        rf"{_NAME}[ ./-]*'(?P<year>\d{{2}})",
    )
)
_SEASON = re.compile(r"(\d{4})[/-](\d{2})")
_NAMED = re.compile(r"(?:[A-Za-z]{3,9}\.?[ ./-]*\d{2}|\d{2}[ ./-]*[A-Za-z]{3,9}\.?)")
_PAIR = re.compile(r"\d{1,2}[./-]\d{2}")
_TRIPLE = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2}\b(.*)")
_SIX = re.compile(r"\d{6}")
_CLOCKS = (
    (r"\d{1,2}:\d{2}:\d{2}\.\d+", "%H:%M:%S.%f"),
    (r"\d{1,2}:\d{2}:\d{2}", "%H:%M:%S"),
    (r"\d{1,2}:\d{2}", "%H:%M"),
)
_LEAST = 0.9  # share of equal steps that makes a reading regular


class Reading(NamedTuple):
    """One way to read a column."""

    words: str
    """What the parts are, such as "year month day"."""
    format: str
    """As strptime takes it; empty for a reading that leaves no time."""
    times: pd.Series
    """What it gives, NaT where it does not fit."""

    @property
    def fits(self) -> bool:
        """Whether every cell can be read so."""
        return bool(self.times.notna().all())


def settled_format(text: pd.Series, where: str, dayfirst: bool = False) -> str | None:
    """The format of times whose digits could be read in several ways, if their form is such a one.

    Args:
        text: the cells of a column.
        where: what to call the column in an error.
        dayfirst: whether days come before months, which rules out other orders.

    Returns:
        The format; ``None`` for any other form, whose reading does not depend on the column.

    Raises:
        ValueError: naming the readings, if the values leave several of them, or none that is a
            time.
    """
    if not len(text):
        return None
    first = text.iloc[0]
    for form, readings in (
        (_SIX, _six_digits),
        (_NAMED, _month_names),
        (_PAIR, _pairs),
    ):
        if form.fullmatch(first) and text.str.fullmatch(form).all():
            return _decided(readings(text), text, where, dayfirst)
    if _TRIPLE.fullmatch(first) and text.str.fullmatch(_TRIPLE).all():
        return _short_year(text, where, dayfirst)
    if _SEASON.fullmatch(first) and text.str.fullmatch(_SEASON).all():
        years = text.str.extract(_SEASON).astype(int)
        if ((years[0] + 1) % 100 == years[1]).all() and text.nunique() > 1:
            mark = first[4]
            raise ValueError(
                f"table: {where}: {first!r} and the like may be a season of two years; write its "
                f"first year, or pass "
                f"{option_text('time_format', f'%Y{mark}%m')} if they are months"
            )
    return None


def read_single(text: pd.Series) -> pd.Series | None:
    """Months, quarters, halves, weeks and days of the year, whose form has one reading only.

    Args:
        text: the cells of a column.

    Returns:
        The first day of each, NaT where there is no such one; ``None`` for any other form.
    """
    for form in _SINGLE:
        if not form.fullmatch(text.iloc[0]) or not text.str.fullmatch(form).all():
            continue
        parts = text.str.extract(form)
        if "name" in parts:
            parts["month"] = _month_number(parts.pop("name"))
            if parts["month"].isna().any():
                return None
        numbers = parts.astype("Int64").astype(float)
        year = numbers["year"].to_numpy()
        year = np.where(year < 100, year + np.where(year < 69, 2000, 1900), year)
        if "week" in numbers:
            day = numbers.get("weekday", pd.Series(np.nan, text.index)).fillna(1)
            whole = [
                f"{y:.0f} {w:.0f} {d:.0f}"
                for y, w, d in zip(year, numbers["week"], day, strict=True)
            ]
            days = _parsed(pd.Series(whole, text.index), "%G %V %u")
            return days.where(days.dt.isocalendar().week == numbers["week"])
        if "day" in numbers:
            return _parsed(text, "%Y-%j")
        month = (
            numbers["month"]
            if "month" in numbers
            else numbers["quarter"] * 3 - 2
            if "quarter" in numbers
            else numbers["half"] * 6 - 5
        )
        whole = [f"{y:.0f} {m:.0f}" for y, m in zip(year, month, strict=True)]
        return _parsed(pd.Series(whole, text.index), "%Y %m")
    return None


def _parsed(text: pd.Series, form: str) -> pd.Series:
    """Cells read by one format, NaT where it does not fit or the day does not exist."""
    return pd.to_datetime(text, format=form, errors="coerce").reindex(text.index)


def is_month_name(cell: str) -> bool:
    """Whether a cell is the name of a month and two digits."""
    if not _NAMED.fullmatch(cell):
        return False
    names = pd.Series(re.findall(r"[A-Za-z]+", cell))
    return bool(_month_number(names).notna().all())


def _month_number(names: pd.Series) -> pd.Series:
    """Months by their English names, whole or the first three or four letters."""
    lower = names.str.lower()
    numbers = {**{n: i + 1 for i, n in enumerate(_MONTHS)}, "sept": 9}
    numbers |= {n: i + 1 for i, n in enumerate(_NAMES)}
    return lower.map(numbers)


def _six_digits(text: pd.Series) -> list[Reading]:
    ways = {
        "year month day": "%y%m%d",
        "day month year": "%d%m%y",
        "month day year": "%m%d%y",
        "year month": "%Y%m",
    }
    readings = [Reading(words, form, _parsed(text, form)) for words, form in ways.items()]
    return [r._replace(times=r.times.where(r.times.dt.year.between(*YEARS))) for r in readings]


def _month_names(text: pd.Series) -> list[Reading]:
    """A name of a month and two digits: its year, or its day without a year."""
    first = text.iloc[0]
    letters = re.findall(r"[A-Za-z]+", first)[0]
    long = text.str.extract(r"([A-Za-z]+)")[0].str.len().max() > 3
    form = first.replace(letters, "%B" if long else "%b")
    form = re.sub(r"\d{2}", "%y", form)
    days = text.str.replace(r"[ ./-]*", "", regex=True) + "2000"
    number_first = first[0].isdigit()
    return [
        Reading("year month" if number_first else "month year", form, _parsed(text, form)),
        Reading(
            "days without a year",
            "",
            _parsed(days, f"{'%d' if number_first else ''}%{'B' if long else 'b'}"
                    f"{'' if number_first else '%d'}%Y"),
        ),
    ]  # fmt: skip


def _pairs(text: pd.Series) -> list[Reading]:
    mark = re.findall(r"[./-]", text.iloc[0])[0]
    days = text + f"{mark}2000"
    return [
        Reading("month year", f"%m{mark}%y", _parsed(text, f"%m{mark}%y")),
        Reading("year month", f"%y{mark}%m", _parsed(text, f"%y{mark}%m")),
        Reading("days without a year", "", _parsed(days, f"%m{mark}%d{mark}%Y")),
        Reading("days without a year", "", _parsed(days, f"%d{mark}%m{mark}%Y")),
    ]


def _decided(readings: list[Reading], text: pd.Series, where: str, dayfirst: bool) -> str:
    """The format of the one reading that is left.

    A day without a year is no time; it is a reading all the same, which only goes where the other
    one makes the more regular series.
    """
    fitting = [reading for reading in readings if reading.fits]
    if dayfirst:
        fitting = [r for r in fitting if "%d" not in r.format or r.format.startswith("%d")]
    times = [reading for reading in fitting if reading.format]
    if len(times) == 1:
        share = _regularity(times[0].times)
        others = [_regularity(r.times) for r in fitting if not r.format]
        if not others or (share >= _LEAST and share > max(others) + 0.01):
            return times[0].format
    cell = repr(text.iloc[0])
    if not times:
        raise ValueError(
            f"table: {where}: {cell} and the like are no times that can be read; expected times "
            f"such as 2024-01-31 13:00; pass {option_text('time_format')} if they are written in "
            f"another way, such as {option_text('time_format', '%d.%m.%Y %H:%M')}"
        )
    ways = list(dict.fromkeys(_described(reading) for reading in fitting))
    raise ValueError(
        f"table: {where}: {cell} and the like may be {' or '.join(ways)}; pass "
        f"{option_text('time_format', times[0].format)} or the like, or write the year in four "
        "digits"
    )


def _described(reading: Reading) -> str:
    if not reading.format:
        return reading.words
    return f"{reading.words} ({reading.format}: {reading.times.iloc[0]:%Y-%m-%d})"


def _regularity(times: pd.Series) -> float:
    """Share of the commonest step between sorted times; months count as equal."""
    index = pd.DatetimeIndex(times.dropna().unique()).sort_values()
    if len(index) < 3:
        return 0.0
    months = (index.day == 1).all()
    counted = index.year * 12 + index.month if months else index.to_julian_date()
    return float(np.unique(np.diff(counted.to_numpy()), return_counts=True)[1].max()) / (
        len(index) - 1
    )


def _short_year(text: pd.Series, where: str, dayfirst: bool) -> str | None:
    """The format of dates of three numbers, where the year may be the first of them.

    Month day year is the usual order, day month year what ``dayfirst`` says. Only where the year
    may come first, too, are they told apart.
    """
    mark = re.findall(r"[./-]", text.iloc[0])[0]
    dates = text.str.extract(r"^(\d{1,2}.\d{1,2}.\d{2})")[0]
    orders = {
        "month day year": f"%m{mark}%d{mark}%y",
        "day month year": f"%d{mark}%m{mark}%y",
        "year month day": f"%y{mark}%m{mark}%d",
    }
    readings = [Reading(words, form, _parsed(dates, form)) for words, form in orders.items()]
    usual, other, year_first = readings[1 if dayfirst else 0], readings[0], readings[2]
    fitting = [r for r in readings if r.fits and not (dayfirst and r is other)]
    if not year_first.fits or (usual.fits and mark == "/"):
        return None
    if len(fitting) > 1:
        shares = {r.format: _regularity(r.times) for r in fitting}
        best = max(shares, key=lambda form: shares[form])
        if usual.fits and best == usual.format and shares[best] > shares[year_first.format]:
            return None
        ways = " or ".join(map(_described, fitting))
        raise ValueError(
            f"table: {where}: {text.iloc[0]!r} and the like may be {ways}; pass "
            f"{option_text('time_format', _with_clock(text, best))} or the like, or write the year "
            "in four digits"
        )
    return _with_clock(text, year_first.format)


def _with_clock(text: pd.Series, date: str) -> str:
    """A format of dates with that of the time of day that follows them in the first cell."""
    rest = _TRIPLE.fullmatch(text.iloc[0])
    clock = rest[2] if rest is not None else ""
    for pattern, form in _CLOCKS:
        if re.fullmatch(rf"[ T]+{pattern}", clock):
            return date + re.sub(pattern, form, clock)
    return date
