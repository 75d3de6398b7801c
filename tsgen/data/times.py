"""Time stamps of a table: how they are written, and what they are."""

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd

from tsgen.data.frequency import infer_frequency
from tsgen.data.tables import require_columns
from tsgen.data.time_column import TIME_NAMES, find_time, holds_times
from tsgen.data.time_forms import read_single, settled_format
from tsgen.data.time_numbers import COUNTED, digits_of, from_counted, from_digits, padded

__all__ = ["TIME_NAMES", "check_day_order", "check_time_format", "days_come_first", "find_time",
           "parse_times", "time_format_of"]  # fmt: skip

_YEAR_FIRST = r"\d{4}[-/.]\d"
_OFFSET = r"(:\d\d(?:\.\d+)?)\s*(?:Z|[+-]\d\d:?(?:\d\d)?)$"
_TIME_OF_DAY = r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?\s*([AaPp][Mm])?"
_NAMED_ZONE = r".*:\d\d(\.\d+)?\s*(?!AM|PM|UTC|GMT)[A-Z]{2,5}"
_TWO_WAYS = r"^(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}\b.*"
_WRITTEN = re.compile(
    r"\d{1,2}([./-])\d{1,2}\1(\d{4}|\d{2})"
    r"(?:([ T]+)\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?(?:(\s*)([AP]M))?)?",
    re.IGNORECASE,
)
_RANGE = (1678, 2261)
"""The years that times in nanoseconds reach."""


def check_time_format(form: str | None, dayfirst: bool) -> None:
    """Check a format of times that was asked for.

    Raises:
        ValueError: for one that has no year, that strptime does not know, or whose order of day
            and month ``dayfirst`` would tell, too.
    """
    if form is None:
        return
    where = f"time_format={form!r}"
    if not isinstance(form, str):
        raise ValueError(f"{where}: expected a text such as '%d.%m.%Y %H:%M'")
    if dayfirst:
        raise ValueError(f"{where}: it tells the order of day and month; leave out dayfirst=True")
    if form in COUNTED:
        return
    if not re.search(r"%[yYGcxD]", form):
        raise ValueError(
            f"{where} has no year (%Y or %y); expected a format as strptime takes it, such as "
            f"'%d.%m.%Y %H:%M', or one of {', '.join(COUNTED)}"
        )
    try:
        pd.to_datetime(pd.Series(["?"]), format=form, errors="coerce")
    except ValueError as error:
        reason = str(error).splitlines()[0][:150]
        raise ValueError(f"{where} is no format of times: {reason}") from None


def time_format_of(frame: pd.DataFrame, column: str | None, dayfirst: bool) -> str | None:
    """The format that the whole of a column tells, where single cells could be read otherwise.

    Args:
        frame: the table.
        column: the column of times, ``None`` for the index.
        dayfirst: whether days come before months.

    Raises:
        ValueError: if several readings are left.
    """
    where, values = _cells(frame, column)
    if values.isna().any() or holds_times(values):
        return None
    digits = digits_of(values)
    if digits is not None:
        return settled_format(digits, where, dayfirst)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return None
    return settled_format(values.astype(str).str.strip(), where, dayfirst)


