"""Sample paths: of any GluonTS forecast, and as GluonTS' forecast."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from gluonts.model.forecast import Forecast, QuantileForecast, SampleForecast


def sample_forecast(
    paths: np.ndarray, start: pd.Period, entry: Mapping[str, Any], one_dimensional: bool
) -> SampleForecast:
    """A GluonTS forecast of sample paths, with the name and the info of its series.

    Args:
        paths: (S, H, C).
        start: period of the first step.
        entry: the series that was forecast; its ``item_id`` and ``info`` are handed on.
        one_dimensional: whether the target is 1-D, so that the forecast has samples (S, H).
    """
    return SampleForecast(
        paths[..., 0] if one_dimensional else paths,
        start_date=start,
        item_id=entry.get("item_id"),
        info=entry.get("info"),
    )


def with_paths(forecast: Forecast, paths: np.ndarray) -> SampleForecast:
    """A forecast of the same series and steps with other sample paths (S, H) or (S, H, C)."""
    return SampleForecast(paths, forecast.start_date, item_id=forecast.item_id, info=forecast.info)


def paths_of(forecast: Forecast, count: int) -> np.ndarray:
    """Sample paths (S, H) or (S, H, C) of any forecast.

    A distribution is sampled. Quantiles are joined by straight lines over the normal quantiles of
    their levels, also beyond the outermost, and the inverse distribution function that this gives
    is applied to uniform numbers, independent over the steps.

    Raises:
        ValueError: for a forecast of another kind, or one with less than two quantiles.
    """
    if isinstance(forecast, SampleForecast):
        samples = np.asarray(forecast.samples, dtype=np.float64)
        return samples if len(samples) == count else samples[_rows(len(samples), count)]
    if hasattr(forecast, "to_sample_forecast"):
        return np.asarray(forecast.to_sample_forecast(count).samples, dtype=np.float64)
    if not isinstance(forecast, QuantileForecast):
        raise ValueError(f"{type(forecast).__name__} cannot be turned into sample paths")
    keyed = [(float(k), i) for i, k in enumerate(forecast.forecast_keys) if k != "mean"]
    keyed = sorted((level, i) for level, i in keyed if 0 < level < 1)
    if len(keyed) < 2:
        raise ValueError(
            f"a forecast with the quantiles {forecast.forecast_keys} cannot be turned into sample "
            "paths; at least two levels are needed"
        )
    levels = torch.tensor([level for level, _ in keyed], dtype=torch.float64)
    x = torch.special.ndtri(levels).numpy()
    y = np.sort(forecast.forecast_array[[i for _, i in keyed]].astype(np.float64), axis=0)
    z = torch.randn(count, *y.shape[1:], dtype=torch.float64).numpy()
    left = np.clip(np.searchsorted(x, z) - 1, 0, len(x) - 2)
    low, high = (np.take_along_axis(y, at, 0) for at in (left, left + 1))
    return low + (high - low) * (z - x[left]) / (x[left + 1] - x[left])


def _rows(available: int, count: int) -> np.ndarray:
    """Which of the available paths to use: the first, and more at random if they are too few."""
    more = torch.randint(available, (max(count - available, 0),)).numpy()
    return np.concatenate([np.arange(min(available, count)), more])
