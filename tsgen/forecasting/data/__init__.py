"""From entries of a data set to windows of tensors."""

from tsgen.core.lazy import imported_on_use

_LAZY = {
    "DataSpec": "spec",
    "GridWindows": "grid",
    "StreamedWindows": "stream",
    "Stretch": "window",
    "Window": "window",
    "WindowShape": "window",
    "Windows": "window",
    "infer_spec": "spec",
    "read_entry": "entry",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605

__getattr__ = imported_on_use(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted(__all__)
