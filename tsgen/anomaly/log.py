"""Logs: what a plant recorded, checked and put on an even grid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tsgen.data.plant.labels import LABEL_NAMES

Data: TypeAlias = Any
"""A DataFrame, an array (T, C), a GluonTS data set, or a list of DataFrames or arrays (runs)."""


@dataclass(frozen=True)
class Log:
    """One uninterrupted recording.

    Args:
        values: (T, C), NaN where missing.
        names: of the channels.
        times: of the rows; ``None`` where rows are only numbered.
    """

    values: np.ndarray
    names: tuple[str, ...]
    times: pd.DatetimeIndex | None = None

    @property
    def period(self) -> float | None:
        """The usual seconds between rows (median)."""
        if self.times is None or len(self.times) < 2:
            return None
        return float(np.median(self.times.to_series().diff().dt.total_seconds().iloc[1:]))

    def rows(self, period: float | None, most: int) -> np.ndarray:
        """The number of each row on a grid of that period (T,): missing rows leave numbers out.

        A gap counts for at most ``most`` rows.
        """
        if self.times is None or period is None:
            return np.arange(len(self.values))
        steps = self.times.to_series().diff().dt.total_seconds().to_numpy()
        steps[:1] = period
        return np.cumsum([missing_rows(float(step), period, most) + 1 for step in steps]) - 1


def missing_rows(seconds: float, period: float, most: int) -> int:
    """How many rows are missing between two rows so many seconds apart, at most ``most``."""
    return min(max(round(seconds / period) - 1, 0), most)


def settled(recorded: np.ndarray, memory: int) -> np.ndarray:
    """Which of the last T rows of (memory + 1 + T,) follow enough recorded rows.

    Of the ``memory`` rows before them, (T,), a sixteenth may be missing. A missing row right after
    a recorded one counts as recorded: its values are carried forward.
    """
    total = np.concatenate([[0], np.cumsum(recorded[1:] | recorded[:-1])])
    count = len(recorded) - memory - 1
    return total[memory : memory + count] - total[:count] >= memory - memory // 16


def hold_out(
    runs: Sequence[pd.DataFrame], share: float, pieces: int = 5
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Divide normal data: what to learn from, and what to calibrate on.

    The rows of all runs are cut into pieces of equal length, of each of which the end is held out:
    what is held out has all seasons of what is learnt from.

    Args:
        runs: one after the other.
        share: of the rows that are held out, in (0, 1).
        pieces: at least 1, of which the end of the data is held out.

    Returns:
        Runs to learn from and runs that were held out.

    Raises:
        ValueError: for a share or pieces out of range.
    """
    if not 0 < share < 1 or pieces < 1:
        raise ValueError(f"share={share} must lie in (0, 1) and pieces={pieces} be at least 1")
    total = sum(map(len, runs))
    edges = np.linspace(0, total, pieces + 1)
    cuts = np.stack([edges[1:] - share * np.diff(edges), edges[1:]], 1).round().astype(int).ravel()
    parts: tuple[list[pd.DataFrame], list[pd.DataFrame]] = ([], [])
    start = 0
    for run in runs:
        inner = cuts[(cuts > start) & (cuts < start + len(run))] - start
        for first, last in pairwise([0, *inner.tolist(), len(run)]):
            number = int(np.searchsorted(cuts, start + first, side="right"))
            parts[number % 2].append(run.iloc[first:last])
        start += len(run)
    return parts


