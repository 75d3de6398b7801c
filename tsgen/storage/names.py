"""What the JSON of a saved folder may name: the library's own parts and a list of foreign ones."""

import functools
import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from gluonts.model.predictor import Predictor
from torch import nn

from tsgen.core import Component, components

_PACKAGES = (
    "anomaly", "data.layout", "data.synthetic", "diffusion", "dynamics", "encoders", "estimators",
    "evaluation", "forecasting", "models", "nets",
)  # fmt: skip
"""Where the library's parts are defined; a folder has nothing else of it imported."""

_OURS = re.compile(rf"tsgen\.({'|'.join(map(re.escape, _PACKAGES))})(\.[a-z][a-z0-9_]*)*")

_CALENDAR = (
    "second_of_minute", "minute_of_hour", "hour_of_day", "day_of_week", "day_of_month",
    "day_of_year", "month_of_year", "week_of_year",
)  # fmt: skip

FOREIGN: Mapping[str, tuple[str, str]] = {
    name: (module, attribute)
    for module, attributes in {
        "builtins": ("tuple",),
        "functools": ("partial",),
        "gluonts.transform._base": ("Chain",),
        "gluonts.transform.convert": ("VstackFeatures",),
        "gluonts.transform.feature": ("AddAgeFeature",),
        "numpy": ("float32",),
        "gluonts.time_feature._base": (*_CALENDAR, *(f"{name}_index" for name in _CALENDAR)),
    }.items()
    for attribute in attributes
    for name in (f"{module}.{attribute}",)
}
"""Foreign parts that the library's own models hold: where each is defined, by its whole name."""

_MOVED = {"tsgen.diffusion.sdes.NoiseLadder": "tsgen.diffusion.ladder.NoiseLadder"}
"""Parts by the names that folders written before they moved have for them."""

_allowed: dict[str, Any] = {}


def name_of(part: Any) -> str:
    """The whole name under which a class or function is written into a folder."""
    return f"{part.__module__}.{part.__qualname__}"


def allow(part: Callable[..., Any]) -> Callable[..., Any]:
    """Let saved folders name a class or function of one's own, such as a network.

    Models, encoders and all other parts that derive from ``tsgen.core.Component`` need not be
    allowed; that their module was imported before the folder is loaded is enough. Usable as a
    decorator.

    Args:
        part: the class or function. Whoever writes a folder can then have it called with any
            arguments.

    Returns:
        The part.
    """
    _allowed[name_of(part)] = part
    return part


def resolve(name: Any, foreign: Mapping[str, tuple[str, str]] = FOREIGN) -> Any:
    """The part that a folder names.

    Args:
        name: module and qualified name, with a dot between them.
        foreign: which parts of other packages may be named.

    Raises:
        ValueError: with the name, for everything that is not the library's own part, not on the
            list and not allowed, also if it can be reached through a module of this library.
    """
    part = _find(_MOVED.get(name, name), foreign) if isinstance(name, str) else None
    if part is None:
        raise ValueError(
            f"{str(name)[:200]!r} is named, which is no part of tsgen and on no list of what a "
            "folder may name; a part of your own is imported first and, unless it is a "
            "tsgen.core.Component, given to tsgen.allow"
        )
    return part


def _find(name: str, foreign: Mapping[str, tuple[str, str]]) -> Any:
    if name in _allowed:
        return _allowed[name]
    if name in foreign:
        module, attribute = foreign[name]
        return getattr(importlib.import_module(module), attribute, None)
    module, _, attribute = name.rpartition(".")
    if not _OURS.fullmatch(module):
        return components.get(name)
    try:
        part = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None
    # a name that a module of ours has imported from elsewhere is not defined there
    ours = isinstance(part, type) and issubclass(part, Component | Predictor | nn.Module)
    return part if ours and name_of(part) == name else None


def is_partial(part: Any) -> bool:
    """Whether a part is ``functools.partial``, whose first argument is called later."""
    return part is functools.partial
