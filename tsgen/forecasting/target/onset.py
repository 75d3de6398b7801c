"""Series that have not begun yet, and the size they have once they have.

A product that is not yet sold has zeros or NaN. They are no values of the series, and a scale that
they give is no scale of it: the first sale would be a million times as large.
"""

from collections.abc import Iterable

import numpy as np

_BLOCK = 32  # steps over which a size is taken
_SHARE = 0.01  # of a series' own size, below which no scale of it falls
_TINY = 1e-30  # the smallest scale: single precision has no smaller ones to divide by


def has_begun(target: np.ndarray) -> np.ndarray:
    """Whether each channel of a series (C, T) has begun at each step, (C, T), bool.

    A channel begins with its first observed value. Zeros in front of its first other value do not
    count as values if there are more of them than in any two later runs of zeros together: a
    product not yet sold. Otherwise zeros are what the series has now and then, as intermittent
    demand has, and it begins with them; so does a channel that is never anything else.
    """
    steps = np.arange(target.shape[1])
    observed = np.isfinite(target)
    start = np.where(observed.any(1), observed.argmax(1), target.shape[1])
    first = np.take_along_axis(target, np.minimum(start, len(steps) - 1)[:, None], 1)[:, 0]
    for channel in np.flatnonzero(first == 0):
        values = target[channel, start[channel] :]
        values = values[np.isfinite(values)]
        other = np.flatnonzero(values)
        if len(other) and other[0] > 2 * (np.diff(np.append(other, len(values))) - 1).max():
            start[channel] = np.flatnonzero(observed[channel] & (target[channel] != 0))[0]
    return steps >= start[:, None]


def own_size(z: np.ndarray, observed: np.ndarray, kind: str, last: int) -> np.ndarray:
    """A series' own size at each of its last times, (C, last); NaN for one that has none.

    It is the geometric mean of the scales of its blocks of 32 steps, of all of them or of those
    from that time on, whichever is larger: one spike hardly moves it, and what was tiny at first
    is measured by what comes later. Blocks without a scale do not count.

    Args:
        z: linked values (C, T), carried forward over gaps, NaN before the first one.
        observed: (C, T), bool.
        kind: a scaling: mean absolute values, root mean square changes, or standard deviations.
        last: of how many times.
    """
    length = z.shape[1]
    starts = np.r_[0, np.arange(length % _BLOCK or _BLOCK, length, _BLOCK)]
    counts = _sums(observed, starts) if not observed.all() else np.diff(np.r_[starts, length])
    counts = np.maximum(counts, 1)
    values = z if observed.all() else np.where(observed, z, 0.0)
    if kind == "mean":
        scales = _sums(np.abs(values), starts) / counts
    elif kind == "anchored":
        change = np.diff(z, axis=1, prepend=z[:, :1])
        if not observed.all():
            change = np.where(observed, np.nan_to_num(change), 0.0)
        scales = np.sqrt(_sums(np.square(change, out=change), starts) / counts)
    else:
        mean = _sums(values, starts) / counts
        error = values - np.repeat(mean, np.diff(np.r_[starts, length]), axis=1)
        scales = np.sqrt(_sums(np.where(observed, error, 0.0) ** 2, starts) / counts)
        scales[scales <= 1e-12 * np.abs(mean)] = 0.0  # a spread below rounding error is none
    number = np.cumsum((scales > 0)[:, ::-1], axis=1)[:, ::-1]
    logs = np.log(np.where(scales > 0, scales, 1.0))
    later = np.cumsum(logs[:, ::-1], axis=1)[:, ::-1] / np.maximum(number, 1)
    later = np.where(number > 0, later, -np.inf)
    larger = np.maximum(later, later[:, :1])
    sizes = np.where(number[:, :1] > 0, np.exp(larger), np.nan)
    return sizes[:, np.searchsorted(starts, np.arange(length - last, length), side="right") - 1]


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values, starts, axis=1, dtype=float)


def least_scale(size: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """The smallest scale that is believed at each of the last times, (C, last).

    It is a hundredth of the series' own size, and :math:`1 / n^2` of it while only n < 10 values
    are observed: two values that happen to be alike tell nothing of a scale.

    Args:
        size: the series' own size, (C, last).
        observed: of the whole series, (C, T).
    """
    last = size.shape[1]
    if observed.all():
        count = np.arange(observed.shape[1] - last + 1, observed.shape[1] + 1)[None]
    else:
        before = observed[:, : observed.shape[1] - last].sum(1, keepdims=True)
        count = before + np.cumsum(observed[:, observed.shape[1] - last :], axis=1)
    return np.maximum(size * np.maximum(1 / np.maximum(count, 1) ** 2, _SHARE), _TINY)


def usual_size(
    z: np.ndarray, observed: np.ndarray, absolute: np.ndarray, relative: np.ndarray
) -> np.ndarray:
    """The size of channels that have none of their own, (C,).

    They never changed, or are all zero: the size that training series have for their level; of
    zeros, the size that they have. Where training series had none either, 1, or the level if that
    is smaller.

    Args:
        z: as for :func:`own_size`.
        observed: (C, T), bool.
        absolute: size of the training series, (C,) or empty, 0 for a channel without.
        relative: the same over their mean absolute value.
    """
    level = np.abs(np.where(observed, z, 0.0)).sum(1) / np.maximum(observed.sum(1), 1)
    none = np.zeros(len(z))
    absolute, relative = (v if len(v) else none for v in (absolute, relative))
    size = np.where(level > 0, relative * level, absolute)
    unit = np.where(level > 0, np.minimum(level, 1.0), 1.0)
    return np.maximum(np.where(size > 0, size, unit), _TINY)


def training_sizes(
    series: Iterable[tuple[np.ndarray, np.ndarray]], kind: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Geometric means of the training series' sizes, and of those over their mean absolute value.

    Args:
        series: linked values and what is observed of them, as for :func:`own_size`.
        kind: a scaling.

    Returns:
        For each channel; 0 for one whose series have no size.
    """
    sums = np.zeros((3, 1))
    for z, observed in series:
        size = own_size(z, observed, kind, z.shape[1])[:, 0]
        level = np.abs(np.where(observed, z, 0.0)).sum(1) / np.maximum(observed.sum(1), 1)
        sized = (size > 0) & (level > 0)
        logs = np.log(np.where(sized, [size, size / np.where(sized, level, 1.0)], 1.0))
        sums = sums + np.concatenate([logs, sized[None]])
    has_size = sums[2] > 0
    means = np.where(has_size, np.exp(sums[:2] / np.maximum(sums[2], 1)), 0.0)
    return tuple(means[0].tolist()), tuple(means[1].tolist())
