"""Forecasts of processes whose law is known, as a ratio to the exact forecast's scores.

    python benchmarks/known_laws.py --seeds 0 1 2

400 independent windows of each law, forecast 8 steps ahead by a model trained on 400 other series
of 200 steps. CRPS and energy score are fair; ``upper`` is the one-sided 95 % bound of the paired
ratio; ``ks`` is the smallest p-value over the channels of a Kolmogorov-Smirnov test of the PIT
(windows are independent, channels are not). TimeGrad is drawn with the paper's sampler and with
DPM-Solver++. Rows go to benchmarks/results/known_laws.csv.
"""

import argparse
import time
from typing import Any

import torch
from _record import append
from scipy import stats

from tsgen.data.synthetic import laws
from tsgen.diffusion import Ancestral, DPMSolverPP, Sampler
from tsgen.estimators.registry import estimators
from tsgen.evaluation import compare
from tsgen.nets import Residual

LAW_OPTIONS: dict[str, dict[str, Any]] = {
    "cir": {"support": "positive"},
    "seasonal_counts": {"support": "count", "time_features": None},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "gaussian": {"covariance": "full"},
    "student_t": {"covariance": "full"},
    "timegrad": {"network": Residual(cond_channels=8)},
}
SAMPLERS: dict[str, Sampler] = {
    "Ancestral": Ancestral(),
    "DPMSolverPP": DPMSolverPP(20),
    "DPMSolverPP(10, eta=1)": DPMSolverPP(10, eta=1.0),
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--laws", nargs="+", choices=sorted(laws), default=["ou", "var"])
    parser.add_argument("--estimators", nargs="+", choices=sorted(OPTIONS), default=sorted(OPTIONS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for law_name in args.laws:
        law = laws[law_name]
        for name in args.estimators:
            for seed in args.seeds:
                options: dict[str, Any] = {
                    "context_length": 12, "lags_seq": (1, 2), "time_features": (),
                    "scaling": "standard", "scaling_window": "all", "max_epochs": args.epochs,
                    "verbose": False, **OPTIONS[name], **LAW_OPTIONS.get(law_name, {}),
                }  # fmt: skip
                estimator = estimators[name](8, **options)
                started = time.process_time()
                trained = estimator.train(law.dataset(400, 200, seed=1000 + seed), seed=seed)
                seconds = time.process_time() - started
                for label, sampler in SAMPLERS.items() if name == "timegrad" else [("", None)]:
                    predictor = trained if sampler is None else trained.with_sampler(sampler)
                    result = compare(law, predictor, 400, 60, seed=2000 + seed)
                    row = {
                        "law": law_name,
                        "estimator": name,
                        "sampler": label,
                        "seed": seed,
                        "epochs": args.epochs,
                    }
                    for score in ("crps", "crps_first", "crps_last", "energy"):
                        ratio = getattr(result, score)
                        row |= {f"{score}_ratio": ratio.value, f"{score}_upper": ratio.upper}
                    for step in ("first", "last"):
                        positions = getattr(result, f"pit_{step}").T
                        row[f"ks_{step}"] = float(
                            min(stats.kstest(channel, "uniform").pvalue for channel in positions)
                        )
                    row |= {
                        "mean_error": result.mean_error,
                        "spread_ratio": result.spread_ratio,
                        "train_cpu_s": seconds,
                    }
                    append("known_laws.csv", row)


if __name__ == "__main__":
    main()
