"""Numbers of a table: decimal marks, missing values, and what is none."""

import re
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from tsgen.core import option_text

MISSING = frozenset(
    ["", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "nat", "1.#qnan", "-1.#ind"]
)
"""How a missing number may be written, in small letters."""

_SINGLE = re.compile(r"[+-]?\d*([.,])\d*(e[+-]?\d+)?", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:([.,])\d{3})(?:\1\d{3})*(?:(?!\1)([.,])\d*)?")


def decimal_mark(cell: str) -> str | None:
    """The mark before the decimals of a number; "?" if that cannot be told, ``None`` without one.

    "1,5" and "1.234,5" have a decimal comma, "1,234,567" a decimal point; "1,234" may have either.
    """
    if grouped := _GROUPED.fullmatch(cell):
        group, decimal = grouped.groups()
        return decimal or ("?" if cell.count(group) == 1 else {",": ".", ".": ","}[group])
    single = _SINGLE.fullmatch(cell)
    return single[1] if single is not None and any(c.isdigit() for c in cell) else None


def has_comma_numbers(column: pd.Series) -> bool:
    """Whether a column of text is mostly numbers, some of them with commas."""
    if column.dtype != object or not column.str.contains(",", regex=False).any():
        return False
    return _mostly_numbers(present(column))


def unmarked(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Text in which numbers have a decimal point and no other mark; and what was changed.

    A column has one decimal mark; where its own numbers do not tell, the other columns' do.

    Args:
        frame: cells of text.

    Raises:
        ValueError: for a column with both marks before decimals, and for a number like 1,234 where
            nothing tells whether that is a decimal comma.
    """
    frame, changes = frame.copy(), []
    columns = {name: cells for name in frame if _mostly_numbers(cells := present(frame[name]))}
    marks = {name: _marks(name, cells) for name, cells in columns.items()}
    decimals = {mark for examples in marks.values() for mark in examples if mark != "?"}
    for name, examples in marks.items():
        decimal = next(iter(set(examples) - {"?"} or (decimals if len(decimals) == 1 else {"?"})))
        if decimal == "?" and examples:
            raise ValueError(
                f"table: column {name!r}: {examples['?']!r} may have a decimal mark or one between "
                "thousands; write it without the one between thousands"
            )
        group = "," if decimal == "." else "."
        grouped = columns[name][columns[name].str.contains(group, regex=False)]
        if len(grouped):
            changes.append(
                f"column {name!r}: {grouped.iloc[0]!r} was read with {group!r} between thousands"
            )
        numbers = columns[name].str.replace(group, "", regex=False)
        frame[name] = numbers.str.replace(",", ".", regex=False).reindex(frame.index)
    return frame, changes


def _marks(name: Hashable, cells: pd.Series) -> dict[str, str]:
    """The decimal marks in a column, each with the first cell that has it."""
    marks: dict[str, str] = {}
    for cell in cells.unique():
        if (mark := decimal_mark(cell)) is not None:
            marks.setdefault(mark, cell)
    if "," in marks and "." in marks:
        raise ValueError(
            f"table: column {name!r}: {marks[',']!r} has a decimal comma, {marks['.']!r} a point"
        )
    return marks


def present(column: pd.Series) -> pd.Series:
    """The cells that are not missing, as text."""
    cells = column.dropna().astype(str).str.strip()
    return cells[~cells.str.lower().isin(MISSING)]


def _mostly_numbers(cells: pd.Series) -> bool:
    digits = cells.str.lstrip("+-").str.isdigit()
    return len(cells) > 0 and bool((digits | cells.map(decimal_mark).notna()).mean() > 0.5)


def as_numbers(column: pd.Series) -> pd.Series:
    """The column as numbers, if all its cells are; else as it is."""
    if column.dtype != object:
        return column
    try:
        return pd.to_numeric(present(column)).reindex(column.index)
    except (ValueError, TypeError):
        return column


def parse_numbers(
    frame: pd.DataFrame,
    columns: Sequence[str],
    times: pd.DatetimeIndex,
    roles: Mapping[str, str] | None = None,
) -> np.ndarray:
    """The columns as float64, (rows, columns); empty cells are NaN.

    Args:
        frame: the table.
        columns: those that must be numbers.
        times: of the rows.
        roles: of columns that are covariates: "known" or "past".

    Raises:
        ValueError: for a column of times, and for text or an infinite
            value, naming the cell.
    """
    roles = roles or {}
    values = np.empty((len(frame), len(columns)))
    for number, name in enumerate(columns):
        column = frame[name].reset_index(drop=True)
        if column.dtype.kind in "mMc" or isinstance(column.dtype, pd.PeriodDtype):
            cure = (
                f"{option_text(roles[name])} takes"
                if name in roles
                else "leave it out by naming the targets"
            )
            raise ValueError(
                f"table: column {name!r} holds {column.dtype}, expected numbers; {cure}"
                + (" numbers only" if name in roles else f" ({option_text('target')})")
            )
        if not pd.api.types.is_numeric_dtype(column.dtype):
            column = _numbers_of_text(column, name, times, roles.get(name))
        values[:, number] = column.to_numpy(dtype=float, na_value=np.nan)
        infinite = np.flatnonzero(np.isinf(values[:, number]))
        if len(infinite):
            raise ValueError(
                f"table: column {name!r}, row {infinite[0]} ({times[infinite[0]]}) is infinite; "
                "leave missing values empty"
            )
    return values


def _numbers_of_text(
    column: pd.Series, name: str, times: pd.DatetimeIndex, role: str | None
) -> pd.Series:
    """Numbers of a column of text or of mixed objects.

    Raises:
        ValueError: naming the first cell that is no number, and what may be done about it.
    """
    cells = present(column)
    parsed = pd.to_numeric(cells, errors="coerce")
    bad = cells.index[parsed.isna()]
    if not len(bad):
        return parsed.astype(float).reindex(column.index)
    row = bad[0]
    cell = repr(column.iloc[row])
    cell = cell if len(cell) <= 60 else cell[:57] + "..."
    if role is None:
        cure = (
            f"leave the column out by naming the targets ({option_text('target')}), or name it as "
            f"{option_text('item_id')} or {option_text('static')} if it tells series apart"
        )
    elif 2 * len(bad) > len(cells):
        cure = (
            f"{role}= takes numbers: make a column of 0 and 1 for each of the {cells.nunique()} "
            "names in it (pandas.get_dummies does)"
        )
    else:
        cure = f"{role}= takes numbers; leave missing values empty"
    raise ValueError(
        f"table: column {name!r}, row {row} ({times[row]}): {cell} is not a number; {cure}"
    )
