"""Making Lightning's ``Trainer``, without what it would leave on the screen and in the process."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping, ProgressBar, Timer

from tsgen.core import seeded
from tsgen.forecasting.training.callbacks import watches_validation
from tsgen.forecasting.training.module import ForecastModule


@contextmanager
def switches_restored() -> Iterator[None]:
    """Put torch's switches back that the Trainer's ``deterministic`` and ``benchmark`` turn."""
    strict, warn = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    benchmark = torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn)
        torch.backends.cudnn.benchmark = benchmark


def build_trainer(
    trainer_kwargs: dict[str, Any],
    added: Sequence[Callback],
    *,
    max_epochs: int,
    patience: int | None,
    validation: Iterable | None,
    folder: str,
    device: torch.device,
) -> pl.Trainer:
    """A Trainer with the user's arguments; the last of the added callbacks runs after all others.

    Args:
        trainer_kwargs: what
            :func:`~tsgen.forecasting.training.trainer_options.merge_trainer_kwargs` left.
        added: callbacks of the library.
        max_epochs: epochs.
        patience: epochs without a better validation loss before training stops; a callback of the
            user's own that watches this loss takes its place.
        validation: batches, or ``None``.
        folder: for Lightning, unless the user gave one.
        device: where to train.

    Raises:
        ValueError: for what Lightning refuses.
    """
    options = dict(trainer_kwargs)
    callbacks: list[Callback] = list(options.pop("callbacks", []))
    watched = any(isinstance(c, EarlyStopping) and watches_validation(c) for c in callbacks)
    if validation is not None and patience is not None and not watched:
        callbacks.append(EarlyStopping("val_loss", patience=patience, check_finite=False))
    if "max_time" in options:  # Lightning's own would stop inside an epoch
        callbacks.append(Timer(options.pop("max_time"), interval="epoch"))
    part = options.get("limit_val_batches")
    if isinstance(part, float) and isinstance(validation, Sized) and part * len(validation) < 1:
        raise ValueError(
            f"trainer_kwargs['limit_val_batches']={part} of {len(validation)} batches is none; "
            "0 trains without validation"
        )
    callbacks += added
    options = {
        "logger": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "default_root_dir": folder,
        **options,
        "callbacks": callbacks,
        "enable_progress_bar": any(isinstance(c, ProgressBar) for c in callbacks),
        "enable_checkpointing": any(isinstance(c, Checkpoint) for c in callbacks),
        "max_epochs": max_epochs,
        "accelerator": {"cuda": "gpu"}.get(device.type, device.type),
        "devices": [device.index or 0] if device.type == "cuda" else 1,
    }
    try:
        trainer = pl.Trainer(**options)
    except Exception as error:
        raise ValueError(f"trainer_kwargs: Lightning refuses them: {_one_line(error)}") from error
    trainer.callbacks.sort(  # type: ignore[attr-defined]
        key=lambda callback: callback is added[-1]
    )
    return trainer


def check_precision(trainer: pl.Trainer, module: ForecastModule, training: Iterable) -> None:
    """Try a step on a batch if the Trainer mixes precisions, which not all networks can.

    Raises:
        ValueError: if this one cannot.
    """
    if trainer.precision != "bf16-mixed":
        return
    try:
        with seeded(0), trainer.precision_plugin.forward_context():
            batch = next(iter(training))
            module.forecaster.loss(batch).backward()
    except RuntimeError as error:
        raise ValueError(
            f"trainer_kwargs['precision']={trainer.precision!r} does not suit this model "
            f"({_one_line(error)}); expected '32-true' or '64-true'"
        ) from error
    finally:
        module.zero_grad()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
