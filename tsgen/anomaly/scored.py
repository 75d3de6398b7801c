"""A log with its scores, its alarms and the channels that carry them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsgen.anomaly.events import Event, flags
from tsgen.anomaly.readout import channel_shares

_COLUMNS = ("start", "end", "raised", "peak", "score", "p_value", "channels")


@dataclass(frozen=True)
class Scored:
    """A log that was scored.

    Args:
        index: times of the rows, or their numbers, (T,).
        scores: (T,), higher is stranger; NaN where nothing was recorded.
        attribution: how much stranger each channel is than usual, (T, C).
        flagged: 1 for the rows of an alarm, (T,).
        alarms: one a row, with the columns of ``Detector.detect``.
    """

    index: pd.Index
    scores: np.ndarray
    attribution: np.ndarray
    flagged: np.ndarray
    alarms: pd.DataFrame


def scored_run(
    rows: pd.DatetimeIndex | np.ndarray,
    scores: np.ndarray,
    attribution: np.ndarray,
    events: Sequence[Event],
    names: tuple[str, ...],
    p_value: Callable[[float], float],
) -> Scored:
    """One run with its events as a table of alarms.

    Args:
        rows: times of the rows, or their numbers, (T,).
        scores: (T,).
        attribution: how much stranger each channel is than usual, (T, C).
        events: the alarms of the scores.
        names: of the channels.
        p_value: of what an event sustained, the probability that a block of normal rows has it.
    """
    alarms = [
        {
            "start": rows[event.start], "end": rows[event.stop - 1],
            "raised": rows[event.raised], "peak": rows[event.peak],
            "score": event.score, "p_value": p_value(event.sustained),
            "channels": channel_shares(attribution[event.start : event.stop], names),
        }
        for event in events
    ]  # fmt: skip
    flagged = flags(events, len(scores)).astype(int)
    table = pd.DataFrame(alarms, columns=list(_COLUMNS))
    return Scored(pd.Index(rows), scores, attribution, flagged, table)


def joined(runs: Sequence[Scored]) -> Scored:
    """Runs one after the other as one log."""
    index = runs[0].index.append([run.index for run in runs[1:]])
    alarms = [row for run in runs for row in run.alarms.to_dict("records")]
    return Scored(
        index,
        np.concatenate([run.scores for run in runs]),
        np.concatenate([run.attribution for run in runs]),
        np.concatenate([run.flagged for run in runs]),
        pd.DataFrame(alarms, columns=list(_COLUMNS)),
    )
