"""Rows of one time: a few are slips, many are series that were taken for one."""

from itertools import combinations

import numpy as np
import pandas as pd

from tsgen.core import option_text
from tsgen.data.time_column import PART_NAMES

_SHARE, _ITEM_SHARE = 0.05, 0.1  # of all rows, and of those of an item, that may be merged unasked
_DENSITY = 0.25  # share of the times at which an item has a row, if its name is a number
_COLUMNS = 12  # that are tried as those that tell series apart
_TIME_OF_DAY = r"\d{1,2}:\d\d(:\d\d)?.*"


def which_counts() -> str:
    """What to do about rows of one time."""
    return f"say which counts with {option_text('duplicates', 'last')}, 'first', 'mean' or 'sum'"


def many(repeated: int, rows: int) -> bool:
    """Whether so many rows have a time that was there before that they are no slips."""
    return repeated > max(1, _SHARE * rows)


def check_repeats(
    frame: pd.DataFrame,
    times: pd.DatetimeIndex,
    items: pd.Series | None,
    roles: list[str],
    item_id: tuple[str, ...],
) -> None:
    """Check that only a few rows have a time that another row of their item has.

    Rows that are the same in every column count once: nothing is lost when they are merged.

    Args:
        frame: the table.
        times: of its rows, (rows,).
        items: of its rows, ``None`` if all are of one time line.
        roles: columns with a role, which do not tell items apart.
        item_id: the columns that tell items apart so far.

    Raises:
        ValueError: naming the column, or the two, that tell such rows apart, if there are any.
    """
    item = np.zeros(len(frame), int) if items is None else pd.factorize(items)[0]
    keys = pd.DataFrame({"item": item, "time": times})
    repeated = keys.duplicated(keep=False).to_numpy()
    if not repeated.any():
        return
    cells = pd.concat(
        [keys[repeated].reset_index(drop=True), frame[repeated].reset_index(drop=True).astype(str)],
        axis=1,
    )
    copies = np.zeros(len(frame), bool)
    copies[repeated] = cells.set_axis(range(cells.shape[1]), axis=1).duplicated()
    keys = keys[~copies]
    lost = keys.duplicated().to_numpy()
    if not _too_many(keys, lost):
        return
    rows = np.flatnonzero(~copies)
    row = int(rows[lost.argmax()])
    of_item = "" if items is None else f" of item {items.iloc[row]!r}"
    text = (
        f"table: {lost.sum()} of {len(frame)} rows have a time that another row has"
        f"{'' if items is None else ', of the same item'}, such as {times[row]}{of_item} in row "
        f"{row}; "
    )
    parts, columns = _telling(frame.iloc[rows], keys, [*roles, *item_id])
    if parts:
        raise ValueError(
            f"{text}column {parts[0]!r} seems to hold the rest of the time: join it with the "
            f"column of times; else {which_counts()}"
        )
    if columns:
        every = [*item_id, *columns]
        option = option_text("item_id", every[0] if len(every) == 1 else every)
        tells = "column {} tells" if len(columns) == 1 else "columns {} and {} tell"
        tells = tells.format(*map(repr, columns))
        raise ValueError(f"{text}{tells} them apart: pass {option}; else {which_counts()}")
    raise ValueError(
        f"{text}no other column tells them apart; if a column of items is missing name it with "
        f"{option_text('item_id')}, else {which_counts()}"
    )


def _too_many(keys: pd.DataFrame, lost: np.ndarray) -> bool:
    """Whether more rows would be lost than slips explain, in all or in one item."""
    if many(int(lost.sum()), len(keys)):
        return True
    sizes = keys.groupby("item").size()
    gone = keys[lost].groupby("item").size()
    return bool((gone > np.maximum(2, _ITEM_SHARE * sizes.loc[gone.index])).any())


def _telling(
    frame: pd.DataFrame, keys: pd.DataFrame, roles: list[str]
) -> tuple[list[str], list[str]]:
    """Columns that hold a part of the time, and columns that tell series apart; either may be none.

    A column of items has few values, each of them many times, and of numbers each at many of the
    times; any column of measurements would tell rows apart, too.
    """
    codes: dict[str, np.ndarray] = {}
    for name in frame.columns:
        cells = frame[name]
        if name in roles or cells.isna().any():
            continue
        if pd.api.types.is_float_dtype(cells) and (cells % 1 != 0).any():
            continue
        numbers, values = pd.factorize(cells.astype(str))
        most = len(frame) / 2
        if pd.api.types.is_numeric_dtype(cells):  # else any count of things sold is an item
            most = len(frame) / (_DENSITY * keys["time"].nunique())
        if 1 < len(values) <= most:
            codes[name] = numbers
    names = sorted(codes, key=lambda name: codes[name].max())[:_COLUMNS]
    parts = [n for n in names if n.lower() in PART_NAMES or _is_clock(frame[n])]
    for several in (1, 2):
        for group in combinations(names, several):
            both = keys.assign(**{f"column {n}": codes[n] for n in group})
            if not _too_many(both, both.duplicated().to_numpy()):
                return [n for n in group if n in parts], list(group)
    return [], []


def _is_clock(cells: pd.Series) -> bool:
    return bool(cells.head(20).astype(str).str.fullmatch(_TIME_OF_DAY).all())
