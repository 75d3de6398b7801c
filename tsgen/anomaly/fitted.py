"""What a detector is once it has learnt: it turns a log into scores."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.special import ndtri
from typing_extensions import override

from tsgen.anomaly.log import Data, Log
from tsgen.anomaly.readout import Readout
from tsgen.anomaly.runs import Run, RunReader
from tsgen.core import OptionError


@runtime_checkable
class Seeded(Protocol):
    """A detector whose learning draws random numbers."""

    seed: int | None


class FittedScorer(RunReader):
    """Scores the rows of logs by a model's errors; **higher is stranger**.

    A score depends on the row and on :attr:`reach` rows before it, never on later ones.

    Args:
        readout: how scores are read off the errors.
    """

    readout: Readout = Readout()  # noqa: RUF009 (immutable)

    @abstractmethod
    def errors(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Errors (T, C) of the last T rows; at least 0, higher is stranger.

        Args:
            values: standardised rows, (memory + T, C), gaps carried forward.
            observed: which of them were recorded, (memory + T, C), bool.
        """

    @property
    @override
    def reach(self) -> int:
        return self.memory + self.readout.memory

    def score_channels(self, data: Data) -> np.ndarray:
        """How strange each channel is, (T, C); NaN where it was not recorded."""
        return np.concatenate(self._run_channels(self._read(data)))

    def attribution(self, data: Data) -> np.ndarray:
        """How much stranger each channel is than it usually is, (T, C); NaN where not recorded.

        The channels' scores by their training's mean. A channel that can be predicted well need
        not be far off to be the one that was attacked: this tells which it was, while the row's
        score is the mean of :meth:`score_channels`.
        """
        return self.score_channels(data) / self.readout.usual(self.moments_)

    def decision_function(self, data: Data) -> np.ndarray:
        """The score of each row, (T,); **higher is stranger**; NaN where nothing was recorded."""
        return self.readout.total(self.score_channels(data))

    def score_samples(self, data: Data) -> np.ndarray:
        """The score of each row, (T,): scikit-learn's name of :meth:`decision_function`."""
        return self.decision_function(data)

    def expected(self, data: Data, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Between what values each channel was expected, in the data's units, each (T, C).

        What the detector has for it: a forecaster's samples given the rows before, the residuals of
        a linear prediction or of a reconstruction, or else the training's mean and deviation. NaN
        where it has nothing to say: at the start, after gaps, and of what it is told.

        Args:
            data: a log; of a long one rather the rows of interest and :attr:`reach` before them.
            level: probability with which a normal value lies inside.

        Raises:
            ValueError: for a level outside (0, 1), or data that cannot be read.
        """
        if not 0 < level < 1:
            raise OptionError("", "level", level, "in (0, 1)")
        ends: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for log in self._read(data):
            run, places = self.standardised(log)
            band = np.full((2, *run.values.shape), np.nan)
            for rows, values, observed in self._chunks(run):
                band[:, rows] = self._band(values, observed, level)
            band[:, ~self._settled(run)] = np.nan
            for parts, end in zip(ends, band, strict=True):
                parts.append(end[places] * self.scale_ + self.center_)
        return np.concatenate(ends[0]), np.concatenate(ends[1])

    def _band(self, values: np.ndarray, observed: np.ndarray, level: float) -> np.ndarray:
        """Ends (2, T, C) of what is expected of the last T rows of (memory + T, C)."""
        middle = self._usual(values)
        if middle is None:
            middle, spread = np.zeros_like(values[self.memory :]), np.ones(values.shape[1])
        else:
            spread = self.moments_[0] ** 0.5
        reach = float(ndtri((1 + level) / 2)) * spread
        return np.stack([middle - reach, middle + reach])

    def _usual(self, values: np.ndarray) -> np.ndarray | None:
        """What is expected of the last T rows of (memory + T, C), if errors are squares off it."""
        return None

    def _run_channels(
        self, logs: list[Log], progress: Callable[[int], None] | None = None
    ) -> list[np.ndarray]:
        """Channel scores (T, C) of each run."""
        scores = []
        for log in logs:
            run, rows = self.standardised(log)
            errors = self._run_errors(run, progress)
            scores.append(self.readout.channels(errors, self.moments_)[rows])
        return scores

    def _learn_moments(self, errors: np.ndarray) -> None:
        """Learn mean and deviation (2, C) of each channel's errors (T, C) in normal rows."""
        self.moments_ = self.readout.fit(errors)

    def _run_errors(self, run: Run, progress: Callable[[int], None] | None = None) -> np.ndarray:
        """Errors (T, C) of a run, NaN where nothing was observed, in pieces of bounded memory."""
        errors = np.full(run.values.shape, np.nan)
        scored = run.observed & self._settled(run)[:, None]
        for rows, values, observed in self._chunks(run):
            np.copyto(errors[rows], self.errors(values, observed), where=scored[rows])
            if progress is not None:
                progress(rows.stop - rows.start)
        return errors
