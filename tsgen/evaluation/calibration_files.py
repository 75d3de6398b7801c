"""A calibration in a folder: its factors as an array, all else as JSON beside it."""

import math
from pathlib import Path

from tsgen.evaluation.conformal import Calibration, Support
from tsgen.storage import FolderError, load_arrays, save_arrays

FORMAT = 1
_NAME = "calibration.safetensors"


def write_calibration(calibration: Calibration, path: Path) -> str:
    """Write a calibration into a folder, and return the name of its file."""
    about = {
        "format": FORMAT, "levels": calibration.levels, "windows": calibration.windows,
        "support": support_to_json(calibration.support),
    }  # fmt: skip
    save_arrays(path / _NAME, {"factors": calibration.factors, "joint": calibration.joint}, about)
    return _NAME


def read_calibration(path: Path) -> Calibration:
    """What :func:`write_calibration` wrote into a folder, not yet checked.

    Raises:
        FolderError: for a calibration of another format.
    """
    arrays, about = load_arrays(path / _NAME)
    if about["format"] != FORMAT:
        raise FolderError(
            f"{str(path)!r} holds a calibration of format {about['format']}, expected {FORMAT}"
        )
    return Calibration(
        tuple(about["levels"]), arrays["factors"], arrays["joint"], about["windows"],
        support_from_json(about.get("support", "real")),
    )  # fmt: skip


def check_calibration(calibration: Calibration, horizon: int) -> None:
    """Raise ``ValueError`` for a calibration that none of :func:`calibrate` can be."""
    levels, factors, joint, windows, support = calibration
    ordered = all(low < high for low, high in zip((0.0, *levels), (*levels, 1.0), strict=True))
    if not levels or not ordered or not isinstance(windows, int):
        raise ValueError(f"its calibration has levels {levels} of {windows!r} windows")
    if factors.ndim != 3 or factors.shape[:2] != (len(levels), horizon):
        raise ValueError(f"its calibration has factors {factors.shape}, a horizon of {horizon}")
    if joint.shape != (len(levels),) or not ((factors >= 0).all() and (joint >= 0).all()):
        raise ValueError("its calibration has factors that are no numbers from 0")
    is_name = support in ("real", "positive", "count")
    if not is_name and (isinstance(support, str) or not support[0] < support[1]):
        raise ValueError(f"its calibration has the support {support!r}")


def support_to_json(support: Support) -> str | list[float | None]:
    """A support as JSON has it: an infinite end is null."""
    if isinstance(support, str):
        return support
    return [float(end) if math.isfinite(end) else None for end in support]


def support_from_json(value: str | list[float | None]) -> Support:
    """What :func:`support_to_json` wrote."""
    if isinstance(value, str):
        return value
    low, high = value
    return (-math.inf if low is None else low, math.inf if high is None else high)
