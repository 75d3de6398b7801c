r"""Diffusion processes given by stochastic differential equations, with exact marginals.

:math:`dx = f(t)\, x\, dt + g(t)\, dW` on [0, 1] has :math:`x_t = \alpha(t) x_0 + \sigma(t)
\varepsilon`, so each is a :class:`~tsgen.diffusion.Schedule`.
"""

import math
from abc import abstractmethod

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.core import OptionError, Positive
from tsgen.diffusion.schedules import Schedule, VariancePreserving, check_rising


class SDE(Schedule):
    r"""A process with a closed form of :math:`F(t) = \int \frac{g^2}{\sigma^2} dt`.

    With the weight :math:`g^2 / \sigma^2` of the noise's squared error the loss bounds the negative
    log-likelihood (Song, Durkan, Murray, Ermon 2021, Maximum likelihood training of score-based
    diffusion models, theorem 1, with :math:`\lambda = g^2`).
    """

    @abstractmethod
    def accumulated(self, t: Tensor) -> Tensor:
        """F(t), up to a constant; minus infinity at t = 0."""

    @abstractmethod
    def accumulated_inverse(self, value: Tensor) -> Tensor:
        """The time of a value of F."""

    @override
    def time(self, half_log_snr: Tensor) -> Tensor:
        # the half log-SNR falls by half of what F rises by: a constant is all that F lacks
        last = torch.ones((), dtype=torch.float64)
        constant = float(self.accumulated(last) + 2 * self.half_log_snr(last))
        return self.accumulated_inverse(constant - 2 * half_log_snr).clamp(0, 1)

    def likelihood_weight(self, t: Tensor) -> Tensor:
        """g^2 / sigma^2."""
        return (self.diffusion(t) / self.sigma(t)) ** 2

    def likelihood_times(
        self, count: int, t_min: float = 1e-3, stratified: bool = False
    ) -> tuple[Tensor, float]:
        r"""Times drawn with density proportional to :math:`g^2 / \sigma^2` on [t_min, 1].

        Args:
            count: how many.
            t_min: the smallest time.
            stratified: whether each lies in a part of its own, of equal probability, in order.

        Returns:
            Times (count,), float64, and the integral of :math:`g^2 / \sigma^2` over the interval:
            a loss at such a time, times the integral, is an unbiased estimate of the weighted one
            (Song et al. 2021, section 5.2, as importance sampling).
        """
        low, high = self.accumulated(torch.tensor([t_min, 1.0], dtype=torch.float64))
        shares = torch.rand(count, dtype=torch.float64)
        if stratified:
            shares = (torch.arange(count) + shares) / count
        values = low + (high - low) * shares
        return self.accumulated_inverse(values).clamp(t_min, 1.0), float(high - low)

    def prior_log_prob(self, x: Tensor, dims: int = 1) -> Tensor:
        """Log density of the law at t = 1 that samplers start from, over the last dimensions.

        Args:
            x: (*batch, *event).
            dims: dimensions of the event.

        Returns:
            (*batch,).
        """
        logs = -0.5 * (x / self.prior_std) ** 2 - math.log(self.prior_std * math.sqrt(2 * math.pi))
        return logs.sum(tuple(range(-dims, 0)))


