"""The rows of a source as numbers, with their stamps and labels as written."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tsgen.data.csv_files import UNNAMED
from tsgen.data.numbers import MISSING, as_numbers
from tsgen.data.plant.labels import looks_like_label
from tsgen.data.plant.log import PlantLog
from tsgen.data.plant.source import RowError, Source

_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass
class RawLog:
    """Rows that hold anything.

    Args:
        tags: C names.
        values: (C, T) float64, NaN where missing.
        rows: numbers of the rows in the source, (T,).
        stamps: times as they were written, (T,), with ``rows`` as index.
        labels: as they were written, (T,), with ``rows`` as index.
        renamed: names that were changed.
        dropped: columns left out, and why.
        absent: tags expected that are not there.
        notes: what else was changed.
    """

    tags: list[str]
    values: np.ndarray
    rows: np.ndarray
    stamps: pd.Series | None
    labels: pd.Series | None
    renamed: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_raw(
    source: Source,
    time: list[str],
    label: str | None,
    drop: Sequence[str],
    prefix: str,
    missing: Sequence[str],
    like: PlantLog | Sequence[str] | None,
) -> RawLog:
    """Read all rows; for the arguments see :func:`tsgen.data.plant.read_log`.

    Raises:
        ValueError: for an unknown name, text in a tag, an infinite value, or no tag at all.
    """
    renamed = {n: n.removeprefix(prefix) for n in source.names if prefix and n.startswith(prefix)}
    columns, dropped = _columns(source, time, label, drop, renamed)
    names = {column: renamed.get(column, column) for column in columns}
    tags, absent = list(names.values()), list[str]()
    if like is not None:
        tags = list(like.tags if isinstance(like, PlantLog) else like)
        absent = [tag for tag in tags if tag not in names.values()]
        if len(absent) == len(tags):
            raise ValueError(f"it has none of the tags expected, {', '.join(tags[:8])}")
        for column in [c for c in columns if names[c] not in tags]:
            dropped[column] = "not expected"
            columns.remove(column)
    if not columns:
        raise ValueError("there is no column of a tag beside times and labels")
    gone = {text.strip().lower() for text in missing}
    parts: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    written: list[pd.DataFrame] = []
    blank = 0
    for piece in source.pieces():
        filled = piece.notna().any(axis=1).to_numpy()
        blank += int(np.count_nonzero(~filled))
        piece = piece if filled.all() else piece[filled]
        written.append(_stamps(piece, time, label))
        rows.append(piece.index.to_numpy())
        parts.append(np.stack([_numbers(piece[name], gone) for name in columns]))
    notes = [f"{blank:,} rows without anything were left out"] if blank else []
    raw = RawLog(tags, np.empty((0, 0)), np.concatenate(rows), None, None, renamed, dropped, absent)
    if not len(raw.rows):
        raise ValueError("there are no rows below the header")
    raw.notes = notes
    places = [tags.index(names[column]) for column in columns]
    raw.values = _joined(parts, places, len(tags), len(raw.rows))
    texts = pd.concat(written).set_axis(raw.rows)
    raw.stamps = texts["time"].rename(" ".join(time)) if time else None
    raw.labels = texts["label"] if label is not None else None
    return raw


def _columns(
    source: Source, time: list[str], label: str | None, drop: Sequence[str], renamed: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Columns of tags, and those left out with the reason."""
    for what, wanted in (("label", [label] if label else []), ("drop", drop)):
        columns_of_file = {*source.names, *renamed.values()}
        absent = [name for name in wanted if name not in columns_of_file]
        if absent:
            raise ValueError(f"{what}: there is no column {absent[0]!r}")
    columns, dropped = [], dict[str, str]()
    for name in source.names:
        if name in time or name == label:
            continue
        if name in drop or renamed.get(name) in drop:
            dropped[name] = "as asked for"
        elif name.startswith(UNNAMED):
            dropped[name] = "without a name"
        elif looks_like_label(name):
            dropped[name] = "looks like a label"
        else:
            columns.append(name)
    return columns, dropped


def _stamps(piece: pd.DataFrame, time: list[str], label: str | None) -> pd.DataFrame:
    """Times and labels as written; of dates and times of day the two joined."""
    cells = {}
    if len(time) == 1:
        cells["time"] = piece[time[0]]
    elif time:
        halves = [piece[name] for name in time]
        for half in halves:
            if half.isna().any():
                raise RowError(_first_row(half.isna()), f"column {half.name!r} has no time")
        joined = halves[0].astype(str).str.strip()
        for half in halves[1:]:
            joined = joined + " " + half.astype(str).str.strip()
        cells["time"] = joined
    if label is not None:
        cells["label"] = piece[label]
    return pd.DataFrame(cells, index=piece.index)


def _numbers(column: pd.Series, missing: set[str]) -> np.ndarray:
    """The cells of a column as float64, (T,)."""
    numbers = column
    if column.dtype == object or pd.api.types.is_string_dtype(column.dtype):
        column = column.astype(object)
        text = column.map(lambda cell: cell.strip().lower() if isinstance(cell, str) else cell)
        if missing:
            column = column.mask(text.isin(missing))
        numbers = as_numbers(column.map(lambda c: _TRUTH.get(str(c).strip().lower(), c)))
        if numbers.dtype == object:
            parsed = pd.to_numeric(numbers, errors="coerce")
            wrong = parsed.isna() & _as_text(numbers).ne("")
            row = _first_row(wrong)
            raise RowError(
                row,
                f"column {column.name!r}: {column[row]!r} is not a number; missing= names texts "
                "that mean a missing value, drop= leaves the column out",
            )
    elif column.dtype.kind not in "iufb" and not pd.api.types.is_numeric_dtype(column.dtype):
        raise ValueError(f"column {column.name!r} holds {column.dtype}; expected numbers")
    values = numbers.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        row = _first_row(pd.Series(np.isinf(values), numbers.index))
        raise RowError(row, f"column {column.name!r}: the value is infinite")
    return values


def _as_text(column: pd.Series) -> pd.Series:
    """Cells as text without blanks at their ends, empty where missing."""
    text = column.astype(str).str.strip()
    return text.mask(column.isna() | text.str.lower().isin(MISSING), "")


def _first_row(marks: pd.Series) -> int:
    """The number of the first row that is marked."""
    return int(marks.index.to_numpy()[int(np.argmax(marks.to_numpy()))])


def _joined(parts: list[np.ndarray], places: list[int], tags: int, rows: int) -> np.ndarray:
    """The pieces (columns, n) as one (tags, rows); each is let go of as soon as it is copied."""
    values = np.empty((tags, rows))
    absent = sorted(set(range(tags)) - set(places))
    values[absent] = np.nan
    stop = rows
    while parts:
        part = parts.pop()
        values[places, stop - part.shape[1] : stop] = part
        stop -= part.shape[1]
    return values
