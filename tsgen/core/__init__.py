"""What every part of the library shares: validated configuration, devices, seeding, whole files."""

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
