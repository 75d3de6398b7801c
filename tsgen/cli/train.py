"""``tsgen train``: from a table to a calibrated model and an honest score table."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tsgen.cli.checks import (
    PAGES,
    as_options,
    check_channels,
    check_folder,
    check_writable,
    working,
)
from tsgen.cli.common import (
    BASELINES,
    BaselinesOption,
    JsonOption,
    LevelsOption,
    QuietOption,
    ReportOption,
    SamplesOption,
    SeedOption,
    ThreadsOption,
    at_least,
    baselines_in,
    columns_in,
    plan_windows,
    set_threads,
)
from tsgen.cli.folder import (
    CHECKPOINTS,
    REPORT,
    SCORES,
    Rows,
    calibrated,
    check_free,
    one_training,
    save_trained,
    writing_into,
)
from tsgen.cli.output import note
from tsgen.cli.scoring import lowest_of, present, score_model, training_seconds
from tsgen.core.atomic import discard

if TYPE_CHECKING:
    from gluonts.model.predictor import Predictor

    from tsgen.data.entries import Entry


def train(
    context: typer.Context,
    table: Annotated[Path, typer.Argument(help="CSV (.csv, .csv.gz, .tsv) or parquet file.")],
    model: Annotated[
        str,
        typer.Option(help="gaussian, lowrank, student_t, timegrad, deepar, ..., or a baseline."),
    ],
    horizon: Annotated[int, typer.Option(callback=at_least(1), help="Steps to forecast.")],
    out: Annotated[Path, typer.Option(help="Folder for the model, its scores and its report.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns to forecast, by commas or repeated; all numeric ones if none. A name "
            "with a comma in it needs quotes inside: --target '\"Sold, units\"'."
        ),
    ] = None,
    time_column: Annotated[
        str | None, typer.Option("--time", help="Column of times; found if there is one.")
    ] = None,
    item_id: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that tells the series of a long table apart, or several, by commas."
        ),
    ] = None,
    panel: Annotated[
        bool | None,
        typer.Option(
            "--panel/--multivariate",
            help="A series for each column or item, or one series of many channels. Wide tables "
            "are multivariate by default, long ones (--item-id) a panel.",
        ),
    ] = None,
    known: Annotated[
        list[str] | None, typer.Option(help="Covariates known for the future, by commas.")
    ] = None,
    past: Annotated[
        list[str] | None, typer.Option(help="Covariates known only up to now, by commas.")
    ] = None,
    static: Annotated[
        list[str] | None, typer.Option(help="Columns constant for each item, by commas.")
    ] = None,
    freq: Annotated[
        str | None, typer.Option(help="Spacing of the times as pandas writes it: h, 15min, ...")
    ] = None,
    duplicates: Annotated[
        Literal["last", "first", "mean", "sum", "error"] | None,
        typer.Option(
            help="Which of several rows of one time counts; the last if not given, of a few."
        ),
    ] = None,
    irregular: Annotated[
        Literal["nearest", "floor", "error"], typer.Option(help="Where times off the grid go.")
    ] = "nearest",
    dayfirst: Annotated[
        bool, typer.Option("--dayfirst", help="Days come before months: 3.4.2024.")
    ] = False,
    time_format: Annotated[
        str | None,
        typer.Option(
            help="How times are written, as strptime takes it (%y%m%d), or excel, unix_s, unix_ms."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of the model: --set max_epochs=5; may be repeated."),
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option(
            callback=at_least(0), help="Windows at the end kept for the test; 0 for none."
        ),
    ] = None,
    calibration: Annotated[
        int | None,
        typer.Option(
            "--calibrate",
            callback=at_least(0),
            help="Windows before those kept for calibration; 0 for none.",
        ),
    ] = None,
    baselines: BaselinesOption = BASELINES,
    seed: SeedOption = 0,
    samples: SamplesOption = 100,
    levels: LevelsOption = 19,
    report: ReportOption = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace a model, or an unfinished training, that is in --out."
        ),
    ] = False,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a model on a table, calibrate it and score it beside baselines.

    The table is divided in time: the model is trained on the first part, its intervals are
    calibrated on --calibrate windows after it, and it is scored on --windows windows at the end,
    which neither has seen. The folder --out then holds the model, scores.csv with every figure,
    and report.html. A model that cannot be calibrated is kept as it was trained, with a warning. A
    training that was interrupted goes on when the command is given again, without --overwrite.

        tsgen train demand.csv --model lowrank --horizon 24 --out model/

        tsgen train sales.csv --item-id shop --target sold --known price --model timegrad \
--horizon 28 --set support=count --out model/
    """
    say = (lambda text: None) if quiet else note
    set_threads(threads)
    beside = baselines_in(baselines)
    check_folder("--out", out)
    check_writable("--report", report, PAGES)
    estimator, options = _estimator(model, horizon, settings, out, quiet)
    from tsgen.evaluation.capabilities import Resumable

    keeps = isinstance(estimator, Resumable)
    resumes = keeps and estimator.checkpoint_dir == str(out / CHECKPOINTS)
    context.with_resource(writing_into(out))
    if not overwrite:
        check_free(out, resumes)

    from tsgen.data import from_dataframe, rolling, until
    from tsgen.data.splits import length_of

    with as_options():
        dataset, summary = from_dataframe(
            table,
            time=time_column,
            target=columns_in("--target", target) or None,
            item_id=columns_in("--item-id", item_id) or None,
            multivariate=None if panel is None else not panel,
            known=columns_in("--known", known),
            past=columns_in("--past", past),
            static=columns_in("--static", static),
            freq=freq,
            duplicates=duplicates,
            irregular=irregular,
            dayfirst=dayfirst,
            time_format=time_format,
        )
    check_channels(dataset, summary.channels)
    lengths = {str(entry["item_id"]): length_of(entry) for entry in dataset}
    plan = plan_windows(lengths, horizon, windows, calibration)
    say(f"{table}: {summary}")
    held_out = (plan.test + plan.calibration) * horizon
    say(
        f"trains on {min(lengths.values()) - held_out} steps; the next {plan.calibration} "
        f"windows of {horizon} calibrate, the last {plan.test} test"
    )
    training = [until(entry, length_of(entry) - held_out) for entry in dataset]
    if overwrite:
        discard(out / CHECKPOINTS)
    predictor, seconds = _trained(estimator, training, seed, out)
    before = [until(entry, length_of(entry) - plan.test * horizon) for entry in dataset]
    held = rolling(before, plan.calibration, horizon) if plan.calibration else []
    test = rolling(dataset, plan.test, horizon) if plan.test else []
    with working():
        final = calibrated(predictor, held, seed, say)

        def score(scores: Path, page: Path) -> Rows:
            scored = score_model(
                model, final, test, beside, lowest_of(options.get("support", "real")), seconds,
                num_samples=samples, seed=seed, levels=levels, channels=summary.channels,
            )  # fmt: skip
            scored.write(
                scores,
                page,
                title=f"{model} on {table.name}",
                about=str(summary),
                settings={model: {**options, "seed": seed, "prediction_length": horizon}},
            )
            return scored.rows()

        rows = save_trained(final, summary, out, report, score if test else None)
        discard(out / CHECKPOINTS)
    say(f"the model is in {out}")
    with working():
        files = (out / SCORES, report or out / REPORT)
        present(rows, levels, files, as_json=as_json, quiet=quiet)


def _estimator(
    model: str, horizon: int, settings: list[str] | None, out: Path, quiet: bool
) -> tuple[Any, dict[str, Any]]:
    """The estimator of a name, and the options given for it."""
    from tsgen.estimators.options import read_options
    from tsgen.estimators.registry import estimators
    from tsgen.forecasting.estimator import GenerativeEstimator

    options = read_options(settings or [])
    estimator = estimators[model](horizon, **options)
    if isinstance(estimator, GenerativeEstimator):
        folder = options.get("checkpoint_dir", str(out / CHECKPOINTS))
        estimator = estimator.replace(verbose=not quiet, checkpoint_dir=folder)
    return estimator, options


def _trained(
    estimator: Any, training: "list[Entry]", seed: int, out: Path
) -> "tuple[Predictor, float]":
    """The trained predictor and how many seconds it took.

    Raises:
        ValueError: if the data do not suit the model, or the folder holds another training.
    """
    begun = time.perf_counter()
    with one_training(out):
        predictor = estimator.train(training, seed=seed)
    return predictor, training_seconds(predictor, begun)
