"""Runs of a log on an even grid, worked through in pieces of bounded memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tsgen.anomaly.log import Data, Log, read_runs, settled
from tsgen.core import Options
from tsgen.data.running import Moments, carry_forward

_CHUNK = 2**21  # numbers of a log that are worked on at a time


@dataclass
class Run:
    """A log on an even grid, standardised, its gaps filled.

    Args:
        values: (T, C), gaps carried forward; 0, the training's mean, before the first value.
        observed: (T, C), where a value was recorded.
    """

    values: np.ndarray
    observed: np.ndarray


class RunReader(Options, ABC):
    """Reads logs, standardises their channels, and cuts their runs into pieces."""

    is_fitted_ = False
    """Whether names, scales and a threshold have been learnt."""

    @property
    @abstractmethod
    def memory(self) -> int:
        """Rows before a row that its errors depend on."""

    @property
    @abstractmethod
    def reach(self) -> int:
        """Rows before a row that its score depends on."""

    def _require_fit(self) -> None:
        if not self.is_fitted_:
            raise ValueError(f"{type(self).__name__} has not been fitted; call fit(data) first")

    def _read(self, data: Data) -> list[Log]:
        self._require_fit()
        return read_runs(data, self.names_)

    def _learn_scale(self, logs: list[Log]) -> None:
        """Learn names, period, and mean and deviation of each channel over all runs.

        A channel that never moved has the deviation 1 if it holds whole numbers (a switch), else a
        hundredth of its value: that it starts to move is a finding.
        """
        self.names_ = logs[0].names
        periods = [log.period for log in logs if log.period is not None]
        self.period_ = float(np.median(periods)) if periods else None
        moments = Moments()
        for log in logs:
            moments.add(log.values.T, np.isfinite(log.values.T))
        if not moments.count.all():
            name = self.names_[int(moments.count.argmin())]
            raise ValueError(f"column {name!r} holds no value at all: leave it out")
        self.center_, spread = moments.mean, np.sqrt(moments.variance)
        still = spread <= 1e-9 * np.maximum(1.0, np.abs(self.center_))
        whole = np.isclose(self.center_, np.round(self.center_), rtol=1e-9, atol=1e-9)
        least = np.where(whole, 1.0, 0.01 * np.abs(self.center_))
        self.scale_ = np.where(still, least, spread)

    def standardised(self, log: Log) -> tuple[Run, np.ndarray]:
        """A run on an even grid and the numbers of the log's rows on it."""
        rows = log.rows(self.period_, self.reach + 1)
        values = np.full((int(rows[-1]) + 1, log.values.shape[1]), np.nan)
        values[rows] = (log.values - self.center_) / self.scale_
        observed = np.isfinite(values)
        width = max(1, _CHUNK // len(values))
        for first in range(0, values.shape[1], width):
            part = slice(first, first + width)
            values[:, part] = carry_forward(values[:, part], observed[:, part], 0, before=0.0)
        return Run(values, observed), rows

    def _settled(self, run: Run) -> np.ndarray:
        """Which rows of a run follow enough rows in which something was recorded, (T,)."""
        before = np.zeros(self.memory + 1, dtype=bool)
        return settled(np.concatenate([before, run.observed.any(1)]), self.memory)

    def _chunks(self, run: Run) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Rows of a run, and values and observed of these and of ``memory`` rows before them."""
        before = np.zeros((self.memory, run.values.shape[1]))
        values = np.concatenate([before, run.values])
        observed = np.concatenate([before.astype(bool), run.observed])
        size = max(1024, _CHUNK // (values.shape[1] * (self.memory + 1)))
        for first in range(0, len(run.values), size):
            rows = slice(first, min(first + size, len(run.values)))
            piece = slice(first, rows.stop + self.memory)
            yield rows, values[piece], observed[piece]
