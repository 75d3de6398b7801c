"""Samplers that go down the chain of training, or skip some of its steps."""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.core import NOT_EMPTY, OptionError, between
from tsgen.diffusion.samplers.base import Denoiser, Descent, EtaSampler, Sampler
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
    @override
    def order(self) -> int | None:
        return None if self.eta else 1

    @override
    def descent(self, schedule: Schedule, t_start: float = 1.0) -> Descent:
        steps = posterior_steps(self, schedule, t_start, self.eta)

        def descend(denoise: Denoiser, x: Tensor) -> Tensor:
            for t, keep, pull, size in steps:
                x = torch.add(keep * x, denoise(x, t), alpha=pull)
                if size > 0:
                    x = torch.add(x, schedule.noise(x, t), alpha=size)
            return x

        return descend


class Step(NamedTuple):
    """A step x_s = keep x + pull x0_hat + noise z from the time t."""

    t: float
    keep: float
    pull: float
    noise: float


def posterior_steps(sampler: Sampler, schedule: Schedule, t_start: float, eta: float) -> list[Step]:
    """The steps of a sampler's time grid with a share of the posterior's noise."""
    times = sampler.times(schedule, t_start)
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    spread = (1 - (alpha[:-1] * sigma[1:] / (alpha[1:] * sigma[:-1])) ** 2) * sigma[1:] ** 2
    noise = eta * spread.clamp_min(0).sqrt()
    keep = (sigma[1:] ** 2 - noise**2).clamp_min(0).sqrt() / sigma[:-1]
    pull = alpha[1:] - keep * alpha[:-1]
    columns = (times[:-1].tolist(), keep.tolist(), pull.tolist(), noise.tolist())
    return list(map(Step, *columns))


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

    levels: Annotated[tuple[float, ...], between(0, 1, "()"), NOT_EMPTY] = ()

    def __post_init__(self) -> None:
        """Check that the levels rise and are as many as the steps."""
        name, count = type(self).__name__, len(self.levels)
        if not all(a < b for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise OptionError(name, "levels", self.levels, "rising")
        if self.num_steps not in (None, count):
            raise OptionError(name, "num_steps", self.num_steps, f"{count}, the number of levels")

    @override
    def evaluations(self, schedule: Schedule) -> int | None:
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

    def times(self, schedule: Schedule, t_start: float = 1.0) -> Tensor:
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
        if t_start < 1:
            start = torch.tensor([t_start], dtype=torch.float64)
            times = torch.cat([start, times[times < t_start]])
        return torch.cat([times, torch.zeros(1, dtype=torch.float64)])
