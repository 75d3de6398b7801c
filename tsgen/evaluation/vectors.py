"""Scores of vectors: whole paths, all channels of a step, all steps of a channel.

Arrays here are batches of vectors with the samples last: errors x - y are (B, N, S), 0 where the
truth is missing, and the truth is (B, N), NaN where missing.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from tsgen.core import OptionError

Over = Literal["path", "steps", "channels"]
"""Which vectors: all values of a window, the channels of each step, the steps of each channel."""

_BLOCK = 2**18
"""Numbers that intermediates hold at a time."""
_ALL_PAIRS, _PARTNERS = 256, 16
_FAR = 10
"""Truths so many times as far apart as errors are large: differences of powers lose digits."""


def arrange(values: np.ndarray, over: Over) -> np.ndarray:
    """Values (W, H, C, ...) as vectors (B, N, ...)."""
    windows, steps, channels, *rest = values.shape
    if over == "path":
        return values.reshape(windows, -1, *rest)
    if over == "steps":
        return values.reshape(-1, channels, *rest)
    if over == "channels":
        return values.swapaxes(1, 2).reshape(-1, steps, *rest)
    raise OptionError("", "over", over, "'path', 'steps' or 'channels'")


def _blocks(total: int, each: int) -> Iterator[slice]:
    """Slices of a batch whose intermediates, of so many numbers a vector, stay in the cache."""
    size = max(1, _BLOCK // max(each, 1))
    return (slice(first, first + size) for first in range(0, total, size))


def norm(truth: np.ndarray) -> np.ndarray:
    """Euclidean norm of what is observed, (B,)."""
    filled = np.nan_to_num(truth)
    return np.sqrt(np.einsum("bn,bn->b", filled, filled))


def energy(errors: np.ndarray, truth: np.ndarray) -> np.ndarray:
    r"""Unbiased energy score, (B,). Gneiting, Raftery 2007, eq 22.

    .. math:: \frac1S \sum_i \lVert x_i - y \rVert
              - \frac{1}{2 S (S - 1)} \sum_{i,j} \lVert x_i - x_j \rVert

    Missing values drop out of the norms; without any observed value the score is NaN.
    """
    total, size, count = errors.shape
    scores, diagonal = np.empty(total), np.arange(count)
    for part in _blocks(total, count * (count + 3 * size)):
        x = errors[part]
        near = np.sqrt(np.einsum("bns,bns->bs", x, x)).mean(1)
        # distances between samples do not change, and squares keep their digits
        x = x - x.mean(2, keepdims=True)
        square = np.einsum("bns,bns->bs", x, x)[:, None]
        one = np.ones_like(square)
        left, right = np.concatenate([-2 * x, square, one], 1), np.concatenate([x, one, square], 1)
        pairs = left.swapaxes(1, 2) @ right
        pairs[:, diagonal, diagonal] = 0
        np.sqrt(np.maximum(pairs, 0, out=pairs), out=pairs)
        scores[part] = near - pairs.sum((1, 2)) / (2 * count * (count - 1))
    return np.where(np.isnan(truth).all(1), np.nan, scores)


def partners(size: int, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Offsets on a circle of ``size`` elements that pair each with others, and their weights.

    Args:
        size: N.
        most: partners of each element, an even number; by default all up to 256 elements, 16 of
            them, evenly spread over the circle, beyond.

    Returns:
        Offsets (K,), and the weight of each: every unordered pair counts once.
    """
    if most is not None and (most < 2 or most % 2):
        raise OptionError("", "partners", most, "an even number from 2 up")
    if most is None:
        most = size if size <= _ALL_PAIRS else _PARTNERS
    if most >= size - 1:
        offsets = np.arange(1, size // 2 + 1)
    else:
        offsets = np.round(np.linspace(1, (size - 1) // 2, most // 2)).astype(int)
    # half a circle away, each pair is met from both ends
    return offsets, np.where(2 * offsets == size, 0.5, 1.0)


def variogram(
    errors: np.ndarray, truth: np.ndarray, p: float = 0.5, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Unbiased variogram score and the size of the truth's variogram, both (B,).

    Scheuerer, Hamill 2015, eq 9, with weights 0 or 1 (each unordered pair once):

    .. math:: \sum_{i<j} w_{ij} \left[ (v_{ij} - \bar v_{ij})^2 - \frac{1}{S} s_{ij}^2 \right],
              \quad v_{ij} = |y_i - y_j|^p

    with mean :math:`\bar v` and variance :math:`s^2` of :math:`|x_i - x_j|^p` over the samples;
    subtracting :math:`s^2 / S` makes the expected score the same for any number of samples. The
    second array is :math:`\sum w_{ij} v_{ij}^2`, of which the score is a share.

    Args:
        errors: (B, N, S); of float32 they take a third of the time, and the score is right to
            about 1e-5.
        truth: (B, N); pairs with a missing value are left out.
        p: power.
        most: partners of each element, see :func:`partners`.
    """
    total, size, count = errors.shape
    offsets, weights = partners(size, most)
    if not len(offsets):
        return np.full(total, np.nan), np.full(total, np.nan)
    around = np.arange(size + offsets[-1]) % size
    missing = np.isnan(truth)
    filled, observed = np.where(missing, 0.0, truth)[:, around], ~missing[:, around]
    mean_of = np.full(count, 1 / count, errors.dtype)
    scores, wholes, met = np.zeros((3, total))
    for part in _blocks(total, 2 * count * size):
        y, mask, x = filled[part], observed[part], errors[part][:, around]
        gap = np.empty((len(y), size, count), errors.dtype)
        largest = np.abs(errors[part]).max(2)[:, around]
        for offset, weight in zip(offsets, weights, strict=True):
            other = slice(offset, offset + size)
            apart = y[:, other] - y[:, :size]
            actual, pair = np.abs(apart) ** p, mask[:, other] & mask[:, :size]
            # x_i - x_j is the difference of errors plus that of truths: no level is left in it
            np.subtract(x[:, other], x[:, :size], out=gap)
            far = np.abs(apart) > _FAR * (largest[:, other] + largest[:, :size])
            beyond = np.expm1(p * np.log1p(gap[far] / apart[far][:, None]))
            gap += apart[..., None].astype(gap.dtype)
            np.abs(gap, out=gap)
            gap = np.sqrt(gap, out=gap) if p == 0.5 else np.power(gap, p, out=gap)
            # only what it is more than the truth's, so that squares keep their digits
            gap -= actual[..., None].astype(gap.dtype)
            gap[far] = actual[far][:, None] * beyond
            mean = (gap @ mean_of).astype(float)
            square = np.einsum("bns,bns->bn", gap, gap).astype(float) / count
            spread = np.maximum(square - mean**2, 0)
            scores[part] += weight * ((mean**2 - spread / (count - 1)) * pair).sum(1)
            wholes[part] += weight * (actual**2 * pair).sum(1)
            met[part] += pair.sum(1)
    return np.where(met > 0, scores, np.nan), np.where(met > 0, wholes, np.nan)


def dawid_sebastiani(errors: np.ndarray, truth: np.ndarray) -> np.ndarray:
    r"""Dawid-Sebastiani score, (B,). Dawid, Sebastiani 1999.

    .. math:: (y - \bar x)^\top \hat\Sigma^{-1} (y - \bar x) + \log \det \hat\Sigma

    Infinite where the covariance is singular to rounding.

    Raises:
        ValueError: if there are not more samples than elements: their covariance is singular.
    """
    total, size, count = errors.shape
    if count <= size:
        raise ValueError(
            f"the Dawid-Sebastiani score of {size} values needs more than {size} samples, got "
            f"{count}; over='steps' or 'channels' has shorter vectors"
        )
    scores = np.full(total, np.nan)
    for b, (x, observed) in enumerate(zip(errors, np.isfinite(truth), strict=True)):
        if not observed.any():
            continue
        mean = x[observed].mean(1)
        covariance = np.atleast_2d(np.cov(x[observed]))
        if np.linalg.matrix_rank(covariance, hermitian=True) < len(covariance):
            scores[b] = np.inf
            continue
        log_det = np.linalg.slogdet(covariance)[1]
        scores[b] = mean @ np.linalg.solve(covariance, mean) + log_det
    return scores
