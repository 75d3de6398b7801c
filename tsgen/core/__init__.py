"""What every part of the library shares: validated configuration, devices, seeding, whole files."""

from typing import TYPE_CHECKING

from tsgen.core.lazy import imported_on_use

if TYPE_CHECKING:
    from tsgen.core.component import Component, Options, components
    from tsgen.core.constraints import (
        FINITE,
        NOT_EMPTY,
        Count,
        NonNegative,
        Positive,
        Sizes,
        above,
        at_least,
        between,
    )
    from tsgen.core.devices import parse_device, single_precision, usable_device
    from tsgen.core.errors import OptionError
    from tsgen.core.ranks import Rank, current_rank
    from tsgen.core.registry import Registry
    from tsgen.core.seeding import seeded, seeded_everywhere
    from tsgen.core.wording import option_style, option_text

__all__ = [
    "FINITE",
    "NOT_EMPTY",
    "Component",
    "Count",
    "NonNegative",
    "OptionError",
    "Options",
    "Positive",
    "Rank",
    "Registry",
    "Sizes",
    "above",
    "at_least",
    "between",
    "components",
    "current_rank",
    "option_style",
    "option_text",
    "parse_device",
    "seeded",
    "seeded_everywhere",
    "single_precision",
    "usable_device",
]

_MODULES = {
    "component": ("Component", "Options", "components"),
    "constraints": (
        "FINITE",
        "NOT_EMPTY",
        "Count",
        "NonNegative",
        "Positive",
        "Sizes",
        "above",
        "at_least",
        "between",
    ),  # fmt: skip
    "devices": ("parse_device", "single_precision", "usable_device"),
    "errors": ("OptionError",),
    "ranks": ("Rank", "current_rank"),
    "registry": ("Registry",),
    "seeding": ("seeded", "seeded_everywhere"),
    "wording": ("option_style", "option_text"),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}

__getattr__ = imported_on_use(__name__, _WHERE)
