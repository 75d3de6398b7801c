"""What a data set holds: read off its entries, each checked before any work."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tsgen.core import Options
from tsgen.data.entries import Entry
from tsgen.data.running import Moments, carry_forward
from tsgen.forecasting.target.links import Link, Support, typical_size
from tsgen.forecasting.target.onset import has_begun, training_sizes
from tsgen.forecasting.target.statistics import Scaling

FUTURE, PAST = "feat_dynamic_real", "past_feat_dynamic_real"
STATIC, CATEGORY = "feat_static_real", "feat_static_cat"
TIMES = "times"
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
        future_mean, future_std: of each covariate known ahead, used to standardise it.
        past_mean, past_std: of each past covariate, not known ahead.
        static_mean, static_std: of each static real covariate.
        cardinality: number of categories of each static categorical covariate.
        tau: typical size of each channel, for links.
        whole: whether all target values are whole numbers.
        whole_steps: steps at which every channel is observed.
        target_mean, target_std: of each channel's linked values, for global scaling.
        median_gap: between the times of observations, in their own unit; ``None`` where entries
            have no times, so that their steps are regular.
        target_size, target_relative_size: usual size of each channel's series, and over their
            level, for other scalings; 0 for a channel without.
    """

    freq: str
    num_channels: int
    one_dimensional: bool
    num_series: int = 1
    shortest: int = 1
    num_steps: int = 1
    missing: bool = False
    future_mean: tuple[float, ...] = ()
    future_std: tuple[float, ...] = ()
    past_mean: tuple[float, ...] = ()
    past_std: tuple[float, ...] = ()
    static_mean: tuple[float, ...] = ()
    static_std: tuple[float, ...] = ()
    cardinality: tuple[int, ...] = ()
    tau: tuple[float, ...] = (1.0,)
    whole: bool = False
    whole_steps: int = 1
    median_gap: float | None = None
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()
    target_size: tuple[float, ...] = ()
    target_relative_size: tuple[float, ...] = ()

    @property
    def is_panel(self) -> bool:
        """Whether there are several series.

        Their age and the level they live at tell them apart; in a single series both only tell the
        time, which a network learns by heart.
        """
        return self.num_series > 1

    @property
    def num_bytes(self) -> int:
        """What the transformed data take as tensors."""
        features = len(self.future_mean) + len(self.past_mean) + 16
        return self.num_steps * (13 * self.num_channels + 4 * features)

    def require_whole_steps(self, name: str) -> None:
        """Raise ``ValueError``, for an estimator's name, if no step has all channels observed."""
        if not self.whole_steps:
            raise ValueError(
                f"{name}: target: at no step are all {self.num_channels} channels observed, and "
                "this model learns from such steps only; drop or fill channels, or use one that "
                "handles missing values (gaussian, timegrad)"
            )


def read_again(dataset: Any, limit: int) -> Any:
    """A data set that can be read more than once: the entries of a generator as a list.

    Args:
        dataset: entries, or ``None``.
        limit: bytes of memory.

    Raises:
        ValueError: if a generator does not end within that.
    """
    if not isinstance(dataset, Iterator):
        return dataset
    entries, size = [], 0
    for entry in dataset:
        entries.append(entry)
        values = entry.values() if isinstance(entry, Mapping) else ()
        size += 2000 + sum(8 * np.size(value) for value in values)
        if size > limit:
            raise ValueError(
                f"the data set is a generator, which can be read only once, and its first "
                f"{len(entries)} entries take more than memory_limit={limit} bytes; give an object "
                "whose __iter__ begins anew"
            )
    return entries


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


