"""From entries of a data set to windows of tensors."""

import importlib
from typing import Any

_LAZY = {
    "DataSpec": "spec",
    "GridWindows": "grid",
    "StreamedWindows": "stream",
    "Stretch": "window",
    "Window": "window",
    "WindowShape": "window",
    "Windows": "window",
    "infer_spec": "spec",
    "read_entry": "entry",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name in _LAZY:
        return getattr(importlib.import_module(f"tsgen.forecasting.data.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'tsgen.forecasting.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
