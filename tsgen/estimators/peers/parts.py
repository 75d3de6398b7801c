"""What a GluonTS model takes and gives, as this library has it: entries, paths, generators."""

import logging
import random
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from gluonts.model.forecast import Forecast, QuantileForecast, SampleForecast

from tsgen.core import seeded
from tsgen.forecasting.spec import CATEGORY, KNOWN, PAST, STATIC, read_entry

Entry = dict[str, Any]


def split_channels(
    dataset: Iterable[Entry], horizon: int, channelwise: bool = True
) -> Iterator[Entry]:
    """Entries as GluonTS' models want them, one for each channel, covariates shared.

    Args:
        dataset: entries with a target (T,) or (C, T).
        horizon: steps after the target that known covariates keep.
        channelwise: ``False`` leaves the channels together.
    """
    for number, entry in enumerate(dataset):
        read = read_entry(entry, number)
        target = read["target"].astype(np.float32)
        length = target.shape[1]
        shared: Entry = {"start": read["start"]}
        for name, steps in ((KNOWN, length + horizon), (PAST, length)):
            if name in read:
                shared[name] = read[name][:, :steps].astype(np.float32)
        for name, kind in ((STATIC, np.float32), (CATEGORY, np.int64)):
            if name in read:
                shared[name] = read[name].astype(kind)
        item = entry.get("item_id", number)
        if not channelwise:
            yield {**shared, "item_id": item, "target": target}
            continue
        for channel, values in enumerate(target):
            yield {**shared, "item_id": f"{item}/{channel}", "target": values}


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
    kept = [(float(k), i) for i, k in enumerate(forecast.forecast_keys) if k != "mean"]
    kept = sorted((level, i) for level, i in kept if 0 < level < 1)
    if len(kept) < 2:
        raise ValueError(
            f"a forecast with the quantiles {forecast.forecast_keys} cannot be turned into sample "
            "paths; at least two levels are needed"
        )
    levels = torch.tensor([level for level, _ in kept], dtype=torch.float64)
    x = torch.special.ndtri(levels).numpy()
    y = np.sort(forecast.forecast_array[[i for _, i in kept]].astype(np.float64), axis=0)
    z = torch.randn(count, *y.shape[1:], dtype=torch.float64).numpy()
    left = np.clip(np.searchsorted(x, z) - 1, 0, len(x) - 2)
    low, high = (np.take_along_axis(y, at, 0) for at in (left, left + 1))
    return low + (high - low) * (z - x[left]) / (x[left + 1] - x[left])


def _rows(available: int, count: int) -> np.ndarray:
    """Which of the available paths to use: the first, and more at random if they are too few."""
    more = torch.randint(available, (max(count - available, 0),)).numpy()
    return np.concatenate([np.arange(min(available, count)), more])


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the hints of GluonTS and Lightning, which are not about the user's data, off."""
    loggers = [logging.getLogger(n) for n in ("gluonts", "lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for module in ("gluonts", "lightning"):
            warnings.filterwarnings("ignore", module=rf"{module}\..*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def seeded_everywhere(seed: int | None, *salt: object) -> Iterator[None]:
    """As :func:`tsgen.core.seeded`, with the global generators of NumPy and Python, too."""
    if seed is None:
        yield
        return
    mixed = zlib.crc32(repr((seed, *salt)).encode())
    numpy_state, python_state = np.random.get_state(), random.getstate()
    np.random.seed(mixed)
    random.seed(mixed)
    try:
        with seeded(mixed):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
