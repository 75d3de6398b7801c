"""Forecasts as tidy tables: sample paths, quantiles, sums over channels."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from gluonts.model.forecast import SampleForecast

from tsgen.core import OptionError
from tsgen.data.frequency import Stamp
from tsgen.data.grid import stamps_of
from tsgen.data.items import item_parts
from tsgen.data.paths import with_paths

_COLUMNS = ("item_id", "start", "sample_id", "time", "channel", "mean", "value")
Forecasts: TypeAlias = SampleForecast | Iterable[SampleForecast]


def sample_frame(
    forecasts: Forecasts,
    channels: Sequence[str] | None = None,
    stamp: Stamp = "start",
    items: Sequence[str] = (),
) -> pd.DataFrame:
    """Sample paths as a table with a row for each path, time and channel.

    Paths belong together: values of one ``item_id``, ``start`` and ``sample_id`` are one possible
    future of all channels.

    Args:
        forecasts: one or several, samples (S, H) or (S, H, C).
        channels: their names.
        stamp: where in its period a time stamp lies.
        items: the columns that told items apart (``layout.items``); several of them come back as
            columns after ``item_id``.

    Returns:
        Columns ``item_id``, ``start``, ``sample_id``, ``time``, ``channel``, ``value``.

    Raises:
        ValueError: for no forecasts, names that do not fit the channels, and an ``item_id`` that
            has not one part for each of ``items``.
    """
    frames = []
    for forecast, samples, names, times in _opened(forecasts, channels, stamp):
        count, steps, width = samples.shape
        frames.append(
            pd.DataFrame(
                {
                    "item_id": forecast.item_id,
                    "start": times[0],
                    "sample_id": np.repeat(np.arange(count), steps * width),
                    "time": np.tile(np.repeat(times.to_numpy(), width), count),
                    "channel": np.tile(names, count * steps),
                    "value": samples.reshape(-1),
                }
            )
        )
    return _with_items(pd.concat(frames, ignore_index=True), items)


def quantile_frame(
    forecasts: Forecasts,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    channels: Sequence[str] | None = None,
    stamp: Stamp = "start",
    items: Sequence[str] = (),
) -> pd.DataFrame:
    """Mean and quantiles as a table with a row for each time and channel.

    Args:
        forecasts: one or several, samples (S, H) or (S, H, C).
        quantiles: levels between 0 and 1; the sample quantile is the one of rank k / (S + 1),
            interpolated, between two of which a calibrated value lies as often as they say.
        channels: their names.
        stamp: where in its period a time stamp lies.
        items: the columns that told items apart (``layout.items``); several of them come back as
            columns after ``item_id``.

    Returns:
        Columns ``item_id``, ``start``, ``time``, ``channel``, ``mean``, and one for each quantile,
        named by its level ("0.1").

    Raises:
        ValueError: for levels outside (0, 1) or none at all, for no forecasts, names that do not
            fit the channels, and an ``item_id`` that has not one part for each of ``items``.
    """
    bad = [q for q in quantiles if not 0 < q < 1]
    if bad or not len(quantiles):
        raise OptionError("", "quantiles", list(quantiles), "one or more levels in (0, 1)")
    frames = []
    for forecast, samples, names, times in _opened(forecasts, channels, stamp):
        steps, width = samples.shape[1:]
        values = np.quantile(samples, quantiles, axis=0, method="weibull").reshape(
            len(quantiles), -1
        )
        frames.append(
            pd.DataFrame(
                {
                    "item_id": forecast.item_id,
                    "start": times[0],
                    "time": np.repeat(times.to_numpy(), width),
                    "channel": np.tile(names, steps),
                    "mean": samples.mean(0).reshape(-1),
                    **{f"{q:g}": row for q, row in zip(quantiles, values, strict=True)},
                }
            )
        )
    return _with_items(pd.concat(frames, ignore_index=True), items)


def channel_sum(forecasts: Forecasts) -> list[SampleForecast]:
    """Forecasts of the sum over channels, path by path, samples (S, H)."""
    return [
        with_paths(forecast, samples.sum(-1))
        for forecast, samples, _, _ in _opened(forecasts, None, "start")
    ]


def _with_items(frame: pd.DataFrame, items: Sequence[str]) -> pd.DataFrame:
    """The columns of items after ``item_id``, where it is made of several.

    One that is called like a column of any such frame is "item " and its name.
    """
    if len(items) < 2:
        return frame
    parts = {name: item_parts(name, items) for name in frame["item_id"].unique()}
    for number, name in reversed(list(enumerate(items))):
        column = frame["item_id"].map({item: part[number] for item, part in parts.items()})
        while name in frame or name in _COLUMNS:
            name = f"item {name}"
        frame.insert(1, name, column)
    return frame


def _opened(
    forecasts: Forecasts, channels: Sequence[str] | None, stamp: Stamp
) -> Iterable[tuple[SampleForecast, np.ndarray, list[str], pd.DatetimeIndex]]:
    """Each forecast with its samples (S, H, C), channel names and times."""
    several = [forecasts] if isinstance(forecasts, SampleForecast) else list(forecasts)
    if not several:
        raise ValueError("there are no forecasts")
    for forecast in several:
        samples = forecast.samples.reshape(*forecast.samples.shape[:2], -1)
        width = samples.shape[-1]
        names = [str(c) for c in (range(width) if channels is None else channels)]
        if len(names) != width:
            raise ValueError(f"channels has {len(names)} names for {width} channels")
        yield forecast, samples, names, stamps_of(forecast.start_date, samples.shape[1], stamp)