def infer_spec(
    dataset: Iterable[Entry],
    prediction_length: int,
    support: Support = "real",
    min_history: int = 1,
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
    gaps: list[np.ndarray] = []
    missing, whole, complete = False, True, 0
    moments = {name: Moments() for name in (FUTURE, PAST, STATIC)}
    cardinality = np.zeros(0)
    size_sum, size_count = np.zeros(0), np.zeros(0)
    for index, raw in enumerate(dataset if sized else itertools.islice(dataset, _PEEK)):
        entry = read_entry(raw, index)
        if first is None:
            first = entry
            size_sum = size_count = np.zeros(len(entry["target"]))
            cardinality = np.zeros(len(entry.get(CATEGORY, ())))
        check_alike(entry, first)
        channels, length = entry["target"].shape
        if length < prediction_length + min_history:
            raise ValueError(
                f"{entry['where']}: target has {length} steps; training with prediction_length="
                f"{prediction_length} needs at least {prediction_length + min_history}. Drop "
                "shorter series."
            )
        check_covariate_length(entry, length)
        link.check(entry["target"], entry["where"])
        lengths.append(length)
        if TIMES in entry:
            gaps.append(np.diff(entry[TIMES][:length]))
        seen = np.isfinite(entry["target"])
        missing = missing or not bool(seen.all())
        seen &= has_begun(entry["target"])
        complete += int(seen.all(0).sum())
        whole = whole and not bool((entry["target"] % 1 > 0).any())
        for name, part in moments.items():
            if name in entry:
                value = entry[name].reshape(len(entry[name]), -1)[:, :length]
                part.add(value, np.ones(value.shape, dtype=bool))
        cardinality = np.maximum(cardinality, entry.get(CATEGORY, np.zeros(0)) + 1)
        distance = np.abs(entry["target"] - _origin(support))
        size_sum = size_sum + np.where(seen, distance, 0.0).sum(1)
        size_count = size_count + seen.sum(1)
    if first is None:
        raise ValueError("the training data are empty")
    if not size_count.any():
        raise ValueError(f"target: every value of the {len(lengths)} series is missing (NaN)")
    measured = {name: part for name, part in moments.items() if part.count.any()}
    mean = {name: tuple(part.mean.tolist()) for name, part in measured.items()}
    std = {name: tuple(part.scale(1e-12).tolist()) for name, part in measured.items()}
    return DataSpec(
        freq=first["start"].freqstr,
        num_channels=len(first["target"]),
        one_dimensional=first["dim"] == 1,
        num_series=len(lengths),
        shortest=min(lengths),
        num_steps=sum(lengths),
        missing=missing,
        future_mean=mean.get(FUTURE, ()),
        future_std=std.get(FUTURE, ()),
        past_mean=mean.get(PAST, ()),
        past_std=std.get(PAST, ()),
        static_mean=mean.get(STATIC, ()),
        static_std=std.get(STATIC, ()),
        cardinality=tuple(int(c) for c in cardinality),
        tau=typical_size(support, size_sum, size_count),
        whole=whole,
        whole_steps=complete,
        median_gap=_median_gap(gaps),
    )


def _median_gap(gaps: list[np.ndarray]) -> float | None:
    """The unit in which a network is told times; 1 where no series has two observations."""
    if not gaps:
        return None
    together = np.concatenate(gaps)
    return float(np.median(together)) if len(together) else 1.0


def with_target_statistics(
    spec: DataSpec, dataset: Iterable[Entry], link: Link, scaling: Scaling
) -> DataSpec:
    """A specification with what a scaling needs to know of each channel's linked values.

    For "global" that are mean and standard deviation of what is observed once a series has begun, 1
    for a channel without spread; for scalings by running statistics the usual sizes of series. Of a
    stream the first 64 entries count.
    """
    if scaling == "none":
        return spec
    entries = dataset if hasattr(dataset, "__len__") else itertools.islice(dataset, _PEEK)
    series = (_linked(read_entry(raw)["target"], link) for raw in entries)
    if scaling == "global":
        targets = Moments()
        for values, observed in series:
            targets.add(values, observed)
        mean, std = targets.mean, targets.scale(1e-24)
        return spec.replace(target_mean=tuple(mean.tolist()), target_std=tuple(std.tolist()))
    size, relative = training_sizes(series, scaling)
    return spec.replace(target_size=size, target_relative_size=relative)


def _linked(target: np.ndarray, link: Link) -> tuple[np.ndarray, np.ndarray]:
    """Linked values, carried forward over gaps, and what is observed once a series has begun."""
    observed = np.isfinite(target) & has_begun(target)
    return link.numpy(carry_forward(target, observed)), observed


def _origin(support: Support) -> float:
    """The finite end of a support, 0 if it has none at hand."""
    if not isinstance(support, tuple):
        return 0.0
    return support[0] if math.isfinite(support[0]) else support[1]


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
