"""What every part of the library shares: validated configuration, devices, seeding, whole files."""

from tsgen.core.component import Component, Options, components
from tsgen.core.constraints import FINITE, NOT_EMPTY, Count, Positive, above, at_least, between
from tsgen.core.devices import parse_device, single_precision, usable_device
from tsgen.core.errors import OptionError
from tsgen.core.registry import Registry
from tsgen.core.seeding import seeded, seeded_everywhere

__all__ = [
    "FINITE",
    "NOT_EMPTY",
    "Component",
    "Count",
    "OptionError",
    "Options",
    "Positive",
    "Registry",
    "above",
    "at_least",
    "between",
    "components",
    "parse_device",
    "seeded",
    "seeded_everywhere",
    "single_precision",
    "usable_device",
]
