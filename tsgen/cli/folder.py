"""The folder of a model: what ``tsgen train`` leaves there, whole, and bringing it back."""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsgen.cli.checks import check_device
from tsgen.cli.output import note
from tsgen.core.atomic import (
    MANIFEST,
    MODEL_PART,
    PART,
    READY,
    WriteError,
    committing,
    finish_commit,
    locked,
    remove,
)

if TYPE_CHECKING:
    from gluonts.model.predictor import Predictor

    from tsgen.data.entries import Entry
    from tsgen.data.layout import Summary, TableLayout

MODEL = "gluonts-config.json"
"""File that every saved predictor has."""
TABLE = "table.json"
"""File beside a model that says how its table is read."""
SEEN = "seen.json"
"""File beside a model that says where the table ended that it was trained on."""
SCORES, REPORT = "scores.csv", "report.html"
"""Files beside a model with every figure of its test, and the page about it."""
Rows = list[dict[str, Any]]
"""Of a table of scores."""
CHECKPOINTS = "checkpoints"
"""Folder of a training that is not finished."""


@contextmanager
def writing_into(out: Path) -> Iterator[None]:
    """Have a folder to oneself, once what a killed command left there is settled.

    Raises:
        FolderInUse: if another process is writing to it.
    """
    with locked(out):
        finish_commit(out)
        for leftover in (f"{CHECKPOINTS}{PART}", MODEL_PART):
            remove(out / leftover)
        yield


@contextmanager
def one_training(out: Path) -> Iterator[None]:
    """Say which option of the command line is in the way where a folder holds another training.

    Raises:
        ValueError: naming the folder and how the trainings differ.
    """
    from tsgen.forecasting.training.run import OtherRun

    try:
        yield
    except OtherRun as other:
        if other.folder != out / CHECKPOINTS:
            raise
        raise ValueError(
            f"--out {out}: it holds an unfinished training with other options "
            f"({other.differences}); pass --overwrite to replace it"
        ) from None


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


def saving(out: Path, beside: Collection[str] = ()) -> AbstractContextManager[Path]:
    """Write a model and all that belongs to it into its folder, in place of one that is there.

    Args:
        out: the folder.
        beside: names of files that a training leaves beside its model; those of an earlier one go.

    Returns:
        A context with the folder to write into. Nothing of it is in ``out`` before all of it is.
    """
    return committing(out, {*beside, *_listed(out)})


def _listed(folder: Path) -> set[str]:
    """Names of the files and folders of the model that a folder holds, if it says so."""
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        return {Path(name).parts[0] for name in files if not Path(name).is_absolute()} - {".."}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return set()


def save_trained(
    predictor: "Predictor",
    summary: "Summary",
    out: Path,
    report: Path | None,
    score: Callable[[Path, Path], Rows] | None,
) -> Rows:
    """Write a model, how its table is read, its scores and its report, all of it or nothing.

    A model that cannot be scored is kept, unless the reason is that something cannot be written.

    Args:
        predictor: the model.
        summary: of its table.
        out: the folder.
        report: file of the page, if it is not the one in the folder.
        score: writes the table of scores and the page to the paths that it is given, and returns
            the rows of the table; ``None`` scores nothing.

    Returns:
        The rows.
    """
    from gluonts.core.serde import dump_json

    from tsgen.storage import extend_manifest

    rows: Rows = []
    failure: Exception | None = None
    with saving(out, beside=(SCORES, REPORT)) as part:
        predictor.serialize(part)
        (part / TABLE).write_text(dump_json(summary.layout))
        (part / SEEN).write_text(json.dumps({"end": summary.end.isoformat()}))
        extend_manifest(part, (TABLE, SEEN))
        page = report or out / REPORT
        inside = page.parent.resolve() == out.resolve()
        try:
            if score is not None:
                rows = score(part / SCORES, part / page.name if inside else page)
        except WriteError:
            raise
        except Exception as error:
            failure = error
    if failure is not None:
        raise failure
    return rows


def settle(folder: Path) -> None:
    """Finish the saving of a model that was killed on its way into its folder."""
    if (folder / READY).exists():
        with locked(folder, wait=True):
            finish_commit(folder)


def open_model(folder: Path, device: str | None) -> tuple[Any, "TableLayout"]:
    """A saved predictor and how its table is read.

    Raises:
        ValueError: if the folder holds no model, a damaged one, or does not say how its table is
            read, or if the model cannot run on the device.
    """
    from tsgen.data.layout import TableLayout
    from tsgen.evaluation.calibrated import base_of
    from tsgen.saving import is_placed, load
    from tsgen.storage import damage_told, decode, read_json

    check_device(device)
    settle(folder)
    predictor = load(folder, device)
    placed = is_placed(base_of(predictor))
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


def calibrated(
    predictor: "Predictor", entries: "list[Entry]", seed: int, say: Callable[[str], None]
) -> "Predictor":
    """The predictor with calibrated intervals, for as many levels as the windows tell.

    One that cannot be calibrated stays as it was trained, and a line says so.
    """
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
    if not levels:
        return predictor
    try:
        return calibrate(predictor, entries, levels=levels, seed=seed)
    except ValueError as error:
        note(f"warning: not calibrated, the model is kept as it was trained ({error})")
        return predictor
