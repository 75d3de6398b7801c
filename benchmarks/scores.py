"""Seconds to score a backtest: every figure of `tsgen.evaluation`, and GluonTS's evaluator.

    python benchmarks/scores.py

370 channels x 7 windows x 24 steps x 100 samples with a history of 5833 hours, the shape of
`electricity_nips`. Ours returns the whole table (quantile and fair CRPS, energy, variogram and
Dawid-Sebastiani scores, errors, coverage, widths, PIT) in total, for each channel, step and window;
GluonTS's `MultivariateEvaluator` its aggregate metrics with 19 quantiles and those of the sum. The
two take turns; ratios are of neighbours in time. Peak memory is ours alone, in a process of its
own. Rows go to benchmarks/results/scores.csv.
"""

import argparse
import resource
import subprocess
import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from _record import append
from gluonts.evaluation import MultivariateEvaluator
from gluonts.model.forecast import SampleForecast

from tsgen.evaluation import evaluate, quantile_levels, seasonal_error

HORIZON, HISTORY, SEASON = 24, 5833, 24


def drawn(windows: int, samples: int, channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, truth and history of positive values."""
    rng = np.random.default_rng(0)
    return (
        rng.gamma(4, size=(windows, samples, HORIZON, channels)),
        rng.gamma(4, size=(windows, HORIZON, channels)),
        rng.gamma(4, size=(channels, HISTORY)),
    )


def ours(samples: np.ndarray, truth: np.ndarray, history: np.ndarray) -> dict[str, float]:
    """The table, every grain of it."""
    scale = np.stack([seasonal_error(history, SEASON)] * len(truth))
    scores = evaluate(samples, truth, seasonal_error=scale)
    assert len(scores.per_channel) and len(scores.per_step) and len(scores.per_window)
    return scores.total


def theirs(samples: np.ndarray, truth: np.ndarray, history: np.ndarray) -> dict[str, float]:
    """The evaluator's aggregate metrics."""
    start = pd.Period("2021-01-01", freq="h")
    index = pd.period_range(start, periods=HISTORY + HORIZON, freq="h")
    forecasts = [SampleForecast(samples=s, start_date=start + HISTORY) for s in samples]
    targets = [pd.DataFrame(np.concatenate([history.T, y]), index=index) for y in truth]
    evaluator = MultivariateEvaluator(
        quantiles=quantile_levels(19),
        target_agg_funcs={"sum": np.sum},
        num_workers=0,
        seasonality=SEASON,
    )
    return evaluator(targets, forecasts, num_series=len(truth))[0]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--channels", type=int, default=370)
    parser.add_argument("--windows", type=int, default=7)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="score once and print peak megabytes")
    args = parser.parse_args()
    data = drawn(args.windows, args.samples, args.channels)
    if args.memory:
        ours(*data)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    warnings.filterwarnings("ignore")
    own, other = ours(*data), theirs(*data)
    for name, key in (("crps", "mean_wQuantileLoss"), ("nd", "ND"), ("mase", "MASE")):
        assert abs(own[name] - other[key]) < 1e-9, (name, own[name], other[key])
    seconds: dict[str, list[float]] = {"ours": [], "gluonts": []}
    cpu: dict[str, list[float]] = {"ours": [], "gluonts": []}
    for _ in range(args.rounds):
        for name, function in (("ours", ours), ("gluonts", theirs)):
            begun = time.perf_counter(), time.process_time()
            function(*data)
            seconds[name].append(time.perf_counter() - begun[0])
            cpu[name].append(time.process_time() - begun[1])
    shape = [f"--{name}={getattr(args, name)}" for name in ("channels", "windows", "samples")]
    memory = subprocess.run(
        [sys.executable, __file__, "--memory", *shape], capture_output=True, text=True, check=True
    )
    row: dict[str, Any] = {name: getattr(args, name) for name in ("channels", "windows", "samples")}
    for label, times in (("s", seconds), ("cpu_s", cpu)):
        ratios = np.array(times["gluonts"]) / np.array(times["ours"])
        row |= {f"{name}_{label}": float(np.median(values)) for name, values in times.items()}
        row |= {f"ratio_{label}": float(np.median(ratios))}
        row |= {f"ratio_{label}_min": ratios.min(), f"ratio_{label}_max": ratios.max()}
    append("scores.csv", row | {"ours_peak_mb": float(memory.stdout)})


if __name__ == "__main__":
    main()
