"""From data set entries to clean arrays: what a data set holds, checks, one transformation."""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from gluonts.transform import (
    AddAgeFeature,
    AddTimeFeatures,
    Chain,
    MapTransformation,
    Transformation,
    VstackFeatures,
)

from tsgen.core import Component, Options
from tsgen.forecasting.features import TimeFeature
from tsgen.forecasting.scaling import Link, Scaling, Support, running_statistics, typical_size

Entry = dict[str, Any]

_KNOWN, _PAST = "feat_dynamic_real", "past_feat_dynamic_real"
_STATIC, _CATEGORY = "feat_static_real", "feat_static_cat"
_UNSUPPORTED = ("feat_dynamic_cat", "past_feat_dynamic_cat", "dynamic_feat")
_PEEK = 64  # entries of an unsized stream that are looked at


class DataSpec(Options):
    """What the training data hold, inferred from them; later data must agree.

    Args:
        freq: pandas frequency of every series.
        num_channels: C.
        one_dimensional: whether targets are 1-D, so that forecasts come back 1-D.
        num_series: entries seen.
        shortest: steps of the shortest series.
        num_steps: steps of all series together.
        missing: whether any target value is missing.
        known_mean, known_std: of each known covariate, used to standardise it.
        past_mean, past_std: of each past-only covariate.
        static_mean, static_std: of each static real covariate.
        cardinality: number of categories of each static categorical covariate.
        tau: typical size of each channel, for links.
    """

    freq: str
    num_channels: int
    one_dimensional: bool
    num_series: int = 1
    shortest: int = 1
    num_steps: int = 1
    missing: bool = False
    known_mean: tuple[float, ...] = ()
    known_std: tuple[float, ...] = ()
    past_mean: tuple[float, ...] = ()
    past_std: tuple[float, ...] = ()
    static_mean: tuple[float, ...] = ()
    static_std: tuple[float, ...] = ()
    cardinality: tuple[int, ...] = ()
    tau: tuple[float, ...] = (1.0,)

    @property
    def is_panel(self) -> bool:
        """Whether there are several series.

        Their age and the level they live at tell them apart; in a single series both only tell the
        time, which a network learns by heart.
        """
        return self.num_series > 1


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
                f"{where}: field {name!r} is not supported; one-hot encode it into {_KNOWN!r}"
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
    for name in (_KNOWN, _PAST):
        value = entry.get(name)
        if value is not None and len(value):
            read[name] = _finite(np.asarray(value, dtype=np.float64), name, where, 2)
    for name in (_STATIC, _CATEGORY):
        value = entry.get(name)
        if value is not None and len(value):
            read[name] = _finite(np.asarray(value, dtype=np.float64), name, where, 1)
    if _CATEGORY in read:
        codes = read[_CATEGORY]
        if (codes != np.floor(codes)).any() or (codes < 0).any():
            raise ValueError(
                f"{where}: {_CATEGORY}={codes.tolist()} must be whole numbers from 0 up"
            )
    return read


def _finite(value: np.ndarray, name: str, where: str, rank: int) -> np.ndarray:
    if value.ndim != rank:
        shape = "(features, time)" if rank == 2 else "(features,)"
        raise ValueError(f"{where}: {name} has shape {value.shape}, expected {shape}")
    if not np.isfinite(value).all():
        raise ValueError(
            f"{where}: {name} has values that are not finite, first at "
            f"{np.argwhere(~np.isfinite(value))[0].tolist()}"
        )
    return value


