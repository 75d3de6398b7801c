"""Scores row by row, and the alarms that they raise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsgen.anomaly.events import AlarmState
from tsgen.anomaly.fitted import FittedScorer
from tsgen.anomaly.log import missing_rows, settled
from tsgen.anomaly.readout import channel_shares
from tsgen.core.atomic import replacing
from tsgen.storage import load_arrays, save_arrays

STREAM = "stream.safetensors"
"""File of a saved detector that holds its stream."""

_ARRAYS = ("values", "observed", "recorded", "errors", "last", "sums", "counts")


@dataclass(frozen=True)
class Alarm:
    """What an operator hears.

    Args:
        state: "raised" or "ended".
        time: of the row that caused it, or its number.
        start: of the first row above the threshold.
        score: the highest score so far.
        p_value: probability that a block of normal rows has such an alarm; NaN if not calibrated.
        channels: shares of the channels in the event from its start to now, highest first.
    """

    state: str
    time: Any
    start: Any
    score: float
    p_value: float
    channels: dict[str, float]


class Stream:
    """The rows that the next score depends on, and the alarm that is on.

    Scores are those of the batch: the scorer gets the same rows.

    Args:
        scorer: gives the scores.
        alarm: the state of the alarms, before the first row.
        p_value: of what an alarm sustained, the probability that a block of normal rows has such
            an alarm.
    """

    def __init__(
        self, scorer: FittedScorer, alarm: AlarmState, p_value: Callable[[float], float]
    ) -> None:
        channels = len(scorer.names_)
        self.scorer, self.alarm, self.p_value = scorer, alarm, p_value
        self.values = np.zeros((scorer.memory, channels))
        self.observed = np.zeros((scorer.memory, channels), dtype=bool)
        self.recorded = np.zeros(scorer.memory + 1, dtype=bool)
        # no memory before the first row: the shape may be a damaged folder's
        self.errors = np.broadcast_to(np.nan, (scorer.readout.memory, channels))
        self.last = np.zeros(channels)
        self.sums, self.counts = np.zeros(channels), np.zeros(channels)
        self.time: pd.Timestamp | None = None
        self.start: Any = None
        self.rows = self.late = 0
        self.score = float("nan")

    def update(self, row: Any, time: Any = None) -> Alarm | None:
        """Score the next row and return the alarm that it raises or ends.

        Args:
            row: (C,), a Series or a dictionary by channel; NaN or absent where a sensor is missing.
            time: of the row. Steps left out since the last row count as missing rows. A row that
                is not later than the last one is left out and counted in ``late``.

        Raises:
            ValueError: for unknown channels, another number of channels, or infinite values.
        """
        scorer = self.scorer
        values = (self._read(row) - scorer.center_) / scorer.scale_
        if time is not None:
            time = pd.Timestamp(time)
            if self.time is not None:
                seconds = (time - self.time).total_seconds()
                if seconds <= 0:
                    self.late += 1
                    return None
                if scorer.period_ is not None:
                    for _ in range(missing_rows(seconds, scorer.period_, scorer.reach + 1)):
                        self._score(np.full_like(values, np.nan))
            self.time = time
        channels = self._score(values)
        label = self.rows if time is None else time
        self.rows += 1
        self.score = float(scorer.readout.total(channels[None])[0])
        return self._alarm(channels, label)

    def _alarm(self, channels: np.ndarray, label: Any) -> Alarm | None:
        scorer = self.scorer
        change = self.alarm.update(self.score)
        if self.alarm.onset is None and change is None:
            self._forget()
            return None
        if self.start is None:
            self.start = label
        scored = np.isfinite(channels)
        relative = channels / scorer.readout.usual(scorer.moments_)
        self.sums += np.where(scored, relative, 0.0)
        self.counts += scored
        if change is None:
            return None
        shares = channel_shares((self.sums / np.maximum(self.counts, 1))[None], scorer.names_)
        peak, sustained = float(self.alarm.peak_score), float(self.alarm.sustained)
        alarm = Alarm(change, label, self.start, peak, self.p_value(sustained), shares)
        if change == "ended":
            self._forget()
        return alarm

    def _forget(self) -> None:
        """Clear the sums of an excursion that is over."""
        self.sums[:], self.counts[:], self.start = 0, 0, None

    def _score(self, values: np.ndarray) -> np.ndarray:
        """Channel scores (C,) of one standardised row."""
        scorer = self.scorer
        observed = np.isfinite(values)
        self.last = np.where(observed, values, self.last)
        rows = np.concatenate([self.values, self.last[None]])
        mask = np.concatenate([self.observed, observed[None]])
        recorded = np.append(self.recorded, observed.any())
        scored = observed & settled(recorded, scorer.memory)
        error = np.where(scored, scorer.errors(rows, mask), np.nan)
        errors = np.concatenate([self.errors, error])
        self.values, self.observed, self.errors = rows[1:], mask[1:], errors[1:]
        self.recorded = recorded[1:]
        return scorer.readout.channels(errors, scorer.moments_, len(errors) - 1)[0]

    def _read(self, row: Any) -> np.ndarray:
        names = self.scorer.names_
        if isinstance(row, pd.Series):
            row = row.to_dict()
        if isinstance(row, Mapping):
            extra = [str(name) for name in row if str(name) not in names]
            if extra:
                raise ValueError(f"the row has unknown channels: {', '.join(extra)}")
            by_name = {str(name): value for name, value in row.items()}
            values = np.array([by_name.get(name, np.nan) for name in names], dtype=float)
        else:
            values = np.asarray(row, dtype=float)
        if values.shape != (len(names),):
            raise ValueError(f"the row has shape {values.shape}; expected ({len(names)},)")
        if np.isinf(values).any():
            raise ValueError(f"column {names[int(np.argmax(np.isinf(values)))]!r} is infinite")
        return values

    def save(self, folder: Path) -> None:
        """Write what goes on after :meth:`load`; an older file is replaced as a whole."""
        start = self.start
        plain = {
            "time": None if self.time is None else self.time.isoformat(),
            "start": start.isoformat() if isinstance(start, pd.Timestamp) else start,
            "rows": self.rows, "late": self.late, "alarm": self.alarm.state_dict(),
        }  # fmt: skip
        with replacing(folder / STREAM) as part:
            save_arrays(part, {name: getattr(self, name) for name in _ARRAYS}, plain)

    def load(self, folder: Path) -> None:
        """Go on from what was saved.

        Raises:
            ValueError: for a state that is damaged or another detector's.
        """
        arrays, plain = load_arrays(folder / STREAM)
        for name in _ARRAYS:
            array, own = arrays[name], getattr(self, name)
            if array.shape != own.shape or array.dtype != own.dtype:
                raise ValueError(
                    f"{STREAM}: {name} is {array.dtype} {array.shape}, this detector's is "
                    f"{own.dtype} {own.shape}"
                )
            setattr(self, name, array)
        self.time = None if plain["time"] is None else pd.Timestamp(plain["time"])
        start = plain["start"]
        self.start = pd.Timestamp(start) if isinstance(start, str) else start
        self.rows, self.late = int(plain["rows"]), int(plain["late"])
        self.alarm.load_state_dict(plain["alarm"])
