"""Loading whatever was saved: trained models, baselines, peers, calibrated predictors."""

import importlib
import inspect
import json
from pathlib import Path

from gluonts.model.predictor import Predictor


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
    if not module.startswith("tsgen."):
        raise ValueError(f"{str(path)!r} holds a {kind}, which is none of tsgen's predictors")
    predictor: type[Predictor] = getattr(importlib.import_module(module), name)
    known = inspect.signature(predictor.deserialize).parameters
    return predictor.deserialize(path, **({"device": device} if "device" in known else {}))
