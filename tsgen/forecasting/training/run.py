"""The folder of a training: what was asked, how far it is, and the checkpoints it goes on from."""

import json
import reprlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from tsgen._version import __version__
from tsgen.core.atomic import PART, locked, remove, replacing
from tsgen.core.ranks import current_rank, from_rank_zero
from tsgen.storage import check_zip

History = list[dict[str, float]]

STATE = "tsgen_run"
"""Key of a checkpoint under which it carries the run's history and whether training ends there."""


class OtherRun(ValueError):
    """A folder of checkpoints holds a run with other options or data.

    Args:
        folder: of the checkpoints.
        differing: the way to each value that differs in the fingerprints of the run that is there
            and the one that was asked for, and both values.
    """

    def __init__(self, folder: Path, differing: list[tuple[tuple[str, ...], str, str]]) -> None:
        self.folder, self.differing = folder, differing
        differences: dict[str, tuple[str, str]] = {}
        for path, *values in differing:
            inner = " ".join(path[1:])
            was, is_ = (f"{inner} {value}".strip() for value in values)
            differences.setdefault(path[0], (was, is_))
        if "estimator" in differences:  # whose options are others
            differences = {"estimator": differences["estimator"]}
        self.differences = ", ".join(
            f"{n}: {was} there, {is_} here" for n, (was, is_) in differences.items()
        )
        (name, (was, is_)), *others = differences.items()
        further = f" (and another {', '.join(n for n, _ in others)})" if others else ""
        super().__init__(
            f"checkpoint_dir={str(folder)!r} holds a run with {name}={was}, this one has {is_}"
            f"{further}; choose another folder or remove that one"
        )

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """How it is sent to other processes."""
        return type(self), (self.folder, self.differing)


