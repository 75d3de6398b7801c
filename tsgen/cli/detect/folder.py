"""The folder of a detector: what ``tsgen detect train`` leaves there, and bringing it back."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsgen.cli.checks import check_device
from tsgen.cli.folder import saving, settle

if TYPE_CHECKING:
    from tsgen.anomaly import Detector
    from tsgen.data.plant import PlantLog

MODEL = "detector.json"
"""File that every saved detector has."""
LOG = "log.json"
"""File beside it that says how its log is read."""
REFERENCE = "reference"
"""Folder of the plain detector that learnt from the same rows, for comparison."""


@dataclass(frozen=True)
class Reading:
    """How the logs of a detector are read, and where the one ended that it learnt from.

    Args:
        tags: channels, in the detector's order.
        kinds: of each.
        time: columns of times; empty where rows are numbered.
        dayfirst: whether days come before months.
        every: the time that each row stands for.
        missing: texts that mean a missing value.
        prefix: taken off the names.
        drop: columns that are left out where they are there.
        duplicates: what becomes of rows with the same time.
        start: the first row that was learnt from, as text.
        end: the last one.
    """

    tags: tuple[str, ...] = ()
    kinds: dict[str, Any] = field(default_factory=dict)
    time: tuple[str, ...] = ()
    dayfirst: bool | None = None
    every: str | int | None = None
    missing: tuple[str, ...] = ()
    prefix: str = ""
    drop: tuple[str, ...] = ()
    duplicates: str = "error"
    start: str = ""
    end: str = ""

    def __post_init__(self) -> None:
        """Check the types, for these may come from a damaged file.

        Raises:
            ValueError: naming the field and its value.
        """
        names = ("tags", "time", "missing", "drop")
        plain = {
            **{name: str for name in ("prefix", "duplicates", "start", "end")},
            "kinds": dict, "dayfirst": bool | None, "every": str | int | None,
        }  # fmt: skip
        wrong = [name for name, kind in plain.items() if not isinstance(getattr(self, name), kind)]
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, tuple) or not all(isinstance(text, str) for text in value):
                wrong.append(name)
        if wrong:
            raise ValueError(f"{wrong[0]}={getattr(self, wrong[0])!r} is of another type")

    def read(self, path: Path, **options: Any) -> "PlantLog":
        """Read a log of the same plant.

        Args:
            path: the file.
            **options: more of ``read_log``, such as the labels'.

        Raises:
            ValueError: naming the tags that are missing and those that are unknown, or what
                ``read_log`` finds wrong.
        """
        from tsgen.data.plant import read_log

        log = read_log(
            path, like=self.tags, kinds=self.kinds, time=list(self.time) or False,
            dayfirst=self.dayfirst, every=self.every, missing=self.missing, prefix=self.prefix,
            duplicates=self.duplicates, **options,
        )  # fmt: skip
        used = {*self.time, log.summary.label}
        self.check_tags(path, log.summary.absent, [n for n in log.summary.dropped if n not in used])
        return log

    def check_tags(self, path: Path, absent: Sequence[str], others: Sequence[str]) -> None:
        """Raise ``ValueError`` for tags that a file lacks or that are unknown, naming both."""
        extra = [name for name in others if name.strip() not in self.drop]
        if absent or extra:
            parts = [f"missing {', '.join(absent)}"] if absent else []
            parts += [f"unknown {', '.join(extra)}"] if extra else []
            raise ValueError(
                f"{path}: its tags are not those of the model: {'; '.join(parts)}; columns that "
                "are no tags can be left out with --drop"
            )


def save_detector(
    detector: "Detector", reference: "Detector", reading: Reading, folder: Path
) -> None:
    """Write a detector, the one to compare it with, and how their log is read; all or nothing."""
    from tsgen.storage import MANIFEST, extend_manifest

    with saving(folder) as part:
        detector.save(part)
        reference.save(part / REFERENCE)
        (part / LOG).write_text(json.dumps(asdict(reading), indent=1))
        extend_manifest(part, (LOG, f"{REFERENCE}/{MANIFEST}"))


def open_detector(folder: Path, device: str | None = None) -> "tuple[Detector, Reading]":
    """A saved detector and how its log is read.

    Raises:
        ValueError: if the folder holds none, or a damaged one.
    """
    from tsgen.anomaly import Detector
    from tsgen.storage import damage_told, read_json

    settle(folder)
    if not (folder / MODEL).exists():
        raise ValueError(f"{folder} holds no detector ({MODEL} is missing)")
    if not (folder / LOG).exists():
        raise ValueError(f"{folder}: {LOG} is missing; models made by `tsgen detect train` have it")
    check_device(device)
    detector = Detector.load(folder, device)
    with damage_told(folder / LOG, "file"):
        content = read_json(folder / LOG)
        lists = {name: tuple(value) for name, value in content.items() if isinstance(value, list)}
        reading = Reading(**content | lists)
    return detector, reading


def words(text: str | None) -> tuple[str, ...]:
    """Names written with commas between them."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
