r"""Conformal recalibration of sample forecasts from windows that training has not seen.

For each step, channel and level :math:`\ell`, with median m and central interval
:math:`[m - a, m + b]` of a forecast, the *stretch* of a true value y is the factor by which the
interval would just reach it,

.. math:: r = \max\left( (m - y) / a, (y - m) / b \right).

Of n held-out stretches the one of rank :math:`\lceil (n + 1) \ell \rceil` is the factor f by which
later intervals are stretched. Where windows are exchangeable the stretched interval holds the next
value with probability at least :math:`\ell` and at most :math:`\ell + 1 / (n + 1)` (split conformal
prediction: Vovk, Gammerman, Shafer 2005; quantile regression: Romano, Patterson, Candes 2019, here
with the forecast's own width as the unit). Sample paths move with their intervals and keep their
ranks, so that what belonged together still does. The joint band is stretched by the windows'
largest stretches over all steps and channels at once, of windows that were observed completely;
values that no window observed have no band.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tsgen.evaluation.cells import central_interval


class Calibration(NamedTuple):
    """What was learnt from held-out windows."""

    levels: tuple[float, ...]
    factors: np.ndarray
    """Stretch of each level's interval, (levels, H, C); infinite where too few windows tell."""
    joint: np.ndarray
    """Stretch of the largest level's interval to the joint band of each level, (levels,);
    infinite where too few complete windows tell."""
    windows: int
    """n, without windows of which nothing was observed."""


def windows_needed(level: float) -> int:
    """Held-out windows without which no interval of this level can be promised."""
    return math.ceil(level / (1 - level) - 1e-9)


def measure(samples: np.ndarray, truth: np.ndarray, levels: tuple[float, ...]) -> Calibration:
    """Factors from forecasts (n, S, H, C) of held-out windows (n, H, C), NaN where not known.

    Raises:
        ValueError: if there are too few windows for a level or forecasts without spread.

    Warns:
        UserWarning: where missing values leave an interval or the joint band of a level without
            what would calibrate it.
    """
    seen = np.isfinite(truth)
    known = seen.any((1, 2))
    samples, truth, seen = samples[known], truth[known], seen[known]
    count, needed = len(truth), windows_needed(levels[-1])
    if count < needed:
        raise ValueError(
            f"calibration: {count} held-out windows tell no {levels[-1]:.0%} interval for each "
            f"step and channel, expected at least {needed}; give more windows or lower levels"
        )
    middle, below, above = reach(samples, levels)
    stretch = np.maximum(
        _over(middle - truth, below), _over(truth - middle, above)
    )  # (levels, n, H, C)
    if np.isposinf(stretch[0][seen]).mean() > 0.5:
        raise ValueError(
            "calibration: most forecasts have no spread that could be stretched; a point forecast "
            "cannot be recalibrated"
        )
    complete = seen[:, seen.any(0)].all(1)
    largest = np.where(seen, stretch[-1], -np.inf).max((1, 2))[complete]
    few = seen.sum(0) < needed
    if few.any():
        warnings.warn(
            f"calibration: {few.sum()} of {few.size} steps and channels were observed in fewer "
            f"than {needed} held-out windows; their {levels[-1]:.0%} intervals stay as they are",
            stacklevel=3,
        )
    if len(largest) < needed:
        warnings.warn(
            f"calibration: {len(largest)} of {count} held-out windows were observed completely, "
            f"which tell no joint band of {levels[-1]:.0%}: it is infinite. At least {needed} do",
            stacklevel=3,
        )
    stretch = np.where(seen, stretch, np.nan)
    factors = [_conformal(values, level) for values, level in zip(stretch, levels, strict=True)]
    joint = [_conformal(largest, level) for level in levels]
    return Calibration(levels, np.stack(factors), np.stack(joint), count)


def level_index(calibration: Calibration, level: float) -> int:
    """The number of a level.

    Raises:
        ValueError: if it was not calibrated.
    """
    for k, calibrated in enumerate(calibration.levels):
        if math.isclose(calibrated, level):
            return k
    known = ", ".join(map(str, calibration.levels))
    raise ValueError(f"level={level} was not calibrated; the levels are {known}")


def reach(
    samples: np.ndarray, levels: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median (n, H, C) and how far intervals reach below and above it, (levels, n, H, C)."""
    z = np.sort(np.moveaxis(samples, 1, -1), axis=-1)
    middle = np.median(z, axis=-1)
    ends = [central_interval(z, level) for level in levels]
    below = np.stack([np.maximum(middle - low, 0) for low, _ in ends])
    above = np.stack([np.maximum(high - middle, 0) for _, high in ends])
    return middle, below, above


def _over(error: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Error over width; 0 where there is no error beyond rounding, infinite without width."""
    tiny = 1e-12 * np.abs(error)
    return np.where(
        width > tiny, error / np.where(width > tiny, width, 1), np.where(error > 0, np.inf, 0.0)
    )


def _conformal(stretch: np.ndarray, level: float) -> np.ndarray:
    """The stretch of rank ceil((n + 1) level) along the first axis, NaN left out.

    Infinite if that is beyond the n there are.
    """
    ordered = np.sort(stretch, axis=0)  # NaN last
    counts = np.isfinite(stretch).sum(0) + np.isposinf(stretch).sum(0)
    ranks = np.ceil((counts + 1) * level - 1e-9).astype(int)
    if not len(ordered):
        return np.full(stretch.shape[1:], np.inf)
    found = np.take_along_axis(ordered, np.clip(ranks - 1, 0, len(stretch) - 1)[None], 0)[0]
    return np.where(ranks <= counts, found, np.inf)


def recalibrate(
    samples: np.ndarray,
    middle: np.ndarray,
    below: np.ndarray,
    above: np.ndarray,
    factors: np.ndarray,
) -> np.ndarray:
    """Move samples (n, S, H, C) so that each interval becomes its stretched one.

    Piecewise linear in the distance from the median and never decreasing. A factor that is not
    finite leaves its interval to the one before.
    """
    distance = samples - middle[:, None]
    moved = np.broadcast_to(middle[:, None], samples.shape).copy()
    for sign, widths in ((-1.0, below), (1.0, above)):
        outward = np.maximum(sign * distance, 0)
        knot, image, slope = np.zeros_like(middle), np.zeros_like(middle), np.ones_like(middle)
        for width, factor in zip(widths, factors, strict=True):
            known = np.isfinite(factor)
            target = np.maximum(np.where(known, np.where(known, factor, 1) * width, image), image)
            step = width - knot
            rise = np.where(step > 0, (target - image) / np.where(step > 0, step, 1), 0.0)
            use = known & (step > 0)
            rise = np.where(use, rise, slope)
            part = np.clip(outward - knot[:, None], 0, np.maximum(step, 0)[:, None])
            moved += sign * rise[:, None] * part
            slope = np.where(known, np.where(known, factor, 1), slope)
            image = image + rise * np.maximum(step, 0)
            knot = np.maximum(width, knot)
        moved += sign * slope[:, None] * np.maximum(outward - knot[:, None], 0)
    return moved


def inside(values: np.ndarray, support: Any) -> np.ndarray:
    """Values cut to a support; counts are rounded."""
    if support == "real":
        return values
    if support == "count":
        return np.maximum(np.round(values), 0)
    low, high = (np.finfo(float).tiny, np.inf) if support == "positive" else support
    return np.clip(values, low, high)