def parse_times(
    frame: pd.DataFrame,
    column: str | None,
    dayfirst: bool,
    days: bool = True,
    time_format: str | None = None,
) -> tuple[pd.DatetimeIndex, list[str]]:
    """Time stamps of a column, or of the index, without time zone, and what was changed.

    Times in a zone become UTC, but midnights stay what they are: they stand for days.

    Args:
        frame: the table.
        column: the column, ``None`` for the index.
        dayfirst: whether days come before months; dates that begin with the year are read as such.
        days: whether midnights stand for days, as they do unless steps are shorter than a day.
        time_format: how times are written, see :func:`check_time_format`; ``None`` to find out.

    Raises:
        ValueError: for stamps that are missing, no times or out of the range of times, naming the
            first; and for those that can be read in several ways.
    """
    where, values = _cells(frame, column)
    if values.isna().any():
        raise ValueError(f"table: {where} has no time in row {int(values.isna().argmax())}")
    changes: list[str] = []
    local: pd.DatetimeIndex
    utc: pd.DatetimeIndex
    if holds_times(values):
        utc = _typed(values, where)
        local, zone = utc.tz_localize(None), utc.tz and str(utc.tz)
    else:
        digits = None if time_format is not None else digits_of(values)
        time_format = time_format or time_format_of(frame, column, dayfirst)
        if time_format is not None:
            local = utc = _formatted(values, time_format, where)
            zone = None
        elif digits is not None:
            read, changes = from_digits(digits, where)
            local = utc = pd.DatetimeIndex(read)
            zone = None
        elif pd.api.types.is_numeric_dtype(values.dtype):
            raise ValueError(
                f"table: {where} holds numbers ({values.iloc[0]}), expected times such as "
                "2024-01-31 13:00, dates such as 20240131, or Unix time: 10 digits (seconds) or "
                "13 (milliseconds)"
            )
        else:
            local, utc, zone = _parse(values, where, dayfirst)
    if local.isna().any():
        raise ValueError(f"table: {where} has no time in row {int(local.isna().argmax())}")
    outside = (local.year < _RANGE[0]) | (local.year > _RANGE[1])
    if outside.any():
        row = int(outside.argmax())
        raise _out_of_range(str(values.iloc[row]), row, where)
    local = local.as_unit("ns")
    if zone in (None, "UTC", "UTC+00:00"):
        return local, changes
    if days and (local == local.normalize()).all():
        return local, [*changes, f"times are midnights of {zone}, whose days they stand for"]
    utc = utc.tz_convert("UTC").tz_localize(None).as_unit("ns")
    return utc, [*changes, f"times were converted from {zone} to UTC"]


def _cells(frame: pd.DataFrame, column: str | None) -> tuple[str, pd.Series]:
    """What a column of times, or the index, is called in messages, and what it holds."""
    require_columns(frame, [] if column is None else [column])
    where = "the index" if column is None else f"column {column!r}"
    values = frame.index.to_series() if column is None else frame[column]
    return where, values.reset_index(drop=True)


def _typed(values: pd.Series, where: str) -> pd.DatetimeIndex:
    """Times by their type, which may reach beyond those of pandas' nanoseconds.

    Raises:
        ValueError: for those that do, naming the first.
    """
    if isinstance(values.dtype, pd.PeriodDtype):
        years = values.dt.year.to_numpy()
    elif values.dtype.kind == "M":
        years = pd.DatetimeIndex(values).year.to_numpy()
    else:
        years = np.array([getattr(value, "year", 0) for value in values])
    outside = (years < _RANGE[0]) | (years > _RANGE[1])
    if outside.any():
        row = int(outside.argmax())
        raise _out_of_range(str(values.iloc[row]), row, where)
    if isinstance(values.dtype, pd.PeriodDtype):
        return pd.DatetimeIndex(values.dt.to_timestamp())
    if values.dtype.kind == "M":
        return pd.DatetimeIndex(values)
    if pd.api.types.infer_dtype(values) == "period":
        return pd.DatetimeIndex([value.to_timestamp() for value in values])
    try:
        return pd.DatetimeIndex(pd.to_datetime(values))
    except (ValueError, TypeError):  # of several zones, or with and without one
        local, utc, zone = _parse(values, where, dayfirst=False)
        return local if zone is None else utc


def _formatted(values: pd.Series, form: str, where: str) -> pd.DatetimeIndex:
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
            raise _out_of_range(text.iloc[row], row, where)
        raise ValueError(
            f"table: {where}, row {row}: {_short(text.iloc[row])} is not a time written as "
            f"time_format={form!r} says"
        )
    return pd.DatetimeIndex(times).tz_localize(None)


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


