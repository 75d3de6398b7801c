"""The gradient of the residual network in pieces, written out.

Autograd would keep some twenty arrays of every block until the backward pass reads them again: for
eight blocks that is far more than a core's cache, and training then waits for memory. Here the
backward pass computes a piece's activations anew while they are in cache and reads them at once;
forward and backward together take one forward pass more and no memory that grows with the depth.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from tsgen.nets.parallel.threads import run_parallel
from tsgen.nets.residual.pieces import Workspace, divide_rows, neighbours
from tsgen.nets.residual.reference import SLOPE, Blocks, Weights, reference_blocks

T = TypeVar("T", bound=Workspace)
LoadedPieces = Iterator[tuple[slice, T, Blocks, Tensor | None]]
"""Of each piece its rows, its loaded workspace, the blocks and the time's part of its rows."""


def residual_blocks(
    hidden: Tensor, conditioning: Tensor, shift: Tensor, weights: Weights
) -> Tensor:
    """Compute :func:`~tsgen.nets.residual.reference.reference_blocks` in pieces, differentiably.

    Arguments and result are those of that function.
    """
    dtype = weights.convolutions.dtype  # autocast mixes precisions
    inputs = (v.to(dtype) for v in (hidden, conditioning, shift))
    return _ResidualBlocks.apply(*inputs, *weights)


class Gradients(NamedTuple):
    """Gradients by the arguments of :func:`residual_blocks`."""

    hidden: Tensor
    conditioning: Tensor
    shift: Tensor | None
    """``None`` where it is the same for all rows: then it is that by the bias column of W."""
    convolutions: Tensor
    projections: Tensor
    skip: Tensor
    output: Tensor


class BackwardWorkspace(Workspace):
    """A workspace that keeps what the gradient of its piece needs."""

    keeps_blocks = True
    limit = 2**22  # of which a block touches a part at a time; more pieces are more calls

    def __init__(self, weights: Weights, positions: int, rows: int) -> None:
        super().__init__(weights, positions, rows)
        c, columns = self.channels, positions * rows
        self.states = list(self.new(len(weights.dilations), c, columns))
        # gradients by a block's result (r, s), and buffers of half and of full width
        self.by_totals, self.narrow = self.new(2 * c, columns), self.new(c, columns)
        self.wide, self.by_stacked = self.new(2 * c, columns), torch.empty_like(self.stacked)
        self.by_hidden, self.by_skips = self.by_totals.split(c)
        self.halves = self.wide.split(c)
        self.by_conditioning = self.by_stacked[2 * c : weights.bias_column]
        self.by_middle = self.by_stacked[-c:]
        # the copies of the forward pass, whose gradients go the other way
        self.returns = {
            d: neighbours(self.by_hidden, self.by_stacked[: 2 * c], d, self.shape)
            for d in self.copies
        }

    @classmethod
    def numbers(cls, weights: Weights) -> int:
        """Numbers held for each column."""
        c, blocks = weights.channels, len(weights.dilations)
        return super().numbers(weights) + 5 * c * blocks + 8 * c + weights.bias_column

    def save_state(self, block: int) -> None:
        """Keep the state before a block."""
        self.states[block].copy_(self.hidden)

    def back(self, blocks: Blocks, by_result: Tensor, into: Gradients, rows: slice) -> None:
        """Add a piece's gradients after :meth:`run`.

        Args:
            blocks: of the network.
            by_result: gradient by the result, (f, positions, rows).
            into: where gradients by weights are added and those by rows are put.
            rows: of the piece.
        """
        c, ops = self.channels, torch.ops.aten
        by_conditioning = torch.zeros_like(self.conditioning)
        by_gate, by_value = self.halves
        by_result = by_result.reshape(len(self.output), -1)
        # the last layer's input still stands in the buffer
        into.output.addmm_(by_result, self.stacked.T)
        self._return(self.output, by_result, 1)
        ops.leaky_relu_backward.grad_input(
            self.by_hidden, self.hidden, SLOPE, True, grad_input=self.narrow
        )
        self.hidden.copy_(self.skips)
        self.gather(1)
        into.skip.addmm_(self.narrow, self.stacked.T)
        self._return(self.skip, self.narrow, 1)
        # every block adds to the sum of the skips, so that one gradient serves all of them
        self.by_skips.copy_(self.by_hidden)
        self.by_hidden.zero_()
        for i, (w, v, dilation) in reversed(list(enumerate(blocks))):
            both, (gate, value), out = self.opened[i], self.gates[i], self.projected[i]
            # the leaky ReLU keeps the sign, so that its result serves in place of its input
            ops.leaky_relu_backward.grad_input(self.by_totals, out, SLOPE, True, grad_input=out)
            torch.addcmul(gate, gate, value, value=-2, out=self.product)
            into.projections[i].addmm_(out, self.gated.T)
            # of gate (1 - 2 value): by the gate 1 - 2 value, by the value -2 gate
            torch.mm(v[:, :c].T, out, out=self.narrow)
            torch.addcmul(self.narrow, self.narrow, value, value=-2, out=by_gate)
            torch.mul(self.narrow, gate, out=by_value).mul_(-2)
            ops.sigmoid_backward.grad_input(self.wide, both, grad_input=self.wide)
            self.hidden.copy_(self.states[i])
            self.gather(dilation)
            into.convolutions[i].addmm_(self.wide, self.stacked.T)
            if into.shift is not None:
                into.shift[i, :, rows] = self.wide.view(-1, *self.shape).sum(1)
            # the state goes past the block as well as through it: gradients add up
            self._return(w, self.wide, dilation, add=True)
            by_conditioning += self.by_conditioning
        into.hidden[:, :, rows] = self.by_hidden.view(c, *self.shape)
        into.conditioning[:, :, rows] = by_conditioning.view(-1, *self.shape)

    def _return(self, weight: Tensor, by_out: Tensor, dilation: int, add: bool = False) -> None:
        """Carry the gradient by a convolution's result to ``by_hidden``, or add it there."""
        torch.mm(weight.T, by_out, out=self.by_stacked)
        if add:
            self.by_hidden += self.by_middle
        else:
            self.by_hidden.copy_(self.by_middle)
        for beside, states in self.returns[dilation]:
            states += beside