class _LinearBeta(SDE):
    r"""What processes with :math:`\beta(t) = \beta_0 + t (\beta_1 - \beta_0)` share.

    Args:
        num_steps: N, the steps of the discrete chain.
        beta_min: :math:`\beta_0`.
        beta_max: :math:`\beta_1`.
    """

    num_steps: int = 200
    beta_min: Positive = 0.1
    beta_max: Positive = 20.0

    def __post_init__(self) -> None:
        """Check that beta does not fall."""
        if self.beta_max < self.beta_min:
            least = f"at least beta_min={self.beta_min}"
            raise OptionError(type(self).__name__, "beta_max", self.beta_max, least)

    def beta(self, t: Tensor) -> Tensor:
        """The rate."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def integral(self, t: Tensor) -> Tensor:
        r""":math:`B(t) = \int_0^t \beta`."""
        return self.beta_min * t + (self.beta_max - self.beta_min) * t**2 / 2

    def time_of_integral(self, value: Tensor) -> Tensor:
        """The time at which B has a value."""
        slope = self.beta_max - self.beta_min
        return 2 * value / (self.beta_min + (self.beta_min**2 + 2 * slope * value).sqrt())

    def drift(self, t: Tensor) -> Tensor:
        r""":math:`-\beta / 2`."""
        return -self.beta(t) / 2


class VPSDE(_LinearBeta, VariancePreserving):
    r"""Variance preserving: :math:`dx = -\tfrac12 \beta x\, dt + \sqrt{\beta}\, dW`.

    Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole 2021, eq 11 and 32-33; DDPM is its
    discretisation.

    Args:
        num_steps: N.
        beta_min: rate at t = 0.
        beta_max: rate at t = 1.
    """

    def log_alpha(self, t: Tensor) -> Tensor:
        """Minus half of the integral of beta."""
        return -self.integral(t) / 2

    def diffusion(self, t: Tensor) -> Tensor:
        r""":math:`\sqrt\beta`."""
        return self.beta(t).sqrt()

    def accumulated(self, t: Tensor) -> Tensor:
        r""":math:`\log(e^{B} - 1)`."""
        total = self.integral(t)
        return total + torch.log(-torch.expm1(-total))

    def accumulated_inverse(self, value: Tensor) -> Tensor:
        """The time of a value of F."""
        return self.time_of_integral(torch.nn.functional.softplus(value))


class SubVPSDE(_LinearBeta):
    r"""Sub-VP: the variance stays below that of VP.

    :math:`dx = -\tfrac12 \beta x\, dt + \sqrt{\beta (1 - e^{-2 B})}\, dW` has
    :math:`\alpha = e^{-B / 2}` and :math:`\sigma = 1 - e^{-B}` (Song et al. 2021, eq 14 and 29).

    Args:
        num_steps: N.
        beta_min: rate at t = 0.
        beta_max: rate at t = 1.
    """

    def alpha(self, t: Tensor) -> Tensor:
        """Factor of the signal at time t."""
        return (-self.integral(t) / 2).exp()

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise at time t."""
        return -torch.expm1(-self.integral(t))

    @override
    @property
    def prior_std(self) -> float:
        return 1.0

    def diffusion(self, t: Tensor) -> Tensor:
        r""":math:`\sqrt{\beta (1 - e^{-2 B})}`."""
        return (self.beta(t) * -torch.expm1(-2 * self.integral(t))).sqrt()

    def accumulated(self, t: Tensor) -> Tensor:
        r""":math:`2 \log\sinh(B / 2)`, but for a constant."""
        total = self.integral(t)
        return total + 2 * torch.log(-torch.expm1(-total))

    def accumulated_inverse(self, value: Tensor) -> Tensor:
        """The time of a value of F."""
        # with s = sqrt(e^B): s - 1/s = e^(F / 2)
        return self.time_of_integral(2 * torch.asinh((value / 2).exp() / 2))


class VESDE(SDE):
    r"""Variance exploding: :math:`dx = \sigma_0 r^t \sqrt{2 \log r}\, dW`.

    With :math:`r = \sigma_1 / \sigma_0`; Song et al. 2021, eq 9 and 30. Their marginal
    :math:`\sigma_0 r^t` leaves :math:`\sigma_0` at t = 0; here the process starts at the data,
    :math:`\sigma^2 = \sigma_0^2 (r^{2t} - 1)`.

    Args:
        num_steps: N.
        sigma_min: :math:`\sigma_0`.
        sigma_max: :math:`\sigma_1`.
    """

    num_steps: int = 200
    sigma_min: Positive = 0.01
    sigma_max: Positive = 50.0

    def __post_init__(self) -> None:
        """Check that sigma rises."""
        check_rising(self, self.sigma_min, self.sigma_max)

    @property
    def _rate(self) -> float:
        return 2 * math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: Tensor) -> Tensor:
        """One: nothing decays."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise at time t."""
        return self.sigma_min * torch.expm1(self._rate * t).sqrt()

    @property
    def prior_std(self) -> float:
        """That of the noise at t = 1."""
        return math.sqrt(self.sigma_max**2 - self.sigma_min**2)

    @override
    def drift(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def diffusion(self, t: Tensor) -> Tensor:
        r""":math:`\sigma_0 r^t \sqrt{2 \log r}`."""
        return self.sigma_min * (self._rate * t / 2).exp() * math.sqrt(self._rate)

    def accumulated(self, t: Tensor) -> Tensor:
        r""":math:`\log(r^{2t} - 1)`."""
        return torch.log(torch.expm1(self._rate * t))

    def accumulated_inverse(self, value: Tensor) -> Tensor:
        """The time of a value of F."""
        return torch.nn.functional.softplus(value) / self._rate
