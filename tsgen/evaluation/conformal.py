r"""Conformal recalibration of sample forecasts from windows that training has not seen.

For each step, channel and level :math:`\ell`, with median m and central interval
:math:`[m - a, m + b]` of a forecast, the *stretch* of a true value y is the factor by which the
interval would just reach it,

.. math:: r = \max\left( (m - y) / a, (y - m) / b \right).

Of n held-out stretches the one of rank :math:`\lceil (n + 1) \ell \rceil` is the factor f by which
later intervals are stretched. Where windows are exchangeable the stretched interval holds the next
value with probability at least :math:`\ell` and at most :math:`\ell + 1 / (n + 1)` (split conformal
prediction: Vovk, Gammerman, Shafer 2005; quantile regression: Romano, Patterson, Candes 2019, here
with the forecast's own width as the unit). Towards a finite end e of a support that stretched
intervals would leave, distances from the median are measured by
:math:`-\log(|y - e| / |m - e|)`, which is infinite at the end: no quantile leaves the support, and
none sticks to an end that values cannot have. Sample paths move with their intervals and keep their
ranks, so that what belonged together still does. The joint band is stretched by the windows'
largest stretches over all steps and channels at once, of windows that were observed completely;
values that no window observed have no band.
"""

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tsgen.evaluation.cells import central_interval

Support = str | tuple[float, float]
_MARGIN = 1e-3  # of the way to an end that values can have, by which it is moved outwards


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
    support: Support = "real"
    """Whose ends distances were measured towards; "real" where all are plain differences."""


def windows_needed(level: float) -> int:
    """Held-out windows without which no interval of this level can be promised."""
    return math.ceil(level / (1 - level) - 1e-9)


def measure(
    samples: np.ndarray,
    truth: np.ndarray,
    levels: tuple[float, ...],
    support: Support = "real",
) -> Calibration:
    """Factors from forecasts (n, S, H, C) of held-out windows (n, H, C), NaN where not known.

    Args:
        samples: (n, S, H, C).
        truth: (n, H, C).
        levels: central intervals.
        support: where values can be.

    Raises:
        ValueError: if there are too few windows for a level or forecasts without spread.

    Warns:
        UserWarning: where missing values leave an interval or the joint band of a level without
            what would calibrate it.
    """
    observed = np.isfinite(truth)
    has_values = observed.any((1, 2))
    samples, truth, observed = samples[has_values], truth[has_values], observed[has_values]
    count, needed = len(truth), windows_needed(levels[-1])
    if count < needed:
        raise ValueError(
            f"calibration: {count} held-out windows tell no {levels[-1]:.0%} interval for each "
            f"step and channel, expected at least {needed}; give more windows or lower levels"
        )
    middle, below, above = reach(samples, levels, support)
    truth = np.where(observed, truth, middle)
    stretch = np.maximum(
        _over(distance(truth, middle, -1, support), below),
        _over(distance(truth, middle, 1, support), above),
    )  # (levels, n, H, C)
    if np.isposinf(stretch[0][observed]).mean() > 0.5:
        raise ValueError(
            "calibration: most forecasts have no spread that could be stretched; a point forecast "
            "cannot be recalibrated"
        )
    complete = observed[:, observed.any(0)].all(1)
    largest = np.where(observed, stretch[-1], -np.inf).max((1, 2))[complete]
    few = observed.sum(0) < needed
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
    stretch = np.where(observed, stretch, np.nan)
    factors = [_conformal(values, level) for values, level in zip(stretch, levels, strict=True)]
    joint = [_conformal(largest, level) for level in levels]
    return Calibration(levels, np.stack(factors), np.stack(joint), count, support)


def level_index(calibration: Calibration, level: float) -> int:
    """The number of a level.

    Raises:
        ValueError: if it was not calibrated.
    """
    for k, calibrated in enumerate(calibration.levels):
        if math.isclose(calibrated, level):
            return k
    choices = ", ".join(map(str, calibration.levels))
    raise ValueError(f"level={level} was not calibrated; the levels are {choices}")


def _end(support: Support, side: int) -> float:
    """The end below (-1) or above (1) that distances are measured towards, infinite if none.

    Counts are cut at 0 and not measured towards it: 0 is a count like others.
    """
    if isinstance(support, tuple):
        return support[side > 0]
    return 0.0 if support == "positive" and side < 0 else side * math.inf


