"""Histories with gaps, and what is drawn from them."""

import numpy as np
import torch

from tsgen.data.running import carry_forward


def fill_gaps(values: np.ndarray, season: int = 1) -> np.ndarray:
    """Replace each NaN of (T, C) with the value a season before it.

    Where there is none, with the last value before it, and at the start with the first one seen.
    """
    if season > 1:
        rest = -len(values) % season
        padded = np.pad(values, ((rest, 0), (0, 0)), constant_values=np.nan)
        cycles = padded.reshape(len(padded) // season, -1)
        values = carry_forward(cycles, np.isfinite(cycles), 0).reshape(padded.shape)[rest:]
    values = carry_forward(values, np.isfinite(values), 0)
    first = np.isfinite(values).argmax(0)
    return np.where(np.isfinite(values), values, np.take_along_axis(values, first[None], 0))


def hot_deck(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Replace what is not known, in each column, by one of its known values, drawn at random.

    Args:
        values: (n, ...).
        mask: which of them are, of the same shape; a column of which none is becomes 0.
    """
    if mask.all():
        return values
    flat, observed = values.reshape(len(values), -1).copy(), mask.reshape(len(values), -1)
    for column in np.flatnonzero(~observed.all(0)):
        rows, gaps = np.flatnonzero(observed[:, column]), np.flatnonzero(~observed[:, column])
        flat[gaps, column] = flat[rows[draw(len(rows), len(gaps))], column] if len(rows) else 0.0
    return flat.reshape(values.shape)


def unseen_since(history: np.ndarray) -> np.ndarray:
    """Steps at the end of (T, C) without a value, (C,)."""
    return np.isfinite(history)[::-1].argmax(0)


def logarithm(values: np.ndarray) -> np.ndarray:
    """Logarithm of (T, C).

    Raises:
        ValueError: naming the first channel that is not positive.
    """
    low = values.min(0)
    if low.min() <= 0:
        channel = int((low <= 0).argmax())
        raise ValueError(
            f"transform='log' needs positive values, channel {channel} has {low[channel]:g}"
        )
    return np.log(values)


def draw(count: int, *shape: int) -> np.ndarray:
    """Indices below ``count`` from torch's global generator, of the shape given."""
    return torch.randint(count, shape).numpy()


def normal(*shape: int) -> np.ndarray:
    """Standard normal numbers from torch's global generator."""
    return torch.randn(*shape, dtype=torch.float64).numpy()


def covariance_root(values: np.ndarray, joint: bool = True) -> np.ndarray:
    """A square root (C, C) of the covariance of values (n, C), which may be singular.

    Args:
        values: (n, C).
        joint: whether channels covary; else only their variances count.
    """
    centred = (values - values.mean(0)) / max(len(values) - 1, 1) ** 0.5
    deviations = np.linalg.norm(centred, axis=0)
    if not joint:
        return np.diag(deviations)
    # rounding in eigh is relative to the largest channel: much smaller ones are scaled up to it
    drowned = deviations < 1e-6 * deviations.max()
    scale = np.where(drowned, deviations / max(deviations.max(), np.finfo(float).tiny), 1.0)
    centred = centred / np.where(scale > 0, scale, 1.0)
    variances, vectors = np.linalg.eigh(centred.T @ centred)
    return scale[:, None] * (vectors * np.sqrt(np.maximum(variances, 0)))


def earlier_origins(length: int, latest: int, least: int, step: int) -> np.ndarray:
    """Steps ``length - k * step`` from ``latest`` down to ``least``: of one phase with the end."""
    return np.arange(latest - (latest - length) % step, least - 1, -step)
