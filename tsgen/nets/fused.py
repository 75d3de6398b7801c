"""The residual network with all its blocks in one kernel, on a GPU that has Triton."""

import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tsgen.nets.stack import Weights

if TYPE_CHECKING:
    from tsgen.nets.prepared import Entry, Prepared

ENABLED = True
"""Whether it may be used; for comparisons."""
_found: dict[tuple, bool] = {}
"""Whether it gives the network's answers, for what has been tried."""


class Fused:
    """Evaluations of (C,) events that are seen whole, for one time of all rows; see ``Prepared``.

    Numbers are float32 and the width of the blocks is a power of 2.

    Args:
        weights: of the blocks.
        entry: weight and bias of the first layer, each (c, 1).
        known: features of the conditioning (k, positions, rows), to be replaced by :meth:`take`.
    """

    def __init__(self, weights: Weights, entry: "Entry", known: Tensor) -> None:
        from tsgen.nets import fused_kernel  # Triton comes with torch for GPUs only

        features, positions, rows = known.shape
        device, channels = known.device, weights.channels
        on_gpu = device.type == "cuda"
        processors = torch.cuda.get_device_properties(device).multi_processor_count if on_gpu else 2
        self.how = fused_kernel.plan(rows, positions, channels, processors)
        self.launch = fused_kernel.launch
        self.known = known.new_empty(rows, features, positions)
        parts = weights.entering, weights.leaving, weights.skip, weights.output
        self.weights = tuple(part.mT.contiguous() for part in parts)
        self.bias = self.weights[0][:, weights.one]
        self.fixed = self.bias.clone()
        self.entry = torch.cat([part.T for part in entry]).contiguous()
        self.dilations = torch.tensor(weights.dilations, dtype=torch.int32, device=device)
        self.scratch = known.new_empty(self.how.scratch_size(channels))

    def take(self, known: Tensor) -> None:
        """Go on with another conditioning of the same shape."""
        self.known.copy_(known.permute(2, 0, 1))

    def __call__(self, x: Tensor, time: Tensor) -> Tensor:
        """From (rows, C) and the time's part (L, 2 c, 1) to (rows, C)."""
        torch.add(self.fixed, time[:, :, 0], out=self.bias)
        result = torch.empty_like(x, memory_format=torch.contiguous_format)
        self.launch(
            x.contiguous(), self.known, self.weights, self.entry, self.dilations, self.how,
            self.scratch, result,
        )  # fmt: skip
        return result


def fits(weights: Weights, entry: "Entry", known: Tensor) -> bool:
    """Whether the kernel can be asked: of the sizes and types, not of the machine."""
    one_feature = len(weights.output) == 1 and entry[0].shape[1] == 1
    width = weights.channels
    small = width & (width - 1) == 0 and width <= 32
    return one_feature and small and known.dtype == torch.float32 and known.shape[2] > 0


def usable(device: torch.device) -> bool:
    """Whether it may be used on such a device."""
    return ENABLED and device.type == "cuda"


def in_use() -> bool:
    """Whether it has been used in this process."""
    return any(_found.values())


def fused(prepared: "Prepared", weights: Weights, entry: "Entry", known: Tensor) -> Fused | None:
    """The kernel, where it can be used and has once given the answers that ``prepared`` gives.

    Where it cannot be built or answers otherwise a warning says so, once.
    """
    if not usable(known.device) or not fits(weights, entry, known):
        return None
    shape = tuple(known.shape), weights.channels, weights.dilations, known.device
    try:
        made = Fused(weights, entry, known)
        if shape not in _found:
            _found[shape] = False
            _compare(made, prepared, known, weights)
            _found[shape] = True
    except Exception as error:  # Triton raises what its parts raise, from LLVM to the driver
        if not isinstance(error, ImportError):
            warnings.warn(f"sampling goes on without the fused kernel: {error}", stacklevel=2)
        return None
    return made if _found[shape] else None


def _compare(made: Fused, prepared: "Prepared", known: Tensor, weights: Weights) -> None:
    generator = torch.Generator(known.device).manual_seed(0)
    x = torch.randn(known.shape[:0:-1], generator=generator, device=known.device)
    time = torch.zeros_like(weights.entering[:, :, :1])
    made.take(known)
    expected, found = prepared(x, time), made(x, time)
    gap, size = (found - expected).abs().max(), expected.abs().max()
    if not gap <= 1e-4 * size:
        raise RuntimeError(f"its answer differs by {float(gap):.2g} of {float(size):.2g}")
