"""Alarms: when a score is high for long enough, and when that is over."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np

from tsgen.core import Count, Options, at_least, between

_HIGHEST = ("peak_score", "sustained")


class AlarmPolicy(Options):
    """How scores above a threshold become alarms; all in rows, all causal.

    Args:
        release: an alarm ends only when the score falls below ``threshold - (1 - release) *
            |threshold|``, in (0, 1]; 1 has no hysteresis.
        min_duration: rows at or above the threshold, one after the other, for an alarm to be raised
            (an on-delay).
        merge_gap: an excursion survives so many rows below the release level.
        cool_down: rows after an alarm's end in which none is raised.
    """

    release: Annotated[float, between(0, 1, "(]")] = 1.0
    min_duration: Count = 1
    merge_gap: Annotated[int, at_least(0)] = 0
    cool_down: Annotated[int, at_least(0)] = 0


@dataclass(frozen=True)
class Event:
    """One alarm.

    Args:
        start: its onset, the excursion's first row at or above the threshold.
        raised: the row at which an operator hears of it.
        stop: the row after its last one above the release level.
        peak: the row of its highest score.
        score: the score there.
        sustained: the highest threshold at which it would have been raised: the highest of its
            scores that ``min_duration`` rows kept up; without an on-delay, the score.
    """

    start: int
    raised: int
    stop: int
    peak: int
    score: float
    sustained: float


class AlarmState:
    """What the alarms of one stream depend on; the one place of the alarms' logic.

    An excursion begins at a row at or above the threshold and lasts while rows are at or above the
    release level, but for ``merge_gap`` rows. A row without a score (NaN) counts neither as above
    nor as below, and interrupts nothing: it only lets a cool-down run on.

    Args:
        threshold: alarms begin here.
        policy: and become alarms by this.
    """

    def __init__(self, threshold: float, policy: AlarmPolicy | None = None) -> None:
        self.threshold, self.policy = threshold, policy or AlarmPolicy()
        self.release = threshold - (1 - self.policy.release) * abs(threshold)
        self.row = 0
        self.onset: int | None = None
        self.raised: int | None = None
        self.above: list[float] = []  # the last scores, one after the other, above the threshold
        self.below = self.wait = 0
        self.last = self.peak = 0
        self.peak_score = self.sustained = -np.inf
        self.ended: Event | None = None

    @property
    def event(self) -> Event | None:
        """The alarm that is on."""
        if self.onset is None or self.raised is None:
            return None
        return Event(
            self.onset, self.raised, self.last + 1, self.peak, self.peak_score, self.sustained
        )

    def update(self, score: float) -> Literal["raised", "ended"] | None:
        """Take the next score and tell what changed.

        "ended" comes when the excursion is over, ``merge_gap`` rows after its last row.
        """
        row, self.row = self.row, self.row + 1
        ready = self.wait == 0
        self.wait = max(self.wait - 1, 0)
        if np.isnan(score):
            return None
        if self.onset is None:
            if score < self.threshold or not ready:
                return None
            self.onset, self.above, self.below = row, [], 0
            self.peak_score = self.sustained = -np.inf
        if score > self.peak_score:
            self.peak, self.peak_score = row, float(score)
        longest = self.policy.min_duration
        self.above = [*self.above, float(score)][-longest:] if score >= self.threshold else []
        if len(self.above) == longest:
            self.sustained = max(self.sustained, min(self.above))
        if score >= self.release:
            self.last, self.below = row, 0
            if self.raised is None and len(self.above) == longest:
                self.raised = row
                return "raised"
            return None
        self.below += 1
        if self.below <= self.policy.merge_gap:
            return None
        return self._end()

    def _end(self) -> Literal["ended"] | None:
        self.ended = self.event
        self.onset = self.raised = None
        if self.ended is None:
            return None
        self.wait = self.policy.cool_down
        return "ended"

    def state_dict(self) -> dict[str, Any]:
        """Plain values from which :meth:`load_state_dict` goes on."""
        left_out = ("threshold", "policy", "release", "ended")
        state = {k: v for k, v in vars(self).items() if k not in left_out}
        return {k: None if k in _HIGHEST and np.isinf(v) else v for k, v in state.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises:
            ValueError: for one that has other values.
        """
        numbers = [value for k, value in state.items() if k != "above"] + state.get("above", [])
        plain = all(value is None or isinstance(value, int | float) for value in numbers)
        if state.keys() != self.state_dict().keys() or not plain:
            raise ValueError(f"the state of its alarm has {sorted(state)}")
        for name, value in state.items():
            setattr(self, name, -np.inf if name in _HIGHEST and value is None else value)


def find_events(
    scores: np.ndarray,
    threshold: float,
    policy: AlarmPolicy | None = None,
    *,
    boundaries: Iterable[int] = (),
) -> list[Event]:
    """The alarms of a series of scores (T,), as :class:`AlarmState` raises them.

    Args:
        scores: higher is stranger; NaN where there is none.
        threshold: alarms begin here.
        policy: how scores become alarms.
        boundaries: rows at which another run starts; no event crosses them.
    """
    scores = np.asarray(scores, dtype=float)
    edges = [0, *sorted(set(boundaries) - {0, len(scores)}), len(scores)]
    events: list[Event] = []
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        events += _events(scores[first:last], first, AlarmState(threshold, policy))
    return events


def _events(scores: np.ndarray, offset: int, state: AlarmState) -> list[Event]:
    events: list[Event] = []
    begins = np.flatnonzero(scores >= state.threshold)
    row = 0
    while row < len(scores):
        if state.onset is None:  # nothing happens before the next row above the threshold
            where = np.searchsorted(begins, row)
            following = int(begins[where]) if where < len(begins) else len(scores)
            state.wait = max(state.wait - (following - row), 0)
            state.row = row = following
            if row == len(scores):
                break
        if state.update(scores[row]) == "ended" and state.ended is not None:
            events.append(state.ended)
        row += 1
    if state.event is not None:
        events.append(state.event)
    return [_later(event, offset) for event in events]


def _later(event: Event, rows: int) -> Event:
    places = {name: getattr(event, name) + rows for name in ("start", "raised", "stop", "peak")}
    return replace(event, **places)


def flags(events: Iterable[Event], length: int) -> np.ndarray:
    """True for the rows of alarms from when they are raised, (length,)."""
    on = np.zeros(length, dtype=bool)
    for event in events:
        on[event.raised : event.stop] = True
    return on
