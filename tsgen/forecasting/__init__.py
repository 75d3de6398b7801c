"""From a data set to a trained predictor: windows, networks, training, prediction."""

import importlib
from typing import Any

_LAZY = {
    "GenerativeEstimator": "estimator",
    "GenerativePredictor": "predictor",
    "Training": "training.options",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name in _LAZY:
        return getattr(importlib.import_module(f"tsgen.forecasting.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'tsgen.forecasting' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
