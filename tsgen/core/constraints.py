"""Constraints of option values, written in the annotations of the options.

``rank: Annotated[int, at_least(1)] = 8`` says that the rank is a whole number of at least 1. The
constructor of every :class:`~tsgen.core.Component` checks it and words the message.
"""

import math
import numbers
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin


class Constraint(NamedTuple):
    """A condition that a number must meet; texts, ``None`` and other objects are not looked at."""

    expected: str
    """Its words, as they stand after "must be"."""
    holds: Callable[[Any], bool]
    whole: bool = False
    """Whether a tuple is judged as one; otherwise each of its numbers is."""


def at_least(least: float) -> Constraint:
    """A number of at least ``least``."""
    return Constraint(f"at least {least:g}", lambda value: value >= least)


def above(limit: float) -> Constraint:
    """A number above ``limit``."""
    return Constraint(f"above {limit:g}", lambda value: value > limit)


def between(low: float, high: float, ends: str = "[]") -> Constraint:
    """A number from ``low`` to ``high``.

    Args:
        low: the lower end.
        high: the upper end.
        ends: whether each end belongs to the interval: "[" and "]" if it does, "(" and ")" if not.
    """

    def holds(value: Any) -> bool:
        left = value >= low if ends[0] == "[" else value > low
        return left and (value <= high if ends[1] == "]" else value < high)

    return Constraint(f"in {ends[0]}{low:g}, {high:g}{ends[1]}", holds)


FINITE = Constraint("finite", math.isfinite)
"""A number that is neither infinite nor NaN."""

NOT_EMPTY = Constraint("not empty", lambda value: len(value) > 0, whole=True)
"""A tuple with one value or more."""

Count = Annotated[int, at_least(1)]
"""A whole number of at least 1."""

Positive = Annotated[float, above(0), FINITE]
"""A finite number above 0."""

NonNegative = Annotated[float, at_least(0), FINITE]
"""A finite number of at least 0."""

Sizes = Annotated[tuple[int, ...], at_least(1), NOT_EMPTY]
"""One or more whole numbers of at least 1."""


def constraints_of(annotation: Any) -> tuple[Constraint, ...]:
    """Constraints of an annotation, also of the members of a union or a tuple."""
    own = tuple(c for c in getattr(annotation, "__metadata__", ()) if isinstance(c, Constraint))
    inner = get_args(annotation)
    inner = inner[:1] if get_origin(annotation) is Annotated else inner
    return own + tuple(c for part in inner for c in constraints_of(part))


def broken_constraint(value: Any, constraints: Iterable[Constraint]) -> str | None:
    """What a value must be, if it breaks a constraint; ``None`` if it meets all."""
    constraints = tuple(constraints)
    broken = any(
        not constraint.holds(item)
        for constraint in constraints
        for item in ([value] if constraint.whole else _numbers(value))
        if item is not None
    )
    return " and ".join(dict.fromkeys(c.expected for c in constraints)) if broken else None


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, numbers.Real) and not isinstance(value, bool):
        yield value
