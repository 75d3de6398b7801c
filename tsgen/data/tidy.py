"""Forecasts as tidy tables: sample paths, quantiles, sums over channels."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from gluonts.model.forecast import SampleForecast

from tsgen.data.frequency import Stamp
from tsgen.data.grid import stamps_of

Forecasts: TypeAlias = SampleForecast | Iterable[SampleForecast]


def sample_frame(
    forecasts: Forecasts, channels: Sequence[str] | None = None, stamp: Stamp = "start"
) -> pd.DataFrame:
    """Sample paths as a table with a row for each path, time and channel.

    Paths belong together: values of one ``item_id``, ``start`` and ``sample_id`` are one possible
    future of all channels.

    Args:
        forecasts: one or several, samples (S, H) or (S, H, C).
        channels: their names.
        stamp: where in its period a time stamp lies.

    Returns:
        Columns ``item_id``, ``start``, ``sample_id``, ``time``, ``channel``, ``value``.
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
    return pd.concat(frames, ignore_index=True)


def quantile_frame(
    forecasts: Forecasts,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    channels: Sequence[str] | None = None,
    stamp: Stamp = "start",
) -> pd.DataFrame:
    """Mean and quantiles as a table with a row for each time and channel.

    Args:
        forecasts: one or several, samples (S, H) or (S, H, C).
        quantiles: levels between 0 and 1; the sample quantile is the one of rank k / (S + 1),
            interpolated, between two of which a calibrated value lies as often as they say.
        channels: their names.
        stamp: where in its period a time stamp lies.

    Returns:
        Columns ``item_id``, ``start``, ``time``, ``channel``, ``mean``, and one for each quantile,
        named by its level ("0.1").

    Raises:
        ValueError: for levels outside (0, 1) or none at all.
    """
    bad = [q for q in quantiles if not 0 < q < 1]
    if bad or not len(quantiles):
        raise ValueError(f"quantiles={list(quantiles)} must be levels between 0 and 1")
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
    return pd.concat(frames, ignore_index=True)


def channel_sum(forecasts: Forecasts) -> list[SampleForecast]:
    """Forecasts of the sum over channels, path by path, samples (S, H)."""
    return [
        SampleForecast(
            samples.sum(-1), forecast.start_date, item_id=forecast.item_id, info=forecast.info
        )
        for forecast, samples, _, _ in _opened(forecasts, None, "start")
    ]


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
