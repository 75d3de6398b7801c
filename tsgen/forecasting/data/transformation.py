"""From data set entries to clean arrays, once per series."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from gluonts.transform import (
    AddAgeFeature,
    Chain,
    MapTransformation,
    Transformation,
    VstackFeatures,
)

from tsgen.core import Component
from tsgen.data.entries import Entry
from tsgen.data.running import carry_forward
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
from tsgen.forecasting.data.features import TimeFeature, calendar_features
from tsgen.forecasting.data.spec import DataSpec
from tsgen.forecasting.target.links import Link, Support
from tsgen.forecasting.target.onset import has_begun, own_size, usual_size
from tsgen.forecasting.target.statistics import Scaling, running_statistics

_PIECE = 2**22  # numbers of a series whose statistics are worked out at a time


class ReadEntry(Component, MapTransformation):
    """Check an entry against the training data's specification and standardise its covariates."""

    def __init__(self, spec: DataSpec, support: Support, prediction_length: int) -> None:
        self.spec, self.prediction_length = spec, prediction_length
        self.link = Link(support)
        expected: Entry = {
            "start": pd.Period("2000-01-01", freq=spec.freq),
            "target": np.zeros((spec.num_channels, 1)),
            "dim": 1 if spec.one_dimensional else 2,
        }
        widths = {
            FUTURE: spec.future_mean,
            PAST: spec.past_mean,
            STATIC: spec.static_mean,
            CATEGORY: spec.cardinality,
        }
        expected |= {name: np.zeros(len(width)) for name, width in widths.items()}
        if spec.median_gap is not None:
            expected[TIMES] = np.zeros(1)
        self.expected = expected

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
        codes = entry.get(CATEGORY, np.zeros(0))
        for code, count in zip(codes, spec.cardinality, strict=True):
            if code >= count:
                raise ValueError(
                    f"{entry['where']}: {CATEGORY}={codes.astype(int).tolist()} has category "
                    f"{int(code)}, but training saw {count} categories (0 to {count - 1})"
                )

        def standard(
            name: str, mean: tuple[float, ...], std: tuple[float, ...], stop: int
        ) -> np.ndarray:
            value = entry.get(name, np.zeros((0, stop)))[:, :stop]
            return (value - np.array(mean)[:, None]) / np.array(std)[:, None]

        static, times = entry.get(STATIC, np.zeros(0)), {}
        if spec.median_gap is not None:
            times = {"times": entry[TIMES][None, : length + horizon] / spec.median_gap}
        return {
            "start": entry["start"],
            "item_id": data.get("item_id"),
            "info": data.get("info"),
            "target": entry["target"],
            "features": standard(
                FUTURE, spec.future_mean, spec.future_std, length + horizon
            ).astype(np.float32),
            "covariates": standard(PAST, spec.past_mean, spec.past_std, length).astype(np.float32),
            "static": ((static - np.array(spec.static_mean)) / np.array(spec.static_std)).astype(
                np.float32
            ),
            "categories": codes.astype(np.int64),
            **times,
        }


class AddCalendar(Component, MapTransformation):
    """Calendar features of all steps and of the horizon; for a forecast, of those it looks at.

    Args:
        features: of the calendar.
        prediction_length: H.
        past_length: steps before a forecast that are looked at.
    """

    def __init__(
        self, features: tuple[Callable, ...], prediction_length: int, past_length: int
    ) -> None:
        self.features, self.prediction_length = features, prediction_length
        self.past_length = past_length

    def map_transform(self, data: Entry, is_train: bool) -> Entry:
        """Add the field ``calendar``, (features, steps), float32."""
        length = data["target"].shape[1] + (0 if is_train else self.prediction_length)
        start = data["start"]
        index = pd.period_range(start, periods=length, freq=start.freq)
        first = 0 if is_train else max(0, length - self.prediction_length - self.past_length)
        values = calendar_features(self.features, index, first).astype(np.float32)
        return {**data, "calendar": values}


