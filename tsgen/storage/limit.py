"""A limit to what building a network may take, for its sizes may be a stranger's."""

import math
from contextlib import suppress
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_WIDEST = 16
"""Bytes of the largest number."""
_MOST_CALLS = 2_000_000
"""Of operations; a schedule of a thousand steps takes some ten thousand."""


class TooLarge(ValueError):
    """Building took more memory or more operations than the limit."""


class BuildLimit(TorchDispatchMode):
    """Counts what torch allocates in a block, and stops it at a limit.

    What is too large is refused before it is allocated: of an operation that makes something of
    sizes, the sizes are looked at, and of one that works on tensors, how large they are together.

    Args:
        num_bytes: that all operations together may allocate.
        num_tensors: that may be made of nothing but a size, as parameters are.

    Raises:
        TooLarge: where one of them is exceeded.
    """

    def __init__(self, num_bytes: int, num_tensors: int) -> None:
        super().__init__()
        self.num_bytes, self.num_tensors = num_bytes, num_tensors
        self.bytes_left, self.tensors_left = float(num_bytes), num_tensors
        self.calls_left = _MOST_CALLS

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first operation imports torch's compiler, seconds and 100 MB

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count an operation and do it."""
        kwargs = kwargs or {}
        self.calls_left -= 1
        self.tensors_left -= func is torch.ops.aten.empty.memory_format
        if self.tensors_left < 0:
            raise TooLarge(f"has more than {self.num_tensors:,} tensors")
        if self.calls_left < 0:
            raise TooLarge(f"takes more than {_MOST_CALLS:,} operations to build")
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        expected = _WIDEST * _elements(func, args, kwargs, inputs)
        if expected > self.bytes_left:
            self._take(expected)
        result = func(*args, **kwargs)
        if not func.is_view:
            self._take(_bytes(result, inputs))
        return result

    def _take(self, num_bytes: float) -> None:
        self.bytes_left -= num_bytes
        if self.bytes_left < 0:
            raise TooLarge(f"takes more than {self.num_bytes:,} bytes to build")


def _bytes(result: Any, inputs: list[torch.Tensor]) -> int:
    """Bytes of the tensors in a result that are not inputs themselves."""
    outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
    return sum(
        tensor.numel() * tensor.element_size()
        for tensor in outputs
        if not any(tensor is one for one in inputs)
    )


def _elements(func: Any, args: tuple, kwargs: dict[str, Any], inputs: list[torch.Tensor]) -> float:
    """A number that the elements of a result hardly exceed, told by the arguments' names."""
    if func.is_view:
        return 0
    arguments = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
    sizes: list[float] = [
        math.prod(max(int(size), 1) for size in arguments[name])
        for name in ("size", "repeats")
        if isinstance(arguments.get(name), list | tuple)
    ]
    if isinstance(arguments.get("steps"), int):
        sizes.append(arguments["steps"])
    if "end" in arguments and "self" not in arguments and "steps" not in arguments:
        sizes.append(
            abs(arguments["end"] - arguments.get("start", 0)) / abs(arguments.get("step", 1) or 1)
        )
    if "n" in arguments and not inputs:
        sizes.append(int(arguments["n"]) * int(arguments.get("m") or arguments["n"]))
    if not inputs:
        return max(sizes, default=0)
    numel = max(tensor.numel() for tensor in inputs)
    if "repeats" in arguments or "diag_embed" in str(func):
        return numel * max(sizes, default=numel)
    with suppress(RuntimeError):
        return max(*sizes, math.prod(torch.broadcast_shapes(*(t.shape for t in inputs))), 0)
    return max(*sizes, numel, 0)
