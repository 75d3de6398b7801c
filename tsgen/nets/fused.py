"""The residual network with all its blocks in one kernel, on a GPU that has Triton."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tsgen.nets.stack import SLOPE, Weights, plain_stack

Entry = tuple[Tensor, Tensor]
"""Weight and bias of the first layer."""
ENABLED = True
"""Whether it may be used; for comparisons."""
_found: dict[tuple, bool] = {}
"""Whether it computes the network right, for sizes that have been tried."""


class Fused:
    """Evaluations of (C,) events that are seen whole, for one time of all rows; see ``Prepared``.

    Numbers are float32 and the width of the blocks is a power of 2.

    Args:
        weights: of the blocks.
        entry: weight and bias of the first layer, each (c, 1).
        known: features of the conditioning (k, positions, rows).
    """

    def __init__(self, weights: Weights, entry: Entry, known: Tensor) -> None:
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
        self.take(known)

    def take(self, known: Tensor) -> None:
        """Go on with another conditioning of the same shape."""
        self.known.copy_(known.permute(2, 0, 1))

    def __call__(self, x: Tensor, time: Tensor) -> Tensor:
        """From (rows, C) and the time's part (L, 2 c, 1) to (rows, C)."""
        rows, _, positions = self.known.shape
        if x.shape != (rows, positions):
            raise ValueError(f"x has shape {tuple(x.shape)}, expected {(rows, positions)}")
        torch.add(self.fixed, time[:, :, 0], out=self.bias)
        result = torch.empty_like(x, memory_format=torch.contiguous_format)
        self.launch(
            x.contiguous(), self.known, self.weights, self.entry, self.dilations, self.how,
            self.scratch, result,
        )  # fmt: skip
        return result


def fits(weights: Weights, entry: Entry, known: Tensor) -> bool:
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


def fused(weights: Weights, entry: Entry, known: Tensor) -> Fused | None:
    """The kernel, where it can be used and has once computed this network right, for its sizes.

    Where it cannot be built or is wrong a warning says so, once.
    """
    if not usable(known.device) or not fits(weights, entry, known):
        return None
    sizes = tuple(known.shape), weights.channels, weights.dilations, known.device
    if sizes not in _found:
        _found[sizes] = False
        try:
            _check(weights, entry, known)
            _found[sizes] = True
        except ImportError:
            pass
        except Exception as error:  # Triton raises what its parts raise, from LLVM to the driver
            warnings.warn(f"sampling goes on without the fused kernel: {error}", stacklevel=2)
    return Fused(weights, entry, known) if _found[sizes] else None


def _check(weights: Weights, entry: Entry, known: Tensor) -> None:
    """Compare with the definition in double precision, for random weights: others may be zero."""
    generator = torch.Generator(known.device).manual_seed(0)

    def drawn(like: Tensor) -> Tensor:
        return 0.3 * torch.randn(like.shape, generator=generator, device=like.device)

    def every(change: Callable[[Tensor], Tensor], of: Weights) -> Weights:
        w, v = change(of.entering), change(of.leaving)
        return Weights(w, v, change(of.skip), change(of.output), of.dilations)

    random = every(drawn, weights)
    for last in (random.skip, random.output):  # these do not see the conditioning
        last[:, 2 * weights.channels : weights.one] = 0
    weight, bias, known = (drawn(part) for part in (*entry, known))
    x, time = drawn(known[0].T), drawn(weights.entering[:, :, :1])
    found = Fused(random, (weight, bias), known)(x, time)
    ends = torch.arange(len(x), device=x.device)
    ends = ends[(ends < 32) | (ends >= len(x) - 32)]  # the definition needs much memory
    wide = every(Tensor.double, random)
    shown = x[ends].T.reshape(1, -1).double()
    hidden = F.leaky_relu(weight.double() * shown + bias.double(), SLOPE)
    hidden = hidden.view(len(weight), -1, len(ends))
    expected = plain_stack(hidden, known[:, :, ends].double(), time.double(), wide)[0].T
    gap, size = (found[ends] - expected).abs().max(), expected.abs().max()
    if not gap <= 1e-4 * size:
        raise RuntimeError(f"it differs from the network by {float(gap):.2g} of {float(size):.2g}")
