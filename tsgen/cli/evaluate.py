"""``tsgen evaluate``: how good a saved model is on a table, beside baselines."""

from pathlib import Path
from typing import Annotated, Any

import typer

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
    baselines_in,
    set_threads,
)
from tsgen.cli.output import check_writable, note
from tsgen.cli.scoring import lowest_of, present, run_baselines
from tsgen.cli.train import TABLE


def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder that `tsgen train` wrote.")],
    table: Annotated[Path, typer.Argument(help="Table with the same columns, history and truth.")],
    windows: Annotated[int, typer.Option(help="Rolling windows at the end of each series.")] = 1,
    stride: Annotated[
        int | None, typer.Option(help="Steps from a window to the next; a horizon by default.")
    ] = None,
    baselines: BaselinesOption = BASELINES,
    seed: SeedOption = 0,
    samples: SamplesOption = 100,
    levels: LevelsOption = 19,
    out: Annotated[Path | None, typer.Option(help="File for every figure (.csv, ...).")] = None,
    report: ReportOption = None,
    device: Annotated[str | None, typer.Option(help="Where the model runs.")] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score a saved model on the last windows of a table.

    Each window is forecast from what comes before it. Take care that training has not seen the
    windows: scores of windows it has seen mean nothing.

        tsgen evaluate model/ demand.csv --windows 7 --out scores.csv --report report.html
    """
    set_threads(threads)
    check_writable("--out", out)
    check_writable("--report", report)
    beside = baselines_in(baselines)

    from tsgen.data import rolling
    from tsgen.evaluation import CalibratedPredictor, backtest

    predictor, layout = open_model(model, device)
    data = layout.read(table)
    if not quiet:
        note(f"{table}: {data.summary}")
    test = rolling(data.dataset, windows, predictor.prediction_length, stride)
    common: dict[str, Any] = {
        "num_samples": samples, "seed": seed, "levels": levels, "channels": data.summary.channels
    }  # fmt: skip
    name = model.resolve().name
    results = {name: backtest(predictor, test, **common)}
    pairs, base = {}, predictor
    if isinstance(predictor, CalibratedPredictor):
        base = predictor.base
        pairs[name] = (backtest(base, test, **common), results[name])
    low = lowest_of(getattr(base, "support", "real"))
    results |= run_baselines(beside, test, predictor.prediction_length, low, **common)
    present(
        results,
        beside,
        scores=out,
        report=report,
        as_json=as_json,
        quiet=quiet,
        title=f"{name} on {table.name}",
        about=str(data.summary),
        histories={name: getattr(base, "history", [])},
        calibrated=pairs,
        settings={name: {"folder": str(model), "seed": seed, "windows": windows}},
    )


def open_model(folder: Path, device: str | None) -> tuple[Any, Any]:
    """A saved predictor and how its table is read.

    Raises:
        ValueError: if the folder holds no model or does not say how its table is read.
    """
    from gluonts.core.serde import load_json

    from tsgen.saving import load

    predictor = load(folder, device)
    path = folder / TABLE
    if not path.exists():
        raise ValueError(f"{folder}: {TABLE} is missing; models made by `tsgen train` have it")
    return predictor, load_json(path.read_text())
