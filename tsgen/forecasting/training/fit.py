"""Running a training: checkpoints that resume, early stopping, a progress line or silence."""

import signal
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

import lightning.pytorch as pl
import torch
from gluonts.core.serde import encode
from lightning.pytorch.callbacks import Checkpoint
from tqdm import tqdm

from tsgen.forecasting.training.callbacks import begun_anew
from tsgen.forecasting.training.module import ForecastModule
from tsgen.forecasting.training.quiet import quiet
from tsgen.forecasting.training.run import STATE, Run
from tsgen.forecasting.training.trainer import build_trainer, check_precision, switches_restored
from tsgen.forecasting.training.trainer_options import result_options
from tsgen.nets.parallel import rows_in_parallel

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
    with quiet("lightning"), switches_restored(), run.lock():
        try:
            trainer = build_trainer(
                trainer_kwargs, added, max_epochs=max_epochs, patience=patience,
                validation=validation, folder=str(run.folder), device=device,
            )  # fmt: skip
            check_precision(trainer, module, training)
            run.start()
            if not run.finished:
                resume = str(run.resume_from) if run.resume_from else None
                divides = device.type == "cpu" and module.forecaster.model.divides_rows
                with rows_in_parallel(divides), begun_anew(trainer_kwargs.get("callbacks", [])):
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
