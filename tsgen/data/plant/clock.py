"""Times of a log: their columns, the order of day and month, gaps, duplicates, steps back."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tsgen.data.plant.source import RowError
from tsgen.data.times import TIME_NAMES, find_time, parse_times

_TWO_WAYS = r"^\s*(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}\b"
_BLOCK = 50_000  # rows
_HOUR = pd.Timedelta("1h")


class Times(NamedTuple):
    """The times of rows and how they were read."""

    stamps: pd.DatetimeIndex
    dayfirst: bool | None
    """``None`` where the order of day and month did not matter."""
    order: str
    """How it was told, in words."""
    changes: list[str]


def names_times(cells: Sequence[str]) -> bool:
    """Whether cells of a row are names, one of which is usual for times."""
    return any(cell.lower() in TIME_NAMES for cell in cells)


def time_columns(head: pd.DataFrame, time: str | Sequence[str] | None) -> list[str]:
    """The columns that hold times: one, or one of dates and one of times of day.

    Args:
        head: the first rows of a log.
        time: the columns if they are known.

    Raises:
        ValueError: if there is none, or not the one asked for.
    """
    if time is not None:
        wanted = [time] if isinstance(time, str) else list(time)
        lower = {name.lower(): name for name in head.columns}
        absent = [name for name in wanted if name.strip().lower() not in lower]
        if absent:
            raise ValueError(
                f"there is no column of times {absent[0]!r}; the columns are "
                f"{', '.join(map(repr, head.columns[:8]))}{', ...' if head.shape[1] > 8 else ''}"
            )
        return [lower[name.strip().lower()] for name in wanted]
    lower = {name.lower(): name for name in head.columns}
    if {"date", "time"} <= set(lower) and not pd.api.types.is_numeric_dtype(head[lower["time"]]):
        if not head[lower["time"]].astype(str).str.contains(r"\d[-/.]\d+[-/.]\d").any():
            return [lower["date"], lower["time"]]
    try:
        column = find_time(head, first=True)
    except ValueError as error:
        raise ValueError(
            f"{str(error).removeprefix('table: ')} the column, or time=False if rows are only "
            "numbered"
        ) from None
    assert column is not None  # the index counts rows
    return [column]


def read_times(stamps: pd.Series, dayfirst: bool | None) -> Times:
    """Stamps as times without a zone.

    The order of day and month is told by the whole column: a number above 12 tells it; else the
    order in which times never go backwards; else the one that covers the shorter span, as a log
    without gaps does; else months come first.

    Args:
        stamps: as they were written, (T,).
        dayfirst: whether days come before months; ``None`` to find out.

    Raises:
        RowError: for stamps that are missing or no times, with the row by their index.
    """
    order = "as asked for"
    if dayfirst is None:
        dayfirst, order = day_order(stamps)
    index, changes = _parsed(stamps, bool(dayfirst))
    return Times(index, dayfirst, order, changes)


def day_order(stamps: pd.Series) -> tuple[bool | None, str]:
    """Whether days come before months, and what told so; see :func:`read_times`.

    Raises:
        RowError: if one date can only be read with days first and another only with months first.
    """
    if stamps.dtype != object and not pd.api.types.is_string_dtype(stamps.dtype):
        return None, ""
    evidence: dict[bool, int] = {}
    for block in _blocks(stamps):
        parts = block.astype(str).str.extract(_TWO_WAYS, flags=re.ASCII)
        if parts.isna().to_numpy().any():
            return None, ""
        for number, dayfirst in ((0, True), (1, False)):
            large = parts[number].astype(int).to_numpy() > 12
            if dayfirst not in evidence and large.any():
                evidence[dayfirst] = int(block.index[int(np.argmax(large))])
    if len(evidence) == 2:
        last, other = max(evidence.values()), min(evidence.values())
        raise RowError(
            last,
            f"column {stamps.name!r}: {str(stamps[last]).strip()!r} and, before it, "
            f"{str(stamps[other]).strip()!r} have day and month in different orders",
        )
    for dayfirst, row in evidence.items():
        name = "first" if dayfirst else "second"
        return dayfirst, f"the {name} number of {str(stamps[row]).strip()!r} is a day"
    read = {way: _parsed(stamps, way)[0] for way in (True, False)}
    rising = {way: times.is_monotonic_increasing for way, times in read.items()}
    if rising[True] != rising[False]:
        return rising[True], "read the other way times go backwards"
    span = {way: times.max() - times.min() for way, times in read.items()}
    if span[True] != span[False]:
        return span[True] < span[False], f"read the other way the rows span {max(span.values())}"
    return False, "nothing tells; months first was assumed (dayfirst= says otherwise)"


def _blocks(stamps: pd.Series) -> Iterator[pd.Series]:
    """Some rows at a time: text is parsed by way of several copies."""
    for first in range(0, len(stamps), _BLOCK):
        yield stamps.iloc[first : first + _BLOCK]


def _parsed(stamps: pd.Series, dayfirst: bool) -> tuple[pd.DatetimeIndex, list[str]]:
    """All stamps as times, and what was changed."""
    blocks: list[pd.DatetimeIndex] = []
    changes: list[str] = []
    for block in _blocks(stamps):
        frame = block.reset_index(drop=True).to_frame("time")
        try:
            times, more = parse_times(frame, "time", dayfirst, days=False)
        except ValueError as error:
            text = re.sub("; pass time_format=.*", "", str(error).removeprefix("table: "))
            text = text.replace("column 'time'", f"column {stamps.name!r}")
            if (row := re.search(r"(,| in) row (\d+)", text)) is None:
                raise ValueError(text) from None
            raise RowError(int(block.index[int(row[2])]), text.replace(row[0], "", 1)) from None
        blocks.append(times)
        changes += [change for change in more if change not in changes]
    return pd.DatetimeIndex(np.concatenate(blocks), name="time"), changes


def require_rising(times: pd.DatetimeIndex, rows: np.ndarray) -> None:
    """Check that times (T,) never go backwards; they may come twice.

    Args:
        times: (T,).
        rows: their numbers, (T,).

    Raises:
        RowError: with both times.
    """
    back = np.flatnonzero(np.diff(times.asi8) < 0)
    if len(back):
        row = int(back[0]) + 1
        raise RowError(int(rows[row]), backwards(times[row], times[row - 1]))


def backwards(time: pd.Timestamp, before: pd.Timestamp) -> str:
    """What to say of a time that is earlier than the one before it."""
    text = f"times go backwards, {time} follows {before}"
    if abs((before - time) - _HOUR) <= pd.Timedelta("15min"):
        text += (
            "; an hour back looks like the end of summer time: write times in UTC or with their "
            "offset (+01:00)"
        )
    return text


def usual_step(times: pd.DatetimeIndex) -> pd.Timedelta | None:
    """The median of the steps between rows; ``None`` for fewer than two rows."""
    if len(times) < 2:
        return None
    return pd.Timedelta(int(np.median(np.diff(times.as_unit("ns").asi8))), unit="ns")


def gaps(times: pd.DatetimeIndex) -> tuple[int, pd.Timedelta | None]:
    """How many steps are longer than 1.5 usual ones, and the longest of these."""
    usual = usual_step(times)
    if usual is None:
        return 0, None
    steps = np.diff(times.as_unit("ns").asi8)
    long = steps[steps > 1.5 * usual.value]
    return len(long), pd.Timedelta(int(long.max()), unit="ns") if len(long) else None
