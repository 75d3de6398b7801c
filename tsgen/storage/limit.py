"""A limit to what building a network may take, for its sizes may be a stranger's."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_SMALL = 1 << 12
"""Elements; what works on fewer is not measured before it is done."""


class TooLarge(ValueError):
    """Building took more memory or more operations than the limit."""


class BuildLimit(TorchDispatchMode):
    """Counts what torch allocates and does in a block, and stops it at a limit.

    An operation that makes something of nothing, or works on large tensors, is asked for its size
    first, on torch's "meta" device: what is too large is never allocated.

    Args:
        num_bytes: that all operations together may allocate.
        num_calls: of operations.

    Raises:
        TooLarge: where one of them is exceeded.
    """

    def __init__(self, num_bytes: int, num_calls: int) -> None:
        super().__init__()
        self.num_bytes, self.num_calls = num_bytes, num_calls
        self.bytes_left, self.calls_left = num_bytes, num_calls

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count an operation and do it."""
        kwargs = kwargs or {}
        self.calls_left -= 1
        if self.calls_left < 0:
            raise TooLarge(f"takes more than {self.num_calls:,} operations to build")
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if not inputs or sum(tensor.numel() for tensor in inputs) > _SMALL:
            self._take(_expected_bytes(func, args, kwargs, bool(inputs)))
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        if not func.is_view:
            self._take(_bytes(result, inputs))
        return result

    def _take(self, num_bytes: int) -> None:
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


def _expected_bytes(func: Callable, args: tuple, kwargs: dict[str, Any], has_inputs: bool) -> int:
    """Bytes that an operation will allocate."""

    def meta(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            return torch.empty_strided(leaf.size(), leaf.stride(), dtype=leaf.dtype, device="meta")
        return torch.device("meta") if isinstance(leaf, torch.device) else leaf

    args, kwargs = torch.utils._pytree.tree_map(meta, (args, kwargs))
    if not has_inputs and any(a.name == "device" for a in func._schema.arguments):  # type: ignore[attr-defined]
        kwargs["device"] = torch.device("meta")
    inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    try:
        return _bytes(func(*args, **kwargs), inputs)
    except (NotImplementedError, RuntimeError):
        # no such kernel, or a result that depends on values: as large as what goes in
        return sum(tensor.numel() * tensor.element_size() for tensor in inputs)
