r"""What samplers share: a denoiser in, samples out.

A sampler is a small stateless object. It sees a function ``denoise(x, t)`` of a tensor and a float,
a schedule and the shape of what is wanted, nothing of the model; so it may differ from what
training used.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.core import Count, OptionError, Options, between
from tsgen.diffusion.schedules import Schedule

Denoiser = Callable[[Tensor, float], Tensor]
"""``denoise(x, t)``: the estimate of x0 from a noised state at a time in (0, 1]."""
Descent = Callable[[Denoiser, Tensor], Tensor]
"""``descend(denoise, x)``: from a state at the largest time to a sample."""
Start = tuple[Tensor, float]
"""A noised state and its time in (0, 1]."""


class Sampler(Options, ABC):
    """Draws from the reverse process.

    A sampler implements :meth:`descent`: what depends on the process alone (times, coefficients)
    is computed before the loop, so that a caller who draws many times computes it once.

    Args:
        num_steps: steps from noise to data; ``None`` takes all N steps of the schedule.
    """

    num_steps: Count | None = None

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

    def check(self, process: object) -> None:
        """Check that this sampler can draw from a process.

        Raises:
            ValueError: if the process is of another kind, or has fewer steps than the sampler.
        """
        if not isinstance(process, Schedule):
            raise ValueError(
                f"{type(self).__name__} does not draw from {type(process).__name__}; samplers of "
                "critically damped Langevin diffusion are SSCS and LangevinEulerMaruyama"
            )
        self.times(process)

    def times(self, schedule: Schedule, t_start: float = 1.0) -> Tensor:
        """The time grid, falling from ``t_start`` to 0, (num_steps + 1,), float64.

        Its steps are equal steps of the chain; from an earlier start there may be fewer.

        Raises:
            ValueError: if there are more steps than the chain has.
        """
        total = schedule.num_steps
        count = self.num_steps or total
        if count > total:
            most = f"at most {total}, the steps of {type(schedule).__name__}"
            raise OptionError(type(self).__name__, "num_steps", count, most)
        grid = torch.linspace(total * t_start, 0, count + 1, dtype=torch.float64).round() / total
        if t_start == 1:
            return grid
        inner = grid[(grid < t_start) & (grid > 0)].unique().flip(0)
        ends = torch.tensor([t_start, 0.0], dtype=torch.float64)
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
            return self.descent(schedule)(denoise, schedule.prior(shape, like))
        x, t_start = start
        if tuple(x.shape) != tuple(shape) or not 0 < t_start <= 1:
            raise ValueError(
                f"start: a state of shape {tuple(x.shape)} at time {t_start}, expected shape "
                f"{tuple(shape)} and a time in (0, 1]"
            )
        return self.descent(schedule, t_start)(denoise, x.to(like))

    @abstractmethod
    def descent(self, schedule: Schedule, t_start: float = 1.0) -> Descent:
        """The loop from a state at a time to a sample, with its coefficients computed.

        Args:
            schedule: the process.
            t_start: the largest time, in (0, 1], where the state is.

        Returns:
            ``descend(denoise, x)``, which may be called many times.
        """


class Solver(Sampler):
    """Base of samplers that solve the probability-flow ODE and add no noise.

    Times are equal steps of the half log-SNR down to 1 / N, then 0.
    """

    @property
    @override
    def stochastic(self) -> bool:
        return False

    @override
    def times(self, schedule: Schedule, t_start: float = 1.0) -> Tensor:
        count = self.num_steps or schedule.num_steps
        start, stop = schedule.half_log_snr(self.ends(schedule, t_start))
        shares = torch.linspace(0, 1, count, dtype=torch.float64)
        return self.closed(schedule.time(start + (stop - start) * shares), t_start)

    def ends(self, schedule: Schedule, t_start: float) -> Tensor:
        """The largest time and the smallest one above 0, (2,)."""
        smallest = min(1 / schedule.num_steps, t_start / 2)
        return torch.tensor([t_start, smallest], dtype=torch.float64)

    def closed(self, inner: Tensor, t_start: float) -> Tensor:
        """Times (n,) that begin at ``t_start`` exactly, and 0 after them."""
        inner[0] = t_start
        return torch.cat([inner, torch.zeros(1, dtype=torch.float64)])


class EtaSampler(Sampler):
    """Base of samplers that go from the ODE to the SDE by a share of the noise.

    Args:
        eta: 0 adds none, 1 is the SDE.
    """

    eta: Annotated[float, between(0, 1)] = 0.0

    @property
    @override
    def stochastic(self) -> bool:
        return self.eta > 0


class NoisySampler(Sampler):
    """Base of samplers that add noise on every step and do not solve the ODE."""

    @property
    @override
    def order(self) -> int | None:
        return None

    @property
    @override
    def stochastic(self) -> bool:
        return True
