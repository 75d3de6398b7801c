"""The gradient of the residual network in pieces, written out."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from tsgen.nets.stack import SLOPE, Blocks, Weights, Workspace, moves, pieces, plain_stack
from tsgen.nets.threads import side_by_side

T = TypeVar("T", bound=Workspace)


def run_stack(hidden: Tensor, known: Tensor, shift: Tensor, weights: Weights) -> Tensor:
    """What :func:`~tsgen.nets.stack.plain_stack` returns, in pieces, and differentiable.

    The arguments are those of that function.
    """
    inputs = (v.to(weights.entering.dtype) for v in (hidden, known, shift))  # autocast mixes
    return _Stack.apply(*inputs, *weights)


class Gradients(NamedTuple):
    """By the arguments of :func:`run_stack`."""

    hidden: Tensor
    known: Tensor
    shift: Tensor | None
    """``None`` where it is the same for all rows: then it is that by the column of 1."""
    entering: Tensor
    leaving: Tensor
    skip: Tensor
    output: Tensor


class Tape(Workspace):
    """A workspace that keeps what the gradient of its piece needs."""

    kept = True
    limit = 2**22  # of which a block touches a part at a time; more pieces are more calls

    def __init__(self, weights: Weights, positions: int, rows: int) -> None:
        super().__init__(weights, positions, rows)
        c, columns = self.channels, positions * rows
        self.before = list(self.new(len(weights.dilations), c, columns))
        self.one = weights.one
        # gradients by a block's result, of half and of full width, and by what it sees
        self.by_state, self.narrow = self.new(2 * c, columns), self.new(c, columns)
        self.wide, self.by_seen = self.new(2 * c, columns), torch.empty_like(self.seen)
        self.by_hidden, self.by_skips = self.by_state.split(c)
        self.halves = self.wide.split(c)
        self.by_known, self.by_middle = self.by_seen[2 * c : weights.one], self.by_seen[-c:]
        self.returns = {
            d: moves(self.by_hidden, self.by_seen[: 2 * c], d, self.shape) for d in self.looks
        }

    @classmethod
    def numbers(cls, weights: Weights) -> int:
        """Held for each position of each row."""
        c, blocks = weights.channels, len(weights.dilations)
        return super().numbers(weights) + 5 * c * blocks + 8 * c + weights.one

    def remember(self, block: int) -> None:
        """Keep the state before a block."""
        self.before[block].copy_(self.hidden)

    def back(self, blocks: Blocks, by_result: Tensor, into: Gradients, rows: slice) -> None:
        """After :meth:`run`, add the gradients, from that by the result (f, positions, rows)."""
        c, ops = self.channels, torch.ops.aten
        known = torch.zeros_like(self.known)
        by_gate, by_value = self.halves
        by_result = by_result.reshape(len(self.output), -1)
        # hidden and beside it are as the last layer met them
        into.output.addmm_(by_result, self.seen.T)
        self._return(self.output, by_result, 1)
        ops.leaky_relu_backward.grad_input(
            self.by_hidden, self.hidden, SLOPE, True, grad_input=self.narrow
        )
        self.hidden.copy_(self.skips)
        self.look(1)
        into.skip.addmm_(self.narrow, self.seen.T)
        self._return(self.skip, self.narrow, 1)
        self.by_skips.copy_(self.by_hidden)
        self.by_hidden.zero_()
        for i, (w, v, distance) in reversed(list(enumerate(blocks))):
            both, (gate, value), out = self.opened[i], self.gates[i], self.closed[i]
            ops.leaky_relu_backward.grad_input(self.by_state, out, SLOPE, True, grad_input=out)
            torch.addcmul(gate, gate, value, value=-2, out=self.product)
            into.leaving[i].addmm_(out, self.gated.T)
            torch.mm(v[:, :c].T, out, out=self.narrow)
            torch.addcmul(self.narrow, self.narrow, value, value=-2, out=by_gate)
            torch.mul(self.narrow, gate, out=by_value).mul_(-2)
            ops.sigmoid_backward.grad_input(self.wide, both, grad_input=self.wide)
            self.hidden.copy_(self.before[i])
            self.look(distance)
            into.entering[i].addmm_(self.wide, self.seen.T)
            if into.shift is not None:
                into.shift[i, :, rows] = self.wide.view(-1, *self.shape).sum(1)
            self._return(w, self.wide, distance, add=True)
            known += self.by_known
        into.hidden[:, :, rows] = self.by_hidden.view(c, *self.shape)
        into.known[:, :, rows] = known.view(-1, *self.shape)

    def _return(self, weight: Tensor, by_out: Tensor, distance: int, add: bool = False) -> None:
        """From the gradient by a convolution's result to ``by_hidden``, or add it there."""
        torch.mm(weight.T, by_out, out=self.by_seen)
        if add:
            self.by_hidden += self.by_middle
        else:
            self.by_hidden.copy_(self.by_middle)
        for moved, place in self.returns[distance]:
            place += moved


