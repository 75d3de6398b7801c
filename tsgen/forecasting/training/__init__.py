"""One training loop for all families, its checkpoints and its options."""

import importlib
from typing import Any

_LAZY = {
    "ForecastModule": "module",
    "Training": "options",
    "TrainingRun": "run",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name in _LAZY:
        return getattr(importlib.import_module(f"tsgen.forecasting.training.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'tsgen.forecasting.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
