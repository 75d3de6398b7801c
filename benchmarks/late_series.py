"""What series that begin late do to a training: its loss, and the error, beside a clean panel.

    python benchmarks/late_series.py --seeds 3

Twelve daily series of 400 steps with a weekly pattern. Four of them are not sold before step 200,
which their rows tell by zeros, by NaN, or ("clean") by beginning there. The largest loss of an
epoch tells whether a training window was scaled by what came before; the CRPS of the four, over
their mean size, on the last 14 steps, what it did to the forecasts. Rows go to
benchmarks/results/late_series.csv.
"""

import argparse
from typing import Any

import numpy as np
import pandas as pd
from _record import append

from tsgen.estimators.registry import estimators
from tsgen.evaluation import fair_crps

LENGTH, LAUNCH, HORIZON, ITEMS, LATE = 400, 200, 14, 12, 4


def panel(before: str, seed: int) -> list[dict[str, Any]]:
    """The series with zeros, NaN or nothing before the launch of the late ones."""
    rng = np.random.default_rng(seed)
    steps = np.arange(LENGTH)
    entries = []
    for item in range(ITEMS):
        size = np.exp(rng.normal(10, 1))
        pattern = 1 + 0.3 * np.sin(2 * np.pi * steps / 7 + rng.uniform(0, 6))
        values = size * pattern * np.exp(0.15 * rng.normal(size=LENGTH))
        start = pd.Period("2022-01-01", freq="D")
        if item < LATE and before == "clean":
            values, start = values[LAUNCH:], start + LAUNCH
        elif item < LATE:
            values[:LAUNCH] = 0.0 if before == "zeros" else np.nan
        entries.append({"start": start, "target": values, "item_id": str(item)})
    return entries


def main() -> None:
    """Train each model on each panel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="gaussian")
    parser.add_argument("--scalings", default="mean,standard,anchored,robust")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    for model in options.models.split(","):
        for scaling in options.scalings.split(","):
            for before in ("clean", "zeros", "nan"):
                for seed in range(options.seeds):
                    entries = panel(before, seed)
                    past = [{**e, "target": e["target"][:-HORIZON]} for e in entries]
                    estimator = estimators.build(
                        model, HORIZON, scaling=scaling, max_epochs=options.epochs,
                        num_batches_per_epoch=options.batches, verbose=False,
                    )  # fmt: skip
                    predictor = estimator.train(past, seed=seed)
                    forecasts = predictor.predict(past[:LATE], num_samples=200, seed=seed)
                    errors = []
                    for forecast, entry in zip(forecasts, entries, strict=False):
                        truth = entry["target"][None, -HORIZON:, None]
                        crps = fair_crps(forecast.samples[None, ..., None], truth).mean()
                        errors.append(crps / np.abs(truth).mean())
                    append(
                        "late_series.csv",
                        {
                            "model": model, "scaling": scaling, "before": before, "seed": seed,
                            "epochs": options.epochs, "batches": options.batches,
                            "largest_loss": max(h["train_loss"] for h in predictor.history),
                            "crps": float(np.mean(errors)),
                        },
                    )  # fmt: skip


if __name__ == "__main__":
    main()
