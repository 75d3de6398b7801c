"""The folder of a detector: options and thresholds, arrays, and the state of its stream."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gluonts.core.serde import encode

from tsgen._version import __version__
from tsgen.anomaly.thresholds import Calibration
from tsgen.core import usable_device
from tsgen.storage import (
    SavedFolder,
    damage_told,
    load_arrays,
    load_old_arrays,
    save_arrays,
    write_manifest,
)

if TYPE_CHECKING:
    from tsgen.anomaly.detector import Detector

DETECTOR = "detector.json"
"""File that every saved detector has."""
_ARRAYS, _OLD_ARRAYS = "arrays.safetensors", "arrays.npz"
_COMMON = ("center_", "scale_", "moments_")


def write_detector(detector: "Detector", path: Path) -> None:
    """Write a fitted detector into a folder; the manifest, last, lists all but its stream.

    The stream changes while a detector watches; its file has a digest of its own.
    """
    path.mkdir(parents=True, exist_ok=True)
    about = {
        "tsgen": __version__, "detector": encode(detector), "names": list(detector.names_),
        "period": detector.period_, "threshold": detector.threshold_,
    }  # fmt: skip
    if detector.calibration_ is not None:
        about["calibration"] = detector.calibration_.state_dict()
    arrays = {name: np.asarray(getattr(detector, name)) for name in _COMMON + detector.learned}
    save_arrays(path / _ARRAYS, arrays)
    (path / DETECTOR).write_text(json.dumps(about, indent=1))
    detector.stream_.save(path)
    write_manifest(path, (_ARRAYS, DETECTOR, *detector._write_more(path)))


def read_detector(path: Path, kind: type, device: str | None) -> "Detector":
    """Read a detector from a folder, which may be a stranger's.

    Args:
        path: the folder.
        kind: the class that is expected.
        device: where a network scores; by default where it was trained, if that is there.

    Raises:
        ValueError: in one line, for whatever is wrong with the folder.
    """
    if device is not None:
        usable_device(device)
    with damage_told(path, "detector"):
        folder = SavedFolder(path, DETECTOR, "detector")
        about = folder.json(DETECTOR)
        detector: Detector = folder.build(about["detector"], kind)
        older = folder.is_older
        arrays = load_old_arrays(path / _OLD_ARRAYS) if older else load_arrays(path / _ARRAYS)[0]
        _take(detector, about, arrays)
        detector._restore(path, device)
        detector.reset()
        detector.stream_.load(path)
        detector._check_learned()
    return detector


def _take(detector: "Detector", about: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Give a detector what it had learnt.

    Raises:
        ValueError: for arrays, names or numbers that do not belong together.
    """
    expected = {*_COMMON, *detector.learned}
    if arrays.keys() != expected:
        raise ValueError(f"it has the arrays {sorted(arrays)}, not {sorted(expected)}")
    names, period, threshold = about["names"], about["period"], about["threshold"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its names are no list of texts")
    if period is not None and not (_is_number(period) and period > 0):
        raise ValueError(f"its period is {period!r}, not a number of seconds")
    if not _is_number(threshold):
        raise ValueError(f"its threshold is {threshold!r}, not a number")
    for name, array in arrays.items():
        if name in _COMMON and array.shape[-1:] != (len(names),):
            raise ValueError(f"{name} is {array.shape}, for {len(names)} channels")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite")
        setattr(detector, name, array)
    detector.names_, detector.period_, detector.threshold_ = tuple(names), period, threshold
    state = about.get("calibration")
    if state is not None and not all(
        _is_number(value) for name, value in state.items() if name != "method"
    ):
        raise ValueError("its calibration has values that are no numbers")
    detector.calibration_ = None if state is None else Calibration.from_state_dict(state)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and value == value
