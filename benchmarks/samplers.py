"""Score against network evaluations for every sampler, and whether few evaluations are enough.

    python benchmarks/samplers.py sweep --folder models --evaluations 5 10 20 50 100 200
    python benchmarks/samplers.py equal --folder models --samples 1000
    python benchmarks/samplers.py plot

``sweep`` trains TimeGrad and ScoreGrad on exchange_rate_nips (or takes them from the folder, where
they are kept) and forecasts its five windows with each sampler at each number of evaluations of
the denoising network a step. ``equal`` compares samplers at 20 evaluations with TimeGrad's
ancestral sampler at 100, on the same windows, 1000 samples, several sampling seeds: the ratio of
CRPS (fair) and of the energy score, and the upper end of its 95 % interval over the seeds
(Student's t). Rows go to results/samplers.csv and samplers_equal.csv; ``plot`` draws
results/samplers.png from the first.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _record import RESULTS, append
from matplotlib.figure import Figure
from scipy import stats

from tsgen.data.registry import datasets
from tsgen.diffusion import (
    DDIM,
    EDM,
    SSCS,
    Ancestral,
    DPMSolverPP,
    DPMSolverPP3M,
    EulerMaruyama,
    LangevinEulerMaruyama,
    LangevinSampler,
    PredictorCorrector,
    ProbabilityFlow,
    Sampler,
)
from tsgen.estimators.options import read_options, read_texts
from tsgen.estimators.registry import estimators
from tsgen.evaluation import backtest
from tsgen.models import ScoreCLD

SAMPLERS: dict[str, Sampler] = {
    "ancestral": Ancestral(),
    "DDIM": DDIM(),
    "Euler-Maruyama": EulerMaruyama(),
    "predictor-corrector": PredictorCorrector(),
    "DPM-Solver++ 2M": DPMSolverPP(),
    "DPM-Solver++ 2M, SDE": DPMSolverPP(eta=1.0),
    "DPM-Solver++ 3M": DPMSolverPP3M(),
    "probability flow, Heun": ProbabilityFlow(),
    "EDM, Heun": EDM(),
}
LANGEVIN: dict[str, LangevinSampler] = {"SSCS": SSCS(), "Euler-Maruyama": LangevinEulerMaruyama()}
"""Of critically damped Langevin diffusion."""
ON_THE_CHAIN = ("ancestral", "DDIM", "Euler-Maruyama", "predictor-corrector")
"""They visit the steps of training, of which there are N."""
FEW = ("DPM-Solver++ 2M", "DPM-Solver++ 3M", "probability flow, Heun", "EDM, Heun", "DDIM")
TICKS = (5, 10, 20, 50, 100, 200)
MODELS = ("timegrad", "scoregrad", "scoregrad_subvp", "scoregrad_ve", "scoregrad_cld")


Trained = tuple[Any, list[Any], Any]
"""A data set, its test windows and a predictor."""


def trained(name: str, options: argparse.Namespace) -> Trained:
    """The data, its test windows and a model by the recipe of their card.

    It is kept in the folder as ``tsgen benchmark --cache`` keeps it.
    """
    data = datasets[options.data]()
    assert data.card is not None
    chosen = read_texts(data.card.options_for(name)) | read_options(options.set)
    estimator = estimators[name](
        data.prediction_length, verbose=False,
        checkpoint_dir=str(options.folder / f"{options.data}-{name}-0"), **chosen,
    )  # fmt: skip
    test = list(data.test)[: options.windows]
    return data, test, estimator.train(data.train, seed=0)


def scored(
    run: Trained, sampler: Sampler | LangevinSampler, samples: int, seed: int
) -> dict[str, Any]:
    """Figures of the test windows, and seconds of this process."""
    data, test, predictor = run
    began = time.process_time()
    result = backtest(
        predictor.with_sampler(sampler), test, num_samples=samples, levels=19,
        channels=data.channels, season=data.season, seed=seed,
    )  # fmt: skip
    spent = time.process_time() - began
    names = ("crps", "crps_sum", "fair_crps", "energy")
    forecasting = result.seconds["forecast"]
    return {n: result.scores[n] for n in names} | {"forecast_s": forecasting, "cpu_s": spent}


def sweep(options: argparse.Namespace) -> None:
    """Every sampler at every number of evaluations."""
    for name in options.models:
        run = trained(name, options)
        model = run[2].prediction_net.model
        process: Any = model.sde if isinstance(model, ScoreCLD) else model.schedule
        family: dict[str, Any] = LANGEVIN if isinstance(model, ScoreCLD) else SAMPLERS
        for label, sampler in family.items():
            if options.samplers and label not in options.samplers:
                continue
            for count in options.evaluations:
                chosen = sampler.with_evaluations(count)
                if family is SAMPLERS and label in ON_THE_CHAIN:
                    if chosen.num_steps > process.num_steps:
                        continue
                row = {
                    "data": options.data, "model": name, "sampler": label,
                    "evaluations": chosen.evaluations(process), "samples": options.samples,
                    "windows": len(run[1]), "seed": 0,
                }  # fmt: skip
                figures = scored(run, chosen, options.samples, 0)
                append("samplers.csv", row | figures)


def equal(options: argparse.Namespace) -> None:
    """Few evaluations against TimeGrad's hundred."""
    for name in options.models:
        run = trained(name, options)
        steps = run[2].prediction_net.model.schedule.num_steps
        reference = Ancestral(min(100, steps))
        base = [scored(run, reference, options.samples, s) for s in options.seeds]
        for label in options.samplers or FEW:
            sampler = SAMPLERS[label].with_evaluations(options.at)
            few = [scored(run, sampler, options.samples, s) for s in options.seeds]
            row: dict[str, Any] = {
                "data": options.data, "model": name, "sampler": label, "evaluations": options.at,
                "samples": options.samples, "windows": len(run[1]), "seeds": len(few),
            }  # fmt: skip
            for score in ("fair_crps", "crps", "crps_sum", "energy"):
                ratios = np.array([a[score] / b[score] for a, b in zip(few, base, strict=True)])
                error = ratios.std(ddof=1) / len(ratios) ** 0.5
                upper = ratios.mean() + stats.t.ppf(0.975, len(ratios) - 1) * error
                row |= {f"{score}_ratio": ratios.mean(), f"{score}_upper": upper}
            spent = [np.mean([f["forecast_s"] for f in runs]) for runs in (few, base)]
            append("samplers_equal.csv", row | {"speed_up": spent[1] / spent[0]})