def _parse(
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


def _one_order(text: pd.Series, times: pd.DatetimeIndex | None) -> bool:
    """Whether day and month have one order in all cells; pandas may turn single ones round."""
    if times is None:
        return True
    parts = text.str.extract(_TWO_WAYS)
    if parts.isna().any(axis=None):
        return True
    numbers = parts.astype(int)
    return bool((numbers[0] == times.month).all() or (numbers[1] == times.month).all())


def _unreadable(text: pd.Series, unread: np.ndarray, where: str, dayfirst: bool) -> ValueError:
    """The error for a column of text that cannot be read as times, naming the first bad cell."""
    row = int(unread.argmax())
    first = text.iloc[0]
    if row == 0 and (first.isdigit() or read_single(text[:1]) is not None):
        unlike = (text.map(_shape) != _shape(first)).to_numpy()  # the first one could be read
        row = int(unlike.argmax())
    bad = text.iloc[row]
    if _year_outside(bad):
        return _out_of_range(bad, row, where)
    two_ways = re.match(_TWO_WAYS, bad) and not dayfirst
    if _shape(bad) == _shape(text.iloc[0]) and not (two_ways and row):
        why = "is no time that can be read" if row == 0 else "is no time of the calendar"
        hint = (
            "expected times such as 2024-01-31 13:00, or time_format= to say how they are written, "
            "such as '%d.%m.%Y %H:%M'"
        )
        return ValueError(f"table: {where}, row {row}: {_short(bad)} {why}; {hint}")
    hint = "; pass dayfirst=True if days come before months"
    return ValueError(
        f"table: {where}, row {row}: {_short(bad)} is not a time written like "
        f"{_short(text.iloc[0])}" + (hint if two_ways else "")
    )


def _out_of_range(cell: str, row: int, where: str) -> ValueError:
    return ValueError(
        f"table: {where}, row {row}: {_short(cell)} is outside the years {_RANGE[0]} to "
        f"{_RANGE[1]} that times reach here; leave the row out if it stands for no end or no "
        "beginning, else move all years by the same number"
    )


def _year_outside(cell: str) -> bool:
    years = re.findall(r"(?<!\d)\d{4}(?!\d)", cell)
    return bool(years) and not any(_RANGE[0] <= int(year) <= _RANGE[1] for year in years)


def _shape(cell: str) -> str:
    """A cell with 9 for each digit and a for each word."""
    return re.sub(r"[A-Za-z]+", "a", re.sub(r"\d", "9", cell))


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 60 else cell[:57] + "...")


def days_come_first(frame: pd.DataFrame, column: str | None) -> bool:
    """Whether dates like 31.12.2024 can be read with days before months only."""
    _, values = _cells(frame, column)
    if holds_times(values) or pd.api.types.is_numeric_dtype(values.dtype):
        return False
    parts = values.astype(str).str.strip().str.extract(_TWO_WAYS)
    if not len(parts) or parts.isna().any(axis=None):
        return False
    large = parts.astype(int) > 12
    return bool(large[0].any() and not large[1].any())


def check_day_order(frame: pd.DataFrame, column: str | None) -> None:
    """Raise ``ValueError`` for dates like 03.04.2024 that tell a frequency either way."""
    _, values = _cells(frame, column)
    if holds_times(values) or pd.api.types.is_numeric_dtype(values.dtype):
        return
    parts = values.astype(str).str.strip().str.extract(_TWO_WAYS)
    if parts.isna().any(axis=None) or (parts.astype(int) > 12).any(axis=None):
        return
    frequencies = []
    for dayfirst in (False, True):
        stamps, _ = parse_times(frame, column, dayfirst)
        try:
            frequencies.append(infer_frequency(stamps.unique().sort_values()))
        except ValueError:
            frequencies.append("none")
    if frequencies[0] != frequencies[1]:
        raise ValueError(
            f"table: {values.iloc[0]!r} and the like have frequency {frequencies[1]} if days come "
            f"before months, else {frequencies[0]}; pass dayfirst=True or freq={frequencies[0]!r}"
        )
