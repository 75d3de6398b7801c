"""Which arguments of Lightning's ``Trainer`` an estimator takes, and what becomes of each.

Every parameter of ``Trainer`` is in one of three tables: it is another name of an option of the
estimator, or it has one value only that fits this library's training, or Lightning gets it.
"""

import difflib
from typing import Any

import torch
from lightning.pytorch.accelerators import Accelerator, CPUAccelerator, CUDAAccelerator
from lightning.pytorch.callbacks import EarlyStopping

from tsgen.core import parse_device
from tsgen.forecasting.training.callbacks import check_monitors, watches_validation
from tsgen.forecasting.training.options import Training
from tsgen.forecasting.training.trainer_checks import check_passed

SAME_OPTION = {
    "max_epochs": "max_epochs",
    "limit_train_batches": "num_batches_per_epoch",
    "gradient_clip_val": "gradient_clip",  # of ``training``
    "enable_progress_bar": "verbose",
    "accelerator": "device",
    "devices": "device",
}
"""Arguments that are options of the estimator under another name."""

ONE_VALUE: dict[str, tuple[tuple[Any, ...], str]] = {
    "accumulate_grad_batches": ((1,), "use the estimator's option batch_size"),
    "num_nodes": ((1,), "several nodes are not supported yet"),
    "strategy": (("auto",), "several devices are not supported yet"),
    "sync_batchnorm": ((False,), "several devices are not supported yet"),
    "gradient_clip_algorithm": (("norm",), "gradients are clipped by their norm"),
    "fast_dev_run": (
        (False, 0),
        "use the estimator's options max_epochs=1 and num_batches_per_epoch=1",
    ),
    "max_steps": ((-1,), "use the estimator's options max_epochs and num_batches_per_epoch"),
    "min_steps": ((), "use min_epochs"),
    "overfit_batches": ((0, 0.0), "train on a data set of few series"),
    "val_check_interval": (
        (1.0,),
        "validation ends each epoch; its length is the option num_batches_per_epoch",
    ),
    "check_val_every_n_epoch": (
        (1,),
        "validation ends each epoch; its length is the option num_batches_per_epoch",
    ),
    "limit_test_batches": ((1.0,), "predict draws forecasts, not the Trainer"),
    "limit_predict_batches": ((1.0,), "predict draws forecasts, not the Trainer"),
    "reload_dataloaders_every_n_epochs": ((0,), "windows are drawn anew in each epoch"),
    "barebones": ((False,), "the best epoch could not be kept"),
    "plugins": (([],), "precision is an argument of its own"),
    "model_registry": ((), "save the predictor with serialize(folder)"),
    "precision": (
        (32, "32", "32-true", 64, "64", "64-true", "bf16-mixed", "bf16"),
        "weights are kept and forecasts drawn in float32, and gradients are not rescaled",
    ),
}
"""Arguments of which some values only fit how this library trains, and what to do instead."""

PASSED = (
    "callbacks",
    "logger",
    "default_root_dir",
    "enable_checkpointing",
    "min_epochs",
    "max_time",
    "precision",
    "limit_val_batches",
    "num_sanity_val_steps",
    "log_every_n_steps",
    "enable_model_summary",
    "enable_autolog_hparams",
    "deterministic",
    "benchmark",
    "inference_mode",
    "use_distributed_sampler",
    "profiler",
    "detect_anomaly",
)
"""Arguments that Lightning gets."""

OF_THE_RESULT = ("min_epochs", "max_time", "precision", "limit_val_batches")
"""Arguments by which another model comes out: a run goes on with the same ones only."""

_PRECISIONS = {32: "32-true", "32": "32-true", 64: "64-true", "64": "64-true", "bf16": "bf16-mixed"}
_USUAL = {"precision": "32-true", "limit_val_batches": 1.0, "logger": False}
_ACCELERATORS = {"cpu": "cpu", "gpu": "cuda", "cuda": "cuda", "mps": "mps"}


