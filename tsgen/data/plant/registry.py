"""Published logs by name."""

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tsgen.data.plant.sets import PlantData

_LOADERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "batadal": ("stored", "load_batadal", {}),
    "hai": ("hai", "load_hai", {}),
    "msl": ("stored", "load_smap_msl", {"spacecraft": "msl"}),
    "psm": ("public", "load_psm", {}),
    "pump": ("public", "load_pump", {}),
    "skab": ("stored", "load_skab", {}),
    "smap": ("stored", "load_smap_msl", {"spacecraft": "smap"}),
    "smd": ("stored", "load_smd", {}),
    "swat": ("itrust", "load_swat", {}),
    "tep": ("stored", "load_tep", {}),
    "wadi": ("itrust", "load_wadi", {}),
}


def plant_names() -> tuple[str, ...]:
    """The names that :func:`load_plant` knows."""
    return tuple(_LOADERS)


def plant_loader(name: str) -> Callable[..., PlantData]:
    """The function that loads a set.

    Raises:
        ValueError: if there is no such set.
    """
    if name not in _LOADERS:
        raise ValueError(f"unknown plant {name!r}; known are {', '.join(plant_names())}")
    module, function, options = _LOADERS[name]
    loader = getattr(importlib.import_module(f"tsgen.data.plant.{module}"), function)
    return functools.partial(loader, **options)


def load_plant(name: str, folder: str | Path | None = None, **options: Any) -> PlantData:
    """Load a published log.

    Args:
        name: one of :func:`plant_names`.
        folder: where it is; the set's own under ``TSGEN_DATA/anomaly`` if not given.
        **options: of its loader, as ``every="10s"`` of ``load_swat``.

    Raises:
        MissingData: if it is not there, with what was looked for, where the set is published and
            its licence.
        ValueError: if a file is not as expected, or for an unknown name.
    """
    return plant_loader(name)(folder, **options)
