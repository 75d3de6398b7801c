"""Samplers that go down the chain of training, or skip some of its steps."""

import functools

import torch
from torch import Tensor

from tsgen.diffusion.samplers.base import Denoiser, EtaSampler, Sampler, visited
from tsgen.diffusion.schedules import Schedule, VariancePreserving


class DDIM(EtaSampler):
    r"""Denoising diffusion implicit models (Song, Meng, Ermon 2021, eq 12).

    .. math:: x_s = \alpha_s \hat x_0 + \sqrt{\sigma_s^2 - \eta^2 \tilde\sigma^2}\,\hat\varepsilon
              + \eta\tilde\sigma z, \quad
              \tilde\sigma^2 = \left(1 - \frac{\alpha_t^2 \sigma_s^2}{\alpha_s^2
              \sigma_t^2}\right)\sigma_s^2

    Args:
        num_steps: calls of the denoiser.
        eta: 0 is deterministic, 1 the ancestral chain.
    """

    @property
    def order(self) -> int | None:
        """One, where it is deterministic."""
        return None if self.eta else 1

    def descend(self, denoise: Denoiser, x: Tensor, schedule: Schedule, first: float) -> Tensor:
        """See :class:`Sampler`."""
        for t, keep, pull, noise in steps(self, schedule, first, self.eta):
            x = torch.add(keep * x, denoise(x, t), alpha=pull)
            if noise > 0:
                x = torch.add(x, torch.randn_like(x), alpha=noise)
        return x


@functools.lru_cache(maxsize=256)
def steps(
    sampler: Sampler, schedule: Schedule, first: float, eta: float
) -> list[tuple[float, float, float, float]]:
    """Time t and coefficients of each step x_s = keep x + pull x0_hat + noise z."""
    times = visited(sampler, schedule, first)
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    spread = (1 - (alpha[:-1] * sigma[1:] / (alpha[1:] * sigma[:-1])) ** 2) * sigma[1:] ** 2
    noise = eta * spread.clamp_min(0).sqrt()
    keep = (sigma[1:] ** 2 - noise**2).clamp_min(0).sqrt() / sigma[:-1]
    pull = alpha[1:] - keep * alpha[:-1]
    return list(zip(times.tolist(), *(v.tolist() for v in (keep, pull, noise)), strict=False))


class Ancestral(DDIM):
    r"""The reverse chain of DDPM with the posterior's variance (Ho, Jain, Abbeel 2020, eq 6-7).

    It is DDIM with eta = 1: :math:`x_s \sim q(x_s \mid x_t, \hat x_0)`, which is what TimeGrad
    samples with.
    """

    eta: float = 1.0


class GivenSteps(Ancestral):
    r"""The reverse chain through noise levels that were chosen for it.

    It starts at the first level with unit noise, so that the process must preserve the variance.

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

    def evaluations(self, schedule: Schedule) -> int | None:
        """One for each level."""
        return len(self.levels)

    def with_evaluations(self, count: int) -> "GivenSteps":
        """Itself, for the levels are given.

        Raises:
            ValueError: if there are more levels.
        """
        if count < len(self.levels):
            raise ValueError(
                f"{type(self).__name__}: {count} evaluations are too few, the given levels make "
                f"{len(self.levels)}"
            )
        return self

    def times(self, schedule: Schedule, first: float = 1.0) -> Tensor:
        """The times at which the schedule has these levels, as far as they lie below, then 0.

        Raises:
            ValueError: if the process does not preserve the variance.
        """
        if not isinstance(schedule, VariancePreserving):
            raise ValueError(
                f"{type(self).__name__}: {type(schedule).__name__} does not preserve the variance; "
                "levels are given for processes with alpha^2 + sigma^2 = 1"
            )
        alpha = torch.tensor(self.levels, dtype=torch.float64)
        times = schedule.time(alpha.log() - 0.5 * torch.log1p(-(alpha**2)))
        if first < 1:
            start = torch.tensor([first], dtype=torch.float64)
            times = torch.cat([start, times[times < first]])
        return torch.cat([times, torch.zeros(1, dtype=torch.float64)])