def adopt_trainer_kwargs(estimator: Any) -> None:
    """Let an estimator that is being made have the options that its ``trainer_kwargs`` mean.

    Raises:
        ValueError: as :func:`merge_trainer_kwargs`.
    """
    fields = type(estimator).__dataclass_fields__
    own = [name for name in (*SAME_OPTION.values(), "checkpoint_dir") if name in fields]
    recipe, usual = estimator.training, fields["training"].default
    changes = merge_trainer_kwargs(
        estimator.trainer_kwargs,
        {name: getattr(estimator, name) for name in own} | _of_recipe(recipe),
        {name: fields[name].default for name in own} | _of_recipe(usual),
    )
    if "gradient_clip" in changes:
        changes["training"] = recipe.replace(gradient_clip=changes.pop("gradient_clip"))
    estimator.check_options(**changes)
    vars(estimator).update(changes)
    estimator.__init_args__.update(changes)


def _of_recipe(training: Training) -> dict[str, Any]:
    return {"gradient_clip": training.gradient_clip, "patience": training.patience}


def merge_trainer_kwargs(
    trainer_kwargs: dict[str, Any] | None, options: dict[str, Any], defaults: dict[str, Any]
) -> dict[str, Any]:
    """An estimator's options with those that ``trainer_kwargs`` names in Lightning's words.

    Args:
        trainer_kwargs: as the user gave it.
        options: the estimator's.
        defaults: of those options: one that differs from it was chosen, and must not be
            contradicted.

    Returns:
        What to change in the options, ``trainer_kwargs`` among them, with what is left for
        Lightning or ``None``. Two ways to say the same give the same.

    Raises:
        ValueError: for an argument or value that cannot be followed, or that contradicts an option.
    """
    arguments = dict(trainer_kwargs or {})
    for name, value in arguments.items():
        _check(name, value)
    changes: dict[str, Any] = {}
    for name, option in SAME_OPTION.items():
        value = arguments.get(name)
        if option == "device" or name not in arguments:
            continue
        if value is None and name != "gradient_clip_val":
            continue
        if name == "gradient_clip_val" and value == 0:  # Lightning's other word for no clipping
            value = None
        if value is not None and isinstance(value, bool) != (name == "enable_progress_bar"):
            raise ValueError(f"trainer_kwargs[{name!r}]={arguments[name]!r} is no {option}")
        if name in ("max_epochs", "limit_train_batches") and not isinstance(value, int):
            raise ValueError(
                f"trainer_kwargs[{name!r}]={value!r} must be a whole number: it is the estimator's "
                f"option {option}"
            )
        if name == "gradient_clip_val" and not isinstance(value, int | float | None):
            raise ValueError(f"trainer_kwargs[{name!r}]={value!r} must be a number")
        changes[option] = value
        _agree(name, value, option, options, defaults)
    device = _device(arguments)
    if device is not None:
        accelerator, devices = arguments.get("accelerator"), arguments.get("devices")
        own = options["device"]
        if own != "auto" and parse_device(own) != parse_device(device):
            plain = parse_device(own).type == parse_device(device).type and ":" not in device
            if not plain:
                raise ValueError(
                    f"trainer_kwargs: accelerator={accelerator!r}, devices="
                    f"{devices!r} and device={own!r} contradict each other; give one"
                )
        changes["device"] = device if own == "auto" else own
    left = {
        name: value for name, value in arguments.items() if name in PASSED and value is not None
    }  # fmt: skip
    if "precision" in left:
        left["precision"] = _PRECISIONS.get(left["precision"], left["precision"])
    left = {n: v for n, v in left.items() if n not in _USUAL or not _is(v, _USUAL[n])}
    check_passed(left, {**options, **changes})
    stopping = [c for c in left.get("callbacks", []) if isinstance(c, EarlyStopping)]
    if any(map(watches_validation, stopping)) and options["patience"] not in (
        None,
        defaults["patience"],
    ):
        raise ValueError(
            f"trainer_kwargs['callbacks'] has an EarlyStopping on 'val_loss', and patience="
            f"{options['patience']} is another; give one of them"
        )
    left.pop("enable_checkpointing", None)
    return {**changes, "trainer_kwargs": left or None}


