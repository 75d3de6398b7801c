r"""The residual network of DiffWave and TimeGrad, worked through in pieces that stay in cache.

Arrays are (channels, positions, rows). With c channels, block l does

.. math::

    (g, v) &= \sigma\bigl(W_l\,[\,h_{p-d},\ h_{p+d},\ k_p,\ 1,\ h_p\,] + b_l\bigr), \\
    (r, s) &= \mathrm{LeakyReLU}\bigl(V_l\,[\,g\,(1 - 2 v),\ 1\,]\bigr), \qquad
    h \leftarrow h + r, \quad S \leftarrow S + s,

where the positions form a circle, d is the dilation, k are features of the conditioning and b is
the time's part. Two convolutions of the sum S of the skip connections, with a leaky ReLU between
them, end it. ``DilatedResidualNet.weights`` says how this is the network of the papers.

A block is two small products of matrices and a dozen passes over arrays, so its time is decided by
whether these stay in cache. A :class:`Workspace` therefore carries a few rows through all blocks in
buffers that are used again; its gradient, written out in :mod:`tsgen.nets.stack_gradient`, computes
the activations of the rows anew instead of keeping them.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from tsgen.nets.threads import num_shares

SLOPE = 0.4
"""Of the leaky ReLU."""
_HELD = 2**28
"""Numbers that a piece may hold on an accelerator, where few large calls are best."""
_BESIDE = 2**20
"""Numbers of a piece beside those of other threads: calls must be long, to wait for few others."""

Blocks = list[tuple[Tensor, Tensor, int]]


class Weights(NamedTuple):
    """Of L blocks with c channels and k features of the conditioning, and the last two layers."""

    entering: Tensor
    """W, (L, 2 c, 3 c + k + 1)."""
    leaving: Tensor
    """V, (L, 2 c, c + 1)."""
    skip: Tensor
    """Of the first of the last layers, like one of W, (c, 3 c + k + 1), 0 for k."""
    output: Tensor
    """Of the second, (f, 3 c + k + 1)."""
    dilations: tuple[int, ...]

    def blocks(self) -> Blocks:
        """One after another."""
        return list(zip(self.entering, self.leaving, self.dilations, strict=True))

    @property
    def channels(self) -> int:
        """The width c."""
        return self.leaving.shape[2] - 1

    @property
    def one(self) -> int:
        """The column of W that multiplies 1."""
        return self.entering.shape[2] - self.channels - 1


def plain_stack(hidden: Tensor, known: Tensor, shift: Tensor, weights: Weights) -> Tensor:
    """The network's result, as it is defined, for derivatives of any order.

    Args:
        hidden: h before the first block, (c, positions, rows).
        known: features of the conditioning, (k, positions, rows).
        shift: b, (L, 2 c, rows), or (L, 2 c, 1) for all rows.
        weights: of the blocks.

    Returns:
        (f, positions, rows).
    """
    skips, channels = torch.zeros_like(hidden), len(hidden)
    one = torch.ones_like(hidden[:1])

    def convolve(weight: Tensor, x: Tensor, d: int = 1) -> Tensor:
        return torch.tensordot(weight, torch.cat([x.roll(d, 1), x.roll(-d, 1), known, one, x]), 1)

    for (w, v, distance), b in zip(weights.blocks(), shift, strict=True):
        gate, value = (convolve(w, hidden, distance) + b[:, None]).sigmoid().split(channels)
        gated = torch.cat([gate * (1 - 2 * value), one])
        residual, skip = F.leaky_relu(torch.tensordot(v, gated, 1), SLOPE).split(channels)
        hidden, skips = hidden + residual, skips + skip
    return convolve(weights.output, F.leaky_relu(convolve(weights.skip, skips), SLOPE))


def pieces(
    rows: int, positions: int, space: type["Workspace"], weights: Weights
) -> list[Sequence[slice]]:
    """Slices of rows, as equal as can be, so small that a workspace for one fits in the cache.

    They come as the shares of as many threads as are worth it.
    """
    device = weights.entering.device
    shares = num_shares(rows * positions, device)
    limit = space.limit if shares == 1 else max(space.limit, _BESIDE)
    limit = limit if device.type == "cpu" else _HELD
    count = -(-rows // max(1, limit // (space.numbers(weights) * positions)))
    count = -(-count // shares) * shares
    ends = [rows * i // max(1, count) for i in range(count + 1)]
    slices = [slice(a, b) for a, b in zip(ends, ends[1:], strict=False) if a < b]
    return [slices[i::shares] for i in range(max(1, min(shares, len(slices))))]


class Workspace:
    """A piece of rows in the network, and the buffers for that: nothing is allocated on the way.

    Args:
        weights: of the blocks.
        positions: of the events.
        rows: of the piece.
    """

    kept: ClassVar[bool] = False
    """Whether each block has buffers of its own."""
    limit: ClassVar[int] = 5 * 2**16
    """Numbers that a piece may hold on a CPU: 1.3 MB, about what a core's own cache holds."""

    def __init__(self, weights: Weights, positions: int, rows: int) -> None:
        c, one, layers = weights.channels, weights.one, len(weights.dilations)
        self.channels, self.shape = c, (positions, rows)
        columns, self.new = positions * rows, weights.entering.new_empty
        # beside the state on the left and on the right, the conditioning, 1, the state, the skips
        self.inputs = inputs = self.new(one + 1 + 2 * c, columns)
        inputs[one] = 1
        self.beside, self.known = inputs[: 2 * c], inputs[2 * c : one]
        self.seen, self.state = inputs[: one + 1 + c], inputs[one + 1 :]
        self.hidden, self.skips = self.state.split(c)
        self.gated = torch.ones_like(inputs[: c + 1])
        self.product = self.gated[:c]
        self.skip, self.output = weights.skip, weights.output
        self.result = self.new(len(self.output), columns)
        opened = self.new(layers if self.kept else 1, 2 * c, columns).expand(layers, -1, -1)
        self.closed = list(torch.empty_like(opened) if self.kept else opened)
        self.opened, self.gates = list(opened), [both.split(c) for both in opened]
        distances = {1, *weights.dilations}
        self.looks = {d: moves(self.hidden, self.beside, d, self.shape) for d in distances}

    @classmethod
    def numbers(cls, weights: Weights) -> int:
        """Held for each position of each row."""
        return weights.one + 6 * weights.channels + len(weights.output)

    def load(self, hidden: Tensor, known: Tensor) -> None:
        """Take rows' states and conditioning, each (channels, positions, rows)."""
        self.hidden.view(-1, *self.shape).copy_(hidden)
        self.known.view(-1, *self.shape).copy_(known)

    def look(self, distance: int) -> None:
        """Put what stands so far left and right of each position of ``hidden`` beside it."""
        for target, source in self.looks[distance]:
            target.copy_(source)

    def run(self, blocks: Blocks, shift: Tensor | None = None) -> Tensor:
        """From ``hidden`` to (f, positions, rows), with a shift of each row, (L, 2 c, rows)."""
        self.skips.zero_()
        for i, (w, v, distance) in enumerate(blocks):
            if self.kept:
                self.remember(i)
            self.look(distance)
            both, (gate, value), out = self.opened[i], self.gates[i], self.closed[i]
            torch.mm(w, self.seen, out=both)
            if shift is not None:
                both.view(-1, *self.shape).add_(shift[i][:, None])
            both.sigmoid_()
            torch.addcmul(gate, gate, value, value=-2, out=self.product)
            torch.mm(v, self.gated, out=out)
            self.state.add_(F.leaky_relu_(out, SLOPE))
        self.hidden.copy_(self.skips)
        self.look(1)
        torch.mm(self.skip, self.seen, out=self.product)
        self.hidden.copy_(F.leaky_relu_(self.product, SLOPE))
        self.look(1)
        torch.mm(self.output, self.seen, out=self.result)
        return self.result.view(-1, *self.shape)

    def remember(self, block: int) -> None:
        """Keep the state before a block."""
        raise NotImplementedError


def moves(
    at: Tensor, beside: Tensor, distance: int, shape: tuple[int, int]
) -> list[tuple[Tensor, Tensor]]:
    """Views of what stands left and right, (2 c, columns), and of where it stands, (c, columns)."""
    edge, rest = distance % shape[0], shape[0] - distance % shape[0]
    left, right = beside.view(2, len(at), *shape)
    at = at.view(-1, *shape)
    moves = [(left[:, edge:], at[:, :rest]), (right[:, :rest], at[:, edge:])]
    if edge:
        moves += [(left[:, :edge], at[:, rest:]), (right[:, rest:], at[:, :edge])]
    return moves
