"""The folder of a trained model: options as JSON, weights, and what its training measured."""

import json
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import nn

from tsgen._version import __version__
from tsgen.core import usable_device
from tsgen.storage import (
    PREDICTOR_JSON,
    FolderError,
    SavedFolder,
    damage_told,
    load_weights,
    save_weights,
)


class Trained(Protocol):
    """A predictor with a trained network and the record of the training."""

    history: list[dict[str, float]]

    @property
    def prediction_net(self) -> nn.Module:
        """The network."""


T = TypeVar("T", bound=Trained)

FORMAT = 5
"""Version of the layout of a saved model; raised whenever it changes."""
_ABOUT, _WEIGHTS = "tsgen.json", "weights.safetensors"


def write_network(
    network: nn.Module, history: list[dict[str, float]], path: Path
) -> tuple[str, ...]:
    """Write weights and history into a folder, and return the names of the files."""
    save_weights(path / _WEIGHTS, network)
    about = {"tsgen": __version__, "format": FORMAT, "history": history}
    (path / _ABOUT).write_text(json.dumps(about, indent=1))
    return _WEIGHTS, _ABOUT


def read_predictor(path: Path, kind: type[T], device: str | None) -> tuple[T, str]:
    """Read a predictor from a folder, which may be a stranger's.

    Args:
        path: the folder.
        kind: the class that is expected.
        device: where it is to run; by default where it was trained, if this machine has that.

    Returns:
        The predictor, on the CPU, and the device to move it to.

    Raises:
        ValueError: in one line, for whatever is wrong with the folder.
    """
    if device is not None:
        usable_device(device)
    with damage_told(path):
        folder = SavedFolder(path, _ABOUT)
        about = folder.json(_ABOUT)
        if about["format"] != FORMAT:
            raise FolderError(
                f"{str(path)!r} was saved by tsgen {about['tsgen']} in format "
                f"{about['format']}; this is tsgen {__version__}, which reads format {FORMAT}. "
                "Train the model again, or load it with the version that saved it"
            )
        described = folder.json(PREDICTOR_JSON)
        options = described["kwargs"]
        place = device or (options["device"] if _is_usable(options["device"]) else "auto")
        options["device"] = "cpu"
        predictor: T = folder.build(described, kind, _WEIGHTS)
        predictor.history = _checked_history(about["history"])
        load_weights(path / _WEIGHTS, predictor.prediction_net)
    return predictor, place


def _checked_history(history: Any) -> list[dict[str, float]]:
    """What each epoch measured, as it was written.

    Raises:
        ValueError: if it is anything else than numbers by name.
    """
    if not isinstance(history, list) or not all(
        isinstance(epoch, dict) and all(isinstance(value, int | float) for value in epoch.values())
        for epoch in history
    ):
        raise ValueError("the history of its training is no list of numbers by name")
    return history


def _is_usable(device: Any) -> bool:
    try:
        usable_device(device)
    except (ValueError, TypeError):
        return False
    return isinstance(device, str)