def _agree(
    name: str, value: Any, option: str, options: dict[str, Any], defaults: dict[str, Any]
) -> None:
    if options[option] not in (defaults[option], value):
        raise ValueError(
            f"trainer_kwargs[{name!r}]={value!r} and {option}={options[option]!r} contradict each "
            f"other; give one of them"
        )


def _is(value: Any, other: Any) -> bool:
    """Equal and of one type: 1 batch is not 1.0, which is all of them."""
    return type(value) is type(other) and value == other


def _check(name: str, value: Any) -> None:
    """Raise for an argument that is unknown or has a value that does not fit."""
    every = {**SAME_OPTION, **ONE_VALUE, **dict.fromkeys(PASSED)}
    if name not in every:
        near = difflib.get_close_matches(name, every, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(sorted(every))}"
        raise ValueError(f"trainer_kwargs has no argument {name!r} (given {value!r}); {hint}")
    if name in ONE_VALUE and value is not None:
        values, advice = ONE_VALUE[name]
        if not any(_is(value, allowed) for allowed in values):
            expected = " or ".join(map(repr, values)) or "left out"
            raise ValueError(f"trainer_kwargs[{name!r}]={value!r} must be {expected}: {advice}")


def _device(arguments: dict[str, Any]) -> str | None:
    """The estimator's device that ``accelerator`` and ``devices`` mean; ``None`` for any."""
    accelerator, devices = arguments.get("accelerator"), arguments.get("devices")
    if isinstance(accelerator, Accelerator):
        kinds = {CPUAccelerator: "cpu", CUDAAccelerator: "cuda"}
        accelerator = kinds.get(type(accelerator), type(accelerator).__name__)
    if accelerator not in (None, "auto", *_ACCELERATORS):
        raise ValueError(
            f"trainer_kwargs['accelerator']={accelerator!r} must be one of 'auto', "
            f"{', '.join(map(repr, _ACCELERATORS))}: it is the estimator's option device"
        )
    kind = _ACCELERATORS.get(accelerator) if accelerator else None
    if devices is None or any(_is(devices, one) for one in ("auto", 1, "1")):
        return kind
    index = devices[0] if isinstance(devices, list | tuple) and len(devices) == 1 else None
    if type(index) is not int or index < 0:
        raise ValueError(
            f"trainer_kwargs['devices']={devices!r} must be 1 or [number of a GPU]: several "
            "devices are not supported yet"
        )
    if kind == "cpu" or (kind is None and not torch.cuda.is_available()):
        raise ValueError(f"trainer_kwargs['devices']={devices!r} names a GPU; for a CPU it is 1")
    return "mps" if kind == "mps" else f"cuda:{index}"


def result_options(trainer_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """What of ``trainer_kwargs`` belongs to a run's fingerprint."""
    chosen = {k: v for k, v in (trainer_kwargs or {}).items() if k in OF_THE_RESULT}
    if not chosen.get("limit_val_batches", 1):  # the same as no validation data
        del chosen["limit_val_batches"]
    return {k: v if isinstance(v, str | int | float) else repr(v) for k, v in chosen.items()}


def validation_of(trainer_kwargs: dict[str, Any] | None, data: Any) -> Any:
    """The validation data that are used: none with ``limit_val_batches=0``.

    Raises:
        ValueError: if a callback watches what is then not logged.
    """
    arguments = trainer_kwargs or {}
    data = data if arguments.get("limit_val_batches", 1.0) else None
    check_monitors(arguments.get("callbacks", []), data is not None)
    return data
