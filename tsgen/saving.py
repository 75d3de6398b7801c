"""Loading whatever was saved: trained models, baselines, peers, calibrated predictors."""

import inspect
import json
from pathlib import Path
from typing import Any

from gluonts.model.predictor import Predictor

from tsgen.storage import PREDICTOR_FILES, FolderError, damage_told, resolve

_OURS = "tsgen."


def check_loadable(predictor: Predictor) -> None:
    """Raise ``ValueError`` for a predictor that :func:`load` would not bring back."""
    kind = type(predictor)
    if not kind.__module__.startswith(_OURS):
        raise ValueError(
            f"a {kind.__module__}.{kind.__qualname__} cannot be loaded again by tsgen, which loads "
            "its own predictors only; PeerEstimator makes one of a GluonTS estimator"
        )


def is_placed(predictor: Predictor | type[Predictor]) -> bool:
    """Whether it runs on a device of choice, and not on the CPU only."""
    return "device" in inspect.signature(predictor.deserialize).parameters


def load(path: str | Path, device: str | None = None) -> Predictor:
    """Load a predictor that ``serialize`` wrote.

    Args:
        path: the folder.
        device: where a model will run; by default the device asked for in training if this machine
            has it, else "auto".

    Raises:
        ValueError: if the folder holds no predictor of this library, or one of another format.
    """
    path = Path(path)
    config = path / PREDICTOR_FILES[0]
    if not config.is_file():
        raise ValueError(f"{str(path)!r} holds no model saved by tsgen ({config.name} is missing)")
    with damage_told(path):
        try:
            kind = json.loads(config.read_text())["type"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise FolderError(
                f"{str(path)!r} holds no model saved by tsgen ({config.name} is damaged)"
            ) from None
        part = resolve(kind)
        predictor: Any = part  # whose own deserialize may take a device
        if not (isinstance(part, type) and issubclass(part, Predictor)):
            raise FolderError(f"{str(path)!r} holds a {kind}, which is none of tsgen's predictors")
        return predictor.deserialize(path, **({"device": device} if is_placed(predictor) else {}))
