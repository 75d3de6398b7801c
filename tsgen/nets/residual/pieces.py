"""The residual network worked through in pieces of rows that stay in a core's cache.

A block is two small products of matrices and a dozen passes over arrays, so its time is decided by
whether these stay in cache. A :class:`Workspace` therefore carries a few rows through all blocks in
buffers that are used again. :mod:`tsgen.nets.residual.reference` defines what it computes.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from tsgen.nets.parallel.threads import num_shares
from tsgen.nets.residual.reference import SLOPE, Blocks, Weights

_ON_ACCELERATOR = 2**28
"""Numbers that a piece may hold on an accelerator, where few large calls are best."""
_BESIDE_OTHERS = 2**20
"""Numbers of a piece beside other threads' pieces: long calls wait less often for Python."""

NeighbourCopies = list[tuple[Tensor, Tensor]]
"""Pairs of a target and its source, views of one buffer."""


def divide_rows(
    rows: int, positions: int, kind: type["Workspace"], weights: Weights
) -> list[Sequence[slice]]:
    """Slices of rows, as equal as can be, so small that a workspace for one fits in the cache.

    Args:
        rows: how many.
        positions: of an event.
        kind: of the workspace.
        weights: of the blocks.

    Returns:
        The slices of each thread, for as many threads as are worth it.
    """
    device = weights.convolutions.device
    shares = num_shares(rows * positions, device)
    limit = kind.limit if shares == 1 else max(kind.limit, _BESIDE_OTHERS)
    limit = limit if device.type == "cpu" else _ON_ACCELERATOR
    count = -(-rows // max(1, limit // (kind.numbers(weights) * positions)))
    count = -(-count // shares) * shares
    ends = [rows * i // max(1, count) for i in range(count + 1)]
    slices = [slice(a, b) for a, b in zip(ends, ends[1:], strict=False) if a < b]
    return [slices[i::shares] for i in range(max(1, min(shares, len(slices))))]


class Workspace:
    """A piece of rows in the network, and the buffers for that: nothing is allocated on the way.

    A column is a position of a row; columns of one position are neighbours. Everything that W
    multiplies lies in one buffer, so that no product needs a copy::

        rows of the buffer    content                       views of several rows
        0 ..                  state of the left neighbour   beside    stacked
        c ..                  state of the right neighbour  beside    stacked
        2 c ..                conditioning                            stacked
        2 c + k               1                                       stacked
        2 c + k + 1 ..        state h (hidden)              totals    stacked
        3 c + k + 1 ..        sum of the skips S (skips)    totals

    ``totals`` are both sums to which a block's result (r, s) is added in one call.

    Args:
        weights: of the blocks.
        positions: of the events.
        rows: of the piece.
    """

    keeps_blocks: ClassVar[bool] = False
    """Whether each block has buffers of its own, which a gradient reads afterwards."""
    limit: ClassVar[int] = 5 * 2**16
    """Numbers that a piece may hold on a CPU: 1.3 MB, about what a core's own cache holds."""

    def __init__(self, weights: Weights, positions: int, rows: int) -> None:
        c, bias, layers = weights.channels, weights.bias_column, len(weights.dilations)
        self.channels, self.shape = c, (positions, rows)
        columns, self.new = positions * rows, weights.convolutions.new_empty
        buffer = self.new(bias + 1 + 2 * c, columns)
        buffer[bias] = 1
        self.beside, self.conditioning = buffer[: 2 * c], buffer[2 * c : bias]
        self.stacked, self.totals = buffer[: bias + 1 + c], buffer[bias + 1 :]
        self.hidden, self.skips = self.totals.split(c)
        self.gated = torch.ones_like(buffer[: c + 1])  # what V multiplies, the last row 1
        self.product = self.gated[:c]
        self.skip, self.output = weights.skip, weights.output
        self.result = self.new(len(self.output), columns)
        # results of W and of V; without a gradient all blocks share one buffer of each
        opened = self.new(layers if self.keeps_blocks else 1, 2 * c, columns)
        opened = opened.expand(layers, -1, -1)
        self.projected = list(torch.empty_like(opened) if self.keeps_blocks else opened)
        self.opened, self.gates = list(opened), [both.split(c) for both in opened]
        dilations = {1, *weights.dilations}
        self.copies = {d: neighbours(self.hidden, self.beside, d, self.shape) for d in dilations}

    @classmethod
    def numbers(cls, weights: Weights) -> int:
        """Numbers held for each column."""
        return weights.bias_column + 6 * weights.channels + len(weights.output)

    def load(self, hidden: Tensor, conditioning: Tensor) -> None:
        """Take rows' states and conditioning, each (channels, positions, rows)."""
        self.hidden.view(-1, *self.shape).copy_(hidden)
        self.conditioning.view(-1, *self.shape).copy_(conditioning)

    def gather(self, dilation: int) -> None:
        """Copy the states that stand so far left and right of each position beside it."""
        for target, source in self.copies[dilation]:
            target.copy_(source)

    def run(self, blocks: Blocks, shift: Tensor | None = None) -> Tensor:
        """From the loaded states to (f, positions, rows).

        Args:
            blocks: of the network; where the time is the same for all rows, its part is in W.
            shift: the time's part of each row, (L, 2 c, rows).
        """
        self.skips.zero_()
        for i, (w, v, dilation) in enumerate(blocks):
            if self.keeps_blocks:
                self.save_state(i)
            self.gather(dilation)
            both, (gate, value), out = self.opened[i], self.gates[i], self.projected[i]
            torch.mm(w, self.stacked, out=both)
            if shift is not None:
                both.view(-1, *self.shape).add_(shift[i][:, None])
            both.sigmoid_()
            torch.addcmul(gate, gate, value, value=-2, out=self.product)
            torch.mm(v, self.gated, out=out)
            self.totals.add_(F.leaky_relu_(out, SLOPE))
        self.hidden.copy_(self.skips)
        self.gather(1)
        torch.mm(self.skip, self.stacked, out=self.product)
        self.hidden.copy_(F.leaky_relu_(self.product, SLOPE))
        self.gather(1)
        torch.mm(self.output, self.stacked, out=self.result)
        return self.result.view(-1, *self.shape)

    def save_state(self, block: int) -> None:
        """Keep the state before a block; only a workspace with a gradient does."""
        raise NotImplementedError


def neighbours(
    states: Tensor, beside: Tensor, dilation: int, shape: tuple[int, int]
) -> NeighbourCopies:
    """Views that bring the neighbours' states (c, columns) to their places (2 c, columns).

    The positions form a circle, so that each side is a long copy and, for the ends, a short one.
    """
    edge, rest = dilation % shape[0], shape[0] - dilation % shape[0]
    left, right = beside.view(2, len(states), *shape)
    states = states.view(-1, *shape)
    copies = [(left[:, edge:], states[:, :rest]), (right[:, :rest], states[:, edge:])]
    if edge:
        copies += [(left[:, :edge], states[:, rest:]), (right[:, rest:], states[:, :edge])]
    return copies
