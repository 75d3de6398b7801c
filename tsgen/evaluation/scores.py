"""Scores of sample forecasts, one figure at a time.

Shapes: samples (W, S, H, C), truth (W, H, C); NaN in the truth is left out. :func:`evaluate` gives
all of them at once.
"""

import numpy as np

from tsgen.evaluation.cells import (
    central_interval,
    check,
    errors_of,
    fair,
    need_samples,
    pinball,
    positions,
    quantile_levels,
    samples_needed,
    share,
)
from tsgen.evaluation.vectors import (
    Over,
    arrange,
    dawid_sebastiani,
    energy,
    norm,
    variogram,
)


def _ordered(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Errors (W, H, C, S) in order of size."""
    errors = errors_of(samples, truth)
    errors.sort(-1)
    return errors


def quantile_crps(samples: np.ndarray, truth: np.ndarray, levels: int = 19) -> float:
    r"""Quantile-grid CRPS, GluonTS' ``mean_wQuantileLoss``.

    .. math:: \frac1K \sum_{k=1}^K \frac{\sum 2 \rho_{q_k}(y - \hat y_{q_k})}{\sum |y|}

    NaN where every true value is 0 or missing: there is no size to measure by.

    Args:
        samples: (W, S, H, C).
        truth: (W, H, C).
        levels: K, see :func:`quantile_levels`.
    """
    samples, truth = check(samples, truth)
    loss = pinball(_ordered(samples, truth), quantile_levels(levels))
    return float(share(np.sum(loss, where=~np.isnan(truth)), np.nansum(np.abs(truth))))


def crps_sum(samples: np.ndarray, truth: np.ndarray, levels: int = 19) -> float:
    """Quantile-grid CRPS of the sum over channels, GluonTS' ``m_sum_mean_wQuantileLoss``.

    It can reward a wrong dependence between channels (Koochali et al. 2022): read it beside the
    energy score. A sum with a missing part is missing.
    """
    samples, truth = check(samples, truth)
    return quantile_crps(samples.sum(-1, keepdims=True), truth.sum(-1, keepdims=True), levels)


def fair_crps(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    r"""Unbiased sample CRPS of each value, unnormalised, (W, H, C); NaN where the truth is.

    Ferro 2014, eq 5.

    .. math:: \frac1S \sum_i |x_i - y| - \frac{1}{2 S (S - 1)} \sum_{i,j} |x_i - x_j|
    """
    samples, truth = check(samples, truth)
    return np.where(np.isnan(truth), np.nan, fair(_ordered(samples, truth)))


def _arranged(
    samples: np.ndarray, truth: np.ndarray, over: Over
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Errors (B, N, S) and truth (B, N) of vectors, and the shape of a value for each."""
    samples, truth = check(samples, truth)
    errors = errors_of(samples, truth)
    shape = truth.shape[:1] if over == "path" else (len(truth), -1)
    return arrange(errors, over), arrange(truth, over), shape


def energy_score(
    samples: np.ndarray, truth: np.ndarray, normalise: bool = True, over: Over = "path"
) -> np.ndarray:
    r"""Unbiased energy score of vectors, by default each window's whole path in :math:`R^{HC}`.

    Gneiting, Raftery 2007, eq 22.

    .. math:: \frac1S \sum_i \lVert x_i - y \rVert
              - \frac{1}{2 S (S - 1)} \sum_{i,j} \lVert x_i - x_j \rVert

    Args:
        samples: (W, S, H, C).
        truth: (W, H, C); missing values drop out of the norm.
        normalise: divide by the norm of the vector's truth (NaN where that is 0).
        over: "path", "steps" or "channels".

    Returns:
        (W,), (W, H) or (W, C).
    """
    need_samples(samples.shape[1], "fair energy scores")
    errors, y, shape = _arranged(samples, truth, over)
    values = energy(errors, y)
    return (share(values, norm(y)) if normalise else values).reshape(shape)


def variogram_score(
    samples: np.ndarray,
    truth: np.ndarray,
    p: float = 0.5,
    normalise: bool = True,
    over: Over = "path",
    partners: int | None = None,
) -> np.ndarray:
    r"""Unbiased variogram score of vectors (Scheuerer, Hamill 2015, eq 9).

    It sees wrong dependence, to which the energy score is nearly blind.

    .. math:: \sum_{i<j} w_{ij} \left[ \left( |y_i - y_j|^p
              - \overline{|x_i - x_j|^p} \right)^2 - s_{ij}^2 / S \right]

    Args:
        samples: (W, S, H, C).
        truth: (W, H, C).
        p: power.
        normalise: divide by :math:`\sum w_{ij} |y_i - y_j|^{2p}` (NaN where that is 0).
        over: "path", "steps" or "channels".
        partners: with how many others each element is paired, an even number; all up to 256
            elements and 16 beyond if not given. The score is proper with any of them, but scores
            with different pairs must not be compared.

    Returns:
        (W,), (W, H) or (W, C); NaN for vectors of one element.
    """
    need_samples(samples.shape[1], "fair variogram scores")
    errors, y, shape = _arranged(samples, truth, over)
    values, whole = variogram(errors, y, p, partners)
    return (share(values, whole) if normalise else values).reshape(shape)


def dawid_sebastiani_score(
    samples: np.ndarray, truth: np.ndarray, over: Over = "path"
) -> np.ndarray:
    r"""Dawid-Sebastiani score of vectors: a forecast's first two moments (1999).

    .. math:: (y - \bar x)^\top \hat\Sigma^{-1} (y - \bar x) + \log \det \hat\Sigma

    Args:
        samples: (W, S, H, C); more samples than a vector has elements.
        truth: (W, H, C).
        over: "path", "steps" or "channels".

    Returns:
        (W,), (W, H) or (W, C); infinite where the samples' covariance is singular.
    """
    errors, y, shape = _arranged(samples, truth, over)
    return dawid_sebastiani(errors, y).reshape(shape)


def coverage(samples: np.ndarray, truth: np.ndarray, level: float = 0.9) -> np.ndarray:
    """Share of truths inside the central interval, for each step of the horizon, (H,).

    The interval's ends are the quantiles k / (S + 1), between which a calibrated truth lies with
    just this probability. Too few samples for that, see
    :func:`~tsgen.evaluation.cells.samples_needed`, give NaN, as do steps without an observed truth.
    """
    samples, truth = check(samples, truth)
    low, high = central_interval(_ordered(samples, truth), level)
    inside, observed = (low <= 0) & (high >= 0), ~np.isnan(truth)
    if samples.shape[1] < samples_needed(level):
        return np.full(truth.shape[1], np.nan)
    return share(np.sum(inside, axis=(0, 2), where=observed), observed.sum((0, 2)))


def pit(samples: np.ndarray, truth: np.ndarray, seed: int = 0) -> np.ndarray:
    """Randomised probability integral transform of each value, (W, H, C).

    It is the value's rank among the samples, in (0, 1). Uniform, exactly and for any number of
    samples, where forecast and truth have one law (Gneiting et al. 2007). NaN where the truth is.

    Args:
        samples: (W, S, H, C).
        truth: (W, H, C).
        seed: of the randomisation inside a rank.
    """
    samples, truth = check(samples, truth)
    uniform = np.random.default_rng(seed).random(truth.shape)
    return np.where(np.isnan(truth), np.nan, positions(errors_of(samples, truth), uniform))
