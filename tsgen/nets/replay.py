"""Work in fixed buffers that a GPU replays in one launch."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor


class Replayed:
    """A function that works in place on fixed tensors, to be called many times.

    On a CPU it is simply called. On a GPU its third call records its kernels as a CUDA graph, which
    the calls after that replay: one launch instead of one for each of a hundred small kernels. The
    recording is compared with the function's own answer; where it cannot be made, or differs, the
    function goes on being called, with a warning.

    Args:
        function: without arguments; returns always the same tensor, computed from ``inputs``.
        inputs: the tensor that it reads, and may overwrite.
    """

    _before = 2

    def __init__(self, function: Callable[[], Tensor], inputs: Tensor) -> None:
        self.function, self.inputs = function, inputs
        self.left = self._before if inputs.device.type == "cuda" else -1
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> Tensor:
        """The function's answer to what its inputs hold now."""
        if self.graph is not None:
            self.graph.replay()
            return self.result
        if self.left == 0:
            self._record()
            return self.result
        self.left = max(self.left - 1, -1)
        return self.function()

    def _record(self) -> None:
        start = self.inputs.clone()
        self.result = self.function()
        expected = self.result.clone()
        self.left = -1
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.function()
            self.inputs.copy_(start)
            graph.replay()
            if not torch.allclose(self.result, expected, rtol=1e-3, atol=1e-4, equal_nan=True):
                raise RuntimeError("its answer differs")
        except RuntimeError as error:
            warnings.warn(f"sampling goes on without a CUDA graph: {error}", stacklevel=2)
            self.result.copy_(expected)
        else:
            self.graph = graph
