"""Simulators whose conditional laws are known: a forecast can be compared with the truth."""

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
import pandas as pd

from tsgen.core import Options

Entry = dict[str, Any]


class KnownLaw(Options, ABC):
    """A process that can be simulated and whose law given its past is known.

    Args:
        freq: frequency of the series made.
    """

    freq: str = "h"

    @abstractmethod
    def simulate(self, num_series: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Independent stationary series, (N, C, T)."""

    @abstractmethod
    def exact_moments(self, history: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each coming value given a history (C, T), both (H, C)."""

    @abstractmethod
    def exact_forecast(
        self, history: np.ndarray, horizon: int, num_samples: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Sample paths of the exact law given a history (C, T), (S, H, C)."""

    def dataset(self, num_series: int, length: int, seed: int) -> list[Entry]:
        """Independent series as data set entries."""
        start = pd.Period("2000-01-01", freq=self.freq)
        series = self.simulate(num_series, length, np.random.default_rng(seed))
        return [{"start": start, "target": y, "item_id": str(i)} for i, y in enumerate(series)]


class VAR(KnownLaw):
    r"""Vector autoregression.

    :math:`y_t = \mu + A (y_{t-1} - \mu) + \varepsilon_t, \varepsilon_t \sim N(0, Q)`.

    Args:
        coefficients: A, (C, C), all eigenvalues inside the unit circle.
        covariance: Q, (C, C), positive definite.
        mean: the stationary mean, (C,).
    """

    coefficients: tuple[tuple[float, ...], ...] = (
        (0.6, 0.3, 0.0),
        (-0.3, 0.6, 0.2),
        (0.0, 0.2, 0.5),
    )
    covariance: tuple[tuple[float, ...], ...] = (
        (1.0, 0.5, 0.2),
        (0.5, 1.0, -0.3),
        (0.2, -0.3, 0.5),
    )
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Check stability."""
        a = np.array(self.coefficients)
        if a.shape != (len(self.mean),) * 2 or np.abs(np.linalg.eigvals(a)).max() >= 1:
            raise ValueError(
                f"VAR: coefficients={self.coefficients} must be a stable (C, C) matrix, "
                f"C={len(self.mean)}"
            )
        np.linalg.cholesky(np.array(self.covariance))

    def stationary_covariance(self) -> np.ndarray:
        """The covariance of y_t: the solution of S = A S A' + Q, (C, C)."""
        a, q = np.array(self.coefficients), np.array(self.covariance)
        size = len(a)
        return np.linalg.solve(np.eye(size**2) - np.kron(a, a), q.reshape(-1)).reshape(size, size)

    def simulate(self, num_series: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Start from the stationary law."""
        mean = np.array(self.mean)
        first = (
            mean
            + rng.standard_normal((num_series, len(mean)))
            @ np.linalg.cholesky(self.stationary_covariance()).T
        )
        rest = self._unroll(first, length - 1, rng)
        return np.concatenate([first[:, None], rest], 1).transpose(0, 2, 1)

    def _unroll(self, last: np.ndarray, steps: int, rng: np.random.Generator) -> np.ndarray:
        """(N, C) -> (N, steps, C)."""
        a, mean = np.array(self.coefficients), np.array(self.mean)
        root = np.linalg.cholesky(np.array(self.covariance))
        path, y = np.empty((len(last), steps, len(mean))), last
        for t in range(steps):
            y = path[:, t] = mean + (y - mean) @ a.T + rng.standard_normal(y.shape) @ root.T
        return path

    def exact_forecast(
        self, history: np.ndarray, horizon: int, num_samples: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Unroll from the last value."""
        return self._unroll(np.repeat(history[:, -1][None], num_samples, 0), horizon, rng)

    def exact_moments(self, history: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        r""":math:`\mu + A^h (y - \mu)` and the diagonal of :math:`\sum_{k<h} A^k Q A^{k\top}`."""
        a, mean = np.array(self.coefficients), np.array(self.mean)
        deviation, spread = history[:, -1] - mean, np.zeros_like(a)
        means, stds = [], []
        for _ in range(horizon):
            deviation, spread = a @ deviation, a @ spread @ a.T + np.array(self.covariance)
            means.append(mean + deviation)
            stds.append(np.sqrt(np.diag(spread)))
        return np.stack(means), np.stack(stds)


def ornstein_uhlenbeck(
    theta: float = 0.2, mean: float = 3.0, sigma: float = 0.5, dt: float = 1.0
) -> VAR:
    r""":math:`dy = \theta (\mu - y) dt + \sigma dW` at steps of dt.

    This is an autoregression exactly, with
    :math:`A = e^{-\theta dt}, Q = \frac{\sigma^2}{2 \theta} (1 - e^{-2 \theta dt})` (Uhlenbeck,
    Ornstein 1930).
    """
    if theta <= 0 or sigma <= 0 or dt <= 0:
        raise ValueError(f"theta={theta}, sigma={sigma} and dt={dt} must be positive")
    decay = math.exp(-theta * dt)
    return VAR(
        coefficients=((decay,),),
        covariance=((sigma**2 / (2 * theta) * (1 - decay**2),),),
        mean=(mean,),
    )


class CovariateLaw(Options):
    r""":math:`y_t = \sqrt{.8}\, c + \sqrt{.2}\, \varepsilon_t` with a covariate c.

    The covariate carries 80 % of the variance.

    Args:
        kind: "known" (:math:`c_t`, told for the future), "past" (:math:`c_{t-1}`, told up to now),
            "static" (a number of the series) or "category" (one of eight levels of the series).
    """

    kind: Literal["known", "past", "static", "category"]

    def dataset(self, num_series: int, length: int, horizon: int, seed: int) -> list[Entry]:
        """Series with their covariate.

        A known one reaches ``horizon`` steps further than the target.
        """
        rng = np.random.default_rng(seed)
        levels = np.array([-1.5, -1.0, -0.8, -0.2, 0.2, 0.8, 1.0, 1.5])
        levels = levels / levels.std()
        entries = []
        for i in range(num_series):
            start = pd.Period("2000-01-01", freq="h")
            noise = math.sqrt(0.2) * rng.standard_normal(length)
            moving, fixed, code = (
                rng.standard_normal(length + horizon),
                rng.standard_normal(),
                int(rng.integers(8)),
            )
            entry: Entry = {"start": start, "item_id": str(i)}
            if self.kind == "known":
                cause, entry["feat_dynamic_real"] = moving[:length], moving[None]
            elif self.kind == "past":
                cause = np.concatenate([rng.standard_normal(1), moving[: length - 1]])
                entry["past_feat_dynamic_real"] = moving[None, :length]
            elif self.kind == "static":
                cause, entry["feat_static_real"] = np.full(length, fixed), [fixed]
            else:
                cause, entry["feat_static_cat"] = np.full(length, levels[code]), [code]
            entry["target"] = math.sqrt(0.8) * cause + noise
            entry["mean"] = math.sqrt(0.8) * cause
            entries.append(entry)
        return entries
