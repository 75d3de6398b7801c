"""Which windows of a backtest are of one series."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsgen.data.entries import Entry


def series_of(
    entries: Sequence[Entry], starts: Sequence[pd.Period], horizon: int
) -> list[list[int]]:
    """Windows of each series in the order of time, for entries that each end with their window.

    Series are told apart by ``item_id``. Where no name comes twice, entries that begin at one time
    with the same values are of one series; where that does not tell, each name is a series, and
    without names windows that start together are different series, in the same order at each time.

    Args:
        entries: the windows with their histories.
        starts: first step of each window.
        horizon: steps of a window.
    """
    ids = [entry.get("item_id") for entry in entries]
    has_ids = None not in ids and _distinct(ids, starts)
    keys: list[Any] = ids
    if not has_ids:
        number_at: Counter[pd.Period] = Counter()
        keys = []
        for start in starts:
            keys.append(number_at[start])
            number_at[start] += 1
    if len(set(starts)) > 1 and not (has_ids and len(set(ids)) < len(ids)):
        alike = _first_alike(entries, horizon)
        if _distinct(alike, starts) and len(set(alike)) < len(alike):
            keys = alike
    groups: dict[Any, list[int]] = {}
    for window, key in enumerate(keys):
        groups.setdefault(key, []).append(window)
    return [sorted(g, key=lambda w: starts[w].ordinal) for g in groups.values()]


def _first_alike(entries: Sequence[Entry], horizon: int) -> list[int]:
    """For each entry the first one that is the same as far as both go, gaps aside."""
    targets = [np.atleast_2d(np.asarray(entry["target"], dtype=float)) for entry in entries]
    head = max(min(target.shape[1] for target in targets) - horizon, 0)
    firsts: dict[Any, list[int]] = {}
    earliest = []
    for window, (entry, target) in enumerate(zip(entries, targets, strict=True)):
        same = firsts.setdefault((str(entry["start"]), target[:, :head].tobytes()), [])
        window_alike = next((other for other in same if _alike(target, targets[other])), window)
        earliest.append(window_alike)
        if window_alike == window:
            same.append(window)
    return earliest


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two targets (C, T) agree as far as both go; a window may be masked in its entry."""
    length = min(one.shape[1], other.shape[1])
    a, b = one[:, :length], other[:, :length]
    return bool(((a == b) | np.isnan(a) | np.isnan(b)).all())


def _distinct(keys: Sequence[Any], starts: Sequence[pd.Period]) -> bool:
    """Whether no two windows of one series start together."""
    return len({*zip(keys, starts, strict=True)}) == len(keys)
