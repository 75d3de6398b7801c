"""Work that a GPU replays in one launch.

No GPU has measured it yet: it runs within :func:`cuda_graphs` only.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_enabled: ContextVar[bool] = ContextVar("cuda graphs", default=False)


@contextmanager
def cuda_graphs(enabled: bool = True) -> Iterator[None]:
    """Let samplers record their steps on a GPU as a CUDA graph within, and replay it."""
    token = _enabled.set(enabled)
    try:
        yield
    finally:
        _enabled.reset(token)


def uses_cuda_graphs() -> bool:
    """Whether :func:`cuda_graphs` allows a recording."""
    return _enabled.get()


class CudaGraphed:
    """A function that is called many times with inputs of one shape.

    On a CPU, with gradients and in mixed precision (whose copies of weights do not last) it is
    simply called. On a GPU its third call records its kernels as a CUDA graph, which the calls
    after that replay: one launch instead of one for each of thousands of small kernels. Random
    numbers go on from call to call as if it were called. The recording is compared with the
    function's own answer; where it cannot be made, or differs, the function goes on being called,
    with a warning. (If CUDA itself breaks a recording off, torch may need a new process.)

    Args:
        function: of a tensor; it makes the same calls every time, and in the third and later ones
            neither waits for the GPU nor brings anything there.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, values: Tensor) -> Tensor:
        """The function's answer."""
        plain = torch.is_grad_enabled() or torch.is_autocast_enabled("cuda")
        if values.device.type != "cuda" or plain:
            return self.function(values)
        self.calls += 1
        if self.graph is not None:
            self.inputs.copy_(values)
            self.graph.replay()
            return self.result.clone()
        return self._record(values) if self.calls == 3 else self.function(values)

    def _record(self, values: Tensor) -> Tensor:
        self.inputs = values.clone()
        start = torch.cuda.get_rng_state(values.device)
        expected = self.function(values)
        after = torch.cuda.get_rng_state(values.device)
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(values.device)
        try:
            # the outer context brings the stream back if the recording ends badly
            with (
                torch.cuda.stream(stream),
                torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
            ):
                self.result = self.function(self.inputs)
            torch.cuda.set_rng_state(start, values.device)
            graph.replay()
            answer, right = self.result.nan_to_num(), expected.nan_to_num()
            if not (answer - right).abs().max() <= 0.01 * right.abs().max():
                raise RuntimeError("its answer differs")
        except RuntimeError as error:
            warnings.warn(f"sampling goes on without a CUDA graph: {error}", stacklevel=2)
            del self.inputs
            self.__dict__.pop("result", None)
        else:
            self.graph = graph
        finally:
            torch.cuda.set_rng_state(after, values.device)
        return expected
