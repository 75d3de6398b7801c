r"""Noise schedules: how much signal and how much noise there is at each diffusion time.

A schedule gives :math:`\alpha(t), \sigma(t)` of :math:`x_t = \alpha(t) x_0 + \sigma(t)\varepsilon`
for :math:`t \in [0, 1]`. The discrete steps :math:`n = 1, \dots, N` of a chain are the times
:math:`n / N`, where the continuous schedule equals the discrete product exactly, and :math:`t = 0`
is the data.
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated

import torch
from torch import Tensor

from tsgen.core import Count, OptionError, Options, between


class Schedule(Options, ABC):
    r"""A scalar forward process :math:`x_t = \alpha(t) x_0 + \sigma(t) \varepsilon`.

    Times are float64 tensors of any shape, and so are all results.

    Args:
        num_steps: N, the number of discrete steps that a model is trained on.
    """

    num_steps: Count = 100

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Factor of the signal at time t."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise at time t."""

    @property
    @abstractmethod
    def prior_std(self) -> float:
        """Standard deviation of the law a sampler starts from at t = 1."""

    def noise(self, like: Tensor, t: Tensor | float) -> Tensor:
        """Standardised noise of the process: mean 0 and standard deviation 1, like a tensor.

        All noise of training and of the samplers comes from here, so that a process with another
        law of its noise overrides it.

        Args:
            like: a tensor with the shape, dtype and device wanted.
            t: the time from whose law it is drawn; a Gaussian process does not look at it.
        """
        return torch.randn_like(like)

    def prior(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """States of a shape at t = 1, where samplers start, of a tensor's dtype and device."""
        return torch.randn(shape, dtype=like.dtype, device=like.device) * self.prior_std

    def alpha_dot(self, t: Tensor) -> Tensor:
        """Derivative of alpha in t."""
        return _derivative(self.alpha, t)

    def sigma_dot(self, t: Tensor) -> Tensor:
        """Derivative of sigma in t (t > 0)."""
        return _derivative(self.sigma, t)

    def drift(self, t: Tensor) -> Tensor:
        r""":math:`f = \dot\alpha / \alpha` of the process :math:`dx = f(t) x\,dt + g(t)\,dW`."""
        return self.alpha_dot(t) / self.alpha(t)

    def diffusion(self, t: Tensor) -> Tensor:
        r""":math:`g = \sqrt{\frac{d\sigma^2}{dt} - 2 f \sigma^2}` of that process (t > 0)."""
        sigma = self.sigma(t)
        return (2 * sigma * (self.sigma_dot(t) - self.drift(t) * sigma)).clamp_min(0).sqrt()

    def half_log_snr(self, t: Tensor) -> Tensor:
        r""":math:`\lambda(t) = \log(\alpha(t) / \sigma(t))`, falling; infinite at t = 0."""
        return self.alpha(t).log() - self.sigma(t).log()

    def time(self, half_log_snr: Tensor) -> Tensor:
        """The time in (0, 1] of a half log-SNR.

        It is the inverse of :meth:`half_log_snr`, by bisection.
        """
        low, high = torch.zeros_like(half_log_snr), torch.ones_like(half_log_snr)
        for _ in range(60):
            middle = (low + high) / 2
            noisier = self.half_log_snr(middle) < half_log_snr
            low, high = torch.where(noisier, low, middle), torch.where(noisier, middle, high)
        return (low + high) / 2

    def times(self) -> Tensor:
        """The discrete times n / N for n = 0, ..., N, shape (N + 1,), float64."""
        return torch.arange(self.num_steps + 1, dtype=torch.float64) / self.num_steps


class VariancePreserving(Schedule):
    r"""A schedule with :math:`\alpha^2 + \sigma^2 = 1`, given by :math:`\log\alpha(t)`."""

    @abstractmethod
    def log_alpha(self, t: Tensor) -> Tensor:
        r""":math:`\log\alpha(t) = \tfrac12 \log\bar\alpha_{tN}`, zero at t = 0."""

    def alpha(self, t: Tensor) -> Tensor:
        """Factor of the signal at time t."""
        return self.log_alpha(t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise at time t."""
        return (-torch.expm1(2 * self.log_alpha(t))).clamp_min(0).sqrt()

    @property
    def prior_std(self) -> float:
        """One: the process preserves unit variance."""
        return 1.0


class LinearSchedule(VariancePreserving):
    r""":math:`\beta_n` from ``beta_start`` to ``beta_end`` in equal steps.

    Ho, Jain, Abbeel 2020, section 4; the defaults are TimeGrad's (Rasul et al. 2021). With
    :math:`1 - \beta_n = \delta (c - n)` the product is
    :math:`\bar\alpha_n = \delta^n \Gamma(c) / \Gamma(c - n)`, which is smooth in n >= 1 and thus
    the continuous schedule as well.

    Args:
        num_steps: N.
        beta_start: the first step's noise variance, in (0, 1).
        beta_end: the last step's, in [beta_start, 1).
    """

    beta_start: Annotated[float, between(0, 1, "()")] = 1e-4
    beta_end: Annotated[float, between(0, 1, "()")] = 0.1

    def __post_init__(self) -> None:
        """Check that beta does not fall."""
        if self.beta_end < self.beta_start:
            least = f"at least beta_start={self.beta_start}"
            raise OptionError(type(self).__name__, "beta_end", self.beta_end, least)

    def log_alpha(self, t: Tensor) -> Tensor:
        """Half the logarithm of the product of 1 - beta."""
        return _log_product(-self.beta_start, -self.beta_end, self.num_steps, t) / 2


class QuadraticSchedule(LinearSchedule):
    r""":math:`\sqrt{\beta_n}` in equal steps.

    So :math:`1 - \beta_n = (1 - s_n)(1 + s_n)` with linear :math:`s_n`. Used by CSDI (Tashiro et
    al. 2021) with ``beta_end=0.5``; the arguments are those of the linear schedule.
    """

    def log_alpha(self, t: Tensor) -> Tensor:
        """Half the logarithm of the product of 1 - beta."""
        first, last = math.sqrt(self.beta_start), math.sqrt(self.beta_end)
        n = self.num_steps
        return (_log_product(-first, -last, n, t) + _log_product(first, last, n, t)) / 2


class CosineSchedule(VariancePreserving):
    r""":math:`\alpha(t) \propto \cos\left(\tfrac{\pi}{2} \tfrac{\tau t + s}{1 + s}\right)`.

    Nichol, Dhariwal 2021, eq 17. The paper clips :math:`\beta` at .999 because its
    :math:`\alpha(1)` is zero; here time is stretched by :math:`\tau < 1` so that the chain ends at
    ``terminal_alpha``, which keeps the schedule smooth.

    Args:
        num_steps: N.
        offset: s, keeps the first steps from being too small.
        terminal_alpha: the signal left at t = 1, in (0, 1).
    """

    offset: Annotated[float, between(0, 1, "[)")] = 0.008
    terminal_alpha: Annotated[float, between(0, 1, "()")] = 0.01

    def log_alpha(self, t: Tensor) -> Tensor:
        """Logarithm of the ratio of cosines."""
        first = math.pi / 2 * self.offset / (1 + self.offset)
        last = math.acos(self.terminal_alpha * math.cos(first))
        return torch.cos(first + (last - first) * t).log() - math.log(math.cos(first))


def check_rising(schedule: Schedule, sigma_min: float, sigma_max: float) -> None:
    """Raise ``OptionError`` for a schedule whose noise would not rise."""
    if sigma_max <= sigma_min:
        above = f"above sigma_min={sigma_min}"
        raise OptionError(type(schedule).__name__, "sigma_max", sigma_max, above)


def _log_product(first: float, last: float, num_steps: int, t: Tensor) -> Tensor:
    r""":math:`\log\prod_{i=1}^{n} (1 + r_i)` at real n = tN.

    The :math:`r_i` run from first to last in equal steps. Below n = 1, where the rates would run on
    to before the first one, it is a straight line.
    """
    n = t * num_steps
    step = (last - first) / (num_steps - 1) if num_steps > 1 else 0.0
    if abs(step) < 1e-10:
        return n * math.log1p(first)
    start = t.new_full((), (1 + first) / abs(step))
    if step > 0:  # a rising factorial: start (start + 1) ... (start + n - 1)
        ratio = torch.lgamma(start + n) - torch.lgamma(start)
    else:  # a falling one: start (start - 1) ... (start - n + 1)
        ratio = torch.lgamma(start + 1) - torch.lgamma(start + 1 - n)
    return torch.where(n < 1, n * math.log1p(first), ratio + n * math.log(abs(step)))


def _derivative(function: object, t: Tensor) -> Tensor:
    with torch.enable_grad():
        t = t.detach().requires_grad_()
        value = function(t)  # type: ignore[operator]
        if not value.requires_grad:  # a constant
            return torch.zeros_like(t)
        (slope,) = torch.autograd.grad(value.sum(), t)
    return slope