Loaded = Iterator[tuple[slice, T, Blocks, Tensor | None]]


def _loaded(
    kind: type[T], hidden: Tensor, known: Tensor, shift: Tensor, weights: Weights
) -> list[Loaded[T]]:
    """For each thread its rows in a workspace, and blocks and the rows' shift to run it with."""
    _, positions, count = hidden.shape
    each = shift.shape[2] > 1
    if not each:
        entering = weights.entering.clone()
        entering[:, :, weights.one] += shift[:, :, 0]
        weights = weights._replace(entering=entering)
    blocks = weights.blocks()

    def share(slices: Sequence[slice]) -> Loaded[T]:
        spaces: dict[int, T] = {}
        for rows in slices:
            size = rows.stop - rows.start
            if size not in spaces:
                spaces[size] = kind(weights, positions, size)
            spaces[size].load(hidden[:, :, rows], known[:, :, rows])
            yield rows, spaces[size], blocks, shift[:, :, rows] if each else None

    return [share(slices) for slices in pieces(count, positions, kind, weights)]


class _Stack(torch.autograd.Function):
    """:func:`run_stack`."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, known: Tensor, shift: Tensor, *weights: Any) -> Tensor:
        *tensors, ctx.dilations = weights
        ctx.save_for_backward(hidden, known, shift, *tensors)
        of = Weights(*weights)
        result = hidden.new_empty(len(of.output), *hidden.shape[1:])

        def work(loaded: Loaded[Workspace]) -> None:
            for rows, space, blocks, of_rows in loaded:
                result[:, :, rows] = space.run(blocks, of_rows)

        shares = _loaded(Workspace, hidden, known, shift, of)
        side_by_side([partial(work, loaded) for loaded in shares])
        return result

    @staticmethod
    def backward(ctx: Any, by_result: Tensor) -> tuple[Tensor | None, ...]:
        inputs: tuple[Tensor, ...] = ctx.saved_tensors
        hidden, known, shift, entering, leaving, skip, output = inputs
        weights = Weights(entering, leaving, skip, output, ctx.dilations)
        if torch.is_grad_enabled():  # derivatives of the gradient are wanted
            needed = [v for v, wanted in zip(inputs, ctx.needs_input_grad, strict=False) if wanted]
            result = plain_stack(hidden, known, shift, weights)
            found = iter(torch.autograd.grad(result, needed, by_result, create_graph=True))
            return *(next(found) if w else None for w in ctx.needs_input_grad[:-1]), None
        by_rows = (
            torch.empty_like(hidden), torch.empty_like(known),
            torch.empty_like(shift) if shift.shape[2] > 1 else None,
        )  # fmt: skip

        def work(loaded: Loaded[Tape], into: Gradients) -> None:
            for rows, space, blocks, of_rows in loaded:
                space.run(blocks, of_rows)
                space.back(blocks, by_result[:, :, rows], into, rows)

        shares = _loaded(Tape, hidden, known, shift, weights)
        # the weights' are sums over rows: each thread has one of its own
        parts = [Gradients(*by_rows, *map(torch.zeros_like, inputs[3:])) for _ in shares]
        side_by_side([partial(work, *both) for both in zip(shares, parts, strict=True)])
        gradients, *others = parts
        for other in others:
            for total, part in zip(gradients[3:], other[3:], strict=True):
                total += part
        by_shift = gradients.shift
        if by_shift is None:
            by_shift = gradients.entering[:, :, weights.one, None]
        return *gradients._replace(shift=by_shift), None
