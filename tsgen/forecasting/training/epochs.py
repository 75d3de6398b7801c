"""What happens after each epoch of a training: a checkpoint, and a line of progress."""

import sys
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint
from tqdm import tqdm
from typing_extensions import override

from tsgen.forecasting.training.run import STATE, TrainingRun

_LOSSES = ("train_loss", "val_loss")


class SaveEpoch(Checkpoint):
    """Records each epoch and saves a full checkpoint after it, which carries the record.

    It is one of Lightning's checkpoints so that it runs after an early stopping has looked at the
    epoch: a checkpoint with the state before that would train an epoch more when it goes on.

    Args:
        run: the folder.
    """

    def __init__(self, run: TrainingRun) -> None:
        self.run = run
        self.started = time.monotonic()

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.monotonic()

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k in _LOSSES}
        run, epoch = self.run, trainer.current_epoch
        run.history = [row for row in run.history if row["epoch"] < epoch]
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

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[STATE] = self.run.state


class ProgressLine(pl.Callback):
    """Shows one line on stderr: epoch, losses, time gone and time left.

    Args:
        name: what is trained, the first word of the line.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.bar: tqdm | None = None

    @override
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

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if self.bar is not None:
            self.bar.update()

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.bar is not None:
            losses = {k: f"{float(v):.4g}" for k, v in trainer.callback_metrics.items()}
            epoch = f"{trainer.current_epoch + 1}/{trainer.max_epochs}"
            self.bar.set_postfix({"epoch": epoch, **losses}, refresh=False)

    def close(self) -> None:
        """Leave the line as it is."""
        if self.bar is not None:
            self.bar.close()
