"""The interface of every detector: learn, calibrate, score a log or a stream, save and load."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd

from tsgen.anomaly.budget import CalibratedThreshold, calibrate_threshold
from tsgen.anomaly.events import AlarmPolicy, AlarmState, Event, find_events, flags
from tsgen.anomaly.files import LEARNED_FILES, Learned, read_learned, write_learned
from tsgen.anomaly.fitted import FittedScorer
from tsgen.anomaly.log import Data, read_runs
from tsgen.anomaly.readout import channel_shares
from tsgen.anomaly.runs import Run
from tsgen.anomaly.scored import Scored, joined, scored_run
from tsgen.anomaly.stream import Alarm, Stream
from tsgen.anomaly.thresholds import QuantileThreshold, Threshold
from tsgen.core import usable_device
from tsgen.storage import damage_told, write_manifest

_COMMON = ("center_", "scale_", "moments_")
"""Arrays that every detector has."""


class Detector(FittedScorer):
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

    threshold: Threshold = QuantileThreshold()  # noqa: RUF009 (immutable)
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
        self._learn_scale(logs)
        runs = [self.standardised(log)[0] for log in logs]
        del logs
        self._learn(runs)
        errors = [self._run_errors(run) for run in runs]
        fresh = self._fresh([len(error) for error in errors])
        ends = np.cumsum([len(error) for error in errors])[:-1]
        usual = [e[rows] for e, rows in zip(errors, np.split(fresh, ends), strict=True)]
        self._learn_moments(np.concatenate(usual))
        scores = [self.readout.total(self.readout.channels(e, self.moments_)) for e in errors]
        self.decision_scores_ = np.concatenate(scores)
        self.threshold_ = float(self.threshold.fit(self.decision_scores_[fresh]))
        self.calibration_: CalibratedThreshold | None = None
        self.labels_ = np.concatenate([self._flag(score) for score in scores])
        self.is_fitted_ = True
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
    ) -> CalibratedThreshold:
        """Set the threshold so that normal data raise so many alarms a day.

        Args:
            normal: data without attacks that were not learnt from.
            false_alarms_per_day: alarms, not rows.
            method: "pot" or "conformal"; see :func:`~tsgen.anomaly.budget.calibrate_threshold`.
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
        self.calibration_ = calibrate_threshold(
            np.concatenate(scores), false_alarms_per_day=false_alarms_per_day,
            rows_per_day=rows_per_day, policy=self.policy, method=method, block=block,
            boundaries=edges.tolist(),
        )  # fmt: skip
        self.threshold_ = self.calibration_.threshold
        self.reset()
        return self.calibration_

    # --- scoring a log ------------------------------------------------------------------------

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
        parts, offset = [], 0
        logs = self._read(data)
        for log, channels in zip(logs, self._run_channels(logs, progress), strict=True):
            rows = log.times if log.times is not None else offset + np.arange(len(channels))
            scores = self.readout.total(channels)
            channels /= self.readout.usual(self.moments_)  # in place: a log may be large
            events = self._events(scores)
            parts.append(scored_run(rows, scores, channels, events, self.names_, self.p_value))
            offset += len(channels)
        return joined(parts)

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
        is_row = isinstance(event, pd.Series | Mapping)
        start, end = (event["start"], event["end"]) if is_row else event
        index = logs[0].times if logs[0].times is not None else pd.RangeIndex(len(logs[0].values))
        inside = (index >= start) & (index <= (end if until is None else until))
        if not np.any(inside):
            raise ValueError(
                f"event {start} to {end} lies outside the data ({index[0]} to {index[-1]})"
            )
        relative = self._run_channels(logs)[0][inside] / self.readout.usual(self.moments_)
        return pd.Series(channel_shares(relative, self.names_), dtype=float)

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
        self.stream_ = Stream(self, AlarmState(self.threshold_, self.policy), self.p_value)

    # --- keeping ------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the detector and the state of its stream into a folder: JSON and arrays."""
        self._require_fit()
        path = Path(path)
        arrays = {name: np.asarray(getattr(self, name)) for name in self._array_names}
        learned = Learned(self.names_, self.period_, self.threshold_, self.calibration_, arrays)
        write_learned(path, self, learned)
        self.stream_.save(path)
        # the manifest, last, lists all but the stream, which changes while a detector watches
        write_manifest(path, (*LEARNED_FILES, *self._write_more(path)))

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
        path = Path(path)
        if device is not None:
            usable_device(device)
        with damage_told(path, "detector"):
            detector: Detector
            detector, learned = read_learned(path, Detector)
            detector._take(learned)
            detector._restore(path, device)
            detector.reset()
            detector.stream_.load(path)
            detector._check_learned()
        return detector

    @property
    def _array_names(self) -> tuple[str, ...]:
        return _COMMON + self.learned

    def _take(self, learned: Learned) -> None:
        """Take over what a saved detector had learnt.

        Raises:
            ValueError: for arrays that are not this detector's, or not of its channels.
        """
        arrays, expected = learned.arrays, set(self._array_names)
        if arrays.keys() != expected:
            raise ValueError(f"it has the arrays {sorted(arrays)}, not {sorted(expected)}")
        for name, array in arrays.items():
            if name in _COMMON and array.shape[-1:] != (len(learned.names),):
                raise ValueError(f"{name} is {array.shape}, for {len(learned.names)} channels")
            setattr(self, name, array)
        self.names_, self.period_ = learned.names, learned.period
        self.threshold_, self.calibration_ = learned.threshold, learned.calibration
        self.is_fitted_ = True

    def _restore(self, path: Path, device: str | None) -> None:
        """Rebuild what is not an array; called by :meth:`load` once the arrays are there."""

    def _check_learned(self) -> None:
        """Raise ``ValueError`` if what was loaded cannot score a row."""
        shape = (self.memory + 1, len(self.names_))
        errors = self.errors(np.zeros(shape), np.ones(shape, dtype=bool))
        if errors.shape != (1, shape[1]):
            raise ValueError(f"its errors of a row are {errors.shape}, for {shape[1]} channels")

    # --- inside -------------------------------------------------------------------------------

    def _events(self, scores: np.ndarray) -> list[Event]:
        return find_events(scores, self.threshold_, self.policy)

    def _flag(self, scores: np.ndarray) -> np.ndarray:
        return flags(self._events(scores), len(scores)).astype(int)
