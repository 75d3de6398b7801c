"""Draws of diffusion models, along a chain of calls of their network."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.diffusion import CLD, LangevinSampler, Sampler, Schedule
from tsgen.models.base import GenerativeModel
from tsgen.nets import DenoisingNet, Evaluator
from tsgen.nets.parallel.replay import CudaGraphed, uses_cuda_graphs

T = TypeVar("T")


class ChainModel(GenerativeModel):
    """A model whose draws go down a chain that starts from noise."""

    net: DenoisingNet
    sampler: Any

    @property
    @abstractmethod
    def process(self) -> Schedule | CLD:
        """The forward process."""

    @property
    @override
    def working_size(self) -> int:
        return self.net.working_size

    @abstractmethod
    def estimator(self, evaluator: Evaluator, steady: bool) -> Callable[..., Tensor]:
        """What the sampler calls at each step, by a network bound to a conditioning.

        Args:
            evaluator: the network.
            steady: whether the sampler's times are the same for every draw; what belongs to a time
                is kept only then.
        """

    def check_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Check that the model can draw with a sampler.

        Raises:
            ValueError: saying what the sampler lacks.
        """
        sampler.check(self.process)

    @override
    def use_sampler(self, sampler: Sampler | LangevinSampler) -> None:
        """Draw with another sampler from now on.

        Raises:
            ValueError: if the sampler is another process's or needs more steps than this has.
        """
        self.check_sampler(sampler)
        self.sampler = self.__init_args__["sampler"] = sampler

    @override
    def _sample(self, cond: Tensor, times: Tensor | None) -> Tensor:
        return SamplingPlan(self)(cond)

    @override
    def sampling_plan(self) -> "SamplingPlan":
        """Draws that lay out weights, buffers, times and coefficients once."""
        return SamplingPlan(self)


class SamplingPlan:
    """Draws from a model for one conditioning after another; made for one forecast.

    It alone keeps what stays the same from draw to draw: the sampler's times and coefficients, and,
    for a number of rows, the network's evaluator (weights laid out, buffers) and the embedded
    times. Weights and sampler must not change meanwhile.

    Args:
        model: it is drawn from.
    """

    def __init__(self, model: ChainModel) -> None:
        self.model, self.process = model, model.process
        self.descend = model.sampler.descent(self.process)
        self.steady = model.sampler.evaluations(self.process) is not None
        """Whether every draw makes the same calls, whatever they return."""
        self.key: tuple | None = None
        self.graph: CudaGraphed | None = None
        self.evaluator: Evaluator
        """The network, bound to a conditioning at the first draw."""

    def __call__(self, cond: Tensor) -> Tensor:
        """A draw for each conditioning (*batch, *cond_shape), (*batch, *event_shape)."""
        model = self.model
        batch = cond.shape[: cond.dim() - len(model.cond_shape)]
        rows = cond.reshape(-1, *model.cond_shape)
        # buffers made in inference mode could not be written to outside of it
        key = rows.shape, cond.dtype, cond.device, torch.is_inference_mode_enabled()
        if key == self.key:
            if self.graph is not None:
                return self.graph(rows).view(*batch, *model.event_shape)
            self.evaluator.rebind(rows)
        else:  # lay everything out for as many rows as these
            self.evaluator = model.net.evaluator(rows)
            self.estimate = model.estimator(self.evaluator, self.steady)
            recorded = self.steady and uses_cuda_graphs()
            self.graph = CudaGraphed(self._draw) if recorded else None
            self.key = key
        prior = self.process.prior((len(rows), *model.event_shape), rows)
        return self.descend(self.estimate, prior).view(*batch, *model.event_shape)

    def _draw(self, rows: Tensor) -> Tensor:
        """A draw of as many rows as are bound, as one function for a recording."""
        self.evaluator.rebind(rows)
        prior = self.process.prior((len(rows), *self.model.event_shape), rows)
        draws: Tensor = self.descend(self.estimate, prior)
        return draws


def cached_by_time(
    find: Callable[[float], T], cache: Mapping[float, T] | None = None, grows: bool = True
) -> Callable[[float], T]:
    """A function of time that looks its values up in a cache.

    With gradients every value is computed anew: a cached one has no graph, or that of another call.

    Args:
        find: the function.
        cache: values that are known already.
        grows: whether further values are cached.
    """
    values = dict(cache or {})

    def at(t: float) -> T:
        if torch.is_grad_enabled():
            return find(t)
        if t in values:
            return values[t]
        value = find(t)
        if grows:
            values[t] = value
        return value

    return at
