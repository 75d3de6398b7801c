"""The residual network for one conditioning after another, in buffers of its own."""

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from tsgen.nets.fused import Entry, fused
from tsgen.nets.stack import SLOPE, Weights, Workspace, pieces
from tsgen.nets.threads import side_by_side

Part = tuple[slice, Tensor, Workspace]
"""Rows, what the blocks see of their conditioning, and where they are worked through."""


class Prepared:
    """The network with the weights that it has now, to be asked many times; without gradients.

    What depends neither on the noised event nor on the time is computed once for a conditioning.

    Args:
        weights: of the blocks.
        entries: the first layer for events that are seen whole, and for masked ones.
        conditioning: the features [(k, positions, rows)].
    """

    def __init__(
        self, weights: Weights, entries: tuple[Entry, Entry], conditioning: Iterable[Tensor]
    ) -> None:
        (self.known,) = conditioning
        self.weights, self.entries = weights, entries
        entering = weights.entering.clone()
        self.blocks = weights._replace(entering=entering).blocks()
        self.fixed, self.column = (w[:, :, weights.one] for w in (weights.entering, entering))
        self.shares: list[list[Part]] = []
        self.fused = fused(weights, entries[0], self.known)

    @torch.no_grad()
    def take(self, conditioning: Iterable[Tensor]) -> None:
        """Go on with another conditioning of the same shape."""
        (self.known,) = conditioning
        if self.fused is not None:
            self.fused.take(self.known)
        for parts in self.shares:
            for rows, features, space in parts:
                features.view(-1, *space.shape).copy_(self.known[:, :, rows])

    def _divide(self) -> None:
        """Divide the rows among threads and pieces."""
        positions, rows = self.known.shape[1:]
        for slices in pieces(rows, positions, Workspace, self.weights):
            spaces: dict[int, Workspace] = {}
            parts: list[Part] = []
            for part in slices:
                size = part.stop - part.start
                if size not in spaces:
                    spaces[size] = Workspace(self.weights, positions, size)
                features = self.known[:, :, part].clone(memory_format=torch.contiguous_format)
                parts.append((part, features.flatten(1), spaces[size]))
            self.shares.append(parts)

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        time: Tensor,
        observed: Tensor | None = None,
        extra: Tensor | None = None,
    ) -> Tensor:
        """As :meth:`DilatedResidualNet.forward`, for one time of all rows."""
        if self.fused is not None and observed is None and extra is None:
            return self.fused(x, time)
        if not self.shares:
            self._divide()
        torch.add(self.fixed, time[:, :, 0], out=self.column)
        weight, bias = self.entries[observed is not None]
        found = torch.empty_like(x)

        def work(parts: list[Part]) -> None:
            for rows, features, space in parts:
                seen = joined(
                    x[rows], None if observed is None else observed[rows],
                    None if extra is None else extra[:, rows],
                )  # fmt: skip
                space.known.copy_(features)
                F.leaky_relu_(torch.addmm(bias, weight, seen, out=space.hidden), SLOPE)
                found[rows] = space.run(self.blocks).permute(2, 1, 0).view_as(found[rows])

        side_by_side([partial(work, parts) for parts in self.shares])
        return found


def joined(x: Tensor, observed: Tensor | None, extra: Tensor | None) -> Tensor:
    """All that the first layer sees of rows, (features, positions * rows)."""
    arrays = [x] if observed is None else [x * observed, observed]
    arrays += [] if extra is None else list(extra)
    flat = [a.T.reshape(1, -1) if a.dim() == 2 else a.permute(2, 1, 0).flatten(1) for a in arrays]
    return flat[0] if len(flat) == 1 else torch.cat(flat)
