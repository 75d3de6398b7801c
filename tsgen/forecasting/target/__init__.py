"""From the target's own scale to values of order one, and back."""

import importlib
from typing import Any

_LAZY = {
    "Anchor": "anchors",
    "LastValue": "anchors",
    "Link": "links",
    "TargetMap": "target",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name in _LAZY:
        return getattr(importlib.import_module(f"tsgen.forecasting.target.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'tsgen.forecasting.target' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
