"""Cutting series in time: what a forecast may see, training and held-out parts, rolling windows.

An entry is GluonTS' dictionary: ``start``, ``target`` (T,) or (C, T), and optional covariates.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tsgen.core import OptionError
from tsgen.data.entries import Entry

_AHEAD = ("feat_dynamic_real", "feat_dynamic_cat")
_PAST = ("target", "past_feat_dynamic_real", "past_feat_dynamic_cat")


def length_of(entry: Entry) -> int:
    """Steps of an entry's target."""
    return np.shape(entry["target"])[-1]


def until(entry: Entry, end: int, ahead: int = 0) -> Entry:
    """The first ``end`` steps of an entry.

    Args:
        entry: cut are the target and whatever else runs along time.
        end: steps kept.
        ahead: further steps kept of what is known in the future, where there are so many.
    """
    stop = {**dict.fromkeys(_PAST, end), **dict.fromkeys(_AHEAD, end + ahead)}
    return {k: np.asarray(v)[..., : stop[k]] if k in stop else v for k, v in entry.items()}


def rolling(
    dataset: Iterable[Entry], windows: int, horizon: int, stride: int | None = None
) -> list[Entry]:
    """Rolling test windows at the end of each series, as entries that end with their window.

    The order is that of the benchmark sets: all series of the first cut, then of the second, ...

    Args:
        dataset: whole series.
        windows: cuts of each series; the last one ends with the series.
        horizon: steps of a window.
        stride: steps from a cut to the next one; a horizon, if not given.

    Raises:
        ValueError: naming the first series that is too short for one step of history.
    """
    stride = horizon if stride is None else stride
    for name, value in (("windows", windows), ("horizon", horizon), ("stride", stride)):
        if value < 1:
            raise OptionError("", name, value, "at least 1")
    entries = list(dataset)
    needed = (windows - 1) * stride + horizon
    for number, entry in enumerate(entries):
        if length_of(entry) <= needed:
            raise ValueError(
                f"series {entry.get('item_id', number)!r} has {length_of(entry)} steps; "
                f"windows={windows} of horizon={horizon} need more than {needed}"
            )
    return [
        until(entry, length_of(entry) - cut * stride)
        for cut in reversed(range(windows))
        for entry in entries
    ]


class Split(NamedTuple):
    """Three parts of a data set, one after the other in time."""

    train: list[Entry]
    """Series that end before the validation period."""
    validation: list[Entry]
    """The same series with the validation period: for ``train(train, validation)``, which uses
    their new windows only, or as ``rolling(validation, ...)`` for calibration."""
    test: list[Entry]
    """Rolling windows: one entry for each window and series."""


def split(
    dataset: Iterable[Entry], *, windows: int, horizon: int, validation: int | None = None
) -> Split:
    """Split series in time into training, validation and a rolling test.

    Args:
        dataset: whole series.
        windows: test windows, each ``horizon`` steps after the one before.
        horizon: steps of a window.
        validation: windows of the validation period, which comes before the test period; as many
            as test windows if not given, 0 for none (then validation equals training).

    Raises:
        ValueError: if a series does not leave more than a horizon for training.
    """
    validation = windows if validation is None else validation
    if validation < 0:
        raise OptionError("", "validation", validation, "at least 0")
    entries = list(dataset)
    test = rolling(entries, windows, horizon)
    for number, entry in enumerate(entries):
        left = length_of(entry) - (windows + validation) * horizon
        if left <= horizon:
            raise ValueError(
                f"series {entry.get('item_id', number)!r} has {length_of(entry)} steps; "
                f"{windows} test and {validation} validation windows of horizon={horizon} leave "
                f"{max(left, 0)} for training, which needs more than {horizon}"
            )

    def before(count: int) -> list[Entry]:
        return [until(entry, length_of(entry) - count * horizon) for entry in entries]

    return Split(before(windows + validation), before(windows), test)