class ScaleTarget(Component, MapTransformation):
    """Carry the target forward over gaps and prepare it for windows.

    Its mask, its running statistics and ``past_length`` steps before it are added. A forecast needs
    the last ``past_length`` steps of the series, so only those are kept for it.

    Values are kept in float32 relative to ``center`` (the first observation, float64), so that a
    level of 1e9 costs no digits; a value is NaN only before its channel has begun (see
    :func:`~tsgen.forecasting.target.onset.has_begun`), where the data's own zero and 1 stand for
    location and scale, or, for a channel that never has, its usual size. What is before the
    beginning is not observed.

    Args:
        link: the support's bijection.
        scaling: which running statistics.
        window: steps that they look back.
        past_length: steps before the series.
        mean: for "global", of each channel.
        std: for "global", of each channel.
        size: usual size of each channel's training series, for series without one of their own.
        relative_size: the same over their level.
    """

    def __init__(
        self,
        link: Link,
        scaling: Scaling,
        window: int | None,
        past_length: int,
        mean: tuple[float, ...] = (),
        std: tuple[float, ...] = (),
        size: tuple[float, ...] = (),
        relative_size: tuple[float, ...] = (),
    ) -> None:
        self.link, self.scaling, self.window, self.past_length = link, scaling, window, past_length
        self.fixed, self.usual = np.array([mean, std]), np.array([size, relative_size])

    def map_transform(self, data: Entry, is_train: bool) -> Entry:
        """Transform one entry."""
        target = data["target"]
        length = target.shape[1]
        cut = 0 if is_train else max(0, length - self.past_length)
        count = max(1, _PIECE // length)
        pieces = [
            self._channels(target[i : i + count], slice(i, i + count), cut)
            for i in range(0, len(target), count)
        ]
        padded = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        for name in ("features", "covariates"):
            padded[name] = self._pad(data[name][:, cut:], 0.0)
        if "times" in data:
            times = data["times"][:, cut:]  # in double precision: of a late window, too
            before = times[:, :1] - np.arange(self.past_length, 0, -1)
            padded["times"] = np.concatenate([before, times], 1)
        start = data["start"] + cut - self.past_length
        return {**data, **padded, "start": start}

    def _channels(self, target: np.ndarray, which: slice, cut: int) -> dict[str, np.ndarray]:
        """Some channels' series without the first steps, which their statistics know."""
        started = has_begun(target)
        observed = np.isfinite(target) & started
        carried = carry_forward(target, observed)
        first = np.take_along_axis(target, observed.argmax(1)[:, None], 1)
        center = np.nan_to_num(first) if self.link.support == "real" else np.zeros_like(first)
        z, size = self.link.numpy(carried), None
        if self.scaling not in ("global", "none"):
            size = own_size(z, observed, self.scaling, target.shape[1] - cut)
            sizeless = np.isnan(size).any(1)
            if sizeless.any():
                usual = usual_size(z, observed, *self.usual[:, which])
                size = np.where(sizeless[:, None], usual[:, None], size)
        location, scale = running_statistics(
            z, observed, self.scaling, self.window, self.fixed[:, which],
            target.shape[1] - cut, size,
        )  # fmt: skip
        if size is not None:
            begun = started[:, cut:] | ~started[:, -1:]
            scale = np.where(begun, scale, 1.0)
        observed, started, carried = observed[:, cut:], started[:, cut:], carried[:, cut:]
        before, scale_before = -center, np.ones_like(center)
        if self.scaling == "global":
            before, scale_before = location[:, :1] - center, scale[:, :1]
            location = location - center
        else:
            location = np.where(started, location, 0.0) - center
        return {
            "target": self._pad(carried - center, np.nan),
            "observed": self._pad(observed, False),
            "location": self._pad(location, before),
            "scale": self._pad(scale, scale_before),
            "center": center[:, 0],
        }

    def _pad(self, values: np.ndarray, fill: float | np.ndarray) -> np.ndarray:
        """The steps before the series, too; float32 or bool."""
        kind = bool if values.dtype == bool else np.float32
        padded = np.empty((len(values), self.past_length + values.shape[1]), dtype=kind)
        padded[:, : self.past_length] = fill
        padded[:, self.past_length :] = values
        return padded


def create_transformation(
    spec: DataSpec,
    *,
    link: Link,
    scaling: Scaling,
    scaling_window: int | None,
    time_features: tuple[TimeFeature, ...],
    prediction_length: int,
    past_length: int,
) -> Transformation:
    """The whole way from an entry to arrays ready for cutting windows; run once per series."""
    added: list[Transformation] = []
    if time_features:
        added.append(AddCalendar(time_features, prediction_length, past_length))
    if spec.is_panel:
        added.append(AddAgeFeature("target", "age", prediction_length, log_scale=True))
    stacked = (["calendar"] if time_features else []) + (["age"] if spec.is_panel else [])
    return Chain(
        [
            ReadEntry(spec, link.support, prediction_length),
            *added,
            VstackFeatures("features", [*stacked, "features"]),
            ScaleTarget(
                link, scaling, scaling_window, past_length, spec.target_mean, spec.target_std,
                spec.target_size, spec.target_relative_size,
            ),
        ]
    )  # fmt: skip
