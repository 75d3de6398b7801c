"""Times written as text, and what is said of cells that cannot be read as times."""

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd

from tsgen.core import option_text
from tsgen.data.time_forms import read_single
from tsgen.data.time_numbers import COUNTED, from_counted, padded

_YEAR_FIRST = r"\d{4}[-/.]\d"
_OFFSET = r"(:\d\d(?:\.\d+)?)\s*(?:Z|[+-]\d\d:?(?:\d\d)?)$"
_TIME_OF_DAY = r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?\s*([AaPp][Mm])?"
_NAMED_ZONE = r".*:\d\d(\.\d+)?\s*(?!AM|PM|UTC|GMT)[A-Z]{2,5}"
DAY_AND_MONTH = r"^(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}\b.*"
_WRITTEN = re.compile(
    r"\d{1,2}([./-])\d{1,2}\1(\d{4}|\d{2})"
    r"(?:([ T]+)\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?(?:(\s*)([AP]M))?)?",
    re.IGNORECASE,
)
YEARS = (1678, 2261)
"""The years that times in nanoseconds reach."""


def parse_formatted(values: pd.Series, form: str, where: str) -> pd.DatetimeIndex:
    """Times of a format that is given.

    Raises:
        ValueError: naming the first cell that is not written so.
    """
    if form in COUNTED:
        return pd.DatetimeIndex(from_counted(values, form, where))
    text = padded(values, form)
    times = pd.to_datetime(text, format=form, errors="coerce", utc="%z" in form)
    bad = times.isna().to_numpy()
    if bad.any():
        row = int(bad.argmax())
        if _year_outside(text.iloc[row]):
            raise out_of_range(text.iloc[row], row, where)
        raise ValueError(
            f"table: {where}, row {row}: {_short(text.iloc[row])} is not a time written as "
            f"{option_text('time_format', form)} says"
        )
    return pd.DatetimeIndex(times).tz_localize(None)


def parse_text(
    values: pd.Series, where: str, dayfirst: bool
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex, str | None]:
    """Text, dates and objects as local times, as times in UTC, and the zone if the two differ."""
    text = values.astype(str).str.strip()
    if (clock := text.str.fullmatch(_TIME_OF_DAY)).any():
        row = int(clock.argmax())
        raise ValueError(
            f"table: {where}, row {row}: {text[row]!r} is a time of day, expected a date with it"
        )
    if (has_zone_name := text.str.fullmatch(_NAMED_ZONE)).any():
        row = int(has_zone_name.argmax())
        raise ValueError(
            f"table: {where}, row {row}: {_short(text[row])} names a zone, expected an offset like "
            "+01:00"
        )
    if (short := text.str.fullmatch(r"\d{4}\.\d")).any():
        row = int(short.argmax())
        raise ValueError(
            f"table: {where}, row {row}: {text[row]!r} may be the first month or the tenth, "
            "expected months of two digits: 2018.01, 2018.10"
        )
    if (single := read_single(text)) is not None:
        if single.isna().any():
            raise _unreadable(text, single.isna().to_numpy(), where, dayfirst)
        return pd.DatetimeIndex(single), pd.DatetimeIndex(single), None
    bare = text.str.replace(_OFFSET, r"\1", regex=True)
    ways: list[dict[str, Any]] = [{"dayfirst": dayfirst}]
    if text.str.match(_YEAR_FIRST).all():
        ways = [{"format": "ISO8601"}, {}]
    usual = ways[0]
    if (written := _format_of(text.iloc[0], dayfirst)) is not None:
        ways = [{"format": written}, *ways]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a format is not known at once
        for way in ways:
            try:
                utc = pd.DatetimeIndex(pd.to_datetime(text, utc=True, **way))
                if not _one_order(text, utc if bare.equals(text) else None):
                    continue
                if bare.equals(text):
                    return utc.tz_localize(None), utc, None
                local = pd.DatetimeIndex(pd.to_datetime(bare, **way)).tz_localize(None)
            except (ValueError, TypeError, OverflowError):
                continue
            offsets = (local - utc.tz_localize(None)).unique()
            if (offsets == pd.Timedelta(0)).all():
                return local, utc, None
            hours = ", ".join(f"{offset / pd.Timedelta('1h'):+g}" for offset in offsets[:4])
            return local, utc, f"the zone of UTC {hours} hours"
        unread = pd.to_datetime(text, errors="coerce", **usual).isna().to_numpy()
        if written is not None and not unread.any():
            unread = pd.to_datetime(text, errors="coerce", format=written).isna().to_numpy()
    raise _unreadable(text, unread, where, dayfirst)


