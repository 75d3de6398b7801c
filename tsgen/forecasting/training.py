"""Running a training: checkpoints that resume, early stopping, a progress line or silence."""

import logging
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from gluonts.core.serde import encode
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping
from tqdm import tqdm

from tsgen.forecasting.module import ForecastModule
from tsgen.forecasting.run import STATE, Run
from tsgen.nets.threads import rows_divided

_OWN_TRAINER_OPTIONS = {
    "max_epochs": "max_epochs",
    "gradient_clip_val": "gradient_clip",
    "accelerator": "device",
    "devices": "device (several devices are not supported yet)",
    "num_nodes": "device (several nodes are not supported yet)",
    "strategy": "device (several devices are not supported yet)",
    "default_root_dir": "checkpoint_dir",
    "limit_train_batches": "num_batches_per_epoch",
    "enable_progress_bar": "verbose",
    "accumulate_grad_batches": "batch_size",
}

_NOT_THE_RUN = (
    "device",
    "verbose",
    "checkpoint_dir",
    "num_parallel_samples",
    "trainer_kwargs",
    "memory_limit",
)


def check_trainer_kwargs(trainer_kwargs: dict[str, Any]) -> None:
    """Raise for Trainer arguments that the estimator's own options govern."""
    for name, option in _OWN_TRAINER_OPTIONS.items():
        if name in trainer_kwargs:
            raise ValueError(
                f"trainer_kwargs[{name!r}]={trainer_kwargs[name]!r}: use the estimator's option "
                f"{option}"
            )


def fingerprint(estimator: Any, spec: Any, seed: int | None, validated: bool) -> dict[str, Any]:
    """What a run is known by: the estimator's options, its data, the seed, validation or none."""
    options = {k: v for k, v in estimator.__init_args__.items() if k not in _NOT_THE_RUN}
    return {
        "estimator": type(estimator).__qualname__,
        **{name: encode(value) for name, value in options.items()},
        "data": encode(spec),
        "seed": seed,
        "validation": validated,
    }


class _Keeper(Checkpoint):
    """Records each epoch and saves a full checkpoint after it, which carries the record.

    It is one of Lightning's checkpoints so that it runs after an early stopping has looked at the
    epoch: a checkpoint with the state before that would train an epoch more when it goes on.
    """

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
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        run.history.append(
            {"epoch": epoch, **metrics, "lr": rate, "seconds": time.monotonic() - self.started}
        )
        # Lightning forgets, when it resumes, that a callback wanted to stop
        stops = trainer.should_stop and trainer.global_step >= (trainer.min_steps or 0)
        run.finished = epoch + 1 == trainer.max_epochs or (
            stops and epoch + 1 >= (trainer.min_epochs or 0)
        )
        run.save(trainer.save_checkpoint)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[STATE] = self.run.state


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


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's banners and hints, which are not about the user's data, off the screen."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


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
    callbacks: list[pl.Callback] = list(trainer_kwargs.get("callbacks") or [])
    callbacks += [progress] if verbose else []
    if validation is not None and patience is not None:
        callbacks.append(EarlyStopping("val_loss", patience=patience, check_finite=False))
    callbacks.append(_Keeper(run))
    options = {
        "logger": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        **trainer_kwargs,
        "callbacks": callbacks,
        "enable_progress_bar": False,
        "enable_checkpointing": True,
        "max_epochs": max_epochs,
        "default_root_dir": str(run.folder),
        "accelerator": {"cuda": "gpu"}.get(device.type, device.type),
        "devices": [device.index or 0] if device.type == "cuda" else 1,
    }
    main_thread = threading.current_thread() is threading.main_thread()
    on_interrupt = signal.getsignal(signal.SIGINT) if main_thread else None
    with _quiet(), run.lock():
        run.start()
        trainer = pl.Trainer(**options)
        try:
            if not run.finished:
                resume = str(run.resume_from) if run.resume_from else None
                with rows_divided(device.type == "cpu" and module.forecaster.model.divides_rows):
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
