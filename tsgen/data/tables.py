"""Reading tables: files and frames of other libraries, with columns that can be named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tsgen.data.csv_files import read_csv


def read_table(path: str | Path, text: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """Read a CSV or a parquet file, and what was changed on the way.

    Args:
        path: the file; see :func:`tsgen.data.csv_files.read_csv` for what may be in a CSV.
        text: columns of a CSV that are text even where they hold digits.

    Raises:
        ValueError: if the file is missing, unreadable or empty, naming it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: {'it is a folder' if path.is_dir() else 'no such file'}")
    try:
        frame, changes = (_read_parquet(path), []) if _is_parquet(path) else read_csv(path, text)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, EOFError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{path}: cannot be read as a table ({reason})") from None
    if frame.empty:
        raise ValueError(f"{path}: the table is empty ({len(frame.columns)} columns, no rows)")
    return frame, changes


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


def column_name(label: Any) -> str:
    """A column's label as a name: 0 is "0", ("load", "x") is "load x"."""
    parts = label if isinstance(label, tuple) else (label,)
    return " ".join(map(str, parts)).strip()


def to_pandas(data: Any, text: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """A pandas frame of a frame, a path, or an object with ``to_pandas`` (polars, Arrow).

    Args:
        data: the table; it is not changed.
        text: columns that are text even where a file has digits in them.

    Returns:
        The frame, its columns named by text, and what was changed on the way.

    Raises:
        ValueError: for anything else, for a frame without rows, and for columns of one name.
    """
    changes: list[str] = []
    if isinstance(data, str | Path):
        data, changes = read_table(data, text)
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
    frame = data.set_axis(pd.Index([column_name(label) for label in data.columns]), axis=1)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"table: column {twice[0]!r} is there twice")
    return frame, changes


def require_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise ``ValueError`` for a column that is not there."""
    for name in columns:
        if name not in frame.columns:
            raise ValueError(
                f"table: there is no column {name!r}; the columns are "
                f"{', '.join(map(repr, map(str, frame.columns)))}"
            )


def item_names(frame: pd.DataFrame, column: str | None) -> pd.Series | None:
    """The item of each row as text, (rows,); ``None`` without a column of items.

    Raises:
        ValueError: if the column is not there or empty in a row.
    """
    if column is None:
        return None
    require_columns(frame, [column])
    items = frame[column].reset_index(drop=True)
    if items.isna().any():
        raise ValueError(f"table: column {column!r} is empty in row {int(items.isna().argmax())}")
    return items.astype(str)
