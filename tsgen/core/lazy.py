"""Names of a package that are imported when they are first asked for."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def imported_on_use(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package whose names lie in modules inside it.

    GluonTS and torch take seconds to import: whoever needs neither does not wait for them.

    Args:
        package: its ``__name__``.
        modules: for each name the module it lies in, as "forecasting.estimator" in "tsgen".
    """

    def attribute(name: str) -> Any:
        if name in modules:
            return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return attribute