def distance(
    values: np.ndarray, middle: np.ndarray, side: int, support: Support = "real"
) -> np.ndarray:
    """How far values lie below (side -1) or above (1) a median; 0 for those on the other side.

    Args:
        values: any shape.
        middle: medians that broadcast to it.
        side: -1 or 1.
        support: where values can be.
    """
    end = _end(support, side)
    if math.isinf(end):
        return np.maximum(side * (values - middle), 0)
    margin = 0.0 if support == "positive" else _MARGIN
    room = side * (end - middle)
    left = np.clip(side * (end - values) / np.where(room > 0, room, 1), 0, 1)
    with np.errstate(divide="ignore"):
        far = np.log1p(margin) - np.log(left + margin)
    return np.where((room > 0) & (left < 1), far, 0.0)


def landing(
    far: np.ndarray, middle: np.ndarray, side: int, support: Support = "real"
) -> np.ndarray:
    """The values so far below (side -1) or above (1) a median, see :func:`distance`."""
    end = _end(support, side)
    if math.isinf(end):
        return middle + side * far
    margin = 0.0 if support == "positive" else _MARGIN
    left = np.clip((1 + margin) * np.exp(-far) - margin, 0, 1)
    return np.where(far > 0, end + (middle - end) * left, middle)


def reach(
    samples: np.ndarray, levels: Sequence[float], support: Support = "real"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median (n, H, C) and how far intervals reach below and above it, (levels, n, H, C)."""
    z = np.sort(np.moveaxis(samples, 1, -1), axis=-1)
    middle = np.median(z, axis=-1)
    ends = [central_interval(z, level) for level in levels]
    below = np.stack([distance(low, middle, -1, support) for low, _ in ends])
    above = np.stack([distance(high, middle, 1, support) for _, high in ends])
    return middle, below, above


def _over(error: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Error over width; 0 where there is no error, infinite without width beyond rounding."""
    tiny = np.where(np.isfinite(error), 1e-12 * np.abs(error), 0.0)
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
    quantiles = np.take_along_axis(ordered, np.clip(ranks - 1, 0, len(stretch) - 1)[None], 0)[0]
    return np.where(ranks <= counts, quantiles, np.inf)


def recalibrate(
    samples: np.ndarray,
    middle: np.ndarray,
    below: np.ndarray,
    above: np.ndarray,
    factors: np.ndarray,
    support: Support = "real",
) -> np.ndarray:
    """Move samples (n, S, H, C) so that each interval becomes its stretched one.

    Piecewise linear in the distance from the median and never decreasing. A factor that is not
    finite leaves its interval to the one before.
    """
    moved = np.broadcast_to(middle[:, None], samples.shape)
    for side, widths in ((-1, below), (1, above)):
        outward = distance(samples, middle[:, None], side, support)
        far = np.zeros_like(outward)
        knot, image, slope = np.zeros_like(middle), np.zeros_like(middle), np.ones_like(middle)
        for width, factor in zip(widths, factors, strict=True):
            has_factor = np.isfinite(factor)
            target = np.maximum(
                np.where(has_factor, np.where(has_factor, factor, 1) * width, image), image
            )
            step = width - knot
            rise = np.where(step > 0, (target - image) / np.where(step > 0, step, 1), 0.0)
            use = has_factor & (step > 0)
            rise = np.where(use, rise, slope)
            part = np.clip(outward - knot[:, None], 0, np.maximum(step, 0)[:, None])
            far += rise[:, None] * part
            slope = np.where(has_factor, np.where(has_factor, factor, 1), slope)
            image = image + rise * np.maximum(step, 0)
            knot = np.maximum(width, knot)
        far += slope[:, None] * np.maximum(outward - knot[:, None], 0)
        moved = np.where(outward > 0, landing(far, middle[:, None], side, support), moved)
    return moved


def inside(values: np.ndarray, support: Support) -> np.ndarray:
    """Values cut to a support; counts are rounded.

    Only calibrations that were measured in plain differences, and counts, reach beyond it.
    """
    if support == "real":
        return values
    if support == "count":
        return np.maximum(np.round(values), 0)
    low, high = support if isinstance(support, tuple) else (0.0, math.inf)
    return np.clip(values, low, high)


def above_zero(moved: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Recalibrated samples (S, H, C), of which those at 0 get their share of the smallest above.

    That is what they were of the sample that became it, so that none leaves its rank.
    """
    positive = moved > 0
    if positive.all():
        return moved
    least = np.where(positive, moved, np.inf).min(0)
    was = np.where(positive, samples, np.inf).min(0)
    return np.where(positive, moved, least * np.minimum(samples / was, 1))
