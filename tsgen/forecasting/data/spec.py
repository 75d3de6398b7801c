"""What a data set holds: read off its entries."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

import numpy as np

from tsgen.core import Options
from tsgen.data.entries import Entry
from tsgen.data.running import Moments, carry_forward
from tsgen.forecasting.data.entry import (
    CATEGORY,
    FUTURE,
    PAST,
    STATIC,
    TIMES,
    check_alike,
    check_covariate_length,
    read_entry,
)
from tsgen.forecasting.target.links import Link, Support, typical_size
from tsgen.forecasting.target.onset import has_begun, training_sizes
from tsgen.forecasting.target.statistics import Scaling

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
    link = Link(support)
    first: Entry | None = None
    lengths: list[int] = []
    gaps: list[np.ndarray] = []
    missing, whole, complete = False, True, 0
    moments = {name: Moments() for name in (FUTURE, PAST, STATIC)}
    cardinality = np.zeros(0)
    size_sum, size_count = np.zeros(0), np.zeros(0)
    for index, raw in enumerate(_judged(dataset)):
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
        observed = np.isfinite(entry["target"])
        missing = missing or not bool(observed.all())
        observed &= has_begun(entry["target"])
        complete += int(observed.all(0).sum())
        whole = whole and not bool((entry["target"] % 1 > 0).any())
        for name, part in moments.items():
            if name in entry:
                value = entry[name].reshape(len(entry[name]), -1)[:, :length]
                part.add(value, np.ones(value.shape, dtype=bool))
        cardinality = np.maximum(cardinality, entry.get(CATEGORY, np.zeros(0)) + 1)
        distance = np.abs(entry["target"] - _origin(support))
        size_sum = size_sum + np.where(observed, distance, 0.0).sum(1)
        size_count = size_count + observed.sum(1)
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
    series = (_linked(read_entry(raw)["target"], link) for raw in _judged(dataset))
    if scaling == "global":
        targets = Moments()
        for values, observed in series:
            targets.add(values, observed)
        mean, std = targets.mean, targets.scale(1e-24)
        return spec.replace(target_mean=tuple(mean.tolist()), target_std=tuple(std.tolist()))
    size, relative = training_sizes(series, scaling)
    return spec.replace(target_size=size, target_relative_size=relative)


def _judged(dataset: Iterable[Entry]) -> Iterable[Entry]:
    """The entries by which a data set is judged: all, or the first ones of a stream."""
    return dataset if isinstance(dataset, Sized) else itertools.islice(dataset, _PEEK)


def _median_gap(gaps: list[np.ndarray]) -> float | None:
    """The unit in which a network is told times; 1 where no series has two observations."""
    if not gaps:
        return None
    together = np.concatenate(gaps)
    return float(np.median(together)) if len(together) else 1.0


def _linked(target: np.ndarray, link: Link) -> tuple[np.ndarray, np.ndarray]:
    """Linked values, carried forward over gaps, and what is observed once a series has begun."""
    observed = np.isfinite(target) & has_begun(target)
    return link.numpy(carry_forward(target, observed)), observed


def _origin(support: Support) -> float:
    """The finite end of a support, 0 if it has none at hand."""
    if not isinstance(support, tuple):
        return 0.0
    return support[0] if math.isfinite(support[0]) else support[1]
