"""What all simulators with a known conditional law share."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from tsgen.core import OptionError, Options
from tsgen.data.entries import Entry

Support = Literal["real", "positive", "count"] | tuple[float, float]
LawState = tuple[np.ndarray, ...]
"""N copies of a process at one time; the first array holds its values, (N, C)."""


class KnownLaw(Options, ABC):
    """A process that can be simulated and whose law given its past is known.

    The public methods check their arguments. A law implements :attr:`num_channels` and five hooks:
    ``_start``, ``_state_after`` and ``_step`` draw, ``_moments`` and ``_log_conditionals`` compute.

    Attributes:
        support: where values live: "real", "positive" (above 0), "count" (0, 1, 2, ...) or
            (lo, hi).
        memory: how many last steps of a history the law looks at, ``None`` for all. A gap (NaN) in
            these raises, for the law given the rest of them is another one.

    Args:
        freq: frequency of the series made.
    """

    freq: str = "h"
    support: ClassVar[Support] = "real"
    memory: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        """Check the frequency."""
        try:
            pd.Period("2000-01-01", freq=self.freq)
        except ValueError:
            self._require("freq", False, "a frequency of pandas, such as 'h' or 'D'")

    @property
    @abstractmethod
    def num_channels(self) -> int:
        """Return C, the channels of a series."""

    @abstractmethod
    def _start(self, num: int, rng: np.random.Generator) -> LawState:
        """N states at the first time of a series."""

    @abstractmethod
    def _state_after(self, history: np.ndarray, num: int, rng: np.random.Generator) -> LawState:
        """N states at the end of a history; whatever is hidden is drawn from its law given it."""

    @abstractmethod
    def _step(self, state: LawState, rng: np.random.Generator) -> LawState:
        """N states one step later."""

    @abstractmethod
    def _moments(self, history: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, both (H, C)."""

    @abstractmethod
    def _log_conditionals(self, path: np.ndarray, start: int) -> np.ndarray:
        """Log density of each value given all before it, from step ``start`` >= 1 on.

        Args:
            path: (C, L), inside the support.
            start: from where on.

        Returns:
            (L - start,).
        """

    def simulate(self, num_series: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Independent stationary series, (N, C, T).

        Raises:
            ValueError: if ``num_series`` or ``length`` is below 1.
        """
        _at_least_one(num_series=num_series, length=length)
        state = self._start(num_series, rng)
        return np.stack([state[0], *self._unroll(state, length - 1, rng)], 2)

    def exact_moments(self, history: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each coming value given a history (C, T), both (H, C).

        Raises:
            ValueError: if the history is not one of this law, or ``horizon`` is below 1.
        """
        _at_least_one(horizon=horizon)
        return self._moments(self._read(history), horizon)

    def exact_forecast(
        self, history: np.ndarray, horizon: int, num_samples: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Sample paths of the exact law given a history (C, T), (S, H, C).

        Raises:
            ValueError: if the history is not one of this law, or a number is below 1.
        """
        _at_least_one(horizon=horizon, num_samples=num_samples)
        state = self._state_after(self._read(history), num_samples, rng)
        return np.stack(self._unroll(state, horizon, rng), 1)

    def log_density(self, history: np.ndarray, future: np.ndarray) -> float:
        """Exact log p(future | history) of whole paths, natural logarithm; of counts, log mass.

        Minus infinity outside the support.

        Args:
            history: (C, T).
            future: (C, H), the values right after it.

        Raises:
            ValueError: if a shape is wrong, or a value is missing.
        """
        past, coming = self._read(history), self._checked("future", future)
        if not self._inside(coming).all():
            return -np.inf
        path = np.concatenate([past, coming], 1)
        return float(self._log_conditionals(path, past.shape[1]).sum())

    def dataset(self, num_series: int, length: int, seed: int) -> list[Entry]:
        """Independent series as data set entries, targets (C, T)."""
        start = pd.Period("2000-01-01", freq=self.freq)
        series = self.simulate(num_series, length, np.random.default_rng(seed))
        return [{"start": start, "target": y, "item_id": str(i)} for i, y in enumerate(series)]

    def _unroll(self, state: LawState, steps: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Values (N, C) of each step after a state."""
        values = []
        for _ in range(steps):
            state = self._step(state, rng)
            values.append(state[0])
        return values

    def _read(self, history: np.ndarray) -> np.ndarray:
        """The part of a history that matters, checked, (C, memory)."""
        past = self._checked("history", history, self.memory)
        inside = self._inside(past)
        if not inside.all():
            raise ValueError(
                f"{type(self).__name__}: history holds {past[~inside][0]:g}, expected values in "
                f"the support {self.support!r}"
            )
        return past

    def _checked(self, name: str, values: np.ndarray, last: int | None = None) -> np.ndarray:
        """Values (C, T), or the last steps of them, without gaps."""
        values = np.asarray(values, dtype=float)
        if values.ndim != 2 or len(values) != self.num_channels or not values.size:
            raise ValueError(
                f"{type(self).__name__}: {name} has shape {values.shape}, expected "
                f"(C={self.num_channels}, steps), at least one step"
            )
        values = values if last is None else values[:, -last:]
        if not np.isfinite(values).all():
            raise ValueError(f"{type(self).__name__}: {name} must have no missing values (NaN)")
        return values

    def _inside(self, values: np.ndarray) -> np.ndarray:
        if self.support == "real":
            return np.ones(values.shape, dtype=bool)
        if self.support == "positive":
            return values > 0
        if self.support == "count":
            return (values >= 0) & (values == np.floor(values))
        low, high = self.support
        return (values >= low) & (values <= high)

    def _require(self, name: str, holds: bool | np.bool_, expected: str) -> None:
        """Raise ``OptionError`` unless an option holds what it must."""
        if not holds:
            raise OptionError(type(self).__name__, name, getattr(self, name), expected)

    def _array(self, name: str, shape: tuple[int, ...], expected: str) -> np.ndarray:
        """An option as an array; its shape is checked and that its values are finite."""
        try:
            values = np.array(getattr(self, name), dtype=float)
        except ValueError:  # ragged rows
            values = np.empty(())
        self._require(name, values.shape == shape and np.isfinite(values).all(), expected)
        return values


def _at_least_one(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise OptionError("", name, value, "at least 1")
