"""Parts by name."""

from collections.abc import Callable
from typing import Any, TypeVar

from tsgen.core.seeding import seeded as seeded
from tsgen.core.seeding import seeded_everywhere as seeded_everywhere

T = TypeVar("T")


class Registry(dict[str, Callable[..., T]]):
    """Names of one kind of part; a wrong name is answered with the right ones."""

    def __init__(self, kind: str, entries: dict[str, Callable[..., T]]) -> None:
        super().__init__(entries)
        self.kind = kind

    def __missing__(self, name: str) -> Callable[..., T]:
        """Name the known entries."""
        raise ValueError(f"unknown {self.kind} {name!r}; known are {', '.join(sorted(self))}")

    def build(self, part: str | Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Build a part given by name, by class or by ``functools.partial`` of a class."""
        return (self[part] if isinstance(part, str) else part)(*args, **kwargs)
