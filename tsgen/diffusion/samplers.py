r"""Samplers: from noise to data, given a denoiser :math:`\hat x_0(x, t)`.

A sampler is a small stateless object. It sees a function ``denoise(x, t)`` of a tensor and a float,
a schedule and the shape of what is wanted, nothing of the model; so it may differ from what
training used.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from tsgen.core import Options
from tsgen.diffusion.schedules import Schedule

Denoiser = Callable[[Tensor, float], Tensor]


class Sampler(Options, ABC):
    """Draws from the reverse process.

    Args:
        num_steps: calls of the denoiser; ``None`` takes all N steps of the schedule.
    """

    num_steps: int | None = None

    @property
    @abstractmethod
    def order(self) -> int | None:
        """Order of the global error in the step size.

        ``None`` for samplers that do not solve the probability-flow ODE.
        """

    @property
    @abstractmethod
    def stochastic(self) -> bool:
        """Whether noise is added on the way."""

    def __post_init__(self) -> None:
        """Check the number of steps."""
        if self.num_steps is not None and self.num_steps < 1:
            raise ValueError(
                f"{type(self).__name__}: num_steps={self.num_steps} must be at least 1"
            )

    def times(self, schedule: Schedule) -> Tensor:
        """The times visited, from 1 down to 0, shape (num_steps + 1,), float64.

        They are equal steps of the chain.
        """
        total = schedule.num_steps
        count = self.num_steps or total
        if count > total:
            raise ValueError(
                f"{type(self).__name__}: num_steps={count} exceeds the {total} steps of "
                f"{type(schedule).__name__}"
            )
        return torch.linspace(total, 0, count + 1, dtype=torch.float64).round() / total

    @abstractmethod
    def sample(
        self, denoise: Denoiser, shape: tuple[int, ...], schedule: Schedule, *, like: Tensor
    ) -> Tensor:
        """Draw samples.

        Args:
            denoise: ``denoise(x, t)`` with x of the given shape and t a float; returns the estimate
                of x0.
            shape: shape of the samples.
            schedule: the process that the denoiser was trained for.
            like: a tensor with the dtype and device wanted.

        Returns:
            Samples of the given shape.
        """


class DDIM(Sampler):
    r"""Denoising diffusion implicit models (Song, Meng, Ermon 2021, eq 12).

    .. math:: x_s = \alpha_s \hat x_0 + \sqrt{\sigma_s^2 - \eta^2 \tilde\sigma^2}\,\hat\varepsilon
              + \eta\tilde\sigma z, \quad
              \tilde\sigma^2 = \left(1 - \frac{\alpha_t^2 \sigma_s^2}{\alpha_s^2
              \sigma_t^2}\right)\sigma_s^2

    Args:
        num_steps: calls of the denoiser.
        eta: 0 is deterministic, 1 the ancestral chain.
    """

    eta: float = 0.0

    @property
    def order(self) -> int | None:
        """One, where it is deterministic."""
        return None if self.eta else 1

    @property
    def stochastic(self) -> bool:
        """If eta is not 0."""
        return self.eta > 0

    def __post_init__(self) -> None:
        """Check eta."""
        super().__post_init__()
        if not 0 <= self.eta <= 1:
            raise ValueError(f"{type(self).__name__}: eta={self.eta} must lie in [0, 1]")

    def sample(
        self, denoise: Denoiser, shape: tuple[int, ...], schedule: Schedule, *, like: Tensor
    ) -> Tensor:
        """Draw samples; see :class:`Sampler`."""
        times = self.times(schedule)
        alpha, sigma = schedule.alpha(times), schedule.sigma(times)
        spread = (1 - (alpha[:-1] * sigma[1:] / (alpha[1:] * sigma[:-1])) ** 2) * sigma[1:] ** 2
        noise = self.eta * spread.clamp_min(0).sqrt()
        direction = (sigma[1:] ** 2 - noise**2).clamp_min(0).sqrt()
        # x_s = keep * x + pull * x0_hat + noise * z, with the noise estimate written out
        keep = direction / sigma[:-1]
        pull = alpha[1:] - keep * alpha[:-1]
        x = torch.randn(shape, dtype=like.dtype, device=like.device) * schedule.prior_std
        steps = zip(times.tolist(), keep.tolist(), pull.tolist(), noise.tolist(), strict=False)
        for t, k, p, s in steps:
            x = k * x + p * denoise(x, t)
            if s > 0:
                x = x + s * torch.randn_like(x)
        return x


class Ancestral(DDIM):
    r"""The reverse chain of DDPM with the posterior's variance (Ho, Jain, Abbeel 2020, eq 6-7).

    It is DDIM with eta = 1: :math:`x_s \sim q(x_s \mid x_t, \hat x_0)`, which is what TimeGrad
    samples with.
    """

    eta: float = 1.0


class GivenSteps(Ancestral):
    r"""The reverse chain through noise levels that were chosen for it.

    Args:
        levels: the factors :math:`\alpha` of the signal, rising, the noisiest first; a step to the
            data comes after the last.
        num_steps: their number, which need not be given.
        eta: 1 is the ancestral chain.
    """

    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the levels."""
        super().__post_init__()
        rising = all(a < b for a, b in zip(self.levels, self.levels[1:], strict=False))
        if not self.levels or not rising or self.levels[0] <= 0 or self.levels[-1] >= 1:
            raise ValueError(
                f"{type(self).__name__}: levels={self.levels} must rise and lie in (0, 1)"
            )
        if self.num_steps not in (None, len(self.levels)):
            raise ValueError(
                f"{type(self).__name__}: num_steps={self.num_steps} is not the number of levels, "
                f"{len(self.levels)}"
            )

    def times(self, schedule: Schedule) -> Tensor:
        """The times at which the schedule has these levels, then 0."""
        alpha = torch.tensor(self.levels, dtype=torch.float64)
        times = schedule.time(alpha.log() - 0.5 * torch.log1p(-(alpha**2)))
        return torch.cat([times, torch.zeros(1, dtype=torch.float64)])


