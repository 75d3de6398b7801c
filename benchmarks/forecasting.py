r"""Data set x estimator x seed -> one row of scores each.

    python benchmarks/forecasting.py exchange_rate_nips random_walk timegrad --seeds 0 1 2 \
        --set timegrad.scaling=anchored

Rows go to benchmarks/results/forecasting.csv. ``--models FOLDER`` keeps trained models and
interrupted trainings, which go on where they stopped; a finished one is not trained again.
``--samplers DPMSolverPP:20`` scores a diffusion model once more with that sampler, and
``--set 'timegrad.encoder=gru(hidden_size=128)'`` changes the encoder.
``--validation`` is for choosing options without a look at the test windows.
"""

import argparse
import ast
import functools
import time
from pathlib import Path
from typing import Any

import torch
from _record import append

import tsgen.diffusion
from tsgen.data.benchmarks import Benchmark, MissingData, validation
from tsgen.data.registry import datasets
from tsgen.encoders import encoders
from tsgen.estimators.registry import baselines, estimators
from tsgen.evaluation import backtest, coverage


def value_of(text: str) -> Any:
    """A literal, an encoder with its options, ``gru(hidden_size=128)``, or else the text."""
    try:
        call = ast.parse(text, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args:
            options = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
            return functools.partial(encoders[call.func.id], **options)
        return ast.literal_eval(call)
    except (ValueError, SyntaxError):
        return text


def options_of(name: str, settings: list[str]) -> dict[str, Any]:
    """The options given for one estimator as ``name.option=value``."""
    options: dict[str, Any] = {}
    for setting in settings:
        target, _, value = setting.partition("=")
        owner, _, option = target.partition(".")
        if not option or not value:
            raise ValueError(f"--set {setting!r}: expected estimator.option=value")
        if owner == name:
            options[option] = value_of(value)
    return options


def sampler_of(text: str) -> tsgen.diffusion.Sampler:
    """The sampler written as ``Name`` or ``Name:steps``."""
    name, _, steps = text.partition(":")
    kind = getattr(tsgen.diffusion, name, None)
    if not (isinstance(kind, type) and issubclass(kind, tsgen.diffusion.Sampler)):
        raise argparse.ArgumentTypeError(f"{text!r}: tsgen.diffusion has no sampler {name}")
    if steps and not steps.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME or NAME:STEPS")
    return kind(int(steps)) if steps else kind()


def described(sampler: tsgen.diffusion.Sampler | None) -> str:
    """A sampler as the table names it."""
    return f"{type(sampler).__name__}:{sampler.num_steps or 'all'}" if sampler else ""


def prepare(args: argparse.Namespace) -> tuple[Benchmark, dict[str, Any]]:
    """The data and the estimators, with everything checked that can be before training.

    Raises:
        ValueError: for what cannot be run.
        MissingData: if the data are not here.
    """
    for setting in args.settings:
        if setting.partition(".")[0] not in args.estimators:
            raise ValueError(
                f"--set {setting!r}: the estimators of this run are {', '.join(args.estimators)}"
            )
    if args.samples < 2 or args.levels < 1:
        raise ValueError(
            f"--samples {args.samples} --levels {args.levels}: expected at least 2 and 1"
        )
    data = datasets[args.dataset]()
    data = validation(data) if args.validation else data
    made = {}
    for name in args.estimators:
        options = options_of(name, args.settings)
        if name not in baselines:
            options["verbose"] = not args.quiet
        made[name] = estimators[name](data.prediction_length, **options)
    diffusion = [e for e in made.values() if hasattr(e, "sampler")]
    if args.samplers and not diffusion:
        raise ValueError(f"--samplers: none of {', '.join(made)} has a sampler")
    for sampler in args.samplers:
        for estimator in diffusion:
            sampler.times(estimator.schedule)
    return data, made


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=sorted(datasets))
    parser.add_argument("estimators", nargs="+", choices=sorted(estimators))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--levels", type=int, default=19)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--set", dest="settings", nargs="*", default=[], metavar="ESTIMATOR.OPTION=VALUE"
    )
    parser.add_argument("--samplers", type=sampler_of, nargs="*", default=[], metavar="NAME:STEPS")
    parser.add_argument(
        "--validation",
        action="store_true",
        help="score the period before the test period, which training then ends before",
    )
    parser.add_argument("--models", type=Path, help="folder for models and checkpoints")
    parser.add_argument("--out", default="forecasting.csv", help="table in benchmarks/results")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        data, made = prepare(args)
    except (ValueError, MissingData) as error:
        parser.error(str(error))
    folder = data.name.replace("/", "-")
    for name, basic in made.items():
        written = [s.partition(".")[2] for s in args.settings if s.startswith(f"{name}.")]
        for seed in args.seeds:
            estimator = basic
            if args.models and name not in baselines:
                run = str(args.models / f"{folder}-{name}-{seed}-run")
                estimator = basic.replace(checkpoint_dir=run)
            started = time.perf_counter(), time.process_time()
            trained = estimator.train(data.train, seed=seed)
            ended = time.perf_counter(), time.process_time()
            if args.models and name not in baselines:
                trained.serialize(args.models / f"{folder}-{name}-{seed}")
            own = getattr(estimator, "sampler", None)
            for sampler in (own, *args.samplers) if own else (None,):
                predictor = trained.with_sampler(sampler) if sampler and sampler != own else trained
                begun = time.perf_counter()
                result = backtest(predictor, data.test, args.samples, seed=seed, levels=args.levels)
                row = {
                    "dataset": data.name,
                    "estimator": name,
                    "options": " ".join(written),
                    "sampler": described(sampler),
                    "seed": seed,
                    "samples": args.samples,
                    "levels": args.levels,
                    **result.scores,
                    "coverage_90": " ".join(
                        f"{share:.3f}" for share in coverage(result.samples, result.truth)
                    ),
                    "train_s": ended[0] - started[0],
                    "train_cpu_s": ended[1] - started[1],
                    "forecast_s": time.perf_counter() - begun,
                }
                append(args.out, row)


if __name__ == "__main__":
    main()
