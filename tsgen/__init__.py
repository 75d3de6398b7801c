"""Deep generative forecasters behind GluonTS's estimator interface."""

import importlib
from typing import Any

from tsgen._version import __version__

_LAZY = {
    "CLDEstimator": "tsgen.estimators",
    "ComposedEstimator": "tsgen.estimators",
    "GaussianEstimator": "tsgen.estimators",
    "GenerativeEstimator": "tsgen.forecasting.estimator",
    "ScoreGradEstimator": "tsgen.estimators",
    "StudentTEstimator": "tsgen.estimators",
    "TFDPMEstimator": "tsgen.estimators",
    "TempFlowEstimator": "tsgen.estimators",
    "Training": "tsgen.forecasting.training.options",
    "TimeGradEstimator": "tsgen.estimators",
    "allow": "tsgen.storage",
    "load": "tsgen.saving",
}

__all__ = ["__version__", *sorted(_LAZY)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Import on first use: GluonTS alone takes seconds."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tsgen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
