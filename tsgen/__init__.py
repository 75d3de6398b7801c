"""Deep generative forecasters behind GluonTS's estimator interface."""

from tsgen._version import __version__
from tsgen.core.lazy import imported_on_use

_LAZY = {
    "CLDEstimator": "estimators",
    "ComposedEstimator": "estimators",
    "GaussianEstimator": "estimators",
    "GenerativeEstimator": "forecasting.estimator",
    "ScoreGradEstimator": "estimators",
    "StudentTEstimator": "estimators",
    "TFDPMEstimator": "estimators",
    "TempFlowEstimator": "estimators",
    "Training": "forecasting.training.options",
    "TimeGradEstimator": "estimators",
    "allow": "storage",
    "load": "saving",
}

__all__ = ["__version__", *sorted(_LAZY)]  # noqa: PLE0604

__getattr__ = imported_on_use(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted(__all__)
