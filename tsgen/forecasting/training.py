"""Running a training: checkpoints that resume, early stopping, a progress line or silence."""

import json
import os
import reprlib
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from gluonts.core.serde import encode
from lightning.pytorch.callbacks import Checkpoint
from tqdm import tqdm

from tsgen._version import __version__
from tsgen.forecasting.callbacks import begun_anew
from tsgen.forecasting.module import ForecastModule
from tsgen.forecasting.quiet import quiet
from tsgen.forecasting.trainer import build_trainer, check_precision, switches_restored
from tsgen.forecasting.trainer_options import result_options
from tsgen.nets.threads import rows_divided

History = list[dict[str, float]]

_NOT_THE_RUN = (
    "device",
    "verbose",
    "checkpoint_dir",
    "num_parallel_samples",
    "trainer_kwargs",
    "memory_limit",
)


def fingerprint(estimator: Any, spec: Any, seed: int | None, validated: bool) -> dict[str, Any]:
    """What a run is known by: the estimator's options, its data, the seed, validation or none."""
    options = {k: v for k, v in estimator.__init_args__.items() if k not in _NOT_THE_RUN}
    trainer = result_options(estimator.trainer_kwargs)
    return {
        "estimator": type(estimator).__qualname__,
        **{name: encode(value) for name, value in options.items()},
        **({"trainer_kwargs": trainer} if trainer else {}),
        "data": encode(spec),
        "seed": seed,
        "validation": validated,
    }


class OtherRun(ValueError):
    """A folder of checkpoints holds a run with other options or data.

    Args:
        folder: of the checkpoints.
        differing: the way to each value that differs in the fingerprints of the run that is there
            and the one that was asked for, and both values.
    """

    def __init__(self, folder: Path, differing: list[tuple[tuple[str, ...], str, str]]) -> None:
        self.folder = folder
        found: dict[str, tuple[str, str]] = {}
        for path, *values in differing:
            inner = " ".join(path[1:])
            was, is_ = (f"{inner} {value}".strip() for value in values)
            found.setdefault(path[0], (was, is_))
        if "estimator" in found:  # whose options are others
            found = {"estimator": found["estimator"]}
        self.differences = ", ".join(
            f"{n}: {was} there, {is_} here" for n, (was, is_) in found.items()
        )
        (name, (was, is_)), *others = found.items()
        further = f" (and another {', '.join(n for n, _ in others)})" if others else ""
        super().__init__(
            f"checkpoint_dir={str(folder)!r} holds a run with {name}={was}, this one has {is_}"
            f"{further}; choose another folder or remove that one"
        )


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
    named = isinstance(value, dict) and "class" in value
    return f"{value['class'].rpartition('.')[2]}(...)" if named else reprlib.repr(value)


class Run:
    """The folder of one training: what was asked, how far it is, and full checkpoints.

    Args:
        folder: where; ``None`` is a temporary folder that is removed once training has succeeded.
        fingerprint: options and data the run belongs to; another run's folder is refused.
        resume_from: a checkpoint file to go on from.
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
        self.resume_from = Path(resume_from) if resume_from else None
        if self._record.exists():
            self._compare(json.loads(self._record.read_text()))
            if self.resume_from is None and self.last.exists():
                self.resume_from = self.last
        elif (
            not self.temporary
            and resume_from is None
            and self.folder.exists()
            and any(self.folder.iterdir())
        ):
            raise ValueError(
                f"checkpoint_dir={folder!r} is not empty and holds no run of this library"
            )

    @property
    def last(self) -> Path:
        """The latest full checkpoint."""
        return self.folder / "last.ckpt"

    @property
    def best(self) -> Path:
        """The one with the lowest validation loss."""
        return self.folder / "best.ckpt"

    @property
    def _record(self) -> Path:
        return self.folder / "run.json"

    def _compare(self, record: dict[str, Any]) -> None:
        before = record["fingerprint"]
        if differing := list(_differing((), before, self.fingerprint)):
            raise OtherRun(self.folder, differing)
        self.history, self.finished = record["history"], record["finished"]

    def write(self) -> None:
        """Write what is known of the run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = {
            "version": __version__,
            "finished": self.finished,
            "fingerprint": self.fingerprint,
            "history": self.history,
        }
        replacement = self._record.with_suffix(".part")
        replacement.write_text(json.dumps(record, indent=1))
        os.replace(replacement, self._record)

    def close(self) -> None:
        """Remove a temporary folder."""
        if self.temporary:
            shutil.rmtree(self.folder, ignore_errors=True)


