"""What is checked of the arguments that Lightning's ``Trainer`` gets, before it gets them.

Lightning would refuse them in the middle of a training, or write where nobody looks.
"""

from typing import Any

from lightning.pytorch.callbacks import Checkpoint, Timer
from lightning.pytorch.loggers import Logger

from tsgen.forecasting.training.callbacks import check_callbacks, needs_folder, needs_logger


def check_passed(passed: dict[str, Any], options: dict[str, Any]) -> None:
    """Raise for what Lightning would refuse in the middle, or write where nobody looks.

    Args:
        passed: what Lightning gets; an empty list of callbacks or loggers is taken out.
        options: the estimator's.

    Raises:
        ValueError: naming the argument.
    """
    passed["callbacks"] = check_callbacks(passed.get("callbacks"))
    if not passed["callbacks"]:
        del passed["callbacks"]
    _check_checkpointing(passed, options)
    _check_logging(passed, options)
    _check_lengths(passed, options)


def _check_checkpointing(passed: dict[str, Any], options: dict[str, Any]) -> None:
    """Raise where checkpoints are asked for and refused."""
    if not isinstance(passed.get("enable_checkpointing", True), bool):
        raise ValueError(
            f"trainer_kwargs['enable_checkpointing']={passed['enable_checkpointing']!r} is no bool"
        )
    if passed.get("enable_checkpointing") is False:
        saving = [
            type(c).__name__ for c in passed.get("callbacks", []) if isinstance(c, Checkpoint)
        ]
        if options["checkpoint_dir"] is not None:
            saving.append(f"checkpoint_dir={options['checkpoint_dir']!r}")
        if saving:
            raise ValueError(
                f"trainer_kwargs['enable_checkpointing']=False and {saving[0]} contradict each "
                "other; give one of them"
            )


def _check_logging(passed: dict[str, Any], options: dict[str, Any]) -> None:
    """Raise for what is no logger, and for callbacks without a logger or folder they need."""
    loggers = passed.get("logger", False)
    if isinstance(loggers, list | tuple) and not loggers:
        loggers = passed.pop("logger") and None
    several = list(loggers) if isinstance(loggers, list | tuple) else [loggers]
    if loggers not in (True, None, False) and not all(isinstance(x, Logger) for x in several):
        raise ValueError(
            f"trainer_kwargs['logger']={loggers!r} must be True, False or loggers of "
            "lightning.pytorch.loggers"
        )
    homeless = [type(c).__name__ for c in passed.get("callbacks", []) if needs_folder(c)]
    homeless += ["logger=True"] if loggers is True else []
    if homeless and options["checkpoint_dir"] is None and "default_root_dir" not in passed:
        raise ValueError(
            f"trainer_kwargs: {homeless[0]} has no folder to write into; give it dirpath=, or "
            "trainer_kwargs['default_root_dir'], or the estimator's option checkpoint_dir"
        )
    for callback in passed.get("callbacks", []):
        if needs_logger(callback) and not loggers:
            raise ValueError(
                f"trainer_kwargs: {type(callback).__name__} needs a logger, for instance "
                "trainer_kwargs['logger']=CSVLogger(folder); the predictor's history holds losses "
                "and learning rates in any case"
            )


def _check_lengths(passed: dict[str, Any], options: dict[str, Any]) -> None:
    """Raise for epochs, validation batches or a time that are none."""
    least = passed.get("min_epochs")
    if least is not None and (type(least) is not int or not 0 <= least <= options["max_epochs"]):
        raise ValueError(
            f"trainer_kwargs['min_epochs']={least!r} must be a whole number from 0 to max_epochs="
            f"{options['max_epochs']}"
        )
    part = passed.get("limit_val_batches", 1.0)
    if (
        isinstance(part, bool)
        or not isinstance(part, int | float)
        or not (part >= 0 if isinstance(part, int) else 0 <= part <= 1)
    ):
        raise ValueError(
            f"trainer_kwargs['limit_val_batches']={part!r} must be a number of batches or a share "
            "from 0.0 to 1.0"
        )
    if "max_time" in passed:
        try:
            if not (Timer(passed["max_time"]).time_remaining() or 0) > 0:
                raise ValueError("no time is left")
        except Exception as error:
            raise ValueError(
                f"trainer_kwargs['max_time']={passed['max_time']!r} must be a timedelta above 0, "
                "'DD:HH:MM:SS' or a dict of timedelta's arguments"
            ) from error
