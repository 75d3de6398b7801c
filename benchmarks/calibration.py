"""Coverage before and after conformal calibration, on windows later than those calibrated by.

    python benchmarks/calibration.py

Of electricity demand (`eia_demand_hourly`) the last windows are scored, those before them
calibrate, and what comes before is trained on. Of a simulated law, series of their own do each.
Coverage is of the central intervals over all windows, steps and channels; `first` and `last` are
those of the 90 % interval at the first and the last step; `band` is the share of windows whose
whole path, all channels, lay in the 90 % joint band. Rows go to benchmarks/results/calibration.csv.
"""

import argparse
import time
from typing import Any

import torch
from _record import append

from tsgen.data import Benchmark, datasets, rolling, until
from tsgen.data.entries import Entry
from tsgen.data.splits import length_of
from tsgen.estimators.options import read_texts
from tsgen.estimators.registry import estimators
from tsgen.evaluation import INTERVALS, Backtest, backtest, calibrate
from tsgen.report.tables import paths_held


def divided(
    data: Benchmark, calibration: int, later: int
) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """Training series, windows to calibrate by and later windows."""
    horizon = data.prediction_length
    if data.law is not None:
        length = length_of(data.test[0])
        return (
            data.train,
            data.law.dataset(calibration, length, seed=101),
            data.law.dataset(later, length, seed=102),
        )
    whole = data.test[-len(data.train) :]
    before = [until(entry, length_of(entry) - later * horizon) for entry in whole]
    train = [until(entry, length_of(entry) - calibration * horizon) for entry in before]
    return train, rolling(before, calibration, horizon), rolling(whole, later, horizon)


def row_of(result: Backtest) -> dict[str, Any]:
    """Coverage and scores."""
    scores = result.scores
    steps = scores.per_step["coverage_90"]
    names = [f"coverage_{level * 100:g}" for level in INTERVALS]
    return {
        **{name: scores[name] for name in names},
        "first": float(steps.iloc[0]),
        "last": float(steps.iloc[-1]),
        "crps": scores["crps"],
        "energy": scores["energy"],
        "width_90": scores["width_90"],
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", nargs="+", default=["eia_demand_hourly", "simulated_heavy_tailed"]
    )
    parser.add_argument("--models", nargs="+", default=["ridge", "lowrank"])
    parser.add_argument("--calibration", type=int, default=30)
    parser.add_argument("--later", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for dataset in args.data:
        data = datasets[dataset]()
        simulated = data.law is not None
        windows = (400, 1000) if simulated else (args.calibration, args.later)
        train, held_out, later = divided(data, *windows)
        for model in args.models:
            options: dict[str, Any] = {}
            if model not in ("ridge", "seasonal_naive"):
                options = read_texts(data.card.options_for(model) if data.card else {})
                options |= {"max_epochs": args.epochs, "verbose": False}
            begun = time.perf_counter()
            base = estimators[model](data.prediction_length, **options).train(train, seed=0)
            trained = time.perf_counter() - begun
            begun = time.perf_counter()
            mended = calibrate(base, held_out, num_samples=100, seed=0)
            seconds = time.perf_counter() - begun
            results = {
                name: backtest(p, later, seed=1) for name, p in (("no", base), ("yes", mended))
            }
            for name, result in results.items():
                row = {"dataset": dataset, "model": model, "calibrated": name}
                row |= {"calibration_windows": len(held_out), "later_windows": len(later)}
                row |= row_of(result) | {"band": paths_held(result, 0.9)}
                append("calibration.csv", row | {"train_s": trained, "calibrate_s": seconds})


if __name__ == "__main__":
    main()