def plot(options: argparse.Namespace) -> None:
    """CRPS and energy score against evaluations, a row for each model and data set."""
    table = pd.read_csv(RESULTS / "samplers.csv")
    runs = [(run, part) for run, part in table.groupby(["data", "model"], sort=False)]
    figure = Figure(figsize=(10, 3.2 * len(runs)), layout="constrained")
    axes = figure.subplots(len(runs), 2, squeeze=False)
    for ((data, model), part), row in zip(runs, axes, strict=True):
        for score, axis in zip(("crps", "energy"), row, strict=True):
            for label, one in part.groupby("sampler", sort=False):
                mean = one.groupby("evaluations")[score].mean()
                axis.plot(mean.index, mean, marker="o", markersize=3, linewidth=1.2, label=label)
            best = part[score].min()
            axis.set(xscale="log", ylim=(0.97 * best, 1.35 * best))
            axis.set_title(f"{model}, {data}", fontsize=9, loc="left")
            axis.set_xlabel("network evaluations a step")
            axis.set_ylabel({"crps": "CRPS", "energy": "energy score"}[score])
            axis.set_xticks(TICKS, [str(t) for t in TICKS])
            axis.minorticks_off()
            axis.grid(alpha=0.3)
        row[1].legend(fontsize=7, ncols=2, loc="upper right")
    figure.savefig(RESULTS / "samplers.png", dpi=110)


def main() -> None:
    """Read the options and go."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=["sweep", "equal", "plot"])
    parser.add_argument("--folder", type=Path, default=Path("models"), help="of trained models")
    parser.add_argument("--data", choices=sorted(datasets), default="exchange_rate_nips")
    parser.add_argument("--set", nargs="*", default=[], help="options, max_epochs=6, of training")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS[:2])
    parser.add_argument("--samplers", nargs="+", choices=[*SAMPLERS, *LANGEVIN])
    parser.add_argument("--evaluations", type=int, nargs="+", default=list(TICKS))
    parser.add_argument("--at", type=int, default=20, help="evaluations compared by `equal`")
    parser.add_argument("--windows", type=int, help="first ones of the test; all if not given")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    {"sweep": sweep, "equal": equal, "plot": plot}[options.task](options)


if __name__ == "__main__":
    main()
