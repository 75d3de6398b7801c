"""The residual network with all its blocks in one kernel, on a GPU that has Triton.

No GPU has measured it yet: it runs within ``backend("triton")`` only, see
:mod:`tsgen.nets.residual.backends`.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tsgen.nets.residual.backends import InputLayer
from tsgen.nets.residual.reference import SLOPE, Weights, reference_blocks

TOLERANCE = 1e-4
"""Largest error of the kernel, relative to the largest value of the definition."""
CHECKED_ROWS = 32
"""Rows at either end that the check compares, for the definition needs much memory."""


class TritonEvaluator:
    """Evaluates events (C,) without a mask, at one time of all rows.

    It compares the kernel with the definition once, when it is made. Constraints:
    :data:`tsgen.nets.residual.backends.CONSTRAINTS`.

    Args:
        weights: of the blocks.
        entry: weight and bias of the first layer, each (c, 1).
        conditioning: features (k, positions, rows).

    Raises:
        RuntimeError: if the kernel's answer differs from the definition's.
    """

    def __init__(self, weights: Weights, entry: InputLayer, conditioning: Tensor) -> None:
        check_kernel(weights, entry, conditioning)
        self.kernel = Kernel(weights, entry, conditioning)

    def rebind(self, conditioning: Tensor) -> None:
        """Go on with another conditioning of the same shape."""
        self.kernel.rebind(conditioning)

    def __call__(self, x: Tensor, time: Tensor) -> Tensor:
        """From (rows, C) and the time's part (L, 2 c, 1) to (rows, C)."""
        return self.kernel(x, time)


class Kernel:
    """The kernel's arguments for some weights and rows; they are not checked.

    Args:
        weights: of the blocks.
        entry: weight and bias of the first layer, each (c, 1).
        conditioning: features (k, positions, rows).
    """

    def __init__(self, weights: Weights, entry: InputLayer, conditioning: Tensor) -> None:
        from tsgen.nets.residual import triton_kernel  # Triton comes with torch for GPUs only

        features, positions, rows = conditioning.shape
        device, channels = conditioning.device, weights.channels
        on_gpu = device.type == "cuda"
        processors = torch.cuda.get_device_properties(device).multi_processor_count if on_gpu else 2
        self.division = triton_kernel.divide(rows, positions, channels, processors)
        self.launch = triton_kernel.launch
        self.conditioning = conditioning.new_empty(rows, features, positions)
        parts = weights.convolutions, weights.projections, weights.skip, weights.output
        self.weights = tuple(part.mT.contiguous() for part in parts)
        self.bias_with_time = self.weights[0][:, weights.bias_column]
        self.bias = self.bias_with_time.clone()
        self.entry = torch.cat([part.T for part in entry]).contiguous()
        self.dilations = torch.tensor(weights.dilations, dtype=torch.int32, device=device)
        self.scratch = conditioning.new_empty(self.division.scratch_size(channels))
        self.rebind(conditioning)

    def rebind(self, conditioning: Tensor) -> None:
        """Go on with another conditioning of the same shape."""
        self.conditioning.copy_(conditioning.permute(2, 0, 1))

    def __call__(self, x: Tensor, time: Tensor) -> Tensor:
        """From (rows, C) and the time's part (L, 2 c, 1) to (rows, C).

        Raises:
            ValueError: for another number of rows than the conditioning has.
        """
        rows, _, positions = self.conditioning.shape
        if x.shape != (rows, positions):  # the kernel would read beyond the conditioning
            raise ValueError(f"x has shape {tuple(x.shape)}, expected {(rows, positions)}")
        torch.add(self.bias, time[:, :, 0], out=self.bias_with_time)
        result = torch.empty_like(x, memory_format=torch.contiguous_format)
        self.launch(
            x.contiguous(), self.conditioning, self.weights, self.entry, self.dilations,
            self.division, self.scratch, result,
        )  # fmt: skip
        return result


def check_kernel(weights: Weights, entry: InputLayer, conditioning: Tensor) -> None:
    """Compare the kernel with the definition in double precision, for a network of these sizes.

    Weights are random: those of an untrained network end in zeros and would tell nothing.

    Raises:
        RuntimeError: if the kernel's answer differs.
    """
    generator = torch.Generator(conditioning.device).manual_seed(0)

    def draw(like: Tensor) -> Tensor:
        return 0.3 * torch.randn(like.shape, generator=generator, device=like.device)

    def change(function: Callable[[Tensor], Tensor], of: Weights) -> Weights:
        w, v = function(of.convolutions), function(of.projections)
        return Weights(w, v, function(of.skip), function(of.output), of.dilations)

    drawn = change(draw, weights)
    for last in (drawn.skip, drawn.output):  # the last layers do not use the conditioning
        last[:, 2 * weights.channels : weights.bias_column] = 0
    weight, bias, features = (draw(part) for part in (*entry, conditioning))
    x, time = draw(features[0].T), draw(weights.convolutions[:, :, :1])
    answer = Kernel(drawn, (weight, bias), features)(x, time)
    rows = torch.arange(len(x), device=x.device)
    rows = rows[(rows < CHECKED_ROWS) | (rows >= len(x) - CHECKED_ROWS)]
    hidden = weight.double() * x[rows].T.reshape(1, -1).double() + bias.double()
    hidden = F.leaky_relu(hidden, SLOPE).view(len(weight), -1, len(rows))
    wide = change(Tensor.double, drawn)
    expected = reference_blocks(hidden, features[:, :, rows].double(), time.double(), wide)[0].T
    error, size = (answer[rows] - expected).abs().max(), expected.abs().max()
    if not error <= TOLERANCE * size:
        raise RuntimeError(
            f"backend 'triton': the kernel differs from the network by {float(error):.2g} of "
            f"{float(size):.2g} on this machine; use backend('pieces')"
        )
