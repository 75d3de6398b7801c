"""The folder of a detector: its options, and what it has learnt apart from a network."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gluonts.core.serde import encode

from tsgen._version import __version__
from tsgen.anomaly.budget import CalibratedThreshold
from tsgen.core import Options
from tsgen.storage import (
    SavedFolder,
    load_arrays,
    save_arrays,
)

DETECTOR = "detector.json"
"""File that every saved detector has."""
_ARRAYS = "arrays.safetensors"
LEARNED_FILES = (_ARRAYS, DETECTOR)
"""Files that :func:`write_learned` writes."""


@dataclass(frozen=True)
class Learned:
    """What a detector has learnt, apart from a network.

    Args:
        names: of the channels.
        period: the usual seconds between rows; ``None`` where rows are only numbered.
        threshold: alarms begin here.
        calibration: of the threshold, if it was calibrated.
        arrays: by name; finite.
    """

    names: tuple[str, ...]
    period: float | None
    threshold: float
    calibration: CalibratedThreshold | None
    arrays: dict[str, np.ndarray]


def write_learned(path: Path, options: Options, learned: Learned) -> None:
    """Write a detector's options and what it has learnt into a folder."""
    path.mkdir(parents=True, exist_ok=True)
    about = {
        "tsgen": __version__, "detector": encode(options), "names": list(learned.names),
        "period": learned.period, "threshold": learned.threshold,
    }  # fmt: skip
    if learned.calibration is not None:
        about["calibration"] = learned.calibration.state_dict()
    save_arrays(path / _ARRAYS, learned.arrays)
    (path / DETECTOR).write_text(json.dumps(about, indent=1))


def read_learned(path: Path, kind: type) -> tuple[Any, Learned]:
    """Read a detector's options and what it had learnt from a folder, which may be a stranger's.

    Args:
        path: the folder.
        kind: the class that is expected.

    Returns:
        The detector, which has learnt nothing yet, and what it had learnt.

    Raises:
        ValueError: for files that are missing, damaged or another class's, and for names, numbers
            or arrays that a detector cannot have.
    """
    folder = SavedFolder(path, DETECTOR, "detector")
    about = folder.json(DETECTOR)
    detector = folder.build(about["detector"], kind)
    return detector, _checked(about, load_arrays(path / _ARRAYS)[0])


def _checked(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> Learned:
    names, period, threshold = about["names"], about["period"], about["threshold"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its names are no list of texts")
    if period is not None and not (_is_number(period) and period > 0):
        raise ValueError(f"its period is {period!r}, not a number of seconds")
    if not _is_number(threshold):
        raise ValueError(f"its threshold is {threshold!r}, not a number")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite")
    state = about.get("calibration")
    if state is not None and not all(
        _is_number(value) for name, value in state.items() if name != "method"
    ):
        raise ValueError("its calibration has values that are no numbers")
    calibration = None if state is None else CalibratedThreshold.from_state_dict(state)
    return Learned(tuple(names), period, threshold, calibration, arrays)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and value == value
