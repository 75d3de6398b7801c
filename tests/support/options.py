"""Other values of an estimator's options, worked out from annotations and defaults."""

import inspect
import types
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from tsgen.core import Options
from tsgen.core.constraints import broken_constraint, constraints_of
from tsgen.diffusion import (
    CLD,
    DDIM,
    SDE,
    SSCS,
    VPSDE,
    CosineSchedule,
    LangevinSampler,
    Sampler,
    Schedule,
)
from tsgen.encoders import LSTMEncoder
from tsgen.nets import Dense, Network

BY_NAME: dict[str, tuple[Any, ...]] = {
    "adjacency": (((True, False, False), (True, True, True), (False, False, True)),),
    "cond_channels": (2,),
    "device": ("cuda:77",),
    "ema_decay": (0.5,),
    "encoder": ("lstm", partial(LSTMEncoder, hidden_size=5)),
    "flow": ("nice",),
    "freq": ("D",),
    "gradient_clip": (1e-3,),
    "lags_seq": ((2, 3),),
    "long_season": (6,),
    "low": (50.0,),
    "lr_inputs": (1,),
    "max_lags": (1,),
    "memory_limit": (1000,),
    "model": ("patchtst",),
    "options": ({"context_length": 17, "num_batches_per_epoch": 2},),
    "patterns": (("channels",),),
    "rank": (1,),
    "support": ("positive", "count", (0.0, 1e4)),
    "time_features": ((),),
    "weight_decay": (0.5,),
}
"""Values of options whose annotation does not lead to one that matters."""

BY_TYPE: dict[type, Any] = {
    CLD: CLD(beta=6.0),
    LangevinSampler: SSCS(3),
    Network: Dense(1, 4),
    SDE: VPSDE(12),
    Sampler: DDIM(2),
    Schedule: CosineSchedule(7),
}


class Other(NamedTuple):
    """A value that an option may have in place of its own."""

    path: str
    """The option's name, after the names of the objects it belongs to: "training.patience"."""
    option: str
    """Name of the estimator's option that holds it."""
    build: Any
    """Makes the value of the estimator's option; some are refused, so not before it is used."""


def others(owner: Any) -> Iterator[Other]:
    """Yield other values of each option of an object, and of the objects that are its options."""
    for name, parameter in list(inspect.signature(type(owner).__init__).parameters.items())[1:]:
        value = getattr(owner, name)
        for other in _values(name, value, parameter.annotation):
            yield Other(name, name, partial(_same, other))
        if isinstance(value, Options):
            for inner in others(value):
                build = partial(_replaced, value, inner)
                yield Other(f"{name}.{inner.path}", name, build)


def _same(value: Any) -> Any:
    return value


def _replaced(owner: Options, inner: Other) -> Any:
    return owner.replace(**{inner.option: inner.build()})


def _values(name: str, value: Any, annotation: Any) -> Iterator[Any]:
    candidates = BY_NAME.get(name) or [v for kind in members(annotation) for v in _of(kind, value)]
    for other in candidates:
        if other != value and broken_constraint(other, constraints_of(annotation)) is None:
            yield other


def members(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union, without what ``Annotated`` adds."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from members(part)
    else:
        yield annotation


def _of(kind: Any, value: Any) -> Iterator[Any]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    elif kind is bool:
        yield not value
    elif kind is int:
        yield from (value + 1, value - 1) if number else (3, 30)
    elif kind is float:
        yield (value * 0.5 or 0.25) if number else 0.25
    elif isinstance(kind, type):
        yield from (other for base, other in BY_TYPE.items() if issubclass(base, kind))