class _Keeper(Checkpoint):
    """Records each epoch and saves a full checkpoint after it, replacing the old one in one go."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.started = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {
            k: float(v)
            for k, v in trainer.callback_metrics.items()
            if k in ("train_loss", "val_loss")
        }
        run, epoch = self.run, trainer.current_epoch
        run.history = [h for h in run.history if h["epoch"] < epoch]
        best = min((h["val_loss"] for h in run.history if "val_loss" in h), default=float("inf"))
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        run.history.append(
            {"epoch": epoch, **metrics, "lr": rate, "seconds": time.monotonic() - self.started}
        )
        partial = run.last.with_suffix(".part")
        trainer.save_checkpoint(partial)
        os.replace(partial, run.last)
        if metrics.get("val_loss", float("inf")) < best:
            copy = run.best.with_suffix(".part")
            shutil.copyfile(run.last, copy)
            os.replace(copy, run.best)
        run.write()


class _Progress(pl.Callback):
    """One line: epoch, losses, time gone and time left."""

    def __init__(self, name: str, run: Run) -> None:
        self.name, self.run = name, run
        self.bar: tqdm | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        batches = int(trainer.num_training_batches)
        self.bar = tqdm(
            total=(trainer.max_epochs or 1) * batches,
            initial=trainer.current_epoch * batches,
            desc=f"{self.name} on {pl_module.device}",
            unit="batch",
            mininterval=0.5 if sys.stderr.isatty() else 60,
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if self.bar is not None:
            self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.bar is not None:
            shown = {k: f"{float(v):.4g}" for k, v in trainer.callback_metrics.items()}
            epoch = f"{trainer.current_epoch + 1}/{trainer.max_epochs}"
            self.bar.set_postfix({"epoch": epoch, **shown}, refresh=False)

    def close(self) -> None:
        """Leave the line as it is."""
        if self.bar is not None:
            self.bar.close()


def fit(
    module: ForecastModule,
    training: Iterable,
    validation: Iterable | None,
    run: Run,
    *,
    name: str,
    max_epochs: int,
    patience: int | None,
    device: torch.device,
    verbose: bool,
    trainer_kwargs: dict[str, Any],
) -> pl.Trainer:
    """Train a module in place; afterwards it holds the best weights (with validation) or the last.

    Whatever interrupts the training is raised again, with a note that tells where the last
    checkpoint lies.
    """
    progress = _Progress(name, run)
    added = [*([progress] if verbose else []), _Keeper(run)]
    dtypes = [tensor.dtype for tensor in (*module.parameters(), *module.buffers())]
    main_thread = threading.current_thread() is threading.main_thread()
    on_interrupt = signal.getsignal(signal.SIGINT) if main_thread else None
    with quiet("lightning"), switches_restored():
        try:
            trainer = build_trainer(
                trainer_kwargs, added, max_epochs=max_epochs, patience=patience,
                validation=validation, folder=str(run.folder), device=device,
            )  # fmt: skip
            if not run.finished:
                check_precision(trainer, module, training)
                run.write()
                resume = str(run.resume_from) if run.resume_from else None
                divides = device.type == "cpu" and module.forecaster.model.divides_rows
                with rows_divided(divides), begun_anew(trainer_kwargs.get("callbacks", [])):
                    trainer.fit(module, training, validation, ckpt_path=resume, weights_only=True)
            run.finished = True
            run.write()
        except SystemExit as stop:  # Lightning's answer to Ctrl-C
            interrupt = KeyboardInterrupt()
            _add_note(interrupt, run)
            raise interrupt from stop
        except BaseException as error:
            _add_note(error, run)
            raise
        finally:
            progress.close()
            if main_thread:
                signal.signal(signal.SIGINT, on_interrupt)
    chosen = run.best if validation is not None and run.best.exists() else run.last
    state = torch.load(chosen, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state)
    tensors = [*module.parameters(), *module.buffers()]
    for tensor, dtype in zip(tensors, dtypes, strict=True):
        tensor.data = tensor.data.to(dtype)  # whatever precision it was trained in
    module.trainer = None  # it would keep the training data as long as the module lives
    return trainer


def _add_note(error: BaseException, run: Run) -> None:
    if run.last.exists():
        how = f"ckpt_path={str(run.last)!r}" if run.temporary else "the same checkpoint_dir"
        error.add_note(
            f"{len(run.history)} epochs are safe in {run.last}; train(...) with {how} goes on from "
            "there."
        )
    elif run.temporary:
        run.close()