def infer_spec(
    dataset: Iterable[Entry], prediction_length: int, support: Support = "real"
) -> DataSpec:
    """Read a data set once, check every entry and describe it.

    A stream without length is judged by its first 64 entries.

    Raises:
        ValueError: for the first entry that cannot be used, before any training.
    """
    sized = hasattr(dataset, "__len__")
    link = Link(support)
    first: Entry | None = None
    lengths: list[int] = []
    missing = False
    moments = {name: (0, np.zeros(()), np.zeros(())) for name in (_KNOWN, _PAST, _STATIC)}
    cardinality = np.zeros(0)
    size_sum, size_count = np.zeros(0), np.zeros(0)
    for index, raw in enumerate(dataset if sized else itertools.islice(dataset, _PEEK)):
        entry = read_entry(raw, index)
        if first is None:
            first = entry
            size_sum = size_count = np.zeros(len(entry["target"]))
            cardinality = np.zeros(len(entry.get(_CATEGORY, ())))
        check_alike(entry, first)
        channels, length = entry["target"].shape
        if length < prediction_length + 1:
            raise ValueError(
                f"{entry['where']}: target has {length} steps; training with prediction_length="
                f"{prediction_length} needs at least {prediction_length + 1}. Drop shorter series."
            )
        check_covariate_length(entry, length)
        link.check(entry["target"], entry["where"])
        lengths.append(length)
        missing = missing or bool(np.isnan(entry["target"]).any())
        for name, (count, total, squares) in moments.items():
            if name in entry:
                value = entry[name].reshape(len(entry[name]), -1)[:, :length]
                moments[name] = (
                    count + value.shape[1],
                    total + value.sum(1),
                    squares + (value**2).sum(1),
                )
        cardinality = np.maximum(cardinality, entry.get(_CATEGORY, np.zeros(0)) + 1)
        distance = np.abs(entry["target"] - _origin(support))
        size_sum = size_sum + np.nansum(distance, 1)
        size_count = size_count + np.isfinite(distance).sum(1)
    if first is None:
        raise ValueError("the training data are empty")
    if not size_count.any():
        raise ValueError(f"target: every value of the {len(lengths)} series is missing (NaN)")
    statistics = {name: _mean_std(*sums) for name, sums in moments.items()}
    return DataSpec(
        freq=first["start"].freqstr,
        num_channels=len(first["target"]),
        one_dimensional=first["dim"] == 1,
        num_series=len(lengths),
        shortest=min(lengths),
        num_steps=sum(lengths),
        missing=missing,
        known_mean=statistics[_KNOWN][0],
        known_std=statistics[_KNOWN][1],
        past_mean=statistics[_PAST][0],
        past_std=statistics[_PAST][1],
        static_mean=statistics[_STATIC][0],
        static_std=statistics[_STATIC][1],
        cardinality=tuple(int(c) for c in cardinality),
        tau=typical_size(support, size_sum, size_count),
    )


def _origin(support: Support) -> float:
    """The finite end of a support, 0 if it has none at hand."""
    if not isinstance(support, tuple):
        return 0.0
    return support[0] if math.isfinite(support[0]) else support[1]


def _mean_std(
    count: int, total: np.ndarray, squares: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not count:
        return (), ()
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0)
    std = np.where(variance > 1e-12 * (1 + mean**2), np.sqrt(variance), 1.0)
    return tuple(mean.tolist()), tuple(std.tolist())


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
    for name in (_KNOWN, _PAST, _STATIC, _CATEGORY):
        has, want = len(entry.get(name, ())), len(first.get(name, ()))
        if has != want:
            raise ValueError(f"{where}: {name} has {has} features, expected {want}")


def check_covariate_length(entry: Entry, length: int, horizon: int = 0) -> None:
    """Raise unless covariates reach as far as they are needed."""
    for name, needed in ((_KNOWN, length + horizon), (_PAST, length)):
        if name in entry and entry[name].shape[1] < needed:
            future = f" and the {horizon} steps to predict" if horizon and name == _KNOWN else ""
            raise ValueError(
                f"{entry['where']}: {name} has {entry[name].shape[1]} steps, needs {needed} to "
                f"cover the {length} steps of the target{future}"
            )