def _load_pieces(
    kind: type[T], hidden: Tensor, conditioning: Tensor, shift: Tensor, weights: Weights
) -> list[LoadedPieces[T]]:
    """The pieces of each thread, loaded one after another as the thread asks for them."""
    _, positions, count = hidden.shape
    each = shift.shape[2] > 1
    if not each:  # one time for all rows is a part of the bias
        convolutions = weights.convolutions.clone()
        convolutions[:, :, weights.bias_column] += shift[:, :, 0]
        weights = weights._replace(convolutions=convolutions)
    blocks = weights.blocks()

    def load(slices: Sequence[slice]) -> LoadedPieces[T]:
        spaces: dict[int, T] = {}  # pieces of one size share their buffers
        for rows in slices:
            size = rows.stop - rows.start
            if size not in spaces:
                spaces[size] = kind(weights, positions, size)
            spaces[size].load(hidden[:, :, rows], conditioning[:, :, rows])
            yield rows, spaces[size], blocks, shift[:, :, rows] if each else None

    return [load(slices) for slices in divide_rows(count, positions, kind, weights)]


class _ResidualBlocks(torch.autograd.Function):
    """The autograd function of :func:`residual_blocks`."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, conditioning: Tensor, shift: Tensor, *weights: Any
    ) -> Tensor:
        *tensors, ctx.dilations = weights
        ctx.save_for_backward(hidden, conditioning, shift, *tensors)
        of = Weights(*weights)
        result = hidden.new_empty(len(of.output), *hidden.shape[1:])

        def run(pieces: LoadedPieces[Workspace]) -> None:
            for rows, space, blocks, of_rows in pieces:
                result[:, :, rows] = space.run(blocks, of_rows)

        shares = _load_pieces(Workspace, hidden, conditioning, shift, of)
        run_parallel([partial(run, pieces) for pieces in shares])
        return result

    @staticmethod
    def backward(ctx: Any, by_result: Tensor) -> tuple[Tensor | None, ...]:
        inputs: tuple[Tensor, ...] = ctx.saved_tensors
        hidden, conditioning, shift, convolutions, projections, skip, output = inputs
        weights = Weights(convolutions, projections, skip, output, ctx.dilations)
        if torch.is_grad_enabled():  # guidance and distillation want the gradient's gradient
            needed = [v for v, wanted in zip(inputs, ctx.needs_input_grad, strict=False) if wanted]
            result = reference_blocks(hidden, conditioning, shift, weights)
            slopes = iter(torch.autograd.grad(result, needed, by_result, create_graph=True))
            return *(next(slopes) if w else None for w in ctx.needs_input_grad[:-1]), None
        by_rows = (
            torch.empty_like(hidden), torch.empty_like(conditioning),
            torch.empty_like(shift) if shift.shape[2] > 1 else None,
        )  # fmt: skip

        def run(pieces: LoadedPieces[BackwardWorkspace], into: Gradients) -> None:
            for rows, space, blocks, of_rows in pieces:
                space.run(blocks, of_rows)
                space.back(blocks, by_result[:, :, rows], into, rows)

        shares = _load_pieces(BackwardWorkspace, hidden, conditioning, shift, weights)
        # gradients by weights are sums over rows: each thread has its own, rows are apart anyway
        parts = [Gradients(*by_rows, *map(torch.zeros_like, inputs[3:])) for _ in shares]
        run_parallel([partial(run, *both) for both in zip(shares, parts, strict=True)])
        gradients, *others = parts
        for other in others:
            for total, part in zip(gradients[3:], other[3:], strict=True):
                total += part
        by_shift = gradients.shift
        if by_shift is None:
            by_shift = gradients.convolutions[:, :, weights.bias_column, None]
        return *gradients._replace(shift=by_shift), None
