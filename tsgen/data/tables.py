"""Reading tables: files, frames of other libraries, time stamps and numbers, each checked."""

import csv
import gzip
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_TIME_NAMES = ("time", "timestamp", "date", "datetime", "ds", "time_utc", "date_time", "zeit")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV (also ``.gz``, ``.tsv``, semicolons, decimal commas) or a parquet file.

    Raises:
        ValueError: if the file is missing, unreadable or empty, naming it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        frame = _read_parquet(path) if _is_parquet(path) else _read_csv(path)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, EOFError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{path}: cannot be read as a table ({reason})") from None
    if frame.empty:
        raise ValueError(f"{path}: the table is empty ({len(frame.columns)} columns, no rows)")
    return frame


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(4) == b"PAR1" or path.suffix in (".parquet", ".pq")


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise ValueError(
            f"{path}: reading parquet needs pyarrow: pip install 'tsgen-forecast[parquet]'"
        ) from None
    except Exception as error:  # pyarrow's errors, which cannot be named without it
        raise OSError(error) from None


def _read_csv(path: Path) -> pd.DataFrame:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as handle:
        head = handle.read(2**16)
    if not head.strip():
        raise ValueError(f"{path}: the file is empty")
    if "\0" in head:
        raise OSError("it holds binary data")
    lines = head.splitlines()[:20]
    mark = max(",;\t|", key=lambda m: (lines[0].count(m), -",;\t|".index(m)))
    cells = [
        cell
        for row in csv.reader(io.StringIO("\n".join(lines[1:])), delimiter=mark)
        for cell in row
    ]
    comma = mark != "," and any(_is_comma_number(c) for c in cells)
    return pd.read_csv(
        path, sep=mark, decimal="," if comma else ".", encoding="utf-8-sig",
        skipinitialspace=True, low_memory=False,
    ).rename(columns=lambda name: str(name).strip())  # fmt: skip


def _is_comma_number(cell: str) -> bool:
    whole, _, part = cell.strip().lstrip("-").partition(",")
    return whole.isdigit() and part.isdigit()


def to_pandas(data: Any) -> pd.DataFrame:
    """A pandas frame of a frame, a path, or an object with ``to_pandas`` (polars, Arrow).

    Raises:
        ValueError: for anything else, and for a frame without rows.
    """
    if isinstance(data, str | Path):
        return read_table(data)
    if isinstance(data, pd.Series):
        data = data.to_frame(data.name if data.name is not None else "value")
    if not isinstance(data, pd.DataFrame) and hasattr(data, "to_pandas"):
        data = data.to_pandas()
    if not isinstance(data, pd.DataFrame):
        raise ValueError(
            f"table: {type(data).__name__} is neither a data frame, nor a path of one, nor has it "
            "a to_pandas method"
        )
    if data.empty:
        raise ValueError(f"table: it is empty ({len(data.columns)} columns, {len(data)} rows)")
    twice = data.columns[data.columns.duplicated()]
    if len(twice):
        raise ValueError(f"table: column {str(twice[0])!r} is there twice")
    return data


def find_time(frame: pd.DataFrame, skip: Sequence[str] = ()) -> str | None:
    """The column of time stamps; ``None`` is the index.

    Raises:
        ValueError: if there is none, or several.
    """
    if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex):
        return None
    columns = [c for c in frame.columns if c not in skip]
    dated = [c for c in columns if pd.api.types.is_datetime64_any_dtype(frame[c])]
    dated += [c for c in columns if isinstance(frame[c].dtype, pd.PeriodDtype)]
    if not dated:
        text = [c for c in columns if not pd.api.types.is_numeric_dtype(frame[c])]
        named = [c for c in text if str(c).lower() in _TIME_NAMES]
        dated = (named or [c for c in text if _looks_like_time(frame[c])])[:1]
    if not dated and not pd.api.types.is_numeric_dtype(frame.index):
        if _looks_like_time(frame.index.to_series()):
            return None
    if len(dated) != 1:
        found = (
            f"columns {', '.join(map(repr, dated))} all hold times" if dated else "no time column"
        )
        raise ValueError(
            f"table: {found} among {', '.join(map(repr, map(str, frame.columns)))}; pass time="
        )
    return str(dated[0])


