"""The face of every detector."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from scipy.special import ndtri

from tsgen.anomaly.events import AlarmPolicy, Event, find_events, flags
from tsgen.anomaly.files import read_detector, write_detector
from tsgen.anomaly.log import Data, Log, read_runs
from tsgen.anomaly.readout import Readout, share
from tsgen.anomaly.runs import Run, RunReader
from tsgen.anomaly.stream import Alarm, Stream
from tsgen.anomaly.thresholds import Calibration, QuantileThreshold, Threshold, calibrate


@dataclass(frozen=True)
class Scored:
    """A log that was scored.

    Args:
        index: times of the rows, or their numbers, (T,).
        scores: (T,), higher is stranger; NaN where nothing was recorded.
        attribution: how much stranger each channel is than usual, (T, C).
        flagged: 1 for the rows of an alarm, (T,).
        alarms: see :meth:`Detector.detect`.
    """

    index: pd.Index
    scores: np.ndarray
    attribution: np.ndarray
    flagged: np.ndarray
    alarms: pd.DataFrame


class Detector(RunReader):
    """Learns what is normal and scores how strange each row of a log is; **higher is stranger**.

    The methods are those of PyOD. (scikit-learn's outlier detectors have the opposite sign.) A
    score depends on the row and on :attr:`reach` rows before it, never on later ones, and a stream
    (:meth:`update`) has the scores of the batch. Channels are standardised by the training's mean
    and deviation. Cells that are missing (NaN) have no error; a row of which nothing was recorded
    has no score (NaN), nor has one if among the :attr:`memory` rows before it there is a start or a
    gap of two rows or more: every one would end in an alarm.

    Args:
        readout: how scores are read off the errors.
        threshold: where alarms begin, learnt from the training scores, on which a detector is at
            its best: :meth:`calibrate` on other normal data before trusting it.
        policy: how scores above the threshold become alarms.
    """

    readout: Readout = Readout()  # noqa: RUF009 (immutable)
    threshold: Threshold = QuantileThreshold()  # noqa: RUF009
    policy: AlarmPolicy = AlarmPolicy()  # noqa: RUF009

    learned: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that :meth:`_learn` sets; they are saved and loaded."""

    @abstractmethod
    def _learn(self, runs: list[Run]) -> None:
        """Learn from normal runs; set attributes that end in an underscore."""

    def _fresh(self, lengths: list[int]) -> np.ndarray:
        """Which rows of all runs, (T,), tell what is usual: those a model has not learnt."""
        return np.ones(sum(lengths), dtype=bool)

    # --- learning -----------------------------------------------------------------------------

    def fit(self, data: Data, y: None = None) -> Self:
        """Learn from normal data.

        Args:
            data: a DataFrame, an array (T, C), a GluonTS data set, or a list of runs.
            y: ignored; there for pipelines.

        Raises:
            ValueError: for data that cannot be read (see ``read_runs``) or too few rows.
        """
        logs = read_runs(data)
        needed = max(2 * (self.memory + 1), 20)
        if max(len(log.values) for log in logs) < needed:
            raise ValueError(
                f"{type(self).__name__}: the log has {max(len(log.values) for log in logs)} rows; "
                f"expected at least {needed}"
            )
        self._measure(logs)
        runs = [self._prepare(log)[0] for log in logs]
        del logs
        self._learn(runs)
        errors = [self._run_errors(run) for run in runs]
        fresh = self._fresh([len(error) for error in errors])
        ends = np.cumsum([len(error) for error in errors])[:-1]
        usual = [e[rows] for e, rows in zip(errors, np.split(fresh, ends), strict=True)]
        self.moments_ = self.readout.fit(np.concatenate(usual))
        scores = [self.readout.total(self.readout.channels(e, self.moments_)) for e in errors]
        self.decision_scores_ = np.concatenate(scores)
        self.threshold_ = float(self.threshold.fit(self.decision_scores_[fresh]))
        self.calibration_: Calibration | None = None
        self.labels_ = np.concatenate([self._flag(score) for score in scores])
        self.reset()
        return self

    def calibrate(
        self,
        normal: Data,
        *,
        false_alarms_per_day: float,
        method: Literal["pot", "conformal"] = "pot",
        block: int | None = None,
        rows_per_day: float | None = None,
    ) -> Calibration:
        """Set the threshold so that normal data raise so many alarms a day.

        Args:
            normal: data without attacks that were not learnt from.
            false_alarms_per_day: alarms, not rows.
            method: "pot" or "conformal"; see ``calibrate`` in ``tsgen.anomaly.thresholds``.
            block: rows of a block; chosen by the scores' autocorrelation if not given.
            rows_per_day: needed where the data have no times.
        """
        self._require_fit()
        if rows_per_day is None:
            if self.period_ is None:
                raise ValueError("rows_per_day is needed: the training data had no times")
            rows_per_day = 86400 / self.period_
        scores = [self.readout.total(part) for part in self._run_channels(self._read(normal))]
        edges = np.cumsum([len(score) for score in scores])[:-1]
        self.calibration_ = calibrate(
            np.concatenate(scores), false_alarms_per_day=false_alarms_per_day,
            rows_per_day=rows_per_day, policy=self.policy, method=method, block=block,
            boundaries=edges.tolist(),
        )  # fmt: skip
        self.threshold_ = self.calibration_.threshold
        self.reset()
        return self.calibration_

    # --- scoring a log ------------------------------------------------------------------------

    @property
    def reach(self) -> int:
        """Rows before a row that its score depends on."""
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
        """The same as :meth:`decision_function`."""
        return self.decision_function(data)

    def predict(self, data: Data) -> np.ndarray:
        """1 for the rows of an alarm, 0 for others, (T,)."""
        parts = [
            self._flag(self.readout.total(part)) for part in self._run_channels(self._read(data))
        ]
        return np.concatenate(parts).astype(int)

    def detect(self, data: Data) -> pd.DataFrame:
        """The alarms, one a row.

        Returns:
            ``start`` (the first row above the threshold), ``raised`` (when an operator would have
            heard of it), ``end`` (its last row), ``peak``, each a time or a row number; ``score``
            at the peak; ``p_value``, the probability that a block of normal rows has such an alarm
            (NaN before :meth:`calibrate`); ``channels``, a dictionary of the shares that channels
            have in :meth:`attribution` from start to end, highest first.
        """
        return self.scored(data).alarms

    def scored(self, data: Data, progress: Callable[[int], None] | None = None) -> Scored:
        """Everything about a log in one pass: scores, alarms and the channels that carry them.

        Args:
            data: the log.
            progress: called with the number of rows that were scored since the last call.
        """
        found, offset = [], 0
        logs = self._read(data)
        scores, relative, index = [], self._run_channels(logs, progress), []
        for log, channels in zip(logs, relative, strict=True):
            rows = log.times if log.times is not None else offset + np.arange(len(channels))
            scores.append(self.readout.total(channels))
            channels /= self.readout.usual(self.moments_)  # in place: a log may be large
            for event in self._events(scores[-1]):
                found.append(
                    {
                        "start": rows[event.start], "end": rows[event.stop - 1],
                        "raised": rows[event.raised], "peak": rows[event.peak],
                        "score": event.score, "p_value": self.p_value(event.sustained),
                        "channels": share(channels[event.start : event.stop], self.names_),
                    }
                )  # fmt: skip
            offset += len(channels)
            index.append(pd.Index(rows))
        columns = ["start", "end", "raised", "peak", "score", "p_value", "channels"]
        alarms = pd.DataFrame(found, columns=columns)
        whole = index[0].append(index[1:])
        flagged = np.concatenate([self._flag(part) for part in scores]).astype(int)
        return Scored(whole, np.concatenate(scores), np.concatenate(relative), flagged, alarms)

    def explain(self, data: Data, event: Any, until: Any = None) -> pd.Series:
        """The channels' shares in an event, highest first, from its onset to now.

        Args:
            data: the log that holds it, one run.
            event: a row of :meth:`detect`, or a pair (start, end) of times or row numbers.
            until: "now", if the event is still going on; its end by default.
        """
        logs = self._read(data)
        if len(logs) != 1:
            raise ValueError(f"data holds {len(logs)} runs; expected the one with the event")
        named = isinstance(event, pd.Series | Mapping)
        start, end = (event["start"], event["end"]) if named else event
        index = logs[0].times if logs[0].times is not None else pd.RangeIndex(len(logs[0].values))
        inside = (index >= start) & (index <= (end if until is None else until))
        if not np.any(inside):
            raise ValueError(
                f"event {start} to {end} lies outside the data ({index[0]} to {index[-1]})"
            )
        relative = self._run_channels(logs)[0][inside] / self.readout.usual(self.moments_)
        return pd.Series(share(relative, self.names_), dtype=float)

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
            raise ValueError(f"level={level} must lie in (0, 1)")
        ends: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for log in self._read(data):
            run, places = self._prepare(log)
            band = np.full((2, *run.values.shape), np.nan)
            for rows, values, observed in self._chunks(run):
                band[:, rows] = self._band(values, observed, level)
            band[:, ~self._settled(run)] = np.nan
            for found, end in zip(ends, band, strict=True):
                found.append(end[places] * self.scale_ + self.center_)
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

    def p_value(self, score: float) -> float:
        """Probability that a block of normal rows has an alarm at that threshold; NaN before."""
        return float("nan") if self.calibration_ is None else self.calibration_.p_value(score)

    # --- scoring a stream ---------------------------------------------------------------------

    def update(self, row: Any, time: Any = None) -> Alarm | None:
        """Take the next row of a stream, which belongs to one thread at a time.

        Args:
            row: (C,), a Series or a dictionary by channel; NaN or absent where a sensor is missing.
            time: of the row; steps left out since the last row count as missing rows.

        Returns:
            An alarm when one is raised, and once more when it ends; otherwise ``None``. The score
            is ``stream_.score``. Nothing is learnt.
        """
        self._require_fit()
        return self.stream_.update(row, time)

    def reset(self) -> None:
        """Forget the stream."""
        self.stream_ = Stream(self)

    # --- keeping ------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the detector and the state of its stream into a folder: JSON and arrays."""
        self._require_fit()
        write_detector(self, Path(path))

    def _write_more(self, path: Path) -> tuple[str, ...]:
        """Write what is neither an option nor an array, and return the names of its files."""
        return ()

    @staticmethod
    def load(path: str | Path, device: str | None = None) -> "Detector":
        """Read a detector from a folder; its stream goes on where it was saved.

        Args:
            path: the folder.
            device: where a network scores from now on; by default where it was trained, if that is
                there.

        Raises:
            ValueError: in one line, if the folder holds no detector, is damaged, or names what is
                no part of this library.
        """
        return read_detector(Path(path), Detector, device)

    def _restore(self, path: Path, device: str | None) -> None:
        """Rebuild what is not an array; called by :meth:`load` once the arrays are there."""

    def _check_learned(self) -> None:
        """Raise ``ValueError`` if what was loaded cannot score a row."""
        shape = (self.memory + 1, len(self.names_))
        errors = self._errors(np.zeros(shape), np.ones(shape, dtype=bool))
        if errors.shape != (1, shape[1]):
            raise ValueError(f"its errors of a row are {errors.shape}, for {shape[1]} channels")

    # --- inside -------------------------------------------------------------------------------

    def _run_channels(
        self, logs: list[Log], progress: Callable[[int], None] | None = None
    ) -> list[np.ndarray]:
        """Channel scores (T, C) of each run."""
        found = []
        for log in logs:
            run, rows = self._prepare(log)
            found.append(
                self.readout.channels(self._run_errors(run, progress), self.moments_)[rows]
            )
        return found

    def _events(self, scores: np.ndarray) -> list[Event]:
        return find_events(scores, self.threshold_, self.policy)

    def _flag(self, scores: np.ndarray) -> np.ndarray:
        return flags(self._events(scores), len(scores)).astype(int)
