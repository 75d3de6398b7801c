"""Loading whatever was saved: trained models, baselines, peers, calibrated predictors."""

import importlib
import inspect
import json
from contextlib import suppress
from pathlib import Path

from gluonts.model.predictor import Predictor

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
    try:
        kind = str(json.loads((path / "gluonts-config.json").read_text())["type"])
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f"{str(path)!r} holds no model saved by tsgen (gluonts-config.json is missing)"
        ) from None
    except (json.JSONDecodeError, KeyError, TypeError):
        raise ValueError(
            f"{str(path)!r} holds no model saved by tsgen (gluonts-config.json is damaged)"
        ) from None
    module, _, name = kind.rpartition(".")
    predictor: type[Predictor] | None = None
    if module.startswith(_OURS):
        with suppress(ModuleNotFoundError):
            predictor = getattr(importlib.import_module(module), name, None)
    if predictor is None:
        raise ValueError(f"{str(path)!r} holds a {kind}, which is none of tsgen's predictors")
    return predictor.deserialize(path, **({"device": device} if is_placed(predictor) else {}))
