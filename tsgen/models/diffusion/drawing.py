"""What diffusion models share: draws along a chain of calls of their network."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from tsgen.models.base import GenerativeModel
from tsgen.nets.prepared import Prepared
from tsgen.nets.replay import Replayed

T = TypeVar("T")


class ChainModel(GenerativeModel):
    """A model whose draws go down a chain that starts from noise."""

    @abstractmethod
    def chain(self) -> tuple[Callable[[Tensor], Tensor], bool]:
        """A draw for a conditioning (rows, *cond_shape), always of as many rows, to be repeated.

        What does not depend on the conditioning is found once.

        Returns:
            It, and whether it makes the same calls whatever they return.
        """

    def _sample(self, cond: Tensor, times: Tensor | None) -> Tensor:
        """Run the sampler, (R, *event_shape)."""
        return self.chain()[0](cond)

    def drawer(self) -> Callable[[Tensor], Tensor]:
        """See :class:`GenerativeModel`; on a GPU the chain is replayed as one launch."""
        kept: dict[tuple, Callable[[Tensor], Tensor]] = {}

        def draw(cond: Tensor) -> Tensor:
            batch = self._batch(cond)
            key = batch, cond.dtype, cond.device, torch.is_inference_mode_enabled()
            if key not in kept:
                kept.clear()  # its buffers are as large as the batch
                draw_rows, steady = self.chain()
                kept[key] = Replayed(draw_rows) if steady else draw_rows
            rows = cond.reshape(-1, *self.cond_shape)
            return kept[key](rows).view(*batch, *self.event_shape)

        return draw


class Conditioned:
    """A denoising network for a conditioning, which another of as many rows can replace.

    Where no gradients are wanted it goes the network's own way to be asked many times, if any, with
    the weights of its first call.

    Args:
        net: the network.
        cond: (rows, *cond_shape); if ``None``, :meth:`take` must be called first.
    """

    def __init__(self, net: torch.nn.Module, cond: Tensor | None = None) -> None:
        self.net = net
        self.ready: Prepared | None = None
        if cond is not None:
            self.take(cond)

    def take(self, cond: Tensor) -> None:
        """Go on with this conditioning."""
        self.conditioning = list(self.net.condition(cond))  # type: ignore[operator]
        if self.ready is not None:
            self.ready.take(self.conditioning)

    def __call__(self, *inputs: Tensor, **others: Any) -> Tensor:
        """``predict(x, time, observed=None, extra=None)``."""
        if torch.is_grad_enabled() or not hasattr(self.net, "prepare"):
            return self.net(*inputs, conditioning=self.conditioning, **others)
        if self.ready is None:
            self.ready = self.net.prepare(self.conditioning)  # type: ignore[operator]
        return self.ready(*inputs, **others)


def remembered(find: Callable[[float], T], listed: Mapping[float, T]) -> Callable[[float], T]:
    """What belongs to a time, found once where no gradients are taken.

    Args:
        find: it.
        listed: what has been found already, gradients or not.
    """
    kept = dict(listed)

    def at(t: float) -> T:
        learning = torch.is_grad_enabled()
        ready = listed if learning else kept
        found = ready[t] if t in ready else find(t)
        if not learning:
            kept[t] = found
        return found

    return at
