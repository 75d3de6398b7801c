"""Arithmetic along time: gaps filled from before, sums over trailing windows, moments."""

import numpy as np


def carry_forward(
    values: np.ndarray,
    observed: np.ndarray,
    axis: int = -1,
    before: float | np.ndarray = np.nan,
) -> np.ndarray:
    """Replace each value that is not observed by the last observed one before it.

    Args:
        values: an array with time along one axis.
        observed: where values are observed, bool, of the same shape.
        axis: of time.
        before: stands before the first observed value; a number, or an array that broadcasts.

    Returns:
        The values themselves if all are observed, else a new array.
    """
    if observed.all():
        return values
    shape = [1] * values.ndim
    shape[axis] = -1
    steps = np.arange(values.shape[axis]).reshape(shape)
    last = np.maximum.accumulate(np.where(observed, steps, -1), axis=axis)
    carried = np.take_along_axis(values, np.maximum(last, 0), axis)
    return np.where(last >= 0, carried, before)


def trailing_sums(values: np.ndarray, window: int | None) -> np.ndarray:
    """Sum of the last ``window`` columns of (C, T) at each column, (C, T); ``None`` is all of them.

    There is no cancellation as in a difference of cumulative sums: columns are cut into blocks of
    the window's length; a window is a suffix of one block and a prefix of the next.
    """
    channels, length = values.shape
    if window is None or window >= length:
        return np.cumsum(values, axis=1)
    if window == 1:
        return values
    blocks = -(-length // window)
    padded = np.zeros((channels, blocks * window))
    padded[:, :length] = values
    blocked = padded.reshape(channels, blocks, window)
    prefix = np.cumsum(blocked, axis=2)
    suffix = np.zeros_like(blocked)
    suffix[:, 1:, :-1] = np.cumsum(blocked[:, :-1, :0:-1], axis=2)[:, :, ::-1]
    return (prefix + suffix).reshape(channels, -1)[:, :length]


class Moments:
    """Mean and mean square deviation of channels, of parts of (C, T) that come one after the other.

    Deviations are taken from the mean of their own part, so that a large level costs no digits
    (Chan, Golub, LeVeque 1983).

    Attributes:
        count: number of values, (C,).
        mean: (C,).
    """

    def __init__(self) -> None:
        self.count, self.mean, self._squares = np.zeros(1), np.zeros(1), np.zeros(1)

    def add(self, values: np.ndarray, observed: np.ndarray) -> None:
        """Take the next values (C, T) where they are observed, bool (C, T)."""
        number = observed.sum(1)
        part = np.where(observed, values, 0.0).sum(1) / np.maximum(number, 1)
        change, total = part - self.mean, np.maximum(self.count + number, 1)
        within = np.where(observed, (values - part[:, None]) ** 2, 0.0).sum(1)
        self._squares = self._squares + within + change**2 * self.count * number / total
        self.mean = self.mean + change * number / total
        self.count = self.count + number

    @property
    def variance(self) -> np.ndarray:
        """Mean square deviation, (C,); 0 without values."""
        return self._squares / np.maximum(self.count, 1)

    def scale(self, relative: float, absolute: float = 0.0) -> np.ndarray:
        """Standard deviation, (C,), or 1 where there is no spread.

        A variance up to ``relative`` times the squared mean and ``absolute`` is rounding error,
        whatever the unit.
        """
        spread = self.variance > relative * self.mean**2 + absolute
        return np.where(spread, np.sqrt(self.variance), 1.0)
