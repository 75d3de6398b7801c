"""Scores of single values: one number for each window, step and channel.

Shapes: samples (W, S, H, C), truth (W, H, C); a missing truth is NaN and so are its scores. W
windows, S samples, H steps, C channels. Two different figures are called CRPS in the literature:
the mean pinball loss over a grid of quantiles, which depends on the grid, and the score of the
samples. Both are here, by their own names.
"""

import math

import numpy as np

from tsgen.core import OptionError

INTERVALS = (0.5, 0.8, 0.9, 0.95)
"""Central intervals whose coverage and width are measured."""

Cells = dict[str, np.ndarray]


def quantile_levels(count: int = 19) -> np.ndarray:
    """The levels k / (count + 1).

    9 is GluonTS' default grid, 19 that of the TimeGrad line of papers, 99 is close to the integral.
    """
    if count < 1:
        raise OptionError("", "levels", count, "at least 1")
    return np.arange(1, count + 1) / (count + 1)


def check(samples: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64.

    Raises:
        ValueError: for shapes that do not fit, samples that are not finite or infinite truths.
    """
    samples, truth = np.asarray(samples, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if (
        samples.ndim != 4
        or truth.ndim != 3
        or samples.shape[::2] + samples.shape[3:] != truth.shape[:1] + truth.shape[1:]
    ):
        raise ValueError(
            f"samples {samples.shape} and truth {truth.shape} must be (W, S, H, C) and (W, H, C)"
        )
    if not np.isfinite(samples).all():
        raise ValueError(f"{(~np.isfinite(samples)).sum()} sample values are not finite")
    if np.isinf(truth).any():
        raise ValueError(f"{np.isinf(truth).sum()} true values are infinite; mark missing with NaN")
    return samples, truth


def need_samples(count: int, name: str) -> None:
    """Raise ``ValueError`` where a score needs two samples and has one."""
    if count < 2:
        raise ValueError(f"{name} need at least 2 samples, got {count}")


def share(values: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Values over a whole; NaN where the whole is zero."""
    return values / np.where(whole > 0, whole, np.nan)


def errors_of(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Samples (W, S, H, C) less the truth (W, H, C), as (W, H, C, S); 0 where that is missing."""
    missing = np.isnan(truth)
    filled = np.where(missing, 0.0, truth)[..., None]
    errors = np.subtract(np.moveaxis(samples, 1, -1), filled, order="C")
    if missing.any():
        errors *= ~missing[..., None]
    return errors


def pinball(errors: np.ndarray, levels: np.ndarray) -> np.ndarray:
    r"""Mean over K levels of twice the pinball loss, with GluonTS' nearest-rank quantile.

    .. math:: \frac1K \sum_k 2 \rho_{q_k}(y - x_{q_k})

    Args:
        errors: in order of size, (W, H, C, S).
        levels: (K,).
    """
    quantiles = errors[..., np.round((errors.shape[-1] - 1) * levels).astype(int)]
    return 2 * np.abs(quantiles * ((quantiles >= 0) - levels)).mean(-1)


def fair(errors: np.ndarray) -> np.ndarray:
    r"""Unbiased sample CRPS, Ferro 2014, eq 5, from errors in order of size.

    .. math:: \frac1S \sum_i |x_i - y| - \frac{1}{2 S (S - 1)} \sum_{i,j} |x_i - x_j|
    """
    count = errors.shape[-1]
    need_samples(count, "fair CRPS values")
    weights = (2 * np.arange(count) - count + 1) / (count * (count - 1))
    return np.abs(errors).mean(-1) - errors @ weights


def central_interval(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Ends of the central interval, the quantiles of ranks k / (S + 1), each (\*,).

    A truth that has the samples' law lies between them with just this probability, if there are
    :func:`samples_needed` of them; the interval of fewer ends at the outermost.

    Args:
        values: samples, or their errors, in order of size, (\*, S).
        level: the probability.
    """
    if not 0 < level < 1:
        raise OptionError("", "level", level, "in (0, 1)")
    count = values.shape[-1]
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        position = np.clip(tail * (count + 1) - 1, 0, count - 1)
        below = int(min(np.floor(position), max(count - 2, 0)))
        above = min(below + 1, count - 1)
        share_above = position - below
        ends.append((1 - share_above) * values[..., below] + share_above * values[..., above])
    return ends[0], ends[1]


def samples_needed(level: float) -> int:
    """Samples whose outermost leave a probability of no more than 1 - ``level`` outside."""
    return math.ceil(2 / (1 - level) - 1 - 1e-9)


def positions(errors: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Randomised probability integral transform from errors, (W, H, C)."""
    below, equal = np.count_nonzero(errors < 0, axis=-1), np.count_nonzero(errors == 0, axis=-1)
    return (below + (equal + 1) * uniform) / (errors.shape[-1] + 1)


def score_cells(
    errors: np.ndarray,
    truth: np.ndarray,
    levels: np.ndarray,
    uniform: np.ndarray,
    seasonal_error: np.ndarray | None = None,
) -> Cells:
    r"""Every score of single values, each (W, H, C).

    ==================  =======================================================================
    size                :math:`|y|`
    crps                see :func:`pinball`
    fair_crps           see :func:`fair`
    absolute_error      :math:`|y - m|`, m the median (nearest rank)
    squared_error       :math:`(y - \bar x)^2`
    smape               :math:`2 |y - m| / (|y| + |m|)`, 0 where both are 0
    mase                absolute error over the history's seasonal error; NaN where that is 0
    dss                 Dawid-Sebastiani, :math:`(y - \bar x)^2 / s^2 + \log s^2`; infinite for
                        samples without spread that miss
    pit                 randomised probability integral transform
    inside_90, ...      whether y lies in the central interval; NaN for fewer samples than
                        :func:`samples_needed`
    width_90, ...       the interval's width; NaN likewise
    ==================  =======================================================================

    Args:
        errors: in order of size, (W, H, C, S).
        truth: (W, H, C).
        levels: quantile levels (K,).
        uniform: what randomises the transform, (W, H, C).
        seasonal_error: (W, C), see :func:`tsgen.evaluation.seasonal_error`.
    """
    mean, middle = errors.mean(-1), errors[..., round((errors.shape[-1] - 1) / 2)]
    both = np.abs(truth) + np.abs(truth + middle)
    cells = {
        "size": np.abs(truth),
        "crps": pinball(errors, levels),
        "fair_crps": fair(errors),
        "absolute_error": np.abs(middle),
        "squared_error": mean**2,
        "smape": np.where(both > 0, 2 * np.abs(middle) / np.where(both > 0, both, 1), both),
        "dss": _dawid_sebastiani(
            mean, np.where(errors[..., 0] < errors[..., -1], errors.var(-1, ddof=1), 0.0)
        ),
        "pit": positions(errors, uniform),
    }
    if seasonal_error is not None:
        scale = np.where(seasonal_error > 0, seasonal_error, np.nan)
        cells["mase"] = np.abs(middle) / scale[:, None]
    for level in INTERVALS:
        low, high = central_interval(errors, level)
        enough = 1.0 if errors.shape[-1] >= samples_needed(level) else np.nan
        cells[f"inside_{level * 100:g}"] = enough * ((low <= 0) & (high >= 0))
        cells[f"width_{level * 100:g}"] = enough * (high - low)
    missing = np.isnan(truth)
    return {name: np.where(missing, np.nan, values) for name, values in cells.items()}


def _dawid_sebastiani(error: np.ndarray, variance: np.ndarray) -> np.ndarray:
    spread = np.where(variance > 0, variance, 1.0)
    certain = np.where(error == 0, -np.inf, np.inf)
    return np.where(variance > 0, error**2 / spread + np.log(spread), certain)


def seasonal_error(history: np.ndarray, season: int) -> np.ndarray:
    r"""Mean of :math:`|y_t - y_{t-m}|` over a history (C, T), by which MASE scales, (C,).

    As GluonTS: with a season m longer than the history, m = 1. NaN values are left out; 0 for a
    history that never changes or has no two values so far apart.
    """
    lag = season if season < history.shape[-1] else 1
    change = np.abs(history[..., lag:] - history[..., :-lag])
    observed = np.isfinite(change)
    return np.where(observed, change, 0).sum(-1) / np.maximum(observed.sum(-1), 1)
