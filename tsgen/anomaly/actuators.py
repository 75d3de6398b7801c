"""Actuators: channels of few states, which are inputs of a model rather than targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

_AUTO, _MOST = 10, 50  # states of a channel that is taken for an actuator, or may be one by name


@dataclass(frozen=True)
class Actuators:
    """The channels of few states, and their states.

    Args:
        index: numbers of the channels, (A,).
        states: of each, in rising order, (A, most states), NaN where there are fewer.
    """

    index: np.ndarray
    states: np.ndarray

    @classmethod
    def find(
        cls,
        values: Sequence[np.ndarray],
        observed: Sequence[np.ndarray],
        names: Sequence[str],
        wanted: Sequence[str] | Literal["auto"],
    ) -> Self:
        """Look up the channels and their states in runs, each (T, C).

        "auto" takes channels of at most ten states.

        Raises:
            ValueError: for unknown channels, or named ones with more than fifty states.
        """
        unknown = [] if wanted == "auto" else [name for name in wanted if name not in names]
        if unknown:
            raise ValueError(
                f"actuators: {unknown[0]!r} is no channel; expected some of {list(names)}"
            )
        index, states = [], []
        for number, name in enumerate(names):
            if wanted != "auto" and name not in wanted:
                continue
            runs = zip(values, observed, strict=True)
            levels = np.unique(np.concatenate([x[mask[:, number], number] for x, mask in runs]))
            if len(levels) > (_AUTO if wanted == "auto" else _MOST):
                if wanted == "auto":
                    continue
                raise ValueError(
                    f"actuators: column {name!r} has {len(levels)} values; expected at most "
                    f"{_MOST} states"
                )
            index.append(number)
            states.append(levels)
        table = np.full((len(index), max(map(len, states), default=0)), np.nan)
        for row, levels in zip(table, states, strict=True):
            row[: len(levels)] = levels
        return cls(np.array(index, dtype=int), table)

    def encode(self, values: np.ndarray, lags: Sequence[int]) -> np.ndarray:
        """The states at each row and at rows before it, (T, K).

        A column for each state but a channel's first, 1 where it is the nearest.

        Args:
            values: (T, C); before the first row stands its first row.
            lags: rows back.
        """
        columns = [np.zeros((len(values), 0))]
        for channel, states in zip(self.index, self.states, strict=True):
            levels = states[~np.isnan(states)]
            nearest = np.abs(values[:, channel, None] - levels).argmin(1)
            columns.append((nearest[:, None] == np.arange(1, len(levels))).astype(float))
        now = np.concatenate(columns, 1)
        rows = np.arange(len(values))
        return np.concatenate([now[np.maximum(rows - lag, 0)] for lag in lags], 1)

    def strangeness(self, values: np.ndarray) -> np.ndarray:
        """Squared distance of each actuator from its nearest state, (T, A)."""
        gaps = np.abs(values[:, self.index, None] - self.states)
        return np.nanmin(gaps, axis=2) ** 2
