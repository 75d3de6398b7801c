"""Labels and predictions as segments: unbroken stretches of ones that no run's edge crosses."""

from collections.abc import Iterable

import numpy as np

from tsgen.core import OptionError


def segments(rows: np.ndarray, boundaries: Iterable[int] = ()) -> np.ndarray:
    """First rows, and the rows after the last ones, of the stretches of ones, (n, 2).

    Args:
        rows: 0 or 1, (T,).
        boundaries: rows at which another run starts.

    Raises:
        ValueError: for values other than 0 and 1, or boundaries outside the rows.
    """
    on = binary("rows", rows)
    edges = edges_of(len(on), boundaries)
    cut = np.zeros(len(on) + 1, dtype=bool)
    cut[edges] = True
    before = np.concatenate([[False], on])
    after = np.concatenate([on, [False]])
    starts = np.flatnonzero(after & (~before | cut))
    stops = np.flatnonzero(before & (~after | cut))
    return np.stack([starts, stops], axis=1)


def edges_of(length: int, boundaries: Iterable[int]) -> np.ndarray:
    """The first rows of all runs and the number of rows."""
    inner = np.array(sorted(set(boundaries)), dtype=int)
    if len(inner) and not (0 <= inner[0] and inner[-1] <= length):
        raise OptionError("", "boundaries", inner.tolist(), f"within the {length} rows")
    return np.unique(np.concatenate([[0], inner, [length]]))


def binary(name: str, rows: np.ndarray) -> np.ndarray:
    """Rows of 0 and 1 as truth values, (T,)."""
    rows = np.asarray(rows)
    if rows.ndim != 1 or not len(rows):
        raise ValueError(f"{name} has shape {rows.shape}; expected (T,) with at least a row")
    wrong = ~np.isin(rows, (0, 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{name}, row {row}: {rows[row]} is neither 0 nor 1")
    return rows.astype(bool)


def both(labels: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels, of which at least one is 1, and predictions of the same rows, as truth values."""
    true, flagged = anomalous(labels), binary("predicted", predicted)
    same_rows(true, "predicted", flagged)
    return true, flagged


def anomalous(labels: np.ndarray) -> np.ndarray:
    """Labels as truth values, of which at least one is true."""
    true = binary("labels", labels)
    if not true.any():
        raise ValueError("labels hold no 1: there is nothing to be found")
    return true


def ranked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as truth values and scores of the same rows; a row without a score comes last."""
    true, scores = anomalous(labels), np.asarray(scores, dtype=float)
    same_rows(true, "scores", scores)
    if np.isinf(scores).any():
        raise ValueError(f"scores, row {int(np.argmax(np.isinf(scores)))}: the score is infinite")
    missing = np.isnan(scores)
    if missing.all():
        raise ValueError("scores are all missing")
    return true, np.where(missing, np.min(scores[~missing]), scores)


def same_rows(labels: np.ndarray, name: str, values: np.ndarray) -> None:
    """Both have a value per row."""
    if values.shape != labels.shape:
        raise ValueError(f"{name} has shape {values.shape}; labels have {labels.shape}")


def harmonic(precision: float, recall: float) -> float:
    """The harmonic mean; 0 if both are."""
    total = precision + recall
    return 2 * precision * recall / total if total > 0 else 0.0
