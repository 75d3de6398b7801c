"""Time stamps of a table: which column holds them, and how they are written."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tsgen.data.frequency import infer_frequency
from tsgen.data.tables import require_columns

TIME_NAMES = ("time", "timestamp", "date", "datetime", "ds", "time_utc", "date_time", "zeit")
_YEAR_FIRST = r"\d{4}[-/.]\d"
_OFFSET = r"(:\d\d(?:\.\d+)?)\s*(?:Z|[+-]\d\d:?(?:\d\d)?)$"
_TIME_OF_DAY = r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?\s*([AaPp][Mm])?"
_NAMED_ZONE = r".*:\d\d(\.\d+)?\s*(?!AM|PM|UTC|GMT)[A-Z]{2,5}"
_TWO_WAYS = r"(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}\b.*"
_WRITTEN = re.compile(
    r"\d{1,2}([./-])\d{1,2}\1(\d{4}|\d{2})"
    r"(?:([ T]+)\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?(?:(\s*)([AP]M))?)?",
    re.IGNORECASE,
)
_UNITS = {8: "dates", 10: "seconds", 13: "milliseconds"}  # by the number of digits
_EPOCHS = {"seconds": 10**9, "milliseconds": 10**6}  # in nanoseconds


def find_time(frame: pd.DataFrame, skip: Sequence[str] = ()) -> str | None:
    """The column of time stamps; ``None`` is the index.

    Raises:
        ValueError: if there is none, or several.
    """
    if _holds_times(frame.index):
        return None
    columns = [c for c in frame.columns if c not in skip]
    found = [c for c in columns if _holds_times(frame[c])]
    if not found:
        text = [c for c in columns if not pd.api.types.is_numeric_dtype(frame[c])]
        named = [c for c in columns if c.lower() in TIME_NAMES]
        named = [c for c in named if c in text or _unit_of(frame[c])]
        found = (named or [c for c in text if _looks_like_time(frame[c])])[:1]
    if not found and not pd.api.types.is_numeric_dtype(frame.index):
        if _looks_like_time(frame.index.to_series()):
            return None
    if len(found) != 1:
        what = (
            f"columns {', '.join(map(repr, found))} all hold times" if found else "no time column"
        )
        raise ValueError(f"table: {what} among {', '.join(map(repr, frame.columns))}; pass time=")
    return str(found[0])


def _holds_times(values: pd.Series | pd.Index) -> bool:
    """Whether they are times by their type: stamps, periods, dates."""
    if values.dtype == object:
        return pd.api.types.infer_dtype(values, skipna=True) in ("date", "datetime")
    return (
        values.dtype.kind == "M"
        or isinstance(values.dtype, pd.PeriodDtype)
        or str(values.dtype).startswith("date32")
    )


def _looks_like_time(column: pd.Series) -> bool:
    values = column.dropna().head(20)
    if not len(values) or not all(isinstance(v, str) for v in values):
        return False
    if values.str.match(_YEAR_FIRST).all():
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not know the format at once
        try:
            pd.to_datetime(values)
        except (ValueError, TypeError):
            return False
    return True


def parse_times(
    frame: pd.DataFrame, column: str | None, dayfirst: bool, days: bool = True
) -> tuple[pd.DatetimeIndex, list[str]]:
    """Time stamps of a column, or of the index, without time zone, and what was changed.

    Times in a zone become UTC, but midnights stay what they are: they stand for days.

    Args:
        frame: the table.
        column: the column, ``None`` for the index.
        dayfirst: whether days come before months; dates that begin with the year are read as such.
        days: whether midnights stand for days, as they do unless steps are shorter than a day.

    Raises:
        ValueError: for stamps that are missing or no times, naming the first.
    """
    where = "the index" if column is None else f"column {column!r}"
    require_columns(frame, [] if column is None else [column])
    values = (frame.index.to_series() if column is None else frame[column]).reset_index(drop=True)
    changes: list[str] = []
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    elif pd.api.types.is_numeric_dtype(values.dtype):
        values, changes = _from_numbers(values, where)
    if values.isna().any():
        raise ValueError(f"table: {where} has no time in row {int(values.isna().argmax())}")
    if values.dtype.kind == "M":
        utc = pd.DatetimeIndex(values)
        local, zone = utc.tz_localize(None), utc.tz and str(utc.tz)
    else:
        local, utc, zone = _parse(values, where, dayfirst)
    if local.isna().any():
        raise ValueError(f"table: {where} has no time in row {int(local.isna().argmax())}")
    local = local.as_unit("ns")
    if zone in (None, "UTC", "UTC+00:00"):
        return local, changes
    if days and (local == local.normalize()).all():
        return local, [*changes, f"times are midnights of {zone}, whose days they stand for"]
    utc = utc.tz_convert("UTC").tz_localize(None).as_unit("ns")
    return utc, [*changes, f"times were converted from {zone} to UTC"]


def _unit_of(values: pd.Series) -> str | None:
    """What whole numbers may be as times, by how many digits they all have."""
    present = values.dropna()
    if not len(present) or (present % 1 != 0).any():
        return None
    lengths = {len(str(int(edge))) for edge in (present.min(), present.max())}
    return _UNITS.get(lengths.pop()) if len(lengths) == 1 and present.min() > 0 else None


def _from_numbers(values: pd.Series, where: str) -> tuple[pd.Series, list[str]]:
    unit = _unit_of(values)
    if unit == "dates":
        text = values.astype("Int64").astype("string")
        times = pd.to_datetime(text, format="%Y%m%d", errors="coerce")
        if not (times.isna() & values.notna()).any():
            return times, [f"{where}: numbers were read as dates, {text.iloc[0]} as year month day"]
    elif unit is not None:
        times = pd.to_datetime(values.astype("Int64") * _EPOCHS[unit])
        return times, [f"{where}: numbers were read as Unix {unit}"]
    raise ValueError(
        f"table: {where} holds numbers ({values.iloc[0]}), expected times such as "
        "2024-01-31 13:00, dates such as 20240131, or Unix time: 10 digits "
        "(seconds) or 13 (milliseconds)"
    )


def _format_of(text: str, dayfirst: bool) -> str | None:
    """The format of a time whose date begins with day or month.

    pandas itself guesses none for times after noon on a clock of 12 hours, for fractions and for
    years of two digits, and then needs minutes for what a format makes a second's work.
    """
    if (found := _WRITTEN.fullmatch(text)) is None:
        return None
    mark, year, between, seconds, fraction, blank, half = found.groups()
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
    if (named := text.str.fullmatch(_NAMED_ZONE)).any():
        row = int(named.argmax())
        raise ValueError(
            f"table: {where}, row {row}: {text[row]!r} names a zone, expected an offset like +01:00"
        )
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
                if bare.equals(text):
                    return utc.tz_localize(None), utc, None
                local = pd.DatetimeIndex(pd.to_datetime(bare, **way)).tz_localize(None)
            except (ValueError, TypeError):
                continue
            offsets = (local - utc.tz_localize(None)).unique()
            if (offsets == pd.Timedelta(0)).all():
                return local, utc, None
            hours = ", ".join(f"{offset / pd.Timedelta('1h'):+g}" for offset in offsets)
            return local, utc, f"the zone of UTC {hours} hours"
        unread = pd.to_datetime(text, errors="coerce", **usual).isna().to_numpy()
    bad = text[int(unread.argmax())]
    hint = "; pass dayfirst=True if days come before months"
    raise ValueError(
        f"table: {where}, row {int(unread.argmax())}: {bad!r} is not a time written like "
        f"{text[0]!r}" + (hint if re.match(_TWO_WAYS, bad) and not dayfirst else "")
    )


def check_day_order(frame: pd.DataFrame, column: str | None) -> None:
    """Raise ``ValueError`` for dates like 03.04.2024 that tell a frequency either way."""
    values = frame.index.to_series() if column is None else frame[column]
    if _holds_times(values) or pd.api.types.is_numeric_dtype(values.dtype):
        return
    parts = values.astype(str).str.strip().str.extract(_TWO_WAYS)
    if parts.isna().any(axis=None) or (parts.astype(int) > 12).any(axis=None):
        return
    found = []
    for dayfirst in (False, True):
        stamps, _ = parse_times(frame, column, dayfirst)
        try:
            found.append(infer_frequency(stamps.unique().sort_values()))
        except ValueError:
            found.append("none")
    if found[0] != found[1]:
        raise ValueError(
            f"table: {values.iloc[0]!r} and the like have frequency {found[1]} if days come before "
            f"months, else {found[0]}; pass dayfirst=True or freq={found[0]!r}"
        )
