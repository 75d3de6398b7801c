r"""What samplers share: a denoiser in, samples out.

A sampler is a small stateless object. It sees a function ``denoise(x, t)`` of a tensor and a float,
a schedule and the shape of what is wanted, nothing of the model; so it may differ from what
training used.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from tsgen.core import Options
from tsgen.diffusion.schedules import Schedule

Denoiser = Callable[[Tensor, float], Tensor]
Start = tuple[Tensor, float]
"""A noised state and its time in (0, 1]."""


class Sampler(Options, ABC):
    """Draws from the reverse process.

    Args:
        num_steps: steps from noise to data; ``None`` takes all N steps of the schedule.
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

    def cost(self, num_steps: int) -> int:
        """Calls of the denoiser that so many steps make."""
        return num_steps

    def evaluations(self, schedule: Schedule) -> int | None:
        """Calls of the denoiser, ``None`` if they depend on what it returns."""
        return self.cost(self.num_steps or schedule.num_steps)

    def with_evaluations(self, count: int) -> "Sampler":
        """A copy with the most steps that make at most so many calls of the denoiser.

        Raises:
            ValueError: if a single step makes more.
        """
        for steps in range(count, 0, -1):
            if self.cost(steps) <= count:
                return self.replace(num_steps=steps)
        raise ValueError(
            f"{type(self).__name__}: {count} evaluations are too few, a step makes {self.cost(1)}"
        )

    def times(self, schedule: Schedule, first: float = 1.0) -> Tensor:
        """The times visited, falling from ``first`` to 0, (num_steps + 1,), float64.

        They are equal steps of the chain; from an earlier start there may be fewer.

        Raises:
            ValueError: if there are more steps than the chain has.
        """
        total = schedule.num_steps
        count = self.num_steps or total
        if count > total:
            raise ValueError(
                f"{type(self).__name__}: num_steps={count} exceeds the {total} steps of "
                f"{type(schedule).__name__}"
            )
        grid = torch.linspace(total * first, 0, count + 1, dtype=torch.float64).round() / total
        if first == 1:
            return grid
        inner = grid[(grid < first) & (grid > 0)].unique().flip(0)
        ends = torch.tensor([first, 0.0], dtype=torch.float64)
        return torch.cat([ends[:1], inner, ends[1:]])

    def sample(
        self,
        denoise: Denoiser,
        shape: tuple[int, ...],
        schedule: Schedule,
        *,
        like: Tensor,
        start: Start | None = None,
    ) -> Tensor:
        """Draw samples.

        Args:
            denoise: ``denoise(x, t)`` with x of the given shape and t a float; returns the estimate
                of x0.
            shape: shape of the samples.
            schedule: the process that the denoiser was trained for.
            like: a tensor with the dtype and device wanted.
            start: a noised state of that shape, and its time in (0, 1], to go on from; pure noise
                at time 1 if ``None``.

        Returns:
            Samples of the given shape.

        Raises:
            ValueError: if the start does not fit.
        """
        if start is None:
            x = torch.randn(shape, dtype=like.dtype, device=like.device) * schedule.prior_std
            return self.descend(denoise, x, schedule, 1.0)
        x, first = start
        if tuple(x.shape) != tuple(shape) or not 0 < first <= 1:
            raise ValueError(
                f"start: a state of shape {tuple(x.shape)} at time {first}, expected shape "
                f"{tuple(shape)} and a time in (0, 1]"
            )
        return self.descend(denoise, x.to(like), schedule, first)

    @abstractmethod
    def descend(self, denoise: Denoiser, x: Tensor, schedule: Schedule, first: float) -> Tensor:
        """From a state x at the time ``first`` to a sample; the rest is as in :meth:`sample`."""


@functools.lru_cache(maxsize=256)
def visited(sampler: Sampler, schedule: Schedule, first: float = 1.0) -> Tensor:
    """What ``sampler.times(schedule, first)`` returns, found once: a forecast asks at every step.

    It is shared, so it must not be changed in place.
    """
    return sampler.times(schedule, first)


class Solver(Sampler):
    """Base of samplers that solve the probability-flow ODE and add no noise.

    Times are equal steps of the half log-SNR down to 1 / N, then 0.
    """

    @property
    def stochastic(self) -> bool:
        """No."""
        return False

    def times(self, schedule: Schedule, first: float = 1.0) -> Tensor:
        """The times visited, (num_steps + 1,), float64."""
        count = self.num_steps or schedule.num_steps
        start, stop = schedule.half_log_snr(self.ends(schedule, first))
        shares = torch.linspace(0, 1, count, dtype=torch.float64)
        return self.closed(schedule.time(start + (stop - start) * shares), first)

    def ends(self, schedule: Schedule, first: float) -> Tensor:
        """The first time and the last one above 0, (2,)."""
        return torch.tensor([first, min(1 / schedule.num_steps, first / 2)], dtype=torch.float64)

    def closed(self, inner: Tensor, first: float) -> Tensor:
        """Times (n,) that begin at ``first`` exactly, and 0 after them."""
        inner[0] = first
        return torch.cat([inner, torch.zeros(1, dtype=torch.float64)])


class EtaSampler(Sampler):
    """Base of samplers that go from the ODE to the SDE by a share of the noise.

    Args:
        eta: 0 adds none, 1 is the SDE.
    """

    eta: float = 0.0

    @property
    def stochastic(self) -> bool:
        """If eta is not 0."""
        return self.eta > 0

    def __post_init__(self) -> None:
        """Check eta."""
        super().__post_init__()
        if not 0 <= self.eta <= 1:
            raise ValueError(f"{type(self).__name__}: eta={self.eta} must lie in [0, 1]")


class NoisySampler(Sampler):
    """Base of samplers that add noise on every step and do not solve the ODE."""

    @property
    def order(self) -> int | None:
        """None."""
        return None

    @property
    def stochastic(self) -> bool:
        """Yes."""
        return True