def _format_of(text: str, dayfirst: bool) -> str | None:
    """The format of a time whose date begins with day or month.

    pandas itself guesses none for times after noon on a clock of 12 hours, for fractions and for
    years of two digits, and then needs minutes for what a format makes a second's work.
    """
    if (match := _WRITTEN.fullmatch(text)) is None:
        return None
    mark, year, between, seconds, fraction, blank, half = match.groups()
    order = ("%d", "%m") if dayfirst else ("%m", "%d")
    date = mark.join([*order, "%Y" if len(year) > 2 else "%y"])
    if between is None:
        return date
    clock = f"{between}{'%I' if half else '%H'}:%M{':%S' if seconds else ''}"
    return date + clock + (".%f" if fraction else "") + (f"{blank}%p" if half else "")


def _one_order(text: pd.Series, times: pd.DatetimeIndex | None) -> bool:
    """Whether day and month have one order in all cells; pandas may turn single ones round."""
    if times is None:
        return True
    parts = text.str.extract(DAY_AND_MONTH)
    if parts.isna().any(axis=None):
        return True
    numbers = parts.astype(int)
    return bool((numbers[0] == times.month).all() or (numbers[1] == times.month).all())


def _unreadable(text: pd.Series, unread: np.ndarray, where: str, dayfirst: bool) -> ValueError:
    """The error for a column of text that cannot be read as times, naming the first bad cell."""
    row = int(unread.argmax())
    top = text.iloc[0]
    if row == 0 and (top.isdigit() or read_single(text[:1]) is not None):
        unlike = (text.map(_shape) != _shape(top)).to_numpy()  # the top one could be read
        row = int(unlike.argmax())
    bad = text.iloc[row]
    if _year_outside(bad):
        return out_of_range(bad, row, where)
    two_ways = re.match(DAY_AND_MONTH, bad) and not dayfirst
    if _shape(bad) == _shape(top) and not (two_ways and row):
        why = "is no time that can be read" if row == 0 else "is no time of the calendar"
        hint = (
            f"expected times such as 2024-01-31 13:00, or {option_text('time_format')} to say how "
            "they are written, "
            "such as '%d.%m.%Y %H:%M'"
        )
        return ValueError(f"table: {where}, row {row}: {_short(bad)} {why}; {hint}")
    hint = f"; pass {option_text('dayfirst', True)} if days come before months"
    return ValueError(
        f"table: {where}, row {row}: {_short(bad)} is not a time written like "
        f"{_short(top)}" + (hint if two_ways else "")
    )


def out_of_range(cell: str, row: int, where: str) -> ValueError:
    """The error for a time that nanoseconds do not reach, in a row of what ``where`` names."""
    return ValueError(
        f"table: {where}, row {row}: {_short(cell)} is outside the years {YEARS[0]} to "
        f"{YEARS[1]} that times reach here; leave the row out if it stands for no end or no "
        "beginning, else move all years by the same number"
    )


def _year_outside(cell: str) -> bool:
    years = re.findall(r"(?<!\d)\d{4}(?!\d)", cell)
    return bool(years) and not any(YEARS[0] <= int(year) <= YEARS[1] for year in years)


def _shape(cell: str) -> str:
    """A cell with 9 for each digit and a for each word."""
    return re.sub(r"[A-Za-z]+", "a", re.sub(r"\d", "9", cell))


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 60 else cell[:57] + "...")
