"""The residual network for one conditioning after another, in buffers of its own."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from tsgen.nets.contract import BoundNetwork, DenoisingNet
from tsgen.nets.parallel.threads import run_parallel
from tsgen.nets.residual.backends import Case, InputLayer, current_backend, require
from tsgen.nets.residual.pieces import Workspace, divide_rows
from tsgen.nets.residual.reference import SLOPE, Weights

Piece = tuple[slice, Tensor, Workspace]
"""Rows, their conditioning (k, positions * rows), and where they are worked through."""
Inputs = tuple[Tensor, Tensor | None, Tensor | None]
"""Noised events, mask and further arrays."""


class BlocksNet(DenoisingNet):
    """A denoising network that gives its parameters in the form of the blocks' definition."""

    @abstractmethod
    def weights(self) -> Weights:
        """The parameters of the blocks."""

    @abstractmethod
    def entry(self, masked: bool) -> InputLayer:
        """Weight and bias of the first layer; without a mask its ones are in the bias."""


class ResidualEvaluator(BoundNetwork):
    """The network with the weights of its first call without gradients, to be called many times.

    What depends neither on the noised event nor on the time is computed once for a conditioning.
    With gradients it is the network itself.

    Args:
        net: the network.
        cond: (rows, *cond_shape).
    """

    net: BlocksNet

    def __init__(self, net: BlocksNet, cond: Tensor) -> None:
        super().__init__(net, cond)
        self.backend = current_backend()
        self.shares: list[list[Piece]] | None = None
        if self.backend == "triton":
            from tsgen.nets.residual.triton import TritonEvaluator

            with torch.no_grad():
                case = Case(net.weights(), net.entry(False), self.conditioning)
                require("triton", case)
                self.kernel = TritonEvaluator(*case)

    def rebind(self, cond: Tensor) -> None:
        """Go on with another conditioning of the same shape."""
        super().rebind(cond)
        if self.backend == "triton":
            self.kernel.rebind(self.conditioning.detach())
        for share in self.shares or ():
            for rows, features, space in share:
                features.view(-1, *space.shape).copy_(self.conditioning.detach()[:, :, rows])

    def __call__(
        self, x: Tensor, time: Tensor, observed: Tensor | None = None, extra: Tensor | None = None
    ) -> Tensor:
        """Predict, (rows, *event_shape), for one time of all rows."""
        if torch.is_grad_enabled() or self.backend == "reference":
            return super().__call__(x, time, observed, extra)
        if self.backend == "triton" and observed is None and extra is None:
            return self.kernel(x, time)
        if self.shares is None:
            self.shares = self._divide()
        torch.add(self.bias, time[:, :, 0], out=self.bias_with_time)
        result = torch.empty_like(x)
        inputs = x, observed, extra
        if len(self.shares) > 1:
            run_parallel([partial(self._evaluate, share, inputs, result) for share in self.shares])
            return result
        for rows, space in self._loaded(self.shares[0], inputs):  # no other thread to wait for
            result[rows] = space.run(self.blocks).permute(2, 1, 0).view_as(result[rows])
        return result

    def _divide(self) -> list[list[Piece]]:
        """Lay out the weights, and divide the rows among threads and pieces."""
        weights = self.net.weights()
        self.entries = self.net.entry(False), self.net.entry(True)
        convolutions = weights.convolutions.clone()
        self.blocks = weights._replace(convolutions=convolutions).blocks()
        self.bias, self.bias_with_time = (
            w[:, :, weights.bias_column] for w in (weights.convolutions, convolutions)
        )
        positions, rows = self.conditioning.shape[1:]
        shares: list[list[Piece]] = []
        for slices in divide_rows(rows, positions, Workspace, weights):
            spaces: dict[int, Workspace] = {}  # pieces of one size share their buffers
            share: list[Piece] = []
            for part in slices:
                size = part.stop - part.start
                if size not in spaces:
                    spaces[size] = Workspace(weights, positions, size)
                features = self.conditioning[:, :, part].clone(
                    memory_format=torch.contiguous_format
                )
                share.append((part, features.flatten(1), spaces[size]))
            shares.append(share)
        return shares

    def _loaded(self, share: list[Piece], inputs: Inputs) -> Iterator[tuple[slice, Workspace]]:
        """Apply the first layer to each piece, and lend its workspace."""
        x, observed, extra = inputs
        weight, bias = self.entries[observed is not None]
        for rows, features, space in share:
            flat = stack_inputs(
                x[rows], None if observed is None else observed[rows],
                None if extra is None else extra[:, rows],
            )  # fmt: skip
            space.conditioning.copy_(features)
            F.leaky_relu_(torch.addmm(bias, weight, flat, out=space.hidden), SLOPE)
            yield rows, space

    def _evaluate(self, share: list[Piece], inputs: Inputs, result: Tensor) -> None:
        """Do one thread's pieces."""
        for rows, space in self._loaded(share, inputs):
            result[rows] = space.run(self.blocks).permute(2, 1, 0).view_as(result[rows])


def stack_inputs(x: Tensor, observed: Tensor | None, extra: Tensor | None) -> Tensor:
    """All that the first layer takes of rows, (features, positions * rows)."""
    arrays = [x] if observed is None else [x * observed, observed]
    arrays += [] if extra is None else list(extra)
    flat = [a.T.reshape(1, -1) if a.dim() == 2 else a.permute(2, 1, 0).flatten(1) for a in arrays]
    return flat[0] if len(flat) == 1 else torch.cat(flat)
