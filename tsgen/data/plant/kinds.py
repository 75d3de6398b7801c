"""Kinds of tags: constant, binary, discrete, setpoint, continuous."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

Kind = Literal["continuous", "binary", "discrete", "setpoint", "constant"]
KINDS: tuple[str, ...] = get_args(Kind)
CODED = ("binary", "discrete")
"""Kinds whose values are codes, between which there is nothing."""

_CODES = 10  # at most, of a discrete tag
_LEVELS = 50  # at most, of a setpoint
_CHANGES = 0.01  # of the rows, at most, in which a setpoint changes


@dataclass(frozen=True)
class Values:
    """What is known of a tag's values.

    Args:
        levels: its values if they are few; ``None`` if there are more than a setpoint has.
        changes: rows in which the value differs from the last recorded one before.
        rows: with a value.
    """

    levels: frozenset[float] | None
    changes: int
    rows: int

    def __or__(self, other: "Values") -> "Values":
        """Of two runs together."""
        both = self.levels is not None and other.levels is not None
        levels = (self.levels or frozenset()) | (other.levels or frozenset()) if both else None
        if levels is not None and len(levels) > _LEVELS:
            levels = None
        return Values(levels, self.changes + other.changes, self.rows + other.rows)

    @property
    def kind(self) -> Kind:
        """The first that fits.

        constant: at most one value; binary: two; discrete: at most 10 values, all whole numbers;
        setpoint: at most 50 values, which change in at most a hundredth of the rows; continuous.
        """
        if self.levels is None:
            return "continuous"
        if len(self.levels) < 3:
            return "binary" if len(self.levels) == 2 else "constant"
        if len(self.levels) <= _CODES and all(level == round(level) for level in self.levels):
            return "discrete"
        return "setpoint" if self.changes <= _CHANGES * self.rows else "continuous"


def count_values(column: np.ndarray) -> Values:
    """What the values of a tag (T,) tell of its kind; NaN is missing."""
    present = column[~np.isnan(column)]
    changes = int(np.count_nonzero(present[1:] != present[:-1]))
    levels = None
    if changes <= _LEVELS or len(pd.unique(present[:10_000])) <= _LEVELS:
        distinct = pd.unique(present)
        levels = frozenset(map(float, distinct)) if len(distinct) <= _LEVELS else None
    return Values(levels, changes, len(present))


def require_kinds(kinds: Mapping[str, Kind], tags: list[str]) -> None:
    """Check kinds that a user gave.

    Raises:
        ValueError: for a tag that is not there or a kind that does not exist.
    """
    for tag, kind in kinds.items():
        if tag not in tags:
            raise ValueError(f"kinds: there is no tag {tag!r}; tags are {', '.join(tags[:8])}, ...")
        if kind not in KINDS:
            raise ValueError(f"kinds: {tag!r} is {kind!r}; expected one of {', '.join(KINDS)}")
