"""A threshold for a budget of false alarms."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from scipy.stats import chi2, genpareto, rankdata

from tsgen.anomaly.events import AlarmPolicy, Event, find_events
from tsgen.anomaly.thresholds import without_gaps
from tsgen.core import OptionError

_ENOUGH = 10  # false alarms in the normal data, from which their number is simply counted
_PEAKS = 50  # peaks wanted for a tail
_FEWEST = 20  # and without which there is none


@dataclass(frozen=True)
class CalibratedThreshold:
    r"""A threshold for a budget of false alarms, and what is expected of it.

    Above the level u, alarms of normal data come at the rate
    :math:`r(s) = r_u (1 + \xi (s - u) / \sigma)^{-1/\xi}` a day.

    Args:
        threshold: alarms begin here.
        asked: false alarms a day.
        seen: alarms of the normal data at the threshold.
        low, high: 90 % interval of the rate a day: Poisson's of the flocks in which alarms come
            (several in a block), whose number is that of ``seen`` by their mean size.
        days: of normal data.
        method: "pot" or "conformal".
        block: rows of a block.
        block_days: and how long it is.
        extrapolated: whether the budget is so small that the tail's fit was trusted.
        level, rate, scale, shape: :math:`u, r_u, \sigma, \xi`.
    """

    threshold: float
    asked: float
    seen: int
    low: float
    high: float
    days: float
    method: str
    block: int
    block_days: float
    extrapolated: bool
    level: float
    rate: float
    scale: float
    shape: float

    def p_value(self, score: float) -> float:
        """Probability that a block of normal rows has an alarm at the threshold ``score``.

        Of an event, ask for what it sustained. A tail that was fitted with an end is taken as
        exponential: no score is impossible.
        """
        excess = max(score - self.level, 0.0) / self.scale
        rate = self.rate * float(genpareto.sf(excess, max(self.shape, 0.0)))
        return -math.expm1(-rate * self.block_days)

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Self:
        """Back from plain values."""
        return cls(**state)


def calibrate_threshold(
    scores: np.ndarray,
    *,
    false_alarms_per_day: float,
    rows_per_day: float,
    policy: AlarmPolicy | None = None,
    method: Literal["pot", "conformal"] = "pot",
    block: int | None = None,
    boundaries: Sequence[int] = (),
) -> CalibratedThreshold:
    r"""The threshold at which normal data raise so many alarms a day; alarms, not rows.

    "pot", peaks over threshold: where the normal data are long enough for ten alarms or more they
    are counted. Otherwise the peaks of the alarms above a lower level, one a block, get a
    generalised Pareto law (Coles 2001, chapter 4; Siffer et al. 2017), fitted by maximum likelihood
    and by probability-weighted moments (Hosking, Wallis 1987), of which the higher threshold is
    taken.

    "conformal": the block maxima :math:`M_1, \dots, M_n` of the score, each the least of
    ``min_duration`` rows, are exchangeable where blocks are long enough, and the
    :math:`\lceil (n + 1)(1 - \alpha) \rceil`-th smallest is exceeded by the next block with
    probability at most :math:`\alpha` (Vovk, Gammerman, Shafer 2005); :math:`\alpha` is the alarms
    asked for in a block.

    A score that hovers around the threshold raises several alarms in a block. Both methods divide
    the budget by the alarms that a block has at the level of the tail.

    Args:
        scores: (T,), of data without attacks that were not learnt from; NaN where there is none.
        false_alarms_per_day: the budget.
        rows_per_day: how fast rows come.
        policy: how scores become alarms.
        method: "pot" or "conformal".
        block: rows of a block; by default ten times the lag at which the score's autocorrelation
            has fallen to .1; in short data as long as twenty blocks can be, but, unless alarms are
            simply counted, three times the lag at least.
        boundaries: rows at which another run starts.

    Raises:
        ValueError: for options out of range, infinite scores, or too few normal data.
    """
    policy = policy or AlarmPolicy()
    for name, value in (
        ("false_alarms_per_day", false_alarms_per_day),
        ("rows_per_day", rows_per_day),
    ):
        if not (value > 0 and math.isfinite(value)):
            raise OptionError("", name, value, "above 0 and finite")
    if method not in ("pot", "conformal"):
        raise OptionError("", "method", method, "'pot' or 'conformal'")
    scores = np.asarray(scores, dtype=float)
    values = without_gaps(scores)
    days = len(values) / rows_per_day
    wanted = false_alarms_per_day * days
    counts = method == "pot" and wanted >= _ENOUGH
    if block is None:
        block = _block_length(values, policy, len(boundaries) + 1, 0 if counts else 3)
    if block < 1:
        raise OptionError("", "block", block, "at least 1")
    maxima = _block_maxima(scores, policy, block, boundaries)
    if len(maxima) < _FEWEST:
        enough = _FEWEST * block / rows_per_day
        raise ValueError(
            f"the normal data have {len(maxima)} blocks of {block} rows ({days:.3g} days); at "
            f"least {_FEWEST} are needed: {enough:.3g} days, or a smaller block"
        )
    level, rate, fits = _tail(maxima, days)
    # alarms come in flocks where a score hovers around the threshold
    above = len(find_events(scores, level, policy, boundaries=boundaries))
    flock = max(1.0, above / int(np.count_nonzero(maxima > level)))
    rate = rate * flock
    if method == "conformal":
        share = min(false_alarms_per_day / flock * block / rows_per_day, 0.999)
        rank = math.ceil((len(maxima) + 1) * (1 - share))
        if rank > len(maxima):
            raise ValueError(
                f"false_alarms_per_day={false_alarms_per_day} needs at least "
                f"{flock / false_alarms_per_day:.3g} days of normal data, there are {days:.3g}; "
                "method='pot' extrapolates"
            )
        threshold = float(np.sort(maxima)[rank - 1]) * (1 + 1e-12)
        extrapolated = False
    elif counts:
        threshold, extrapolated = _counted(scores, wanted, policy, boundaries), False
    else:
        thresholds = [_inverse(level, rate, *fit, false_alarms_per_day) for fit in fits]
        threshold, extrapolated = max(thresholds), True
        spread = max(thresholds) - min(thresholds)
        if spread > 0.25 * max(abs(threshold - float(np.median(maxima))), 1e-300):
            warnings.warn(
                f"the two fits of the tail give thresholds {thresholds[0]:.4g} and "
                f"{thresholds[1]:.4g}; the higher one is taken. Longer normal data than "
                f"{days:.3g} days would settle it",
                stacklevel=2,
            )
        fits = fits[::-1] if thresholds[1] > thresholds[0] else fits
    alarms = find_events(scores, threshold, policy, boundaries=boundaries)
    flocks = _flocks(alarms, block)
    unit = max(len(alarms) / flocks if flocks else flock, 1.0) / days
    low = chi2.ppf(0.05, 2 * flocks) / 2 * unit if flocks else 0.0
    high = chi2.ppf(0.95, 2 * flocks + 2) / 2 * unit
    return CalibratedThreshold(
        threshold, float(false_alarms_per_day), len(alarms), float(low), float(high), days,
        method, int(block), block / rows_per_day, extrapolated, level, rate, *fits[0],
    )  # fmt: skip


def _block_length(scores: np.ndarray, policy: AlarmPolicy, runs: int, least: int) -> int:
    """Ten (at least ``least``) times the lag at which the ranks' autocorrelation falls to .1."""
    ranks = rankdata(scores)
    ranks -= ranks.mean()
    size = 2 ** math.ceil(math.log2(2 * len(ranks)))
    power = np.abs(np.fft.rfft(ranks, size)) ** 2
    correlation = np.fft.irfft(power, size)[: len(ranks)]
    low = np.flatnonzero(correlation < 0.1 * max(correlation[0], 1e-300))
    lag = int(low[0]) if len(low) else len(ranks)
    short = len(ranks) // (_FEWEST + runs)  # of each run's end, a part of a block is lost
    wanted = min(10 * lag, max(short, least * lag))
    return max(wanted, 2 * (policy.min_duration + policy.merge_gap + policy.cool_down), 10)


