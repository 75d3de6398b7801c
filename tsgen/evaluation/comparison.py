"""Whether one forecaster is better than another, from paired losses of the same windows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tsgen.core import OptionError
from tsgen.evaluation.backtest import Backtest


class DieboldMariano(NamedTuple):
    """Outcome of :func:`diebold_mariano`."""

    statistic: float
    """Negative where the first forecaster has the smaller losses; NaN where none can be had."""
    p_value: float
    """Two-sided, of equal expected losses."""
    difference: float
    """Mean of the first losses less that of the second."""
    pairs: int
    """How many losses were compared."""


def diebold_mariano(losses: np.ndarray, reference: np.ndarray, horizon: int = 1) -> DieboldMariano:
    r"""Test of equal expected losses, with the small-sample correction.

    Diebold, Mariano 1995; Harvey, Leybourne, Newbold 1997, eq 9. With
    :math:`d_t = a_t - b_t` over n forecasts, of which those h apart or more are independent,

    .. math:: \mathrm{DM} = \frac{\bar d}{\sqrt{(\gamma_0 + 2 \sum_{k<h} \gamma_k) / n}}
              \sqrt{\frac{n + 1 - 2 h + h (h - 1) / n}{n}}

    is compared with Student's t of n - 1 degrees of freedom. Where the estimated variance is not
    positive, autocovariances get Bartlett's weights :math:`1 - k / h`. With h above 1 the test
    rejects equals too often when n is small: 10 to 13 times in a hundred with n = 5 h, at the
    nominal 5; for fewer there is no p-value.

    Args:
        losses: of one forecaster, in the order of time, (n,).
        reference: of the other one, on the same windows, (n,).
        horizon: h, in windows: 1 where windows do not overlap.

    Returns:
        The statistic and its p-value; both NaN for fewer than 3 pairs or equal differences, the
        p-value also for fewer than 5 h pairs that overlap.

    Raises:
        ValueError: for arrays that do not pair or a horizon below 1.
    """
    from scipy import stats  # half a second and 40 MB that no forecast needs

    a, b = _pairs(losses, reference)
    difference, count = a - b, len(a)
    if not 1 <= horizon <= count:
        raise OptionError("", "horizon", horizon, f"in 1 to {count}, the number of pairs")
    centred = difference - difference.mean()
    covariances = [centred[k:] @ centred[: count - k] / count for k in range(horizon)]
    variance = covariances[0] + 2 * sum(covariances[1:])
    if variance <= 0:
        weights = 1 - np.arange(1, horizon) / horizon
        variance = covariances[0] + 2 * float(weights @ covariances[1:])
    mean = float(difference.mean())
    if count < 3 or variance <= 1e-24 * (mean**2 + 1e-300):
        return DieboldMariano(float("nan"), float("nan"), mean, count)
    correction = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    statistic = mean / np.sqrt(variance / count) * np.sqrt(correction)
    p_value = 2 * stats.t.sf(abs(statistic), count - 1) if enough(count, horizon) else np.nan
    return DieboldMariano(float(statistic), float(p_value), mean, count)


def enough(count: int, horizon: int) -> bool:
    """Whether so many windows, of which ``horizon`` in a row overlap, tell how sure one can be."""
    return horizon == 1 or count >= 5 * horizon


class Interval(NamedTuple):
    """A figure with its interval."""

    value: float
    low: float
    high: float


def block_bootstrap(
    losses: np.ndarray,
    reference: np.ndarray,
    block: int | None = None,
    draws: int = 4000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Ratio of two mean losses, with a circular block bootstrap interval (Politis, Romano 1992).

    Windows are drawn in pairs and in blocks of neighbours, so that what both forecasters find hard
    and what one window shares with the next stay together. With few windows the interval is too
    narrow: 7 windows give one that holds the truth some 80 times in a hundred.

    Args:
        losses: in the order of time, (n,).
        reference: on the same windows, (n,).
        block: windows of a block; about the cube root of n if not given.
        draws: bootstrap samples.
        level: probability of the interval.
        seed: of the draws.

    Returns:
        The ratio, NaN where the reference has no loss at all: 0 is not to be compared with.
    """
    a, b = _pairs(losses, reference)
    count = len(a)
    block = max(1, round(count ** (1 / 3))) if block is None else block
    if not 1 <= block <= count:
        raise OptionError("", "block", block, f"in 1 to {count}, the number of pairs")
    if not 0 < level < 1:
        raise OptionError("", "level", level, "in (0, 1)")
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, count, (draws, -(-count // block)))
    lengths = np.full(starts.shape[1], block)
    lengths[-1] -= lengths.sum() - count
    sums = [np.concatenate([[0.0], v, v[: block - 1]]).cumsum() for v in (a, b)]
    drawn_a, drawn_b = ((s[starts + lengths] - s[starts]).sum(1) for s in sums)
    if not b.any():
        return Interval(float("nan"), float("nan"), float("nan"))
    with np.errstate(divide="ignore", invalid="ignore"):  # drawn from windows without a loss
        ratios = drawn_a / drawn_b
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(a.mean() / b.mean()), float(low), float(high))


class Paired(NamedTuple):
    """Outcome of :func:`paired_comparison`."""

    score: str
    ratio: Interval
    """Score of the first over that of the second, with its 95 % interval."""
    test: DieboldMariano
    unit: str
    """What is taken as one observation: a "window" of all series, or a "series"."""


def paired_comparison(
    backtests: Backtest | Sequence[Backtest],
    references: Backtest | Sequence[Backtest],
    score: str = "crps",
    horizon: int | None = None,
) -> Paired:
    """Compare two forecasters on the windows that both were tested on.

    Series share what happens in a window, so what was forecast of all of them in their first,
    second, ... window is one observation. Where each has a single window, series are the
    observations, as if they were independent. Windows of which nothing is known do not count.

    Args:
        backtests: of one forecaster; of several seeds the losses of each window are averaged.
        references: of the other.
        score: one of ``LOSSES``.
        horizon: windows that overlap, see :func:`diebold_mariano`; as they do if not given. Blocks
            of the bootstrap are at least as long. With fewer than five times as many windows, or
            fewer than 3, neither interval nor p-value is given (NaN).

    Raises:
        ValueError: if they were not tested on the same windows, or their quantile grids differ.
    """
    ours = [backtests] if isinstance(backtests, Backtest) else list(backtests)
    theirs = [references] if isinstance(references, Backtest) else list(references)
    for one in (*ours, *theirs):
        if not np.array_equal(one.truth, ours[0].truth, equal_nan=True):
            raise ValueError(
                f"backtests of {ours[0].truth.shape} and {one.truth.shape} (windows, steps, "
                "channels) have not the same truth; compare forecasts of the same windows"
            )
        if score in ("crps", "crps_sum") and one.scores.levels != ours[0].scores.levels:
            raise ValueError(
                f"score={score!r} of {ours[0].scores.levels} and of {one.scores.levels} quantile "
                "levels does not compare; use one grid, or score='fair_crps'"
            )
    a, b = (np.mean([t.scores.losses(score) for t in tests], axis=0) for tests in (ours, theirs))
    finite = np.isfinite(a) & np.isfinite(b)
    if not finite.any():
        raise ValueError(f"score={score!r}: no window has one from both forecasters")
    cut = np.zeros(len(a), dtype=int)
    for windows in ours[0].series:
        cut[windows] = np.arange(len(windows))
    unit = "window" if cut.any() else "series"
    a, b = a[finite], b[finite]
    if unit == "window":
        _, cut = np.unique(cut[finite], return_inverse=True)
        # sums, so that the mean stays that of all losses
        a, b = (np.bincount(cut, v) * (cut.max() + 1) / len(cut) for v in (a, b))
    horizon = min(overlap(ours[0]) if horizon is None else horizon, len(a))
    ratio = block_bootstrap(a, b, max(horizon, round(len(a) ** (1 / 3))))
    if len(a) < 3 or not enough(len(a), horizon):
        ratio = Interval(ratio.value, np.nan, np.nan)
    return Paired(score, ratio, diebold_mariano(a, b, horizon), unit)


def overlap(result: Backtest) -> int:
    """How many windows of a series in a row share steps, 1 if none do."""
    longest = max(result.series, key=len)
    starts = np.array([result.starts[window].ordinal for window in longest])
    length = result.truth.shape[1] * result.starts[0].freq.n
    return int((np.searchsorted(starts, starts + length) - np.arange(len(starts))).max())


def _pairs(losses: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(losses, dtype=float), np.asarray(reference, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"losses {a.shape} and {b.shape} must be two arrays of one length")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(f"{(~np.isfinite(a + b)).sum()} losses are not finite")
    return a, b
