"""Times written in digits alone, as numbers or as text: years, dates, Unix time."""

import re
from typing import Any

import numpy as np
import pandas as pd

from tsgen.core import option_text
from tsgen.data.time_forms import YEARS

_UNIX: dict[int, tuple[str, Any]] = {
    10: ("seconds", "s"),
    13: ("milliseconds", "ms"),
    16: ("microseconds", "us"),
    19: ("nanoseconds", "ns"),
}
"""Units by the number of digits."""
_DATES = {
    4: (("year", "%Y"),),
    7: (("year and day of the year", "%Y%j"),),
    8: (("year month day", "%Y%m%d"), ("day month year", "%d%m%Y"), ("month day year", "%m%d%Y")),
    10: (("year month day hour", "%Y%m%d%H"),),
    12: (("year month day hour minute", "%Y%m%d%H%M"),),
    14: (("year month day hour minute second", "%Y%m%d%H%M%S"),),
}
COUNTED = ("excel", "unix_s", "unix_ms", "unix_us", "unix_ns")
"""Formats of times that are counted from a day: days of spreadsheets, Unix time."""
_EXPECTED = (
    "expected times such as 2024-01-31 13:00, dates such as 20240131, or Unix time: 10 digits "
    "(seconds) or 13 (milliseconds)"
)


def digits_of(values: pd.Series) -> pd.Series | None:
    """The cells as text of as many digits each, if they are whole numbers; else ``None``.

    Args:
        values: numbers or text, without missing cells.
    """
    if pd.api.types.is_bool_dtype(values.dtype) or not len(values):
        return None
    if pd.api.types.is_numeric_dtype(values.dtype):
        if values.dtype.kind == "c" or not np.isfinite(values.to_numpy(dtype=float)).all():
            return None
        if (values % 1 != 0).any() or values.min() < 0 or values.max() >= 2**63:
            return None
        return values.astype("int64").astype(str)
    text = values.astype(str).str.strip()
    return text if text.str.fullmatch(r"[0-9]+").all() else None


def holds_digit_times(values: pd.Series) -> bool:
    """Whether whole numbers, or text of digits, can be read as times.

    Args:
        values: of a column; missing cells do not count.
    """
    digits = digits_of(values.dropna())
    if digits is None:
        return False
    lengths = digits.str.len().unique()
    if len(lengths) == 1 and lengths[0] in (6, 8):  # whose reading is told, or asked for, later
        return lengths[0] == 6 or any(_fits(digits, form) for _, form in _DATES[8])
    return len(digits) > 0 and _read(digits) is not None


def from_digits(digits: pd.Series, where: str) -> tuple[pd.Series, list[str]]:
    """Times of digits, and in what way they were read.

    Args:
        digits: text, all cells of one length.
        where: what to call the column in an error.

    Raises:
        ValueError: for what no way fits, and for eight digits whose order is not told.
    """
    first = digits.iloc[0]
    times = _read(digits)
    if times is None and len(first) == 8:
        ways = [(words, form) for words, form in _DATES[8][1:] if _fits(digits, form)]
        if len(ways) == 2:
            raise ValueError(
                f"table: {where}: {first!r} and the like may be day month year (%d%m%Y) or month "
                f"day year (%m%d%Y); pass {option_text('time_format', '%d%m%Y')} or the other one"
            )
        if ways:
            times = (pd.to_datetime(digits, format=ways[0][1]), f"dates, {first} as {ways[0][0]}")
    if times is None:
        hint = ""
        if digits.str.len().eq(5).all():
            option = option_text("time_format", "excel")
            hint = f"; days as a spreadsheet counts them are read with {option}"
        elif digits.str.len().eq(6).all():
            hint = "; six digits fit no date in the same way in every row"
        raise ValueError(f"table: {where} holds numbers ({first}), {_EXPECTED}{hint}")
    return times[0], [f"{where}: numbers were read as {times[1]}"]


def from_counted(values: pd.Series, form: str, where: str) -> pd.Series:
    """Times that are counted from a day, as a format of :data:`COUNTED` says.

    Raises:
        ValueError: for what is no number, or out of the range of times.
    """
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers.to_numpy())))
        raise ValueError(
            f"table: {where}, row {row}: {values.iloc[row]!r} is no number, as "
            f"{option_text('time_format', form)} expects"
        )
    if form == "excel":
        days = numbers - 25569  # from the first day of spreadsheets to that of Unix
        times = pd.to_datetime(days, unit="D", errors="coerce")
        times = times.dt.round("ms")  # as exact as a spreadsheet's fractions of a day
    else:
        unit: Any = form.removeprefix("unix_")
        times = pd.to_datetime(numbers, unit=unit, errors="coerce")
    if times.isna().any():
        row = int(times.isna().to_numpy().argmax())
        raise ValueError(
            f"table: {where}, row {row}: {values.iloc[row]!r} is out of the range of times, read "
            f"with {option_text('time_format', form)}"
        )
    return times


def _read(digits: pd.Series) -> tuple[pd.Series, str] | None:
    """Times, and what they were read as; ``None`` where the length tells none or is not one."""
    lengths = set(digits.str.len())
    if lengths in ({9}, {9, 10}, {12, 13}):  # of Unix time, which had a digit less once
        lengths = {10 if 9 in lengths else 13}
    if len(lengths) > 1:
        return None
    (length,) = lengths
    for words, form in _DATES.get(length, ())[:1]:
        if _fits(digits, form):
            what = "years" if length == 4 else f"dates, {digits.iloc[0]} as {words}"
            return pd.to_datetime(digits, format=form), what
    if length not in _UNIX or (length == 19 and digits.max() >= "9223372036854775807"):
        return None
    name, unit = _UNIX[length]
    times: pd.Series = pd.to_datetime(pd.to_numeric(digits), unit=unit, errors="coerce")
    return None if times.isna().any() else (times, f"Unix {name}")


def _fits(digits: pd.Series, form: str) -> bool:
    """Whether all cells, of one length, are days of plausible years in a format."""
    if digits.str.len().nunique() > 1:
        return False
    years = digits.str[-4:] if form.endswith("%Y") else digits.str[:4]
    if not years.astype(int).between(*YEARS).all():
        return False
    return bool(pd.to_datetime(digits, format=form, errors="coerce").notna().all())


def padded(values: pd.Series, form: str) -> pd.Series:
    """Numbers as text of as many digits as a format of digits alone has, else as they are.

    A number has lost the zeros that a date such as 010218 begins with.
    """
    if not pd.api.types.is_numeric_dtype(values.dtype) or not re.fullmatch(r"(%[ymdHMSYj])+", form):
        return values.astype(str).str.strip()
    width = sum({"Y": 4, "j": 3}.get(letter, 2) for letter in form[1::2])
    text = digits_of(values)
    return values.astype(str) if text is None else text.str.zfill(width)
