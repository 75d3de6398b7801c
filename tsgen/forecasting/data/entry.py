"""Entries of a data set, each checked before any work: its fields, their ranks and lengths."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tsgen.data.entries import Entry

FUTURE, PAST = "feat_dynamic_real", "past_feat_dynamic_real"
STATIC, CATEGORY = "feat_static_real", "feat_static_cat"
TIMES = "times"
_UNSUPPORTED = ("feat_dynamic_cat", "past_feat_dynamic_cat", "dynamic_feat")


def read_entry(entry: Entry, index: int = 0) -> Entry:
    """Arrays of an entry with their ranks checked.

    They are the target (C, T) float64 and its ``dim``, and covariates (F, T).

    Raises:
        ValueError: naming the series, the field, what it holds and what was expected.
    """
    if not isinstance(entry, Mapping):
        raise ValueError(
            f"data set: entry {index} is {entry!r}, expected a mapping with 'start' and 'target'; "
            "gluonts.dataset.pandas.PandasDataset makes a data set of a DataFrame"
        )
    where = f"series {entry.get('item_id', index)!r}"
    for name in _UNSUPPORTED:
        if name in entry:
            raise ValueError(
                f"{where}: field {name!r} is not supported; one-hot encode it into {FUTURE!r}"
            )
    if "start" not in entry or "target" not in entry:
        raise ValueError(f"{where}: needs the fields 'start' and 'target', has {sorted(entry)}")
    start = entry["start"]
    if not isinstance(start, pd.Period):
        raise ValueError(
            f"{where}: start={start!r} must be a pandas.Period, whose frequency is the series'"
        )
    try:
        target = np.asarray(entry["target"], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: target is not numeric ({error})") from None
    if target.ndim not in (1, 2):
        raise ValueError(
            f"{where}: target has shape {target.shape}, expected (time,) or (channels, time)"
        )
    if np.isinf(target).any():
        raise ValueError(f"{where}: target has infinite values; mark missing ones with NaN")
    read: Entry = {
        "start": start,
        "target": np.atleast_2d(target),
        "dim": target.ndim,
        "where": where,
    }
    for name in (FUTURE, PAST):
        value = entry.get(name)
        if value is not None and len(value):
            read[name] = _finite(value, name, where, 2)
    for name in (STATIC, CATEGORY):
        value = entry.get(name)
        if value is not None and len(value):
            read[name] = _finite(value, name, where, 1)
    if entry.get(TIMES) is not None:
        times = _finite(entry[TIMES], TIMES, where, 1)
        if (np.diff(times) <= 0).any():
            step = int(np.argmax(np.diff(times) <= 0))
            raise ValueError(
                f"{where}: {TIMES} must increase, has {times[step]:g} and then {times[step + 1]:g} "
                f"at step {step + 1}"
            )
        read[TIMES] = times
    if CATEGORY in read:
        codes = read[CATEGORY]
        if (codes != np.floor(codes)).any() or (codes < 0).any():
            raise ValueError(
                f"{where}: {CATEGORY}={codes.tolist()} must be whole numbers from 0 up"
            )
    return read


def check_alike(entry: Entry, first: Entry) -> None:
    """Raise unless an entry has the frequency, rank, channels and covariates of the first one."""
    where = entry["where"]
    if entry["start"].freqstr != first["start"].freqstr:
        raise ValueError(
            f"{where}: frequency {entry['start'].freqstr!r}, expected {first['start'].freqstr!r}"
        )
    if entry["dim"] != first["dim"]:
        raise ValueError(f"{where}: target is {entry['dim']}-D, expected {first['dim']}-D")
    if len(entry["target"]) != len(first["target"]):
        raise ValueError(
            f"{where}: target has {len(entry['target'])} channels, expected {len(first['target'])}"
        )
    for name in (FUTURE, PAST, STATIC, CATEGORY):
        has, want = len(entry.get(name, ())), len(first.get(name, ()))
        if has != want:
            raise ValueError(f"{where}: {name} has {has} features, expected {want}")
    if (TIMES in entry) != (TIMES in first):
        raise ValueError(
            f"{where}: has {'' if TIMES in entry else 'no '}{TIMES}, other series have "
            f"{'some' if TIMES in first else 'none'}; either all have the times of their "
            "observations or none"
        )


def check_covariate_length(entry: Entry, length: int, horizon: int = 0) -> None:
    """Raise unless covariates and times reach as far as they are needed."""
    for name, needed in ((FUTURE, length + horizon), (PAST, length), (TIMES, length + horizon)):
        if name in entry and entry[name].shape[-1] < needed:
            future = f" and the {horizon} steps to predict" if horizon and name != PAST else ""
            raise ValueError(
                f"{entry['where']}: {name} has {entry[name].shape[-1]} steps, needs {needed} to "
                f"cover the {length} steps of the target{future}"
            )


def _finite(numbers: Any, name: str, where: str, rank: int) -> np.ndarray:
    """Numbers of a field as a float64 array of so many dimensions, all finite."""
    try:
        value = np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {name} is not numeric ({error})") from None
    if value.ndim != rank:
        shape = "(features, time)" if rank == 2 else f"({'time' if name == TIMES else 'features'},)"
        raise ValueError(f"{where}: {name} has shape {value.shape}, expected {shape}")
    if not np.isfinite(value).all():
        raise ValueError(
            f"{where}: {name} has values that are not finite, first at "
            f"{np.argwhere(~np.isfinite(value))[0].tolist()}"
        )
    return value
