"""One training loop for all families, its checkpoints and its options."""

from tsgen.core.lazy import imported_on_use

_LAZY = {
    "ForecastModule": "module",
    "Training": "options",
    "TrainingRun": "run",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605

__getattr__ = imported_on_use(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted(__all__)
