"""What every part of the library shares: validated configuration, devices, seeding, whole files."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsgen.core.component import Component, Options, components
    from tsgen.core.devices import parse_device, single_precision, usable_device
    from tsgen.core.registry import Registry
    from tsgen.core.seeding import seeded, seeded_everywhere

__all__ = [
    "Component",
    "Options",
    "Registry",
    "components",
    "parse_device",
    "seeded",
    "seeded_everywhere",
    "single_precision",
    "usable_device",
]

_MODULES = {
    "Component": "component",
    "Options": "component",
    "components": "component",
    "parse_device": "devices",
    "single_precision": "devices",
    "usable_device": "devices",
    "Registry": "registry",
    "seeded": "seeding",
    "seeded_everywhere": "seeding",
}


def __getattr__(name: str) -> Any:
    """Import on first use: a table of data is read without the seconds that torch takes."""
    if name in _MODULES:
        return getattr(importlib.import_module(f"tsgen.core.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'tsgen.core' has no attribute {name!r}")
