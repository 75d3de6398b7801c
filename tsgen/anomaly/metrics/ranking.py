"""How well scores rank anomalous rows before normal ones, whatever the threshold."""

from collections.abc import Iterable

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from tsgen.anomaly.metrics.segments import edges_of, ranked, segments
from tsgen.core import OptionError


def auc_pr(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the precision-recall curve: scikit-learn's average precision.

    A score without information has the share of anomalous rows.

    Args:
        labels: 1 for anomalous rows, (T,).
        scores: (T,), higher is stranger; a row without one (NaN) counts as the least strange.

    Raises:
        ValueError: for labels other than 0 and 1 or without a 1, or scores of other rows.
    """
    return float(average_precision_score(*ranked(labels, scores)))


def auc_roc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the probability that an anomalous row is stranger than a normal.

    Args and errors as for :func:`auc_pr`; at least one row must be normal.
    """
    true, scores = ranked(labels, scores)
    if true.all():
        raise ValueError("labels are all 1: an ROC curve needs normal rows")
    return float(roc_auc_score(true, scores))


def vus_pr(
    labels: np.ndarray,
    scores: np.ndarray,
    *,
    window: int = 100,
    thresholds: int = 250,
    boundaries: Iterable[int] = (),
) -> float:
    r"""Volume under the precision-recall surface, by step integration.

    The mean over :math:`\ell = 0, \dots, L` of the average precision of soft labels: beside an
    event, rows at a distance :math:`d \le \ell / 2` count :math:`\sqrt{1 - d / \ell}`. With
    :math:`P` anomalous rows and the soft labels :math:`y_\ell`, a threshold's true positives are
    the sum of :math:`y_\ell` over the flagged rows, its recall is that by :math:`P` and half the
    soft labels outside events that are flagged (at most 1), times the share of events, with what
    is beside them, that are flagged somewhere. Values are those of TSB-AD (the authors' too);
    packages that integrate by trapezes have others (.507 where this has .514): never compare.

    Args:
        labels: 1 for anomalous rows, (T,).
        scores: (T,), higher is stranger; a row without one (NaN) counts as the least strange.
        window: :math:`L`, rows; name it with the figure.
        thresholds: quantiles of the scores.
        boundaries: rows at which another run starts: nothing is softened beyond.

    Raises:
        ValueError: as for :func:`auc_pr`, for a window below 0 or fewer than 2 thresholds.

    Source:
        Paparrizos et al., Volume under the surface (VLDB 2022); Liu & Paparrizos, TSB-AD (2024).
    """
    if window < 0:
        raise OptionError("", "window", window, "at least 0")
    if thresholds < 2:
        raise OptionError("", "thresholds", thresholds, "at least 2")
    true, scores = ranked(labels, scores)
    boundaries = list(boundaries)
    attacks, edges = segments(true, boundaries), edges_of(len(true), boundaries)
    levels = np.sort(scores)[::-1][np.linspace(0, len(scores) - 1, thresholds).astype(int)]
    step = np.searchsorted(-levels, -scores)  # the first threshold that flags a row
    flagged = np.cumsum(np.bincount(step, minlength=thresholds))
    areas = [
        _average_precision(true, attacks, edges, scores, levels, step, flagged, width)
        for width in range(window + 1)
    ]
    return float(np.mean(areas))


def _average_precision(
    true: np.ndarray,
    attacks: np.ndarray,
    edges: np.ndarray,
    scores: np.ndarray,
    levels: np.ndarray,
    step: np.ndarray,
    flagged: np.ndarray,
    width: int,
) -> float:
    """Average precision of labels that are softened over so many rows."""
    soft, around = _soften(true, attacks, edges, width)
    rows = np.flatnonzero(soft)
    inside = true[rows]
    hits = np.bincount(step[rows], weights=soft[rows], minlength=len(levels))
    beside = np.bincount(step[rows], weights=np.where(inside, 0, soft[rows]), minlength=len(levels))
    positive = np.cumsum(hits)
    recall = np.minimum(positive / (np.count_nonzero(true) + np.cumsum(beside) / 2), 1)
    peaks = np.sort(np.maximum.reduceat(np.append(scores, -np.inf), around.ravel())[::2])
    existence = 1 - np.searchsorted(peaks, levels) / len(peaks)
    gained = np.diff(recall * existence, prepend=0)
    return float(np.sum(gained * positive / flagged))


def _soften(
    true: np.ndarray, attacks: np.ndarray, edges: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Soft labels (T,), and the events with what is beside them, joined where that meets."""
    soft = true.astype(float)
    run = np.searchsorted(edges, attacks[:, 0], side="right")
    low, high = edges[run - 1], edges[run]
    for distance in range(1, width // 2 + 1):
        weight = np.sqrt(1 - distance / width)
        before, after = attacks[:, 0] - distance, attacks[:, 1] - 1 + distance
        soft[before[before >= low]] += weight
        soft[after[after < high]] += weight
    starts = np.maximum(attacks[:, 0] - width // 2, low)
    stops = np.minimum(attacks[:, 1] + width // 2, high)
    apart = stops[:-1] <= starts[1:]
    first = np.concatenate([[True], apart])
    last = np.concatenate([apart, [True]])
    return np.minimum(soft, 1), np.stack([starts[first], stops[last]], axis=1)
