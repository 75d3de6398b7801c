"""Scores of sample forecasts.

Shapes: samples (W, S, H, C), truth (W, H, C); NaN in the truth is left out. W windows, S samples, H
steps, C channels. Two different figures are called CRPS in the literature: the mean pinball loss
over a grid of quantiles, which depends on the grid, and the score of the samples. Both are here, by
their own names.
"""

import numpy as np


def quantile_levels(count: int = 19) -> np.ndarray:
    """The levels k / (count + 1).

    9 is GluonTS' default grid, 19 that of the TimeGrad line of papers.
    """
    if count < 1:
        raise ValueError(f"levels={count} must be at least 1")
    return np.arange(1, count + 1) / (count + 1)


def _check(samples: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    return samples, truth


def _pinball(samples: np.ndarray, truth: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Twice the pinball loss at each level, (levels, W, H, C).

    With GluonTS' nearest-rank quantile.
    """
    ranks = np.round((samples.shape[1] - 1) * levels).astype(int)
    quantiles = np.moveaxis(np.sort(samples, axis=1)[:, ranks], 1, 0)
    shape = (-1, *[1] * truth.ndim)
    return 2 * np.abs((quantiles - truth) * ((truth <= quantiles) - levels.reshape(shape)))


def quantile_crps(samples: np.ndarray, truth: np.ndarray, levels: int = 19) -> float:
    r"""Quantile-grid CRPS, GluonTS' ``mean_wQuantileLoss``.

    .. math:: \frac1K \sum_{k=1}^K \frac{\sum 2 \rho_{q_k}(y - \hat y_{q_k})}{\sum |y|}

    Args:
        samples: (W, S, H, C).
        truth: (W, H, C).
        levels: K, see :func:`quantile_levels`.
    """
    samples, truth = _check(samples, truth)
    return float(
        np.nansum(_pinball(samples, truth, quantile_levels(levels)))
        / levels
        / np.nansum(np.abs(truth))
    )


def crps_sum(samples: np.ndarray, truth: np.ndarray, levels: int = 19) -> float:
    """Quantile-grid CRPS of the sum over channels, GluonTS' ``m_sum_mean_wQuantileLoss``.

    It can reward a wrong dependence between channels (Koochali et al. 2022): read it beside the
    energy score.
    """
    samples, truth = _check(samples, truth)
    return quantile_crps(samples.sum(-1, keepdims=True), truth.sum(-1, keepdims=True), levels)


def fair_crps(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    r"""Unbiased sample CRPS of each value, unnormalised, (W, H, C); NaN where the truth is.

    Ferro 2014, eq 5.

    .. math:: \frac1S \sum_i |x_i - y| - \frac{1}{2 S (S - 1)} \sum_{i,j} |x_i - x_j|
    """
    samples, truth = _check(samples, truth)
    count = samples.shape[1]
    if count < 2:
        raise ValueError(f"the fair CRPS needs at least 2 samples, got {count}")
    distance = np.abs(samples - truth[:, None]).mean(1)
    # sum over pairs of |x_i - x_j| from order statistics
    weights = 2 * np.arange(count) - count + 1
    spread = np.einsum("s,wshc->whc", weights.astype(float), np.sort(samples, axis=1))
    return distance - spread / (count * (count - 1))


def energy_score(samples: np.ndarray, truth: np.ndarray, normalise: bool = True) -> np.ndarray:
    r"""Unbiased energy score of each window's whole path in :math:`R^{HC}`, (W,).

    Gneiting, Raftery 2007, eq 22.

    .. math:: \frac1S \sum_i \lVert x_i - y \rVert
              - \frac{1}{2 S (S - 1)} \sum_{i,j} \lVert x_i - x_j \rVert

    Args:
        samples: (W, S, H, C).
        truth: (W, H, C); missing values drop out of the norm.
        normalise: divide by the norm of the window's truth.
    """
    samples, truth = _check(samples, truth)
    count = samples.shape[1]
    if count < 2:
        raise ValueError(f"the fair energy score needs at least 2 samples, got {count}")
    scores = np.empty(len(truth))
    for w, (paths, actual) in enumerate(zip(samples, truth, strict=True)):
        seen = np.isfinite(actual)
        x, y = paths[:, seen], actual[seen]
        x = x - y  # distances do not change, and squares keep their digits
        square = np.einsum("sk,sk->s", x, x)
        gram = x @ x.T
        pairs = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * gram, 0))
        np.fill_diagonal(pairs, 0)
        value = np.sqrt(square).mean() - pairs.sum() / (2 * count * (count - 1))
        norm = np.linalg.norm(y)
        scores[w] = value / norm if normalise and norm > 0 else value
    return scores


def coverage(samples: np.ndarray, truth: np.ndarray, level: float = 0.9) -> np.ndarray:
    """Share of truths inside the central interval, for each step of the horizon, (H,).

    The interval's ends are the quantiles k / (S + 1), between which a calibrated truth lies with
    just this probability.
    """
    samples, truth = _check(samples, truth)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=1, method="weibull")
    inside = np.where(np.isnan(truth), np.nan, (low <= truth) & (truth <= high))
    return np.nanmean(inside, axis=(0, 2))


def pit(samples: np.ndarray, truth: np.ndarray, seed: int = 0) -> np.ndarray:
    """Randomised probability integral transform of each value, (W, H, C).

    It is the value's rank among the samples, in (0, 1). Uniform, exactly and for any number of
    samples, where forecast and truth have one law (Gneiting et al. 2007). NaN where the truth is.

    Args:
        samples: (W, S, H, C).
        truth: (W, H, C).
        seed: of the randomisation inside a rank.
    """
    samples, truth = _check(samples, truth)
    below, equal = (samples < truth[:, None]).sum(1), (samples == truth[:, None]).sum(1)
    rank = below + (equal + 1) * np.random.default_rng(seed).random(truth.shape)
    return np.where(np.isnan(truth), np.nan, rank / (samples.shape[1] + 1))


def score(samples: np.ndarray, truth: np.ndarray, levels: int = 19) -> dict[str, float]:
    """The table's row.

    Returns:
        ``crps`` and ``crps_sum`` on the quantile grid, ``fair_crps`` and ``energy`` from samples,
        all divided by the size of the truth, and ``coverage_90`` at the first, the middle and the
        last step.
    """
    by_step = coverage(samples, truth)
    size = np.nansum(np.abs(truth))
    return {
        "crps": quantile_crps(samples, truth, levels),
        "crps_sum": crps_sum(samples, truth, levels),
        "fair_crps": float(np.nansum(fair_crps(samples, truth)) / size),
        "energy": float(energy_score(samples, truth).mean()),
        "coverage_90_first": float(by_step[0]),
        "coverage_90_middle": float(by_step[(len(by_step) - 1) // 2]),
        "coverage_90_last": float(by_step[-1]),
    }
