"""Affiliation: how near alarms and events are, against rows flagged at random."""

from collections.abc import Iterable

import numpy as np

from tsgen.anomaly.metrics.segments import both, edges_of, harmonic, segments


def affiliation_precision_recall(
    labels: np.ndarray, predicted: np.ndarray, boundaries: Iterable[int] = ()
) -> tuple[float, float]:
    r"""Affiliation precision and recall, each in [0, 1].

    Time is cut half-way between events; E is the zone of an event J, I what is flagged in it. The
    precision of x in I is the probability that a point uniform in E lies farther from J than x; the
    recall of y in J the probability that it lies farther from y than I does. They are averaged over
    I and J, then precision over zones with alarms, recall over all events. A score without
    information has about .67, a flag on everything a recall of 1: a figure for comparing detectors
    of like alarm rates only.

    Args:
        labels: 1 for anomalous rows, (T,); row t is the time from t to t + 1.
        predicted: 1 for flagged rows, (T,).
        boundaries: rows at which another run starts: zones end there. Alarms in runs without an
            event belong to no zone and are not counted.

    Raises:
        ValueError: for values other than 0 and 1, different lengths, or labels without a 1.

    Returns:
        Precision (NaN if no zone has an alarm) and recall.

    Source:
        Huet, Navarro and Rossi, Local evaluation of time series anomaly detection (KDD 2022).
    """
    true, flagged = both(labels, predicted)
    edges = edges_of(len(true), boundaries)
    precisions, recalls = [], []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        events = segments(true[start:stop])
        if len(events):
            middles = (events[:-1, 1] + events[1:, 0]) / 2
            zones = np.concatenate([[0], middles, [stop - start]])
            alarms = segments(flagged[start:stop])
            precisions += list(_precisions(events, zones, flagged[start:stop]))
            recalls += [_recall(event, zones[i : i + 2], alarms) for i, event in enumerate(events)]
    defined = np.array(precisions)[~np.isnan(precisions)]
    return float(defined.mean()) if len(defined) else float("nan"), float(np.mean(recalls))


def affiliation_f1(
    labels: np.ndarray, predicted: np.ndarray, boundaries: Iterable[int] = ()
) -> float:
    """Harmonic mean of affiliation precision and recall; 0 if no zone has an alarm."""
    precision, recall = affiliation_precision_recall(labels, predicted, boundaries)
    return 0.0 if np.isnan(precision) else harmonic(precision, recall)


def _precisions(events: np.ndarray, zones: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """Of each zone; the integrand is linear on half rows, so its middles give the integral."""
    rows = np.flatnonzero(flagged)
    points = (rows[:, None] + [0.25, 0.75]).ravel()
    zone = np.searchsorted(zones, points, side="right") - 1
    low, high = zones[zone], zones[zone + 1]
    first, last = events[zone, 0], events[zone, 1]
    distance = np.maximum(np.maximum(first - points, points - last), 0)
    nearer = np.minimum(distance, np.minimum(first - low, high - last)) + distance
    farther = 1 - np.where(distance > 0, (last - first + nearer) / (high - low), 0)
    count = np.bincount(zone, minlength=len(events))
    total = np.bincount(zone, weights=farther, minlength=len(events))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _recall(event: np.ndarray, zone: np.ndarray, alarms: np.ndarray) -> float:
    """Of an event; the integrand is linear on quarter rows."""
    low, high = zone
    near = alarms[(alarms[:, 1] > low) & (alarms[:, 0] < high)].clip(low, high)
    if not len(near):
        return 0.0
    points = event[0] + (np.arange(4 * (event[1] - event[0])) + 0.5) / 4
    place = np.searchsorted(near[:, 0], points, side="right") - 1
    behind = np.where(place >= 0, points - near[np.maximum(place, 0), 1], np.inf)
    following = np.minimum(place + 1, len(near) - 1)
    ahead = np.where(place + 1 < len(near), near[following, 0] - points, np.inf)
    distance = np.maximum(np.minimum(behind, ahead), 0)
    nearer = np.minimum(distance, np.minimum(points - low, high - points)) + distance
    return float(np.mean(1 - np.where(distance > 0, nearer / (high - low), 0)))
