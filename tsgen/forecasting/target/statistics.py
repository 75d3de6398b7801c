r"""Running statistics: from the data's own scale to values of order one, and back.

The target y is first mapped by its support's link to :math:`z = g(y) \in \mathbb{R}`, then to
:math:`x = (z - m) / s`. Location m and scale s are *causal running statistics*: at each time they
look at the observed values up to then, never beyond. A window's inputs and the pairs inside its
context use those of their own time; the pairs of the horizon use those at the forecast's start.
One thing comes from all that is known of a series, in training its whole length, for a forecast its
history: a size that the scale may not fall far below, see :mod:`tsgen.forecasting.target.onset`.
"""

from typing import Literal

import numpy as np
import pandas as pd

from tsgen.data.running import carry_forward, trailing_sums
from tsgen.forecasting.target.onset import least_scale

Scaling = Literal["mean", "standard", "robust", "anchored", "global", "none"]


def running_statistics(
    z: np.ndarray,
    observed: np.ndarray,
    kind: Scaling,
    window: int | None,
    fixed: np.ndarray | None = None,
    last: int | None = None,
    size: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Location and scale at each time, from the observed values of the last ``window`` steps.

    ========  =======================  ===========================================================
    kind      location                 scale
    ========  =======================  ===========================================================
    mean      0                        mean absolute value (Salinas et al. 2020, section 3.3)
    standard  mean                     standard deviation
    robust    median                   interquartile range / 1.349
    anchored  the last value observed  root mean square of changes between observed values
    global    mean                     standard deviation, both of the training data
    none      0                        1
    ========  =======================  ===========================================================

    A scale of zero (a constant stretch) is replaced by the last one that was not zero, or, before
    the first such, by the series' size; none is allowed to fall below 1e-4 of that of the whole
    past, or below what its size allows, see :func:`~tsgen.forecasting.target.onset.least_scale`.

    Args:
        z: values (C, T), float64, carried forward over gaps, NaN before the first observation.
        observed: (C, T), bool.
        kind: which.
        window: steps to look back; ``None`` is all of the past.
        fixed: for "global", the mean and the standard deviation of each channel, (2, C).
        last: of how many times, T if ``None``.
        size: the series' own size at those times, (C, last); 1, and no bound, if not given.

    Returns:
        Location and scale of the last times, (C, last), float64.
    """
    last = z.shape[1] if last is None else min(last, z.shape[1])
    if kind == "none":
        return np.zeros((len(z), last)), np.ones((len(z), last))
    if kind == "global":
        assert fixed is not None
        location, scale = (np.broadcast_to(v[:, None], (len(z), last)) for v in fixed)
        return location, scale
    filled = z if observed.all() else np.nan_to_num(z)
    if kind in ("robust", "standard"):
        location, scale = (
            _running_moments(filled, observed, window)
            if kind == "standard"
            else _quartiles(np.where(observed, z, np.nan), window)
        )
        whole = scale if window is None else np.zeros_like(scale)
        if kind == "standard":
            whole = _running_moments(filled, observed, None)[1]
        # a spread below rounding error is none
        scale = _carry_positive(np.where(scale > 1e-12 * np.abs(location), scale, 0.0))
        location, scale, whole = (v[:, -last:] for v in (location, scale, whole))
    else:
        if kind == "mean":
            location, change, counted = np.zeros((len(z), last)), np.abs(filled), observed
        else:
            location = filled[:, -last:]
            change = np.diff(filled, axis=1, prepend=filled[:, :1]) ** 2
            started = np.maximum.accumulate(observed, axis=1)
            counted = observed & np.pad(started[:, :-1], ((0, 0), (1, 0)))
        scale, whole = (_running_mean(change, counted, w, last) for w in (window, None))
        if not (scale > 0).all():  # the last one that was not zero may lie further back
            scale = _carry_positive(_running_mean(change, counted, window))[:, -last:]
        if kind == "anchored":
            scale, whole = np.sqrt(scale), np.sqrt(whole)
    scale = np.where(scale > 0, scale, 1.0 if size is None else size)
    least = 1e-4 * whole
    if size is not None:
        least = np.maximum(least, least_scale(size, observed))
    return location, np.maximum(scale, least)


def _carry_positive(scale: np.ndarray) -> np.ndarray:
    """Replace zeros by the last positive value before them, where there is one."""
    return carry_forward(scale, scale > 0, before=scale[:, :1])


def _running_mean(
    values: np.ndarray, observed: np.ndarray, window: int | None, last: int | None = None
) -> np.ndarray:
    """Mean of the observed values among the last ``window``, 0 where there are none.

    Of the last columns only, if they are counted; those before them are summed up once.
    """
    length = values.shape[1]
    cut = 0 if last is None else max(0, length - last - (window or 0))
    early, total, count = observed[:, :cut], np.zeros((len(values), 1)), np.zeros((len(values), 1))
    if cut and window is None:
        count = early.sum(1, keepdims=True)
        total = np.sum(values[:, :cut], 1, keepdims=True, where=early)
    values, observed = values[:, cut:], observed[:, cut:]
    if observed.all():
        counts = np.arange(1, length - cut + 1).clip(max=window or length)[None]
    else:
        counts = trailing_sums(observed.astype(float), window)
        values = np.where(observed, values, 0.0)
    means = (total + trailing_sums(values, window)) / np.maximum(count + counts, 1)
    return means if last is None else means[:, -last:]


def _running_moments(
    values: np.ndarray, observed: np.ndarray, window: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation.

    They are taken about a reference near the mean, so that a large level costs no digits.

    The reference must not change within a window, so it is constant over each pair of blocks.
    """
    mean = _running_mean(values, observed, window)
    length = values.shape[1]
    size = length if window is None else min(window, length)
    variance = np.empty_like(values)
    for start in range(0, length, size):
        low, stop = max(0, start - size), min(start + size, length)
        reference = mean[:, start : start + 1]
        part, mask = values[:, low:stop] - reference, observed[:, low:stop]
        square = _running_mean(part**2, mask, window)[:, start - low :]
        first = _running_mean(part, mask, window)[:, start - low :]
        variance[:, start:stop] = square - first**2
        noise = 1e-14 * square
        variance[:, start:stop] = np.where(
            variance[:, start:stop] > noise, variance[:, start:stop], 0.0
        )
    return mean, np.sqrt(variance)


def _quartiles(values: np.ndarray, window: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Median and interquartile range / 1.349 of the last ``window`` values that are not NaN.

    Where half of the values are the same, the standard deviation stands in for the range.
    """
    frame = pd.DataFrame(values.T)
    rolling = frame.expanding(1) if window is None else frame.rolling(window, min_periods=1)
    low, middle, high = (np.nan_to_num(rolling.quantile(q).to_numpy().T) for q in (0.25, 0.5, 0.75))
    observed = np.isfinite(values)
    _, spread = _running_moments(np.nan_to_num(values), observed, window)
    return middle, np.where(high > low, (high - low) / 1.349, spread)