def _differing(
    path: tuple[str, ...], before: Any, now: Any
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """The way to each value that differs, and both values, briefly."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            inner = path if key in ("args", "kwargs") else (*path, key)
            yield from _differing(inner, before.get(key), now.get(key))
    elif before != now:
        yield path, _brief(before), _brief(now)


def _brief(value: Any) -> str:
    """A value of a fingerprint; of an object its class."""
    is_object = isinstance(value, dict) and "class" in value
    return f"{value['class'].rpartition('.')[2]}(...)" if is_object else reprlib.repr(value)


class TrainingRun:
    """The folder of one training: what was asked, how far it is, and full checkpoints.

    Three files are written after each epoch, one after the other: the last checkpoint, which
    carries the history, the best one if this epoch is the best, and the record. Whatever is missing
    after the first, because the process was killed there, is made good by :meth:`start`.

    Of processes that train together only rank 0 reads and writes the folder, which all can see.

    Args:
        folder: where; ``None`` is a temporary folder that is removed once training has succeeded.
        fingerprint: options and data the run belongs to; another run's folder is refused.
        resume_from: a checkpoint file to go on from.

    Raises:
        OtherRun: if the folder holds a run with another fingerprint.
        ValueError: if it holds something else, or the checkpoint is no file.
    """

    def __init__(
        self, folder: str | None, fingerprint: dict[str, Any], resume_from: str | None = None
    ) -> None:
        if resume_from is not None:
            if not Path(resume_from).is_file():
                raise ValueError(f"ckpt_path={resume_from!r} is not a file")
            folder = folder or str(Path(resume_from).parent)
        self.temporary = folder is None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="tsgen-"))
        self.fingerprint = json.loads(json.dumps(fingerprint))
        self.history: History = []
        self.finished = False
        self.trainer: pl.Trainer | None = None
        """Lightning's, of a training that has ended."""
        self.resume_from = Path(resume_from) if resume_from else None
        self._best_loss = float("inf")
        self._read()

    @property
    def last(self) -> Path:
        """The latest full checkpoint."""
        return self.folder / "last.ckpt"

    @property
    def best(self) -> Path:
        """The one with the lowest validation loss."""
        return self.folder / "best.ckpt"

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint carries."""
        return {"history": self.history, "finished": self.finished}

    @property
    def _record(self) -> Path:
        return self.folder / "run.json"

    def _read(self) -> None:
        """Read the record, if there is one.

        A process that was killed before its first record leaves the folder empty, or a part of it.
        """
        if self._record.exists():
            record = json.loads(self._record.read_text())
            if differing := list(_differing((), record["fingerprint"], self.fingerprint)):
                raise OtherRun(self.folder, differing)
            self.history, self.finished = record["history"], record["finished"]
        elif not self.temporary and self.resume_from is None and self.folder.exists():
            if any(path.name != self._record.name + PART for path in self.folder.iterdir()):
                raise ValueError(
                    f"checkpoint_dir={str(self.folder)!r} is not empty and holds no run of this "
                    "library"
                )

    def lock(self) -> AbstractContextManager[None]:
        """Keep other trainings out of the folder."""
        free = self.temporary or not current_rank().writes
        return nullcontext() if free else locked(self.folder)

    def start(self) -> None:
        """Find the checkpoint to go on from, bring all files up to it, and write the record.

        Raises:
            ValueError: if the checkpoint cannot be read.
        """
        self.history, self.finished, self.resume_from = from_rank_zero(self._start)

    def _start(self) -> tuple[History, bool, Path | None]:
        if self.resume_from is not None:
            self._go_on(self.resume_from)
        else:
            self._read()  # once more, now that nobody else writes
            if self.last.exists():
                self._go_on(self.last)
            if not self.last.exists() or (self._has_best(self.history) and not self.best.exists()):
                # killed before the first epoch's end, or when the folder was being removed
                self.history, self.finished, self.resume_from = [], False, None
                self._best_loss = float("inf")
                remove(self.best)
        self.write()
        return self.history, self.finished, self.resume_from

    def _go_on(self, checkpoint: Path) -> None:
        """Take up a checkpoint, and bring the best one and the record to where it stands.

        The best one of a later epoch, where an earlier checkpoint is taken up, is another run's.
        """
        self.resume_from = checkpoint
        content = self._load(checkpoint)
        state = content.get(STATE, {"history": [], "finished": False})  # others' have none
        # a callback's checkpoint may have been written before its epoch was recorded
        start = len(state["history"])
        recorded = [row for row in self.history[start:] if row["epoch"] <= content["epoch"]]
        same = self.history[:start] == state["history"]
        self.history = state["history"] + (recorded if same else [])
        self.finished = state["finished"]
        best = self._load(self.best).get(STATE, {}).get("history") if self.best.exists() else None
        if best and best == self.history[: len(best)]:
            self._best_loss = best[-1]["val_loss"]
        else:
            remove(self.best)
            earlier = self.history[:-1] if checkpoint == self.last else []
            losses = [row["val_loss"] for row in earlier if "val_loss" in row]
            self._best_loss = min(losses, default=float("inf"))
        self._keep_best(checkpoint)

    def _load(self, path: Path) -> dict[str, Any]:
        """Read a checkpoint, which holds numbers and plain values only.

        Raises:
            ValueError: if it is damaged, or holds anything else.
        """
        try:
            check_zip(path)
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            content["epoch"]  # of every checkpoint of Lightning's
            return content
        except Exception as error:
            raise ValueError(
                f"{path}: the checkpoint is damaged ({type(error).__name__}); remove "
                f"{self.folder} to begin anew"
            ) from None

    def save(self, write: Callable[[Path], None]) -> None:
        """Write the checkpoint of an epoch, which is the history's last.

        Args:
            write: writes the checkpoint, :attr:`state` with it, to the path that it is given.
        """
        if not current_rank().writes:
            return
        with replacing(self.last) as part:
            write(part)
        self._keep_best(self.last)
        self.write()

    def _keep_best(self, checkpoint: Path) -> None:
        """Copy the checkpoint of the history's last epoch if it is better than the best one."""
        loss = self.history[-1].get("val_loss", float("inf")) if self.history else float("inf")
        if loss < self._best_loss:
            with replacing(self.best) as part:
                shutil.copyfile(checkpoint, part)
            self._best_loss = loss

    @staticmethod
    def _has_best(history: History) -> bool:
        """Whether an epoch of a history has a validation loss to be compared."""
        return any(row.get("val_loss", float("inf")) < float("inf") for row in history)

    def write(self) -> None:
        """Write what is known of the run."""
        if not current_rank().writes:
            return
        record = {"version": __version__, "fingerprint": self.fingerprint, **self.state}
        with replacing(self._record) as part:
            part.write_text(json.dumps(record, indent=1))

    @contextmanager
    def told_of(self) -> Iterator[None]:
        """Note on whatever interrupts a training where its last checkpoint lies."""
        try:
            yield
        except BaseException as error:
            if self.last.exists():
                how = (
                    f"ckpt_path={str(self.last)!r}" if self.temporary else "the same checkpoint_dir"
                )
                error.add_note(
                    f"{len(self.history)} epochs are safe in {self.last}; train(...) with {how} "
                    "goes on from there."
                )
            else:
                self.close()
            raise

    def weights(self, validated: bool) -> dict[str, Any]:
        """The weights of the best epoch, or without validation of the last one."""
        path = self.best if validated and self.best.exists() else self.last
        return torch.load(path, map_location="cpu", weights_only=True)["state_dict"]

    def close(self) -> None:
        """Remove a temporary folder."""
        if self.temporary:
            shutil.rmtree(self.folder, ignore_errors=True)
