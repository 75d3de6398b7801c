"""The column of a table that holds the times."""

import re
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tsgen.core import option_text
from tsgen.data.tables import listed
from tsgen.data.time_forms import is_month_name, read_single
from tsgen.data.time_numbers import holds_digit_times

TIME_NAMES = ("time", "timestamp", "date", "datetime", "ds", "time_utc", "date_time", "zeit")
PART_NAMES = ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "weekday")
"""Names of columns that may hold a part of the time, such as its month."""
PERIOD_NAMES = ("year", "quarter", "month", "week", "yearmonth", "period", "datum", "jahr", "monat")
"""Names of columns of which numbers may be times, if no other column holds any."""
_MAY_BE_TIME = re.compile(
    r"\d{4}|\d{8,19}|\d{1,4}[-/.]\d.*|"
    r"[QHSW]\w* ?\d.*|\d{1,4}[ ./-]?[A-Z].*|[A-Z]{3,9}[ ./'-]*\d{2,4}",
    re.IGNORECASE,
)
_YEAR_FIRST = r"\d{4}[-/.]\d"


def find_time(
    frame: pd.DataFrame, skip: Sequence[str] = (), first: bool = False, has_format: bool = False
) -> str | None:
    """The column of time stamps; ``None`` is the index.

    Args:
        frame: the table.
        skip: columns that are something else.
        first: whether the first of several columns of text is taken.
        has_format: whether a format says how to read them, so that any cells may be times.

    Raises:
        ValueError: if there is none, or several.
    """
    if holds_times(frame.index):
        return None
    columns = [c for c in frame.columns if c not in skip]
    candidates = [c for c in columns if holds_times(frame[c])]
    if not candidates:
        text = [c for c in columns if not pd.api.types.is_numeric_dtype(frame[c])]
        by_name = [
            c for c in columns if c.lower() in TIME_NAMES and (has_format or _may_be_time(frame[c]))
        ]
        periods = [c for c in columns if c.lower() in PERIOD_NAMES]
        candidates = (
            by_name
            or [c for c in text if _looks_like_time(frame[c])]
            or [c for c in periods if holds_digit_times(frame[c])]
        )
        candidates = candidates[: 1 if first or by_name else None]
    if not candidates and not pd.api.types.is_numeric_dtype(frame.index):
        if _looks_like_time(frame.index.to_series()):
            return None
    if len(candidates) != 1:
        what = f"columns {listed(candidates)} all hold times" if candidates else "no time column"
        hint = f"; pass {option_text('time')}"
        if not candidates and sum(_is_time(c) for c in columns) > max(2, len(columns) // 2):
            hint = "; the columns are named by times: turn the table round, a row for each time"
        raise ValueError(f"table: {what} among {listed(frame.columns)}{hint}")
    return str(candidates[0])


def require_whole(frame: pd.DataFrame, time: str | None, skip: Sequence[str]) -> None:
    """Check that the column of times holds all of them, not only the year, say.

    Args:
        frame: the table.
        time: the column of times.
        skip: columns that are something else.

    Raises:
        ValueError: naming the columns that hold the other parts.
    """
    parts = [c for c in frame.columns if c.lower() in PART_NAMES and c not in (*skip, time)]
    if time is not None and time.lower() in PART_NAMES and parts:
        raise ValueError(
            f"table: the time is divided over columns {listed([time, *parts])}; join them into "
            "one, such as 2018-01, and pass "
            f"{option_text('time')}"
        )


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
    for number, name in enumerate(frame.columns):
        column = frame.iloc[:, number]
        if column.dtype.kind in "fcbm" or not _MAY_BE_TIME.fullmatch(name.strip()):
            continue  # before what takes longer: tables may have thousands of columns
        cells = column.dropna().head(20).astype(str).str.strip()
        if column.dtype.kind in "iu" and not cells.str.len().eq(len(name.strip())).all():
            continue
        if len(cells) and _is_time(name) and cells.map(_is_time).all() and _goes_on(name, cells):
            raise ValueError(
                f"table: the header is missing: the column of times is called {name!r}; write a "
                "row of names, such as time,load, above the first one"
            )


def _goes_on(name: str, cells: pd.Series) -> bool:
    """Whether a year goes on in the cells below it, as a name of a column of numbers does not."""
    if not re.fullmatch(r"[0-9]{4}", name.strip()):
        return True
    if not cells.str.fullmatch(r"[0-9]{4}").all():
        return False
    steps = np.unique(np.diff([int(name), *cells.astype(int)]))
    return len(steps) == 1 and steps[0] != 0


def _is_time(name: str) -> bool:
    """Whether a name is a time itself."""
    cell = pd.Series([name.strip()])
    if cell.str.fullmatch(r"[0-9]+").all():
        return len(name.strip()) not in (6, 7) and holds_digit_times(cell)
    if not re.search(r"[0-9]", name):
        return False
    if is_month_name(name.strip()) or read_single(cell) is not None:
        return True
    return bool(cell.str.match(r"[0-9]{1,4}[-/.][0-9]").all()) and _looks_like_time(cell)


def _may_be_time(column: pd.Series) -> bool:
    """Whether a column with the name of a time holds text, or numbers that can be times."""
    present = column.dropna()
    if pd.api.types.is_numeric_dtype(column) or present.astype(str).str.fullmatch(r"\d+").all():
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
