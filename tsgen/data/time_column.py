"""The column of a table that holds the times."""

import warnings
from collections.abc import Sequence

import pandas as pd

from tsgen.data.tables import listed
from tsgen.data.time_forms import read_single
from tsgen.data.time_numbers import holds_digit_times

TIME_NAMES = ("time", "timestamp", "date", "datetime", "ds", "time_utc", "date_time", "zeit")
PART_NAMES = ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "weekday")
"""Names of columns that may hold a part of the time, such as its month."""
PERIOD_NAMES = ("year", "quarter", "month", "week", "yearmonth", "period", "datum", "jahr", "monat")
"""Names of columns of which numbers may be times, if no other column holds any."""
_YEAR_FIRST = r"\d{4}[-/.]\d"


def find_time(frame: pd.DataFrame, skip: Sequence[str] = ()) -> str | None:
    """The column of time stamps; ``None`` is the index.

    Raises:
        ValueError: if there is none, or several.
    """
    if holds_times(frame.index):
        return None
    columns = [c for c in frame.columns if c not in skip]
    candidates = [c for c in columns if holds_times(frame[c])]
    if not candidates:
        text = [c for c in columns if not pd.api.types.is_numeric_dtype(frame[c])]
        named = [c for c in columns if c.lower() in TIME_NAMES and _may_be_time(frame[c])]
        periods = [c for c in columns if c.lower() in PERIOD_NAMES]
        candidates = (
            named
            or [c for c in text if _looks_like_time(frame[c])]
            or [c for c in periods if holds_digit_times(frame[c])]
        )[:1]
    if not candidates and not pd.api.types.is_numeric_dtype(frame.index):
        if _looks_like_time(frame.index.to_series()):
            return None
    if len(candidates) != 1:
        what = f"columns {listed(candidates)} all hold times" if candidates else "no time column"
        hint = "; pass time="
        if not candidates and sum(_is_time(c) for c in columns) > max(2, len(columns) // 2):
            hint = "; the columns are named by times: turn the table round, a row for each time"
        raise ValueError(f"table: {what} among {listed(frame.columns)}{hint}")
    parts = [c for c in columns if c.lower() in PART_NAMES and c not in candidates]
    if candidates[0].lower() in PART_NAMES and parts:
        raise ValueError(
            f"table: the time is divided over columns {listed([candidates[0], *parts])}; join them "
            "into one, such as 2018-01, and pass time="
        )
    return str(candidates[0])


def holds_times(values: pd.Series | pd.Index) -> bool:
    """Whether they are times by their type: stamps, periods, dates."""
    if values.dtype == object:
        return pd.api.types.infer_dtype(values, skipna=True) in ("date", "datetime", "period")
    return (
        values.dtype.kind == "M"
        or isinstance(values.dtype, pd.PeriodDtype)
        or str(values.dtype).startswith("date32")
    )


def require_header(frame: pd.DataFrame) -> None:
    """Check that a table has a row of names.

    Raises:
        ValueError: for a column of times whose name is a time, too.
    """
    for name in frame.columns:
        if not _is_time(name):
            continue
        cells = frame[name].dropna().head(20)
        if len(cells) and not pd.api.types.is_float_dtype(cells):
            if cells.astype(str).map(_is_time).all():
                raise ValueError(
                    f"table: the header is missing: the column of times is called {name!r}; write "
                    "a row of names, such as time,load, above the first one"
                )


def _is_time(name: str) -> bool:
    """Whether a name is a time itself."""
    cell = pd.Series([name.strip()])
    if cell.str.fullmatch(r"\d+").all():
        return len(name.strip()) >= 8 and holds_digit_times(cell)
    return bool(cell.str.match(r"\d{1,4}[-/.]\d").all()) and _looks_like_time(cell)


def _may_be_time(column: pd.Series) -> bool:
    """Whether a column with the name of a time holds text, or numbers that can be times."""
    present = column.dropna()
    if pd.api.types.is_numeric_dtype(column) or present.astype(str).str.fullmatch(r"[\d.]+").all():
        return holds_digit_times(column)
    return True


def _looks_like_time(column: pd.Series) -> bool:
    values = column.dropna().head(20)
    if not len(values) or not all(isinstance(v, str) for v in values):
        return False
    values = values.str.strip()
    if values.str.match(_YEAR_FIRST).all():
        return True
    if read_single(values) is not None:
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not know the format at once
        try:
            pd.to_datetime(values)
        except (ValueError, TypeError):
            return False
    return True
