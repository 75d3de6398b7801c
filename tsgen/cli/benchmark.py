"""``tsgen benchmark``: data sets x models x seeds, with baselines beside them."""

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsgen.cli.checks import check_folder, check_writable, working
from tsgen.cli.common import (
    BASELINES,
    BaselinesOption,
    JsonOption,
    LevelsOption,
    QuietOption,
    SamplesOption,
    ThreadsOption,
    at_least,
    baselines_in,
    names_in,
    set_threads,
)
from tsgen.cli.output import note, print_json
from tsgen.cli.records import RunTable, Task, described, write_page
from tsgen.cli.scoring import lowest_of, print_scores, summarise, training_seconds

if TYPE_CHECKING:
    from tsgen.data import Benchmark
    from tsgen.evaluation import Backtest


def benchmark(
    context: typer.Context,
    data: Annotated[str, typer.Option(help="Data sets, by commas; see `tsgen datasets list`.")],
    models: Annotated[str, typer.Option(help="Models, by commas, such as timegrad,lowrank.")] = "",
    seeds: Annotated[
        int,
        typer.Option(callback=at_least(1), help="Trainings of each model, with seeds 0, 1, ..."),
    ] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of a model: --set timegrad.max_epochs=5; repeat it."),
    ] = None,
    samplers: Annotated[
        list[str] | None,
        typer.Option(
            "--sampler", help="Score diffusion models once more with it: 'DPMSolverPP(20)'."
        ),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Ignore the options that a data set's card advises.")
    ] = False,
    validation: Annotated[
        bool,
        typer.Option("--validation", help="Score the period before the test, to choose options."),
    ] = False,
    baselines: BaselinesOption = BASELINES,
    samples: SamplesOption = 100,
    levels: LevelsOption = 19,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Table of all runs; new rows are added to it (.csv, .csv.gz), in place of those "
            "of the same command if it was stopped."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for a page of figures of each data set.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps trained models: what is in it is not trained again."),
    ] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train models on data sets by their protocols and score them beside baselines.

    Prints means over seeds with their standard deviation, and how each model's CRPS compares with
    that of the best baseline (ratio, 95 % interval, p-value of the Diebold-Mariano test over the
    test windows). Simulated sets have a row "exact", the best forecast there is. A card may advise
    options (`tsgen datasets info NAME`); --set goes over them, --plain leaves them out.

        tsgen benchmark --data exchange_rate_nips,eia_demand_hourly --models timegrad,lowrank \
