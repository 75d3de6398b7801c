"""Callbacks of the user's own: which can be used, and how each training begins with them anew."""

import copy
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

REFUSED: dict[str, str] = {
    "BackboneFinetuning": "the networks here have no backbone",
    "BasePredictionWriter": "predict draws forecasts, not the Trainer",
    "BatchSizeFinder": "use the estimator's option batch_size",
    "EMAWeightAveraging": "use training=Training(ema_decay=...)",
    "GradientAccumulationScheduler": "use the estimator's option batch_size",
    "LearningRateFinder": "use the estimator's option lr",
    "ModelPruning": "the pruned weights could not be saved and read",
    "SpikeDetection": "a loss that is not finite stops the training in any case",
    "StochasticWeightAveraging": "use training=Training(ema_decay=...)",
    "WeightAveraging": "use training=Training(ema_decay=...)",
}
"""Callbacks of Lightning that do not fit how this library trains, and what to do instead."""

LOGGING = ("DeviceStatsMonitor", "LearningRateMonitor", "ThroughputMonitor")
"""Callbacks of Lightning that write into a logger only."""

_CHANGED = "_before_training"
_ABSENT = object()


def check_callbacks(callbacks: Any) -> list[Callback]:
    """The callbacks as a list.

    Raises:
        ValueError: for what is no callback of Lightning, or one that cannot be used.
    """
    several = [] if callbacks is None else callbacks
    several = list(several) if isinstance(several, list | tuple) else [several]
    for callback in several:
        if not isinstance(callback, Callback):
            kind = callback if isinstance(callback, type) else type(callback)
            other = kind.__module__.startswith("pytorch_lightning")
            hint = (
                "import it from lightning.pytorch" if other else "give lightning.pytorch.Callback"
            )
            hint = "make one of the class" if isinstance(callback, type) else hint
            raise ValueError(f"trainer_kwargs['callbacks']: {callback!r} is no callback; {hint}")
        for name, advice in REFUSED.items():
            if isinstance(callback, getattr(lightning_callbacks, name, ())):
                raise ValueError(
                    f"trainer_kwargs['callbacks']: {type(callback).__name__} cannot be used here: "
                    f"{advice}"
                )
    return several


def needs_folder(callback: Callback) -> bool:
    """Whether a callback writes into the Trainer's folder."""
    return isinstance(callback, ModelCheckpoint) and callback.dirpath is None


def needs_logger(callback: Callback) -> bool:
    """Whether a callback does nothing without a logger."""
    return any(isinstance(callback, getattr(lightning_callbacks, name)) for name in LOGGING)


def watches_validation(callback: Callback) -> bool:
    """Whether a callback stops or saves by the validation loss."""
    if isinstance(callback, EarlyStopping | ModelCheckpoint):
        return callback.monitor == "val_loss"
    return False


def check_monitors(callbacks: Sequence[Callback], validated: bool) -> None:
    """Raise for a callback that watches what no training logs.

    Callbacks that are not Lightning's may log more than the two losses; with one of them only a
    validation loss without validation data is refused.
    """
    logged = ("train_loss", "val_loss") if validated else ("train_loss",)
    more = any(
        not type(c).__module__.startswith("lightning.")
        or isinstance(c, lightning_callbacks.LambdaCallback)
        for c in callbacks
    )
    for callback in callbacks:
        if not isinstance(callback, EarlyStopping | ModelCheckpoint):
            continue
        monitor = callback.monitor
        if monitor is None or monitor in logged or (more and monitor != "val_loss"):
            continue
        why = "needs validation data" if monitor == "val_loss" else "is not logged"
        raise ValueError(
            f"trainer_kwargs['callbacks']: {type(callback).__name__} watches {monitor!r}, which "
            f"{why}; it can watch {' and '.join(map(repr, logged))}"
        )


@contextmanager
def callbacks_restored(callbacks: Sequence[Callback]) -> Iterator[None]:
    """Let a training begin with the callbacks as they were given, whoever trained with them before.

    The callbacks themselves are used, so that they tell of this training afterwards. What it
    changes in them is remembered and put back when the next one begins: attributes that are plain
    data (numbers, text, tensors and collections of them) and what the callback's own ``state_dict``
    holds. Other objects that a callback refers to are left as they are.
    """
    for callback in callbacks:
        _put_back(callback)
    before = [(_plain(vars(c), {}), dict(vars(c)), _own_state(c)) for c in callbacks]
    try:
        yield
    finally:
        for callback, (contents, objects, state) in zip(callbacks, before, strict=True):
            now = vars(callback)
            for name in ("log", "log_dict"):  # Lightning's doors to the module: let it go
                if name in objects:
                    now[name] = objects[name]
                else:
                    now.pop(name, None)
            changed = {
                name: (objects.get(name, _ABSENT), contents.get(name))
                for name in {*objects, *now}
                if not _same(contents.get(name, _ABSENT), now.get(name, _ABSENT))
            }
            now[_CHANGED] = (changed, state)


def _put_back(callback: Callback) -> None:
    changed, state = vars(callback).pop(_CHANGED, ({}, None))
    for name, (value, contents) in changed.items():
        if value is _ABSENT:
            vars(callback).pop(name, None)
        else:
            vars(callback)[name] = _refilled(value, contents)
    if state is not None:
        callback.load_state_dict(state)


def _own_state(callback: Callback) -> Any:
    """A copy of the state that a class of the user's own declares."""
    if type(callback).load_state_dict.__module__.startswith("lightning."):
        return None
    return copy.deepcopy(callback.state_dict())


def _plain(value: Any, memo: dict[int, Any]) -> Any:
    """A copy of plain data; other objects are themselves."""
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) is tuple:
        return tuple(_plain(item, memo) for item in value)
    if not isinstance(value, dict | list | set | deque):
        return value
    new: Any = copy.copy(value)
    memo[id(value)] = new
    if isinstance(value, dict):
        for key, item in value.items():
            new[key] = _plain(item, memo)
    elif not isinstance(value, set):
        for index, item in enumerate(value):
            new[index] = _plain(item, memo)
    return new


def _refilled(value: Any, contents: Any) -> Any:
    """A collection with its contents of before, the same object for whoever holds it, too."""
    if not isinstance(value, dict | list | set | deque):
        return contents
    value.clear()
    if isinstance(value, dict | set):
        value.update(contents)
    else:
        value.extend(contents)
    return value


def _same(a: Any, b: Any) -> bool:
    """Whether plain data have not changed."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return (
            a.shape == b.shape and a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
        )
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple | deque):
        return len(a) == len(b) and all(map(_same, a, b))
    return isinstance(a, int | float | str | bytes | set | None) and a == b
