"""Seconds for a batch of training windows: gathered from tensors, and by GluonTS's own splitter.

    python benchmarks/windows.py

A batch is 64 x (24 + 168) x 370 and its 24 future steps, from one multivariate hourly series. The
three ways take turns; ratios are of neighbours in time, so that what else runs on the machine falls
on all of them. GluonTS's transformation is its usual one (observed mask, time features, splitter);
"cached" keeps the transformed series and only splits. A pass over the series draws one window on
average, as its estimators do, unless ``--windows-per-pass`` says otherwise. Rows go to
benchmarks/results/windows.csv.
"""

import argparse
import itertools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from _record import append
from gluonts.dataset.loader import as_stacked_batches
from gluonts.itertools import Cached, Cyclic
from gluonts.time_feature import time_features_from_frequency_str
from gluonts.transform import (
    AddObservedValuesIndicator,
    AddTimeFeatures,
    ExpectedNumInstanceSampler,
    InstanceSplitter,
    TransformedDataset,
)

from tsgen.forecasting.data.features import default_time_features
from tsgen.forecasting.data.grid import GridWindows, RandomWindows
from tsgen.forecasting.data.spec import infer_spec
from tsgen.forecasting.data.transformation import create_transformation
from tsgen.forecasting.data.window import WindowShape
from tsgen.forecasting.target.links import Link

CONTEXT, LAG, HORIZON, BATCH = 24, 168, 24, 64


def gluonts_batches(
    data: list[dict[str, Any]], cached: bool, per_pass: float
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches as GluonTS's own multivariate estimators make them."""
    transformation = AddObservedValuesIndicator("target", "observed") + AddTimeFeatures(
        "start", "target", "time", time_features_from_frequency_str("h"), HORIZON
    )
    splitter = InstanceSplitter(
        "target",
        "is_pad",
        "start",
        "forecast_start",
        ExpectedNumInstanceSampler(
            num_instances=per_pass, min_past=CONTEXT + LAG, min_future=HORIZON
        ),
        CONTEXT + LAG,
        HORIZON,
        time_series_fields=["time", "observed"],
    )
    transformed = TransformedDataset(data, transformation, is_train=True)
    windows = splitter.apply(Cyclic(Cached(transformed) if cached else transformed), is_train=True)
    names = [
        "past_target",
        "future_target",
        "past_observed",
        "future_observed",
        "past_time",
        "future_time",
    ]
    return iter(
        as_stacked_batches(windows, batch_size=BATCH, output_type=torch.tensor, field_names=names)
    )


def our_batches(data: list[dict[str, Any]]) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches gathered from tensors."""
    spec = infer_spec(data, HORIZON, "real")
    transformation = create_transformation(
        spec,
        link=Link(),
        scaling="mean",
        scaling_window=CONTEXT,
        time_features=default_time_features("h"),
        prediction_length=HORIZON,
        past_length=CONTEXT + LAG,
    )
    store = GridWindows(
        list(transformation.apply(data, is_train=True)),
        WindowShape(CONTEXT, CONTEXT + LAG, HORIZON),
    )
    epochs = itertools.repeat(RandomWindows(store, BATCH, 100))
    return ({"past_target": window.past.target} for window in itertools.chain.from_iterable(epochs))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--channels", type=int, default=370)
    parser.add_argument("--length", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--windows-per-pass", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    target = (
        np.random.default_rng(0).standard_normal((args.channels, args.length)).astype(np.float32)
    )
    data = [{"start": pd.Period("2020-01-01", freq="h"), "target": target, "item_id": "all"}]
    ways = {
        "gather": our_batches(data),
        "gluonts": gluonts_batches(data, cached=False, per_pass=args.windows_per_pass),
        "gluonts_cached": gluonts_batches(data, cached=True, per_pass=args.windows_per_pass),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(args.rounds + 2):
        for name, batches in ways.items():
            started = time.perf_counter()
            batch = next(batches)
            taken = time.perf_counter() - started
            past = batch["past_target"]
            if past.shape != (BATCH, CONTEXT + LAG, args.channels):
                raise AssertionError(f"{name}: past_target {tuple(past.shape)}")
            if round_ >= 2:  # the first fill the caches
                seconds[name].append(taken)
    row: dict[str, Any] = {
        "channels": args.channels,
        "length": args.length,
        "rounds": args.rounds,
        "per_pass": args.windows_per_pass,
    }
    for name, times in seconds.items():
        row |= {
            f"{name}_s_min": min(times),
            f"{name}_s_median": float(np.median(times)),
            f"{name}_s_max": max(times),
        }
    for name in ("gluonts", "gluonts_cached"):
        ratio = np.array(seconds[name]) / np.array(seconds["gather"])
        row |= {
            f"{name}_ratio_{k}": float(f(ratio))
            for k, f in (("min", np.min), ("median", np.median), ("max", np.max))
        }
    append("windows.csv", row)


if __name__ == "__main__":
    main()