def _looks_like_time(column: pd.Series) -> bool:
    values = column.dropna()
    if not len(values) or not all(isinstance(v, str) for v in values.head(20)):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not know the format at once
        try:
            pd.to_datetime(values.head(20))
        except (ValueError, TypeError):
            return False
    return True


def parse_times(
    frame: pd.DataFrame, column: str | None, dayfirst: bool
) -> tuple[pd.DatetimeIndex, list[str]]:
    """Time stamps of a column, or of the index, without time zone, and what was changed.

    Raises:
        ValueError: for stamps that are missing or no times, naming the first.
    """
    where = "the index" if column is None else f"column {column!r}"
    require_columns(frame, [] if column is None else [column])
    values = frame.index if column is None else frame[column]
    if isinstance(values.dtype, pd.PeriodDtype):
        return pd.DatetimeIndex(pd.PeriodIndex(values).to_timestamp()), []
    if pd.api.types.is_numeric_dtype(values.dtype):
        raise ValueError(
            f"table: {where} holds numbers ({np.asarray(values)[0]}), "
            "expected times; convert it with pandas.to_datetime and its unit first"
        )
    times = pd.Series(np.asarray(values) if column is None else values.to_numpy())
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        times = _parse(times, where, dayfirst)
    else:
        times = pd.Series(pd.DatetimeIndex(values))
    if times.isna().any():
        row = int(np.flatnonzero(times.isna())[0])
        raise ValueError(f"table: {where} has no time in row {row}")
    zone = times.dt.tz
    if zone is None:
        return pd.DatetimeIndex(times), []
    converted = pd.DatetimeIndex(times).tz_convert("UTC").tz_localize(None)
    same = str(zone) in ("UTC", "UTC+00:00")
    return converted, [] if same else [f"times were converted from {zone} to UTC"]


def _parse(times: pd.Series, where: str, dayfirst: bool) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pd.Series(pd.to_datetime(times, dayfirst=dayfirst))
        except (ValueError, TypeError):
            pass
        mixed = pd.to_datetime(times, dayfirst=dayfirst, errors="coerce")
    bad = np.flatnonzero(mixed.isna() & times.notna())
    if not len(bad):
        return pd.Series(pd.to_datetime(times, dayfirst=dayfirst, utc=True))
    raise ValueError(
        f"table: {where}, row {bad[0]}: {times[bad[0]]!r} is not a time written like "
        f"{times[0]!r}" + ("" if dayfirst else "; pass dayfirst=True if days come before months")
    )


def require_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise ``ValueError`` for a column that is not there."""
    for name in columns:
        if name not in frame.columns:
            raise ValueError(
                f"table: there is no column {name!r}; the columns are "
                f"{', '.join(map(repr, map(str, frame.columns)))}"
            )


def parse_numbers(
    frame: pd.DataFrame, columns: Sequence[str], times: pd.DatetimeIndex
) -> np.ndarray:
    """The columns as float64, (rows, columns); empty cells are NaN.

    Raises:
        ValueError: for a column that is not there, and for text or an infinite value, naming the
            cell.
    """
    require_columns(frame, columns)
    values = np.empty((len(frame), len(columns)))
    for number, name in enumerate(columns):
        column = frame[name]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            parsed = pd.to_numeric(column, errors="coerce")
            filled = column.notna() & (column.astype(str).str.strip() != "")
            bad = np.flatnonzero((parsed.isna() & filled).to_numpy())
            if len(bad):
                raise ValueError(
                    f"table: column {name!r}, row {bad[0]} ({times[bad[0]]}): "
                    f"{column.iloc[bad[0]]!r} is not a number; leave the column out by naming the "
                    "targets (target=), or name it as item_id= or static= if it tells series apart"
                )
            column = parsed
        values[:, number] = column.to_numpy(dtype=float, na_value=np.nan)
        infinite = np.flatnonzero(np.isinf(values[:, number]))
        if len(infinite):
            raise ValueError(
                f"table: column {name!r}, row {infinite[0]} ({times[infinite[0]]}) is infinite; "
                "leave missing values empty"
            )
    return values
