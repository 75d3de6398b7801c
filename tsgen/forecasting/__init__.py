"""From a data set to a trained predictor: windows, networks, training, prediction."""

from tsgen.core.lazy import imported_on_use

_LAZY = {
    "GenerativeEstimator": "estimator",
    "GenerativePredictor": "predictor",
    "Training": "training.options",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605

__getattr__ = imported_on_use(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted(__all__)
