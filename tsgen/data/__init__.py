"""Data sets: one's own tables, real ones by name, simulators; and forecasts as tables."""

from tsgen.core.lazy import imported_on_use

_LAZY = {
    "Benchmark": "benchmarks",
    "MissingData": "benchmarks",
    "Split": "splits",
    "Summary": "layout",
    "Table": "layout",
    "TableLayout": "layout",
    "cards": "registry",
    "channel_sum": "tidy",
    "datasets": "registry",
    "from_dataframe": "frames",
    "load_plant": "plant",
    "quantile_frame": "tidy",
    "read_log": "plant",
    "rolling": "splits",
    "sample_frame": "tidy",
    "split": "splits",
    "until": "splits",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605

__getattr__ = imported_on_use(__name__, _LAZY)
