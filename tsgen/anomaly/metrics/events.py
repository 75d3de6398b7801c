"""Alarms against events: what an operator would count."""

from collections.abc import Iterable

import numpy as np

from tsgen.anomaly.metrics.segments import binary, both, harmonic, same_rows, segments
from tsgen.core import OptionError


def event_recall(
    labels: np.ndarray, predicted: np.ndarray, boundaries: Iterable[int] = ()
) -> float:
    """Share of events of which at least one row is flagged.

    Args:
        labels: 1 for anomalous rows, (T,); an unbroken stretch of ones is an event.
        predicted: 1 for flagged rows, (T,); an unbroken stretch of ones is an alarm.
        boundaries: rows at which another run starts; no event or alarm crosses them.

    Raises:
        ValueError: for values other than 0 and 1, different lengths, or labels without a 1.
    """
    true, flagged = both(labels, predicted)
    return float(np.mean(touched(segments(true, boundaries), flagged)))


def event_precision(
    labels: np.ndarray, predicted: np.ndarray, boundaries: Iterable[int] = ()
) -> float:
    """Share of alarms that touch an event; 0 if there is no alarm.

    Args and errors as for :func:`event_recall`.
    """
    true, flagged = both(labels, predicted)
    alarms = segments(flagged, boundaries)
    return float(np.mean(touched(alarms, true))) if len(alarms) else 0.0


def event_f1(labels: np.ndarray, predicted: np.ndarray, boundaries: Iterable[int] = ()) -> float:
    """Harmonic mean of :func:`event_precision` and :func:`event_recall`."""
    edges = list(boundaries)
    precision = event_precision(labels, predicted, edges)
    return harmonic(precision, event_recall(labels, predicted, edges))


def detection_delays(
    labels: np.ndarray, predicted: np.ndarray, boundaries: Iterable[int] = ()
) -> np.ndarray:
    """Rows from each event's start to its first flagged row, (events,); NaN if it was missed.

    An alarm that is on already when the event starts has the delay 0. Args and errors as for
    :func:`event_recall`.
    """
    true, flagged = both(labels, predicted)
    attacks = segments(true, boundaries)
    alarms = np.append(np.flatnonzero(flagged), len(flagged))
    first = alarms[np.searchsorted(alarms, attacks[:, 0])]
    return np.where(first < attacks[:, 1], first - attacks[:, 0], np.nan)


def false_alarms_per_day(
    labels: np.ndarray,
    predicted: np.ndarray,
    *,
    rows_per_day: float,
    boundaries: Iterable[int] = (),
) -> float:
    """Alarms that touch no event, by the days of rows outside events.

    Args:
        labels: 1 for anomalous rows, (T,); may be 0 throughout.
        predicted: 1 for flagged rows, (T,).
        rows_per_day: 86400 by the seconds between rows.
        boundaries: rows at which another run starts.

    Raises:
        ValueError: as for :func:`event_recall`, for labels without a 0, or ``rows_per_day`` not
            above 0.
    """
    if not rows_per_day > 0:
        raise OptionError("", "rows_per_day", rows_per_day, "a number above 0")
    true, flagged = binary("labels", labels), binary("predicted", predicted)
    same_rows(true, "predicted", flagged)
    if true.all():
        raise ValueError("labels are all 1: there is no normal time to count false alarms in")
    false = ~touched(segments(flagged, boundaries), true)
    return float(false.sum() * rows_per_day / np.count_nonzero(~true))


def touched(bounds: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which segments (n, 2) hold a row that is true, (n,)."""
    total = np.concatenate([[0], np.cumsum(rows)])
    return total[bounds[:, 1]] > total[bounds[:, 0]]
