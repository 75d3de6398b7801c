"""Precision and recall of ranges: how much of each event is covered, in how many pieces."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np

from tsgen.anomaly.metrics.events import touched
from tsgen.anomaly.metrics.segments import both, harmonic, segments
from tsgen.core import OptionError

Bias: TypeAlias = Literal["flat", "front", "middle", "back"]


def range_recall(
    labels: np.ndarray,
    predicted: np.ndarray,
    *,
    alpha: float = 0.0,
    bias: Bias = "flat",
    boundaries: Iterable[int] = (),
) -> float:
    r"""Mean over events of :math:`\alpha\,[\text{touched}] + (1 - \alpha)\, \omega / n`.

    :math:`\omega` is the weight of the event's rows that are flagged, :math:`n` the number of
    alarms that touch it (at least 1): an event that is found in pieces counts less.

    Args:
        labels: 1 for anomalous rows, (T,).
        predicted: 1 for flagged rows, (T,).
        alpha: weight of being touched at all, in [0, 1].
        bias: weights of an event's rows: equal, or highest at its front, middle or back.
        boundaries: rows at which another run starts.

    Raises:
        ValueError: for values other than 0 and 1, different lengths, labels without a 1, or options
            out of range.

    Source:
        Tatbul et al., Precision and recall for time series (NeurIPS 2018), equations 4 to 7.
    """
    true, flagged = both(labels, predicted)
    return _reward(true, flagged, alpha, bias, list(boundaries))


def range_precision(
    labels: np.ndarray,
    predicted: np.ndarray,
    *,
    bias: Bias = "flat",
    boundaries: Iterable[int] = (),
) -> float:
    r"""Mean over alarms of :math:`\omega / n`, the share that lies in events; 0 without alarms.

    The same as :func:`range_recall`, alarms and events exchanged, at :math:`\alpha = 0`.
    """
    true, flagged = both(labels, predicted)
    return _reward(flagged, true, 0.0, bias, list(boundaries))


def range_f1(
    labels: np.ndarray,
    predicted: np.ndarray,
    *,
    alpha: float = 0.0,
    bias: Bias = "flat",
    boundaries: Iterable[int] = (),
) -> float:
    """Harmonic mean of :func:`range_precision` and :func:`range_recall`."""
    edges = list(boundaries)
    recall = range_recall(labels, predicted, alpha=alpha, bias=bias, boundaries=edges)
    return harmonic(range_precision(labels, predicted, bias=bias, boundaries=edges), recall)


def _reward(
    rows: np.ndarray, others: np.ndarray, alpha: float, bias: Bias, boundaries: list[int]
) -> float:
    """Mean reward of the segments of rows for what the others cover of them."""
    if not 0 <= alpha <= 1:
        raise OptionError("", "alpha", alpha, "in [0, 1]")
    if bias not in ("flat", "front", "middle", "back"):
        raise OptionError("", "bias", bias, "'flat', 'front', 'middle' or 'back'")
    bounds = segments(rows, boundaries)
    if not len(bounds):
        return 0.0
    length = bounds[:, 1] - bounds[:, 0]
    place = np.zeros(len(rows))
    inside = np.flatnonzero(rows)
    place[inside] = inside - np.repeat(bounds[:, 0], length) + 1
    back = np.repeat(length, length) + 1 - place[inside]
    weights = {
        "flat": np.ones(len(inside)), "front": back, "back": place[inside],
        "middle": np.minimum(back, place[inside]),
    }[bias]  # fmt: skip
    first = np.concatenate([[0], np.cumsum(length)[:-1]])
    covered = np.add.reduceat(weights * others[inside], first) / np.add.reduceat(weights, first)
    begun = np.zeros(len(rows) + 1, dtype=int)
    begun[segments(others, boundaries)[:, 0] + 1] = 1
    begun = np.cumsum(begun)
    pieces = begun[bounds[:, 1]] - begun[bounds[:, 0] + 1] + others[bounds[:, 0]]
    reward = alpha * touched(bounds, others) + (1 - alpha) * covered / np.maximum(pieces, 1)
    return float(np.mean(reward))
