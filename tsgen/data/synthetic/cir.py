"""The square-root diffusion: positive, with a noise that grows with the level."""

import math
from typing import ClassVar

import numpy as np
import torch
from typing_extensions import override

from tsgen.core import Positive
from tsgen.data.synthetic.base import KnownLaw, LawState, Support


class CIR(KnownLaw):
    r"""Square-root diffusion at steps of dt (Cox, Ingersoll, Ross, Econometrica 53, 1985, eq. 17).

    :math:`dy = \kappa (\theta - y) dt + \sigma \sqrt{y} dW`. There is no Euler error:
    :math:`y_t / c` given :math:`y_{t-1}` is noncentral chi-square with
    :math:`4 \kappa \theta / \sigma^2` degrees of freedom and noncentrality
    :math:`y_{t-1} e^{-\kappa dt} / c`, where
    :math:`c = \sigma^2 (1 - e^{-\kappa dt}) / (4 \kappa)` (eq. 18). Series start from the
    stationary law, Gamma with shape :math:`2 \kappa \theta / \sigma^2` and mean
    :math:`\theta` (eq. 20). Everything is exact.

    Args:
        kappa: :math:`\kappa`, speed of the return to the mean.
        theta: :math:`\theta`, the stationary mean.
        sigma: :math:`\sigma`. Feller's condition :math:`2 \kappa \theta \ge \sigma^2` must hold:
            otherwise the process touches 0, which is no positive value.
        dt: time of one step.
    """

    kappa: Positive = 0.2
    theta: Positive = 10.0
    sigma: Positive = 1.2
    dt: Positive = 1.0
    support: ClassVar[Support] = "positive"
    memory: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        """Check Feller's condition."""
        super().__post_init__()
        bound = 2 * self.kappa * self.theta
        self._require(
            "sigma",
            self.sigma**2 <= bound,
            f"at most sqrt(2 kappa theta) = {math.sqrt(bound):g} (Feller's condition)",
        )

    @override
    @property
    def num_channels(self) -> int:
        return 1

    @property
    def _transition(self) -> tuple[float, float, float]:
        """Scale c, degrees of freedom and the factor from the last value to the noncentrality."""
        decay = math.exp(-self.kappa * self.dt)
        scale = -(self.sigma**2) * math.expm1(-self.kappa * self.dt) / (4 * self.kappa)
        return scale, 4 * self.kappa * self.theta / self.sigma**2, decay / scale

    def _start(self, num: int, rng: np.random.Generator) -> LawState:
        shape = 2 * self.kappa * self.theta / self.sigma**2
        return (rng.gamma(shape, self.theta / shape, (num, 1)),)

    def _state_after(self, history: np.ndarray, num: int, rng: np.random.Generator) -> LawState:
        return (np.repeat(history[:, -1][None], num, 0),)

    def _step(self, state: LawState, rng: np.random.Generator) -> LawState:
        scale, df, factor = self._transition
        return (scale * rng.noncentral_chisquare(df, factor * state[0]),)

    def _moments(self, history: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        r"""Of a time :math:`\tau` ahead, with :math:`d = e^{-\kappa \tau}` (eq. 19).

        Mean :math:`\theta + (y - \theta) d`, variance
        :math:`\frac{\sigma^2}{\kappa} (1 - d) (y d + \frac{\theta}{2} (1 - d))`.
        """
        last = history[:, -1]
        rate = self.kappa * self.dt * np.arange(1, horizon + 1)[:, None]
        decay, rest = np.exp(-rate), -np.expm1(-rate)
        variance = self.sigma**2 / self.kappa * rest * (last * decay + self.theta / 2 * rest)
        return self.theta + (last - self.theta) * decay, np.sqrt(variance)

    def _log_conditionals(self, path: np.ndarray, start: int) -> np.ndarray:
        scale, df, factor = self._transition
        values, before = path[0, start:] / scale, factor * path[0, start - 1 : -1]
        return log_noncentral_chi_square(values, df, before) - math.log(scale)


def log_noncentral_chi_square(x: np.ndarray, df: float, noncentrality: np.ndarray) -> np.ndarray:
    r"""Log density of the noncentral chi-square law, (N,).

    :math:`\sum_k \mathrm{Poisson}(k; \lambda / 2)\, \chi^2_{\nu + 2 k}(x)` in logarithms (Johnson,
    Kotz, Balakrishnan, Continuous Univariate Distributions 2, 1995, eq. 29.4), where the Bessel
    function of the closed form would underflow. Terms are log-concave in k; those summed reach
    more than ten of their standard deviations to both sides of the largest.

    Args:
        x: positive, (N,).
        df: :math:`\nu`.
        noncentrality: :math:`\lambda`, positive, (N,).
    """
    order, product = df / 2 - 1, x * noncentrality / 4
    result = np.empty(len(x))
    for i, (value, half, peak) in enumerate(
        zip(x, noncentrality / 2, _peak(order, product), strict=True)
    ):
        reach = 12 * math.sqrt(peak) + 40
        k = torch.arange(max(0, int(peak - reach)), int(peak + reach), dtype=torch.float64)
        terms = k * math.log(half * value / 2) - torch.lgamma(k + 1) - torch.lgamma(order + 1 + k)
        result[i] = order * math.log(value / 2) - half - value / 2 + torch.logsumexp(terms, 0)
    return result - math.log(2)


def _peak(order: float, product: np.ndarray) -> np.ndarray:
    """Where k (k + order) = product, about the largest term of the sum."""
    return np.maximum(np.sqrt(order**2 / 4 + product) - order / 2, 0)