def _block_maxima(
    scores: np.ndarray, policy: AlarmPolicy, block: int, boundaries: Sequence[int]
) -> np.ndarray:
    """For each block, up to which threshold it has an alarm."""
    maxima: list[float] = []
    edges = [0, *sorted(set(boundaries) - {0, len(scores)}), len(scores)]
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        part = scores[first:last]
        part = part[~np.isnan(part)]
        if policy.min_duration > 1:
            if len(part) < policy.min_duration:
                continue
            windows = np.lib.stride_tricks.sliding_window_view(part, policy.min_duration)
            part = windows.min(1)
        maxima += [part[i : i + block].max() for i in range(0, len(part) - block + 1, block)]
    return np.array(maxima)


def _tail(maxima: np.ndarray, days: float) -> tuple[float, float, list[tuple[float, float]]]:
    """Level, rate a day above it, and (scale, shape) by likelihood and by moments."""
    count = min(_PEAKS, len(maxima) // 2)
    ordered = np.sort(maxima)[::-1]
    level = float(ordered[count])
    excess = ordered[:count] - level
    unit = max(float(excess.mean()), 1e-300)
    weights = np.arange(count) / (count - 1)  # of the excesses, largest first
    first, second = excess.mean() / unit, float((weights * excess).mean()) / unit
    shape = 2 - first / max(first - 2 * second, 1e-9) if second else 0.0
    shape = float(np.clip(shape, -0.5, 0.9))
    moments = (unit * (1 - shape), shape)
    fitted, _, scale = genpareto.fit(excess / unit, floc=0)
    likelihood = (float(scale) * unit, float(np.clip(fitted, -0.5, 0.9)))
    return level, count / days, [likelihood, moments]


def _inverse(level: float, rate: float, scale: float, shape: float, wanted: float) -> float:
    """The threshold above which events come at the wanted rate."""
    return level + scale * float(genpareto.isf(min(wanted / rate, 1.0), shape))


def _flocks(alarms: Sequence[Event], block: int) -> float:
    """How many independent alarms are worth as much: squared sum by sum of squares of blocks'."""
    counts = np.unique([event.start // block for event in alarms], return_counts=True)[1]
    return float(counts.sum() ** 2 / (counts**2).sum()) if len(counts) else 0.0


def _counted(
    scores: np.ndarray, wanted: float, policy: AlarmPolicy, boundaries: Sequence[int]
) -> float:
    """The lowest threshold that is reached from above with at most so many alarms.

    From the highest score down, as alarms rise in number; farther down they would merge and fall in
    number again, until one lasts throughout.
    """
    ordered = np.sort(without_gaps(scores))[::-1]

    def excessive(rank: int) -> bool:
        alarms = find_events(scores, float(ordered[rank]), policy, boundaries=boundaries)
        rows = sum(event.stop - event.start for event in alarms)
        return len(alarms) > wanted or rows > len(scores) // 2

    low = high = 0
    while high < len(ordered) - 1 and not excessive(high):
        low, high = high, min(max(high + 1, int(high * 1.2)), len(ordered) - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if excessive(middle) else (middle, high)
    threshold = float(ordered[low])
    return threshold * (1 + 1e-12) if threshold > 0 else threshold