--seeds 3
    """
    set_threads(threads)
    check_writable("--out", out, (".csv", ".csv.gz"))
    check_folder("--report", report)
    check_folder("--cache", cache)
    beside = baselines_in(baselines)
    _check_names(names_in(data), names_in(models))
    sets = list(_load(names_in(data), validation))
    plans = [_tasks(d, names_in(models), beside, settings or [], plain, quiet) for d in sets]
    others = [_sampler(text, plans) for text in samplers or []]
    say = (lambda text: None) if quiet else note
    tables: list[dict[str, Any]] = []
    table = RunTable(out, context.obj)
    for benchmark_set, tasks in zip(sets, plans, strict=True):
        keep = functools.partial(table.add, benchmark_set.name, samples, levels)
        results = _run(
            benchmark_set, tasks, range(seeds), others, samples, levels, cache, keep, say
        )
        with working():
            rows = summarise(results, [t.name for t in tasks if t.is_baseline])
            tables += [{"dataset": benchmark_set.name, **row} for row in rows]
            if not as_json:
                windows = f"{len(benchmark_set.test)} windows, {seeds} seeds"
                print_scores(rows, levels, title=f"{benchmark_set.name}: {windows}")
            if report is not None:
                write_page(report, benchmark_set, tasks, results, say)
    with working():
        table.close()
    if as_json:
        print_json({"levels": levels, "samples": samples, "seeds": seeds, "results": tables})


def _check_names(data: list[str], models: list[str]) -> None:
    """Look every name up before anything is loaded."""
    from tsgen.data.registry import datasets
    from tsgen.estimators.registry import estimators

    if not data:
        raise ValueError("--data: expected at least one name, see `tsgen datasets list`")
    for name in data:
        datasets[name]
    for name in models:
        estimators[name]


def _load(names: list[str], validation: bool) -> "Iterator[Benchmark]":
    from tsgen.data.benchmarks import validation as earlier
    from tsgen.data.registry import datasets

    for name in names:
        loaded = datasets[name]()
        yield earlier(loaded) if validation else loaded


def _tasks(
    data: "Benchmark",
    models: list[str],
    beside: list[str],
    settings: list[str],
    plain: bool,
    quiet: bool,
) -> list[Task]:
    """What is run on a data set; everything is checked here, before any training."""
    from tsgen.estimators.options import read_options, read_texts
    from tsgen.estimators.registry import baselines, estimators
    from tsgen.forecasting.estimator import GenerativeEstimator

    options_of: dict[str, dict[str, Any]] = {name: {} for name in (*models, *beside)}
    for target, value in read_options(settings).items():
        owner, _, option = target.partition(".")
        if owner not in options_of or not option:
            raise ValueError(
                f"--set {target}=...: expected MODEL.OPTION=VALUE with one of "
                f"{', '.join(options_of)}"
            )
        options_of[owner][option] = value
    tasks = []
    for name in dict.fromkeys((*models, *beside)):
        is_baseline = name in baselines
        options = dict(options_of[name])
        kind: Any = estimators[name]
        own: dict[str, Any] = {}
        if isinstance(kind, functools.partial):
            kind, own = kind.func, kind.keywords  # what makes the name this model
        if is_baseline and data.card is not None:
            low = lowest_of(data.card.support)
            options = ({"low": low} if low is not None else {}) | options
        elif data.card is not None and not plain and issubclass(kind, GenerativeEstimator):
            advised = read_texts(data.card.options_for(name))
            options = {k: v for k, v in advised.items() if k not in own} | options
        estimator = estimators[name](data.prediction_length, **options)
        if isinstance(estimator, GenerativeEstimator):
            estimator = estimator.replace(verbose=not quiet)
        tasks.append(Task(name, estimator, options, is_baseline))
    return tasks


def _sampler(text: str, plans: list[list[Task]]) -> Any:
    from tsgen.diffusion import LangevinSampler, Sampler
    from tsgen.estimators.denoising import WithSampler
    from tsgen.estimators.options import read_value

    sampler = read_value(text)
    if not isinstance(sampler, Sampler | LangevinSampler):
        raise ValueError(f"--sampler {text!r}: expected a sampler such as 'DPMSolverPP(20)'")
    owners = [t.estimator for tasks in plans for t in tasks if isinstance(t.estimator, WithSampler)]
    if not owners:
        raise ValueError(f"--sampler {text!r}: none of the models has a sampler")
    for estimator in owners:
        estimator.check_sampler(sampler)
    return sampler


def _run(
    data: "Benchmark",
    tasks: list[Task],
    seeds: range,
    samplers: list[Any],
    samples: int,
    levels: int,
    cache: Path | None,
    keep: Callable[..., None],
    say: Callable[[str], None],
) -> "dict[str, list[Backtest]]":
    """Backtests of every forecaster, one for each seed."""
    from tsgen.estimators.denoising import WithSampler
    from tsgen.evaluation import backtest

    results: dict[str, list[Backtest]] = {}
    common: dict[str, Any] = {
        "num_samples": samples, "levels": levels, "channels": data.channels, "season": data.season
    }  # fmt: skip
    for task in tasks:
        for seed in seeds:
            say(f"{data.name}: {task.name}, seed {seed}")
            predictor, seconds = _trained(data, task, seed, cache)
            forms = {task.name: predictor}
            if isinstance(task.estimator, WithSampler):
                forms |= {
                    f"{task.name} {described(s)}": predictor.with_sampler(s)
                    for s in samplers
                    if s != task.estimator.sampler
                }
            for name, form in forms.items():
                with working():
                    result = backtest(form, data.test, seed=seed, **common)
                    result.seconds["train"] = seconds
                    results.setdefault(name, []).append(result)
                    keep(name, task.options, seed, result)
    if data.law is not None:
        from tsgen.data.synthetic import ExactPredictor

        with working():
            exact = ExactPredictor(data.law, data.prediction_length)
            results["exact"] = [backtest(exact, data.test, seed=seed, **common) for seed in seeds]
            for seed, result in zip(seeds, results["exact"], strict=True):
                keep("exact", {}, seed, result)
    return results


def _trained(data: "Benchmark", task: Task, seed: int, cache: Path | None) -> tuple[Any, float]:
    from tsgen.evaluation.backtest import fit
    from tsgen.evaluation.capabilities import Resumable
    from tsgen.forecasting.training.run import OtherRun

    estimator = task.estimator
    if cache is not None and isinstance(estimator, Resumable):
        folder = cache / f"{data.name.replace('/', '-')}-{task.name}-{seed}"
        estimator = estimator.replace(checkpoint_dir=str(folder))
    begun = time.perf_counter()
    try:
        predictor = fit(estimator, data.train, seed)
    except OtherRun as other:
        if cache is None:
            raise
        raise ValueError(
            f"--cache {cache}: {other.folder.name} was trained with other options "
            f"({other.differences}); remove that folder or choose another --cache"
        ) from None
    return predictor, training_seconds(predictor, begun)