def read_runs(data: Data, names: Sequence[str] | None = None) -> list[Log]:
    """Check data and return its runs.

    Args:
        data: a DataFrame with a column per channel, whose index may hold times; an array (T, C) or
            (T,); a GluonTS data set, each entry of which is a run; or a list of DataFrames or
            arrays, each of which is a run.
        names: the channels expected, in the order wanted.

    Raises:
        ValueError: for text, infinite values, columns that hold labels, times that are missing, go
            backwards or come twice, or channels other than expected.
    """
    if isinstance(data, pd.DataFrame):
        return [_from_frame(data, names)]
    if isinstance(data, np.ndarray):
        return [_from_array(data, names)]
    if isinstance(data, Iterable):
        parts = list(data)
        if parts and all(isinstance(part, dict) for part in parts):
            return [_from_entry(part, names) for part in parts]
        if parts and all(isinstance(part, pd.DataFrame | np.ndarray) for part in parts):
            first = read_runs(parts[0], names)
            return first + [run for part in parts[1:] for run in read_runs(part, first[0].names)]
    raise ValueError(
        f"data is a {type(data).__name__}; expected a DataFrame, an array (T, C), a GluonTS data "
        "set, or a list of DataFrames or arrays"
    )


def _from_frame(frame: pd.DataFrame, names: Sequence[str] | None) -> Log:
    columns = [str(column) for column in frame.columns]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise ValueError(f"columns come twice: {', '.join(twice)}")
    labels = [column for column in columns if column.strip().lower() in LABEL_NAMES]
    if labels and (names is None or not set(labels) <= set(names)):
        raise ValueError(
            f"column {labels[0]!r} looks like a label, not like a channel: drop it from the data "
            "(a detector that sees it learns nothing else)"
        )
    frame = frame.set_axis(columns, axis=1)
    if names is not None:
        _same_channels(columns, names)
        frame = frame[list(names)]
    times = _times(frame.index)
    for column in frame:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            numbers = pd.to_numeric(frame[column], errors="coerce")
            wrong = numbers.isna() & frame[column].notna()
            if wrong.any():
                row = int(np.argmax(wrong.to_numpy()))
                raise ValueError(
                    f"column {column!r}, row {frame.index[row]}: {frame[column].iloc[row]!r} is no "
                    "number"
                )
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    return _checked(Log(values, tuple(frame.columns), times))


def _from_array(values: np.ndarray, names: Sequence[str] | None) -> Log:
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.number) and values.dtype != bool:
        raise ValueError(
            f"data has shape {values.shape} and type {values.dtype}; expected numbers (T, C)"
        )
    if names is not None and values.shape[1] != len(names):
        raise ValueError(f"data has {values.shape[1]} channels; expected {len(names)}")
    channels = tuple(names or (f"channel_{i}" for i in range(values.shape[1])))
    return _checked(Log(values.astype(float), channels))


def _from_entry(entry: dict, names: Sequence[str] | None) -> Log:
    target = np.atleast_2d(np.asarray(entry["target"], dtype=float))
    log = _from_array(target.T, names)
    start = entry["start"]
    period = start if isinstance(start, pd.Period) else pd.Period(start, freq=entry.get("freq"))
    times = pd.period_range(period, periods=len(log.values)).to_timestamp()
    return Log(log.values, log.names, times)


def _times(index: pd.Index) -> pd.DatetimeIndex | None:
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if not isinstance(index, pd.DatetimeIndex):
        if pd.api.types.is_numeric_dtype(index):
            return None
        raise ValueError(
            f"the index holds {index.dtype}; expected times (pandas.to_datetime) or row numbers"
        )
    if index.hasnans:
        raise ValueError(f"row {int(np.argmax(index.isna()))} has no time")
    steps = index.to_series().diff().dt.total_seconds().to_numpy()[1:]
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        what = "comes twice" if steps[row - 1] == 0 else f"follows {index[row - 1]}"
        raise ValueError(f"times must increase: row {row}, {index[row]}, {what}")
    return index


def _same_channels(columns: Sequence[str], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in columns]
    extra = [column for column in columns if column not in names]
    if missing or extra:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"unknown {', '.join(extra)}"] if extra else []
        raise ValueError(f"the channels are not those of training: {'; '.join(parts)}")


def _checked(log: Log) -> Log:
    if log.values.size == 0:
        raise ValueError(f"data has shape {log.values.shape}; expected at least a row and a column")
    wrong = np.isinf(log.values)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(f"column {log.names[column]!r}, row {row}: the value is infinite")
    return log
