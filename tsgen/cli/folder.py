"""The folder of a model: what ``tsgen train`` leaves there, and bringing it back."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsgen.cli.checks import check_device
from tsgen.cli.output import note

if TYPE_CHECKING:
    from gluonts.model.predictor import Predictor

    from tsgen.data.layout import Summary, TableLayout
    from tsgen.data.splits import Entry

MODEL = "gluonts-config.json"
"""File that every saved predictor has."""
TABLE = "table.json"
"""File beside a model that says how its table is read."""
SEEN = "seen.json"
"""File beside a model that says where the table ended that it was trained on."""
CHECKPOINTS = "checkpoints"
"""Folder of a training that is not finished."""


def check_free(out: Path, resumes: bool, model: str = MODEL) -> None:
    """Raise ``ValueError`` where a training would replace a model or another training.

    Args:
        out: the folder.
        resumes: whether the model to be trained goes on from checkpoints; then those in the folder
            decide whether they are its own.
        model: file that a model in the folder has.
    """
    unfinished = (out / CHECKPOINTS).exists()
    if unfinished and not resumes:
        raise ValueError(
            f"--out {out}: it holds an unfinished training of another model; pass --overwrite to "
            "replace it"
        )
    if (out / model).exists() and not unfinished:
        raise ValueError(f"--out {out}: it holds a model; pass --overwrite to replace it")


@contextmanager
def one_training(out: Path) -> Iterator[None]:
    """Say which option of the command line is in the way where a folder holds another training.

    Raises:
        ValueError: naming the folder and how the trainings differ.
    """
    from tsgen.forecasting.training import OtherRun

    try:
        yield
    except OtherRun as other:
        if other.folder != out / CHECKPOINTS:
            raise
        raise ValueError(
            f"--out {out}: it holds an unfinished training with other options "
            f"({other.differences}); pass --overwrite to replace it"
        ) from None


def save_model(predictor: "Predictor", summary: "Summary", folder: Path) -> set[str]:
    """Write a model, how its table is read and where that ended, all of it or nothing.

    Returns:
        The names of what was written.
    """
    part = folder / "model.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    from gluonts.core.serde import dump_json

    from tsgen.storage import extend_manifest

    predictor.serialize(part)
    (part / TABLE).write_text(dump_json(summary.layout))
    (part / SEEN).write_text(json.dumps({"end": summary.end.isoformat()}))
    extend_manifest(part, (TABLE, SEEN))
    names = {path.name for path in part.iterdir()}
    for name in names:
        remove(folder / name)
        os.replace(part / name, folder / name)
    part.rmdir()
    return names


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def save_calibrated(
    predictor: "Predictor",
    held: "list[Entry]",
    seed: int,
    summary: "Summary",
    out: Path,
    say: Callable[[str], None],
) -> "Predictor":
    """Write a predictor into its folder, and once more when it is calibrated.

    One that cannot be calibrated stays as it was trained, and a line says so. When all is written
    the checkpoints are no longer needed.

    Returns:
        The predictor that is in the folder.
    """
    first = save_model(predictor, summary, out)
    try:
        final = _calibrated(predictor, held, seed, say)
    except ValueError as error:
        note(f"warning: not calibrated, the model is kept as it was trained ({error})")
        final = predictor
    if final is not predictor:
        for name in first - save_model(final, summary, out):
            remove(out / name)
    remove(out / CHECKPOINTS)
    return final


def open_model(folder: Path, device: str | None) -> tuple[Any, "TableLayout"]:
    """A saved predictor and how its table is read.

    Raises:
        ValueError: if the folder holds no model, a damaged one, or does not say how its table is
            read, or if the model cannot run on the device.
    """
    from tsgen.data.layout import TableLayout
    from tsgen.saving import is_placed, load
    from tsgen.storage import damage_told, decode, read_json

    check_device(device)
    predictor = load(folder, device)
    placed = is_placed(getattr(predictor, "base", predictor))
    if device not in (None, "auto", "cpu") and not placed:
        raise ValueError(f"--device {device}: a baseline runs on the CPU only, expected cpu")
    path = folder / TABLE
    if not path.exists():
        raise ValueError(f"{folder}: {TABLE} is missing; models made by `tsgen train` have it")
    with damage_told(path, "file"):
        layout = decode(read_json(path))
        if not isinstance(layout, TableLayout):
            raise ValueError("it describes no table")
    return predictor, layout


def seen_before(folder: Path, test: "list[Entry]", horizon: int) -> str:
    """A sentence on windows that begin before the end of a model's table; empty if none do."""
    path = folder / SEEN
    if not path.exists():
        return ""
    from tsgen.storage import damage_told, read_json

    with damage_told(path, "file"):
        end = datetime.fromisoformat(read_json(path)["end"])
    starts = [entry["start"] + entry["target"].shape[-1] - horizon for entry in test]
    early = sum(start.start_time <= end for start in starts)
    if not early:
        return ""
    return (
        f"{early} of {len(test)} windows begin before {end}, where the table ended that the model "
        "was trained, calibrated and tested on: it may know them"
    )


def _calibrated(
    predictor: "Predictor", entries: "list[Entry]", seed: int, say: Callable[[str], None]
) -> "Predictor":
    """The predictor with calibrated intervals, for as many levels as the windows tell."""
    from tsgen.evaluation import INTERVALS, calibrate
    from tsgen.evaluation.conformal import windows_needed

    levels = [level for level in INTERVALS if windows_needed(level) <= len(entries)]
    if not entries:
        return predictor
    if len(levels) < len(INTERVALS):
        say(
            f"{len(entries)} windows calibrate "
            + (f"no interval beyond {max(levels):.0%}" if levels else "no interval")
        )
    return calibrate(predictor, entries, levels=levels, seed=seed) if levels else predictor
