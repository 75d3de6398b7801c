"""The contract of denoising networks, and how one is evaluated many times without gradients."""

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn


class Evaluator(Protocol):
    """A network bound to the conditioning of a batch of rows."""

    def __call__(
        self, x: Tensor, time: Tensor, observed: Tensor | None = None, extra: Tensor | None = None
    ) -> Tensor:
        """Predict, (rows, *event_shape); arguments as for :meth:`DenoisingNet.forward`."""

    def rebind(self, cond: Tensor) -> None:
        """Go on with another conditioning of the same shape, (rows, *cond_shape)."""


class DenoisingNet(nn.Module, ABC):
    """Predicts an array of the shape of a noised event from it, its time and a conditioning.

    What depends on the conditioning alone (:meth:`condition`) or on the time alone (:meth:`embed`)
    is a call of its own, so that a sampler's loop computes it once.

    A class gets ``event_shape`` ((C,) or (H, C)), ``cond_shape`` ((D,) or (H, D)) and ``extra``,
    the number of further arrays of the event's shape that it takes.
    """

    row_axis: ClassVar[int] = 0
    """The dimension of :meth:`embed`'s result that runs over the rows."""
    divides_rows: ClassVar[bool] = False
    """Whether it divides rows among threads itself, see :mod:`tsgen.nets.parallel.threads`."""

    @property
    @abstractmethod
    def working_size(self) -> int:
        """Numbers held per row while it is evaluated."""

    @abstractmethod
    def condition(self, cond: Tensor) -> Tensor:
        """What the layers use of a conditioning (rows, *cond_shape)."""

    @abstractmethod
    def embed(self, t: Tensor) -> Tensor:
        """What the layers use of times (rows,) in [0, 1]."""

    @abstractmethod
    def forward(
        self,
        x: Tensor,
        time: Tensor,
        conditioning: Tensor,
        observed: Tensor | None = None,
        extra: Tensor | None = None,
    ) -> Tensor:
        """Predict.

        Args:
            x: noised events (rows, *event_shape).
            time: result of :meth:`embed`, for as many rows or for one.
            conditioning: result of :meth:`condition`.
            observed: 1 where ``x`` is real and 0 where it must not be used, like ``x``; ``None`` is
                all ones.
            extra: the further arrays (number, rows, *event_shape).

        Returns:
            (rows, *event_shape).
        """

    def evaluator(self, cond: Tensor) -> Evaluator:
        """The network for a conditioning (rows, *cond_shape), to be called many times.

        A network may lay out its weights and buffers for that. Weights must not change while an
        evaluator is in use.
        """
        return BoundNetwork(self, cond)


def masked_inputs(x: Tensor, observed: Tensor | None, extra: Tensor | None) -> list[Tensor]:
    """What a network sees of an event, arrays like x: values, the mask, and the further arrays.

    Arguments are those of :meth:`DenoisingNet.forward`; values that must not be used are 0.
    """
    mask = torch.ones_like(x) if observed is None else observed.to(x.dtype)
    return [x * mask, mask, *(() if extra is None else extra)]


def block_outputs(layers: int, channels: int) -> nn.ModuleList:
    """The last layer of each gated block: its residual and its skip part.

    The last block has no residual part, for nothing would read it.
    """
    return nn.ModuleList(
        nn.Linear(channels, 2 * channels if i < layers - 1 else channels) for i in range(layers)
    )


class BoundNetwork:
    """A network with a conditioning: each call is a call of ``forward``.

    Args:
        net: the network.
        cond: (rows, *cond_shape).
    """

    def __init__(self, net: DenoisingNet, cond: Tensor) -> None:
        self.net, self.conditioning = net, net.condition(cond)

    def rebind(self, cond: Tensor) -> None:
        """Go on with another conditioning of the same shape."""
        self.conditioning = self.net.condition(cond)

    def __call__(
        self, x: Tensor, time: Tensor, observed: Tensor | None = None, extra: Tensor | None = None
    ) -> Tensor:
        """Predict, (rows, *event_shape)."""
        output: Tensor = self.net(x, time, self.conditioning, observed, extra)
        return output
