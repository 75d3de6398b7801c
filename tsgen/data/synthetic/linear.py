"""Linear laws: vector autoregressions, whatever the law of their innovations."""

import math
from abc import abstractmethod
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
from typing_extensions import override

from tsgen.core import FINITE, NOT_EMPTY
from tsgen.data.synthetic.base import KnownLaw, LawState


def is_covariance(matrix: np.ndarray) -> bool:
    """Whether a matrix (C, C) is symmetric and positive definite."""
    return np.allclose(matrix, matrix.T) and bool(np.linalg.eigvalsh(matrix).min() > 0)


def quadratic(residual: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, float]:
    r""":math:`r^\top Q^{-1} r` and :math:`\log |Q|`.

    Args:
        residual: r, (*batch, C).
        covariance: Q, (C, C).

    Returns:
        (*batch,) and a number.
    """
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, residual[..., None])[..., 0]
    return (white**2).sum(-1), 2 * float(np.log(np.diag(root)).sum())


class LinearLaw(KnownLaw):
    r"""First-order vector autoregression.

    :math:`y_t = \mu + A (y_{t-1} - \mu) + \varepsilon_t` with independent innovations of mean 0 and
    covariance Q (Lütkepohl, New Introduction to Multiple Time Series Analysis, 2005, section 2.1).
    Mean and covariance are the stationary ones from the first step on.

    Args:
        coefficients: A, (C, C), all eigenvalues inside the unit circle.
        covariance: Q, (C, C), positive definite.
        mean: :math:`\mu`, the stationary mean, (C,).
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
    mean: Annotated[tuple[float, ...], FINITE, NOT_EMPTY] = (0.0, 0.0, 0.0)
    memory: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        """Check shapes, stability and the covariance."""
        super().__post_init__()
        size = len(self.mean)
        stable = f"a stable (C, C) matrix, C={size}"
        a = self._array("coefficients", (size, size), stable)
        self._require("coefficients", np.abs(np.linalg.eigvals(a)).max() < 1, stable)
        definite = f"a symmetric, positive definite (C, C) matrix, C={size}"
        q = self._array("covariance", (size, size), definite)
        self._require("covariance", is_covariance(q), definite)

    @override
    @property
    def num_channels(self) -> int:
        return len(self.mean)

    @abstractmethod
    def _radius(self, num: int, rng: np.random.Generator) -> np.ndarray:
        """The factor that multiplies Gaussian vectors, (N, 1); the mean of its square is 1."""

    @abstractmethod
    def _log_innovation(self, distance: np.ndarray, log_det: float) -> np.ndarray:
        r"""Log density of innovations.

        Args:
            distance: their :math:`\varepsilon^\top Q^{-1} \varepsilon`, (L,).
            log_det: :math:`\log |Q|`.
        """

    def stationary_covariance(self) -> np.ndarray:
        """The covariance of y_t: the solution of S = A S A' + Q, (C, C)."""
        a, q = np.array(self.coefficients), np.array(self.covariance)
        size = len(a)
        return np.linalg.solve(np.eye(size**2) - np.kron(a, a), q.reshape(-1)).reshape(size, size)

    @cached_property
    def _matrices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, A and the root of Q."""
        root = np.linalg.cholesky(np.array(self.covariance))
        return np.array(self.mean), np.array(self.coefficients), root

    def _noise(self, num: int, root: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(N, C), of mean 0 and covariance root root'."""
        gauss = rng.standard_normal((num, self.num_channels)) @ root.T
        return gauss * self._radius(num, rng)

    def _start(self, num: int, rng: np.random.Generator) -> LawState:
        root = np.linalg.cholesky(self.stationary_covariance())
        return (np.array(self.mean) + self._noise(num, root, rng),)

    def _state_after(self, history: np.ndarray, num: int, rng: np.random.Generator) -> LawState:
        return (np.repeat(history[:, -1][None], num, 0),)

    def _step(self, state: LawState, rng: np.random.Generator) -> LawState:
        mean, a, root = self._matrices
        return (mean + (state[0] - mean) @ a.T + self._noise(len(state[0]), root, rng),)

    def _moments(self, history: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        r""":math:`\mu + A^h (y - \mu)` and the diagonal of :math:`\sum_{k<h} A^k Q A^{k\top}`."""
        mean, a, _ = self._matrices
        deviation, spread = history[:, -1] - mean, np.zeros_like(a)
        means, stds = [], []
        for _ in range(horizon):
            deviation, spread = a @ deviation, a @ spread @ a.T + np.array(self.covariance)
            means.append(mean + deviation)
            stds.append(np.sqrt(np.diag(spread)))
        return np.stack(means), np.stack(stds)

    def _log_conditionals(self, path: np.ndarray, start: int) -> np.ndarray:
        mean, a, _ = self._matrices
        centred = path.T - mean
        residual = centred[start:] - centred[start - 1 : -1] @ a.T
        return self._log_innovation(*quadratic(residual, np.array(self.covariance)))


class VAR(LinearLaw):
    r"""Gaussian vector autoregression.

    :math:`y_t = \mu + A (y_{t-1} - \mu) + \varepsilon_t, \varepsilon_t \sim N(0, Q)`, started from
    the stationary law; options as in :class:`LinearLaw`. Everything is exact.
    """

    def _radius(self, num: int, rng: np.random.Generator) -> np.ndarray:
        return np.ones((num, 1))

    def _log_innovation(self, distance: np.ndarray, log_det: float) -> np.ndarray:
        return -0.5 * (distance + log_det + self.num_channels * math.log(2 * math.pi))


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
