"""Entries of data sets: their type, and how one is made of regular rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsgen.core import option_text

Entry = dict[str, Any]
"""GluonTS' dictionary of a series: ``start``, ``target`` (T,) or (C, T), and covariates."""


def series_entry(
    values: pd.DataFrame,
    targets: Sequence[str],
    known: Sequence[str],
    past: Sequence[str],
    where: str,
    start: pd.Period,
) -> tuple[Entry, int, list[str]]:
    """Target and covariates, which end with the last target; known covariates go on.

    Args:
        values: a row for each step.
        targets: columns of the target.
        known: covariates known for the future.
        past: covariates known up to now.
        where: what to call the series in an error.
        start: its first period.

    Returns:
        The entry, the number of steps after the last target, and what was changed.

    Raises:
        ValueError: for a series without a target value, with a covariate without one, or with a
            known one that is missing after the last target: the future is not made up.
    """
    target = values[list(targets)].to_numpy().T
    observed = np.flatnonzero(np.isfinite(target).any(0))
    if not len(observed):
        raise ValueError(f"{where}: it has no target value")
    length = int(observed[-1]) + 1
    entry: Entry = {"target": target[:, :length]}
    changes: list[str] = []
    if known:
        _require_ahead(values[list(known)].iloc[length:], start, where)
        entry["feat_dynamic_real"], changes = _filled(values[list(known)], where)
    if past:
        filled, more = _filled(values[list(past)].iloc[:length], where)
        entry["past_feat_dynamic_real"] = filled
        changes += more
    return entry, target.shape[1] - length, changes


def _require_ahead(covariates: pd.DataFrame, start: pd.Period, where: str) -> None:
    """Check that known covariates have a value in every step after the last target.

    Raises:
        ValueError: naming the covariate and the first step without it.
    """
    empty = covariates.isna()
    if empty.any(axis=None):
        name = empty.any().idxmax()
        step = int(empty.index[int(empty[name].to_numpy().argmax())])
        raise ValueError(
            f"{where}: known covariate {name!r} has no value at {start + step}, the first step "
            "without one after the last target; what is known of the future must be in every row "
            "to come: fill it in, leave out rows without it at the end, or name it in "
            f"{option_text('past')}"
        )


def _filled(covariates: pd.DataFrame, where: str) -> tuple[np.ndarray, list[str]]:
    """Covariates, which must not be missing: the last value before a gap goes on."""
    empty = covariates.isna().all()
    if empty.any():
        raise ValueError(f"{where}: covariate {empty.idxmax()!r} has no value")
    carried = covariates.ffill()
    changes = []
    if (carried.notna() & covariates.isna()).any(axis=None):
        changes.append("covariates were carried over their gaps from the value before")
    if carried.isna().any(axis=None):
        changes.append("covariates have their first value in the steps before it, too")
    return carried.bfill().to_numpy().T, changes
