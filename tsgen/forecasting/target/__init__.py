"""From the target's own scale to values of order one, and back."""

from tsgen.core.lazy import imported_on_use

_LAZY = {
    "Anchor": "anchors",
    "LastValue": "anchors",
    "Link": "links",
    "TargetMap": "target",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605

__getattr__ = imported_on_use(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted(__all__)
