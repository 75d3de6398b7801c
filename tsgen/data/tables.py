"""Reading tables: files and frames of other libraries, with columns that can be named."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from tsgen.data.csv_files import read_csv


def read_table(
    path: str | Path, text: Sequence[str] = (), times: Collection[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Read a CSV or a parquet file, and what was changed on the way.

    Args:
        path: the file; see :func:`tsgen.data.csv_files.read_csv` for what may be in a CSV.
        text: columns of a CSV that are text even where they hold digits.
        times: small names of columns that are text, too.

    Raises:
        ValueError: if the file is missing, unreadable or empty, naming it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: {'it is a folder' if path.is_dir() else 'no such file'}")
    try:
        if _is_parquet(path):
            frame, changes = _read_parquet(path), list[str]()
        else:
            frame, changes = read_csv(path, text, times)
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


class Opened(NamedTuple):
    """A table as a pandas frame."""

    frame: pd.DataFrame
    """Its columns are named by text; levels of an index of several are columns, too."""
    changes: list[str]
    """What was changed on the way."""
    levels: list[str]
    """The columns that were levels of the index."""


def to_pandas(
    data: Any, text: Sequence[str] = (), roles: Sequence[str] = (), times: Collection[str] = ()
) -> Opened:
    """A pandas frame of a frame, a path, or an object with ``to_pandas`` (polars, Arrow).

    Args:
        data: the table; it is not changed.
        text: columns that are text even where a file has digits in them.
        roles: columns that have a role; the index is one of them if it has such a name.
        times: small names of columns that are text in a file, as a time may begin with a zero.

    Raises:
        ValueError: for anything else, for a frame without rows, and for columns of one name.
    """
    changes: list[str] = []
    if isinstance(data, str | Path):
        data, changes = read_table(data, text, times)
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
    index, levels = frame.index, list[str]()
    if isinstance(index, pd.MultiIndex):
        names = [f"level_{i}" if n is None else column_name(n) for i, n in enumerate(index.names)]
        frame, levels = _with_levels(frame, index, names)
    elif index.name is not None and (name := column_name(index.name)) not in frame.columns:
        labels = index.dtype.kind not in "fM" and not isinstance(index.dtype, pd.PeriodDtype)
        if name in roles or (labels and not index.is_unique):
            frame, levels = _with_levels(frame, index, [name])
    elif isinstance(index.dtype, pd.CategoricalDtype):
        frame = frame.set_axis(pd.Index(index.astype(object)).infer_objects(), axis=0)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"table: column {twice[0]!r} is there twice")
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):  # whichever it might have held
            frame[name] = frame[name].astype(object).infer_objects()
    return Opened(frame, changes, levels)


def _with_levels(
    frame: pd.DataFrame, index: pd.Index, names: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The frame with the levels of its index as columns before the others."""
    levels = {name: index.get_level_values(i) for i, name in enumerate(names)}
    frame = frame.reset_index(drop=True)
    columns = [
        pd.Series(values, name=name).reset_index(drop=True) for name, values in levels.items()
    ]
    return pd.concat([*columns, frame], axis=1), names


def require_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise ``ValueError`` for a column that is not there."""
    for name in columns:
        if name not in frame.columns:
            comma = any("," in str(column) for column in frame.columns)
            hint = "; on the command line a name with a comma is put in quotes" if comma else ""
            raise ValueError(
                f"table: there is no column {name!r}; the columns are {listed(frame.columns)}{hint}"
            )


def listed(names: Iterable[Any]) -> str:
    """Names for a message: the first eight, each at most 40 letters long."""
    shown = [repr(n if len(n) <= 40 else n[:37] + "...") for n in map(str, names)]
    more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
    return ", ".join(shown[:8]) + more
