"""Data sets: one's own tables, real ones by name, simulators; and forecasts as tables."""

import importlib
from typing import Any

_LAZY = {
    "Benchmark": "tsgen.data.benchmarks",
    "MissingData": "tsgen.data.benchmarks",
    "Split": "tsgen.data.splits",
    "Summary": "tsgen.data.layout",
    "Table": "tsgen.data.layout",
    "TableLayout": "tsgen.data.layout",
    "cards": "tsgen.data.registry",
    "channel_sum": "tsgen.data.tidy",
    "datasets": "tsgen.data.registry",
    "from_dataframe": "tsgen.data.frames",
    "load_plant": "tsgen.data.plant",
    "quantile_frame": "tsgen.data.tidy",
    "read_log": "tsgen.data.plant",
    "rolling": "tsgen.data.splits",
    "sample_frame": "tsgen.data.tidy",
    "split": "tsgen.data.splits",
    "until": "tsgen.data.splits",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tsgen.data' has no attribute {name!r}")
