"""Time stamps of a table: how they are written, and what they are."""

import re

import numpy as np
import pandas as pd

from tsgen.core import option_text
from tsgen.data.frequency import infer_frequency
from tsgen.data.tables import require_columns
from tsgen.data.time_column import TIME_NAMES, find_time, holds_times
from tsgen.data.time_forms import settled_format
from tsgen.data.time_numbers import COUNTED, digits_of, from_digits
from tsgen.data.time_text import (
    DAY_AND_MONTH,
    YEARS,
    out_of_range,
    parse_formatted,
    parse_text,
)

__all__ = ["TIME_NAMES", "check_day_order", "check_time_format", "days_come_first", "find_time",
           "parse_times", "time_format_of"]  # fmt: skip


"""The years that times in nanoseconds reach."""


def check_time_format(form: str | None, dayfirst: bool) -> None:
    """Check a format of times that was asked for.

    Raises:
        ValueError: for one that has no year, that strptime does not know, or whose order of day
            and month ``dayfirst`` would tell, too.
    """
    if form is None:
        return
    where = option_text("time_format", form)
    if not isinstance(form, str):
        raise ValueError(f"{where}: expected a text such as '%d.%m.%Y %H:%M'")
    if dayfirst:
        without = f"leave out {option_text('dayfirst', True)}"
        raise ValueError(f"{where}: it tells the order of day and month; {without}")
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
            local = utc = parse_formatted(values, time_format, where)
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
            local, utc, zone = parse_text(values, where, dayfirst)
    if local.isna().any():
        raise ValueError(f"table: {where} has no time in row {int(local.isna().argmax())}")
    outside = (local.year < YEARS[0]) | (local.year > YEARS[1])
    if outside.any():
        row = int(outside.argmax())
        raise out_of_range(str(values.iloc[row]), row, where)
    local = local.as_unit("ns")
    if zone in (None, "UTC", "UTC+00:00"):
        return local, changes
    if days and (local == local.normalize()).all():
        return local, [*changes, f"times are midnights of {zone}, whose days they stand for"]
    utc = utc.tz_convert("UTC").tz_localize(None).as_unit("ns")
    return utc, [*changes, f"times were converted from {zone} to UTC"]


def days_come_first(frame: pd.DataFrame, column: str | None) -> bool:
    """Whether dates like 31.12.2024 can be read with days before months only."""
    _, values = _cells(frame, column)
    if holds_times(values) or pd.api.types.is_numeric_dtype(values.dtype):
        return False
    parts = values.astype(str).str.strip().str.extract(DAY_AND_MONTH)
    if not len(parts) or parts.isna().any(axis=None):
        return False
    large = parts.astype(int) > 12
    return bool(large[0].any() and not large[1].any())


def check_day_order(frame: pd.DataFrame, column: str | None) -> None:
    """Raise ``ValueError`` for dates like 03.04.2024 that tell a frequency either way."""
    _, values = _cells(frame, column)
    if holds_times(values) or pd.api.types.is_numeric_dtype(values.dtype):
        return
    parts = values.astype(str).str.strip().str.extract(DAY_AND_MONTH)
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
            f"before months, else {frequencies[0]}; pass "
            f"{option_text('dayfirst', True)} or {option_text('freq', frequencies[0])}"
        )


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
    outside = (years < YEARS[0]) | (years > YEARS[1])
    if outside.any():
        row = int(outside.argmax())
        raise out_of_range(str(values.iloc[row]), row, where)
    if isinstance(values.dtype, pd.PeriodDtype):
        return pd.DatetimeIndex(values.dt.to_timestamp())
    if values.dtype.kind == "M":
        return pd.DatetimeIndex(values)
    if pd.api.types.infer_dtype(values) == "period":
        return pd.DatetimeIndex([value.to_timestamp() for value in values])
    try:
        return pd.DatetimeIndex(pd.to_datetime(values))
    except (ValueError, TypeError):  # of several zones, or with and without one
        local, utc, zone = parse_text(values, where, dayfirst=False)
        return local if zone is None else utc
