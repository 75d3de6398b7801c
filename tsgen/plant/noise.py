"""Random paths that demand and sensors share; a longer run begins like a shorter one."""

import numpy as np
from scipy.signal import lfilter


def autoregression(
    rng: np.random.Generator, shape: tuple[int, int], deviation: float, memory: float
) -> np.ndarray:
    r"""Stationary Gaussian paths of first order, one of each column, independent.

    :math:`x_0 \sim N(0, s^2)`, :math:`x_k = \rho x_{k-1} + s \sqrt{1 - \rho^2} \varepsilon_k` with
    :math:`\rho = e^{-1/m}`: an Ornstein-Uhlenbeck process seen row by row, whose autocovariance is
    :math:`s^2 e^{-|k|/m}`.

    Args:
        rng: drawn from row by row.
        shape: (T, C).
        deviation: s.
        memory: m, rows after which the correlation has fallen to 1/e; 0 is white noise.

    Returns:
        (T, C).
    """
    shocks = rng.standard_normal(shape)
    if memory == 0:
        return deviation * shocks
    rho = np.exp(-1 / memory)
    shocks[1:] *= np.sqrt(1 - rho**2)
    return deviation * lfilter([1.0], [1.0, -rho], shocks, axis=0)


def drop_outs(
    begins: np.random.Generator,
    lengths: np.random.Generator,
    shape: tuple[int, int],
    rate: float,
    mean_rows: float,
) -> np.ndarray:
    r"""Where nothing is recorded, (T, C) of bool.

    At each row a drop-out begins with probability ``rate``, whether or not one lasts, and takes a
    geometric number N of rows, so that after many rows a cell is recorded with probability
    :math:`\prod_{j \ge 0} (1 - r P(N > j))`.

    Args:
        begins: draws where drop-outs begin.
        lengths: draws how long they last, one draw of each.
        shape: (T, C).
        rate: r, of a row and channel.
        mean_rows: mean of N, at least 1.
    """
    starts = begins.random(shape) < rate
    missing = np.zeros(shape, dtype=bool)
    for row, column in np.argwhere(starts):
        missing[row : row + lengths.geometric(1 / mean_rows), column] = True
    return missing
