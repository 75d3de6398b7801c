"""Items of a long table: the columns that tell series apart, and the name of each item."""

import csv
import io
from collections.abc import Sequence

import pandas as pd

from tsgen.data.tables import require_columns

_MARK = "/"
"""Between the parts of a name; a part that has it is quoted as in a CSV."""


def item_names(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series | None:
    """The item of each row as text, (rows,); ``None`` without a column of items.

    Of several columns the name has a part for each, "north/7", from which :func:`item_parts` finds
    them again.

    Raises:
        ValueError: if a column is not there or empty in a row.
    """
    if not columns:
        return None
    require_columns(frame, columns)
    parts = []
    for column in columns:
        items = frame[column].reset_index(drop=True)
        text = items.astype(str)
        empty = (items.isna() | (text.str.strip() == "")).to_numpy()
        if empty.any():
            raise ValueError(
                f"table: column {column!r} is empty in row {int(empty.argmax())}, expected a name "
                "of an item"
            )
        parts.append(text)
    if len(columns) == 1:
        return parts[0]
    keys = pd.MultiIndex.from_arrays(parts)
    codes, unique = keys.factorize()
    names = pd.Series([_joined(key) for key in unique])
    return names.iloc[codes].reset_index(drop=True)


def item_parts(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """What each column of items holds for an item, by its name.

    Raises:
        ValueError: for a name that has not one part for each column.
    """
    if len(columns) == 1:
        return (name,)
    (parts,) = csv.reader(io.StringIO(name, newline=""), delimiter=_MARK)
    if len(parts) != len(columns):
        raise ValueError(
            f"item {name!r} has {len(parts)} parts, expected one for each of "
            f"{', '.join(map(repr, columns))}"
        )
    return tuple(parts)


def _joined(parts: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=_MARK, lineterminator="\r\n").writerow(parts)
    return text.getvalue().removesuffix("\r\n")