class DPMSolverPP(Sampler):
    r"""DPM-Solver++(2M): two-step exponential integrator of the probability-flow ODE.

    Lu et al. 2022, algorithm 2. With :math:`h = \lambda_s - \lambda_t` and the previous step's
    ratio :math:`r = h_{prev} / h`:

    .. math:: x_s = \frac{\sigma_s}{\sigma_t} x_t - \alpha_s (e^{-h} - 1)
              \left[(1 + \tfrac{1}{2r}) \hat x_0(x_t) - \tfrac{1}{2r} \hat x_0(x_{t'})\right]

    The steps are equal in log-SNR down to the first step of the chain, where the denoiser's
    estimate is the sample.

    Args:
        num_steps: calls of the denoiser.
    """

    num_steps: int | None = 20

    @property
    def order(self) -> int | None:
        """Two."""
        return 2

    @property
    def stochastic(self) -> bool:
        """No."""
        return False

    def times(self, schedule: Schedule) -> Tensor:
        """The times visited, equal in log-SNR between 1 and 1/N, then 0; shape (num_steps + 1,)."""
        count = self.num_steps or schedule.num_steps
        first, last = schedule.half_log_snr(torch.tensor([1.0, 1 / schedule.num_steps]).double())
        inner = schedule.time(
            first + (last - first) * torch.linspace(0, 1, count, dtype=torch.float64)
        )
        inner[0] = 1.0
        return torch.cat([inner, torch.zeros(1, dtype=torch.float64)])

    def sample(
        self, denoise: Denoiser, shape: tuple[int, ...], schedule: Schedule, *, like: Tensor
    ) -> Tensor:
        """Draw samples; see :class:`Sampler`."""
        times = self.times(schedule)
        alpha, sigma = schedule.alpha(times[:-1]), schedule.sigma(times[:-1])
        gaps = schedule.half_log_snr(times[:-1]).diff()
        keep = (sigma[1:] / sigma[:-1]).tolist()
        pull = (-alpha[1:] * torch.expm1(-gaps)).tolist()
        back = [0.0] + (gaps[1:] / gaps[:-1] / 2).tolist()
        x = torch.randn(shape, dtype=like.dtype, device=like.device) * schedule.prior_std
        previous = None
        for i, t in enumerate(times[:-1].tolist()):
            x0 = denoise(x, t)
            if i == len(keep):
                return x0
            mixed = x0 if previous is None else x0 + back[i] * (x0 - previous)
            x, previous = keep[i] * x + pull[i] * mixed, x0
        raise AssertionError("the loop returns at the last time")