class ReadEntry(Component, MapTransformation):
    """Check an entry against the training data's specification and standardise its covariates."""

    def __init__(self, spec: DataSpec, support: Support, prediction_length: int) -> None:
        self.spec, self.prediction_length = spec, prediction_length
        self.link = Link(support)
        zeros: Entry = {
            "start": pd.Period("2000-01-01", freq=spec.freq),
            "target": np.zeros((spec.num_channels, 1)),
            "dim": 1 if spec.one_dimensional else 2,
        }
        widths = {
            _KNOWN: spec.known_mean,
            _PAST: spec.past_mean,
            _STATIC: spec.static_mean,
            _CATEGORY: spec.cardinality,
        }
        self.expected = zeros | {name: np.zeros(len(width)) for name, width in widths.items()}

    def map_transform(self, data: Entry, is_train: bool) -> Entry:
        """Check and standardise one entry."""
        spec = self.spec
        entry = read_entry(data)
        check_alike(entry, self.expected)
        length = entry["target"].shape[1]
        horizon = 0 if is_train else self.prediction_length
        if length < 1:
            raise ValueError(
                f"{entry['where']}: target is empty; a forecast needs at least one step of history"
            )
        check_covariate_length(entry, length, horizon)
        self.link.check(entry["target"], entry["where"])
        codes = entry.get(_CATEGORY, np.zeros(0))
        for code, count in zip(codes, spec.cardinality, strict=True):
            if code >= count:
                raise ValueError(
                    f"{entry['where']}: {_CATEGORY}={codes.astype(int).tolist()} has category "
                    f"{int(code)}, but training saw {count} categories (0 to {count - 1})"
                )

        def standard(
            name: str, mean: tuple[float, ...], std: tuple[float, ...], stop: int
        ) -> np.ndarray:
            value = entry.get(name, np.zeros((0, stop)))[:, :stop]
            return (value - np.array(mean)[:, None]) / np.array(std)[:, None]

        static = entry.get(_STATIC, np.zeros(0))
        return {
            "start": entry["start"],
            "item_id": data.get("item_id"),
            "info": data.get("info"),
            "target": entry["target"],
            "known": standard(_KNOWN, spec.known_mean, spec.known_std, length + horizon).astype(
                np.float32
            ),
            "covariates": standard(_PAST, spec.past_mean, spec.past_std, length).astype(np.float32),
            "static_real": (
                (static - np.array(spec.static_mean)) / np.array(spec.static_std)
            ).astype(np.float32),
            "static_cat": codes.astype(np.int64),
        }


class ScaleTarget(Component, MapTransformation):
    """Carry the target forward over gaps and prepare it for windows.

    Its mask, its running statistics and ``past_length`` steps before it are added.

    Values are kept in float32 relative to ``center`` (the first observation, float64), so that a
    level of 1e9 costs no digits; a value is NaN only before its channel's first observation, where
    the data's own zero and 1 stand for location and scale.
    """

    def __init__(self, link: Link, scaling: Scaling, window: int | None, past_length: int) -> None:
        self.link, self.scaling, self.window, self.past_length = link, scaling, window, past_length

    def map_transform(self, data: Entry, is_train: bool) -> Entry:
        """Transform one entry."""
        target = data["target"]
        observed = np.isfinite(target)
        steps = np.arange(target.shape[1])
        last = np.maximum.accumulate(np.where(observed, steps, -1), axis=1)
        carried = np.where(last >= 0, np.take_along_axis(target, np.maximum(last, 0), 1), np.nan)
        first = np.take_along_axis(target, observed.argmax(1)[:, None], 1)
        center = np.nan_to_num(first) if self.link.support == "real" else np.zeros_like(first)
        location, scale = running_statistics(
            self.link.numpy(carried), observed, self.scaling, self.window
        )
        location = np.where(last >= 0, location, 0.0) - center
        series = {
            "target": (carried - center, np.nan),
            "observed": (observed, False),
            "location": (location, -center),
            "scale": (scale, 1.0),
            "known": (data["known"], 0.0),
            "covariates": (data["covariates"], 0.0),
        }
        padded = {}
        for name, (values, fill) in series.items():
            before = np.broadcast_to(fill, (len(values), 1)).repeat(self.past_length, 1)
            kind = bool if name == "observed" else np.float32
            padded[name] = np.concatenate([before, values], 1).astype(kind)
        return {**data, **padded, "start": data["start"] - self.past_length, "center": center[:, 0]}


def create_transformation(
    spec: DataSpec,
    *,
    support: Support,
    scaling: Scaling,
    scaling_window: int | None,
    time_features: tuple[TimeFeature, ...],
    prediction_length: int,
    past_length: int,
) -> Transformation:
    """The whole way from an entry to arrays ready for cutting windows; run once per series."""
    added: list[Transformation] = []
    if time_features:
        added.append(
            AddTimeFeatures("start", "target", "calendar", list(time_features), prediction_length)
        )
    if spec.is_panel:
        added.append(AddAgeFeature("target", "age", prediction_length, log_scale=True))
    stacked = (["calendar"] if time_features else []) + (["age"] if spec.is_panel else [])
    return Chain(
        [
            ReadEntry(spec, support, prediction_length),
            *added,
            VstackFeatures("known", [*stacked, "known"]),
            ScaleTarget(Link(support, spec.tau), scaling, scaling_window, past_length),
        ]
    )
