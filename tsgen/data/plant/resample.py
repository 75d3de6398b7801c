"""Down-sampling a log: each row stands for several."""

import numpy as np
import pandas as pd

from tsgen.data.plant.kinds import CODED, Kind


def bins_of(index: pd.Index, every: str | int) -> np.ndarray:
    """The number of the bin that each row falls into, (T,), from 0 at the first row.

    Args:
        index: times, or numbers of rows.
        every: the length of a bin, as "10s"; of numbered rows how many.

    Raises:
        ValueError: if it is neither, or not above 0.
    """
    if not isinstance(index, pd.DatetimeIndex):
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every={every!r}; expected a number of rows: they have no times")
        return np.arange(len(index)) // every
    length = as_duration("every", every)
    after = index.as_unit("ns").asi8
    return (after - after[0]) // length.value


def as_duration(name: str, text: str | int) -> pd.Timedelta:
    """A positive duration from text.

    Raises:
        ValueError: naming the option and what it holds.
    """
    try:
        if isinstance(text, int):
            raise ValueError(text)
        duration = pd.Timedelta(text)
    except ValueError:
        raise ValueError(f"{name}={text!r}; expected a duration such as '10s' or '6h'") from None
    if not duration > pd.Timedelta(0):
        raise ValueError(f"{name}={text!r}; expected a duration above 0")
    return duration


def down_sample(
    frame: pd.DataFrame, labels: np.ndarray | None, every: str | int, kinds: dict[str, Kind]
) -> tuple[pd.DataFrame, np.ndarray | None]:
    """A row for each bin that holds any, at the time of the bin's start.

    Medians of what was recorded; of binary and discrete tags the lower of two middle values, which
    is a value that occurred. A row is labelled an attack if any of its bin is.

    Args:
        frame: (T, C).
        labels: 0 and 1, (T,).
        every: the length of a bin; bins start at the first row.
        kinds: of each tag.
    """
    bins = bins_of(frame.index, every)
    numbers, starts = np.unique(bins, return_index=True)
    index: pd.Index = pd.RangeIndex(len(numbers))
    if isinstance(frame.index, pd.DatetimeIndex):
        start, length = frame.index[0], as_duration("every", every)
        index = (start + pd.to_timedelta(numbers * length.value, unit="ns")).rename(
            frame.index.name
        )
    values = np.empty((frame.shape[1], len(numbers)))
    for number, tag in enumerate(frame.columns):
        values[number] = _medians(frame[tag].to_numpy(), bins, starts, kinds[tag] in CODED)
    if labels is not None:
        labels = np.maximum.reduceat(labels, starts)
    return pd.DataFrame(values.T, index=index, columns=frame.columns, copy=False), labels


def _medians(column: np.ndarray, bins: np.ndarray, starts: np.ndarray, lower: bool) -> np.ndarray:
    """Of each bin of rows that follow each other, of what is not NaN."""
    order = np.lexsort((column, bins))  # NaN come last in their bins
    ranked = column[order]
    count = np.add.reduceat((~np.isnan(column)).astype(int), starts)
    low = starts + np.maximum(count - 1, 0) // 2
    middle = ranked[low]
    if not lower:
        high = np.minimum(starts + count // 2, len(column) - 1)
        middle = np.where(count % 2 == 0, (middle + ranked[high]) / 2, middle)
    return np.where(count > 0, middle, np.nan)
