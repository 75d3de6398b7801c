"""The training loop of every forecaster: checkpoints that resume, early stopping, silence."""

import os
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from gluonts.core.serde import encode

from tsgen.core import OptionError
from tsgen.core.ranks import current_rank, from_rank_zero, part_random_numbers, share_weights
from tsgen.forecasting.data.window import Window
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.training.callbacks import callbacks_restored
from tsgen.forecasting.training.epochs import ProgressLine, SaveEpoch
from tsgen.forecasting.training.module import ForecastModule
from tsgen.forecasting.training.options import Training
from tsgen.forecasting.training.parts import EVERY_PART, frozen_but
from tsgen.forecasting.training.quiet import quiet
from tsgen.forecasting.training.run import TrainingRun
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
"""Options of an estimator by which no other network comes out."""


def fingerprint(estimator: Any, spec: Any, seed: int | None, validated: bool) -> dict[str, Any]:
    """What tells a run from others: the options, the data, the seed, validation or none."""
    options = {k: v for k, v in estimator.__init_args__.items() if k not in _NOT_THE_RUN}
    trainer = result_options(estimator.trainer_kwargs)
    ranks = current_rank().size
    return {
        "estimator": type(estimator).__qualname__,
        **{name: encode(value) for name, value in options.items()},
        **({"trainer_kwargs": trainer} if trainer else {}),
        "data": encode(spec),
        "seed": seed,
        "validation": validated,
        **({"ranks": ranks} if ranks > 1 else {}),
    }


def fit(
    forecaster: Forecaster,
    windows: Iterable[Window],
    validation: Iterable[Window] | None,
    training: Training,
    run: TrainingRun,
    trainable: Sequence[str] = EVERY_PART,
    *,
    lr: float = 1e-2,
    max_epochs: int = 20,
    device: torch.device = torch.device("cpu"),  # noqa: B008
    name: str = "training",
    verbose: bool = False,
    trainer_kwargs: dict[str, Any] | None = None,
) -> Forecaster:
    """Train a forecaster in place.

    Processes of one group of ``torch.distributed`` train together: each draws windows and noise of
    its own, a step follows the mean of their gradients, rank 0 writes the files, and all of them
    get the same network. The learning rate is that of one process.

    Args:
        forecaster: the network, which is moved to the device.
        windows: one epoch of batches each time it is iterated over.
        validation: the same batches every epoch, or ``None``.
        training: the recipe.
        run: where checkpoints go, and what to go on from.
        trainable: parts that learn, as :func:`~tsgen.forecasting.training.parts.frozen_but` takes
            them; all other weights stay bit for bit as they are.
        lr: learning rate; the peak of the one-cycle schedule.
        max_epochs: epochs.
        device: where to train.
        name: what the line of progress begins with.
        verbose: whether to show that line.
        trainer_kwargs: arguments of Lightning's ``Trainer`` that are no options of the library.

    Returns:
        The network that predicts: with ``training.ema_decay`` the average, else the one given. It
        has the weights of the best epoch by validation loss, or without validation the last ones.

    Raises:
        FloatingPointError: if the loss ceases to be finite.
        ValueError: for ``max_time`` with several processes, which would end at different steps.
        BaseException: whatever interrupts the training, with a note that tells where the last
            checkpoint lies.
    """
    arguments, rank = trainer_kwargs or {}, current_rank()
    if rank.size > 1 and "max_time" in arguments:
        raise OptionError(
            "", "trainer_kwargs['max_time']", arguments["max_time"], "left out",
            f"{rank.size} processes would end at different steps",
        )  # fmt: skip
    started = os.environ.get("WORLD_SIZE", "1")  # by torchrun, and by most that start several
    if rank.size == 1 and started != "1":
        warnings.warn(
            f"{started} processes were started and are in no group: each trains a model of its "
            "own; call torch.distributed.init_process_group('gloo') first to train one together",
            stacklevel=2,
        )
    progress = ProgressLine(name)
    added = [*([progress] if verbose and rank.writes else []), SaveEpoch(run)]
    dtypes = [tensor.dtype for tensor in (*forecaster.parameters(), *forecaster.buffers())]
    with (
        quiet("lightning"), switches_restored(), run.lock(), run.told_of(), _interrupt_restored(),
        frozen_but(forecaster, trainable) as frozen,
    ):  # fmt: skip
        share_weights(forecaster)
        part_random_numbers()
        module = ForecastModule(forecaster, training, lr, frozen)
        try:
            trainer = build_trainer(
                arguments, added, max_epochs=max_epochs, patience=training.patience,
                validation=validation, folder=str(run.folder), device=device,
            )  # fmt: skip
            check_precision(trainer, module, windows)
            run.start()
            if not run.finished:
                resume = str(run.resume_from) if run.resume_from else None
                divides = device.type == "cpu" and forecaster.model.divides_rows
                with rows_in_parallel(divides), callbacks_restored(arguments.get("callbacks", [])):
                    trainer.fit(module, windows, validation, ckpt_path=resume, weights_only=True)
            run.finished = True
            run.write()
        finally:
            progress.close()
    module.load_state_dict(from_rank_zero(lambda: run.weights(validation is not None)))
    for network in (forecaster, module.best_forecaster):
        tensors = (*network.parameters(), *network.buffers())
        for tensor, dtype in zip(tensors, dtypes, strict=True):
            tensor.data = tensor.data.to(dtype)  # whatever precision it was trained in
    module.trainer = None  # it would keep the training data as long as the module lives
    run.trainer = trainer
    return module.best_forecaster


@contextmanager
def _interrupt_restored() -> Iterator[None]:
    """Put the handler of Ctrl-C back, which Lightning replaces, and raise what it raises."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit as stop:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from stop
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
