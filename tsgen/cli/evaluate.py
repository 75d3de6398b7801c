"""``tsgen evaluate``: how good a saved model is on a table, beside baselines."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tsgen.cli.checks import PAGES, check_history, check_writable, working
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
    set_threads,
)
from tsgen.cli.folder import open_model, seen_before
from tsgen.cli.output import note
from tsgen.cli.scoring import lowest_of, present, score_model


def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder that `tsgen train` wrote.")],
    table: Annotated[Path, typer.Argument(help="Table with the same columns, history and truth.")],
    windows: Annotated[
        int, typer.Option(callback=at_least(1), help="Rolling windows at the end of each series.")
    ] = 1,
    stride: Annotated[
        int | None,
        typer.Option(
            callback=at_least(1), help="Steps from a window to the next; a horizon by default."
        ),
    ] = None,
    baselines: BaselinesOption = BASELINES,
    seed: SeedOption = 0,
    samples: SamplesOption = 100,
    levels: LevelsOption = 19,
    out: Annotated[
        Path | None, typer.Option(help="File for every figure (.csv, .parquet, .json).")
    ] = None,
    report: ReportOption = None,
    device: Annotated[str | None, typer.Option(help="Where the model runs.")] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score a saved model on the last windows of a table.

    Each window is forecast from what comes before it. Scores of windows that training has
    seen mean nothing: a warning says which begin before the end of the table it was given.

        tsgen evaluate model/ demand.csv --windows 7 --out scores.csv --report report.html
    """
    set_threads(threads)
    check_writable("--out", out)
    check_writable("--report", report, PAGES)
    beside = baselines_in(baselines)

    from tsgen.data import rolling
    from tsgen.data.splits import length_of, until
    from tsgen.evaluation.capabilities import support_of

    predictor, layout = open_model(model, device)
    data = layout.read(table)
    if not quiet:
        note(f"{table}: {data.summary}")
    horizon = predictor.prediction_length
    test = rolling(data.dataset, windows, horizon, stride)
    if warning := seen_before(model, test, horizon):
        note(f"warning: {warning}")
    pasts = [until(entry, length_of(entry) - horizon, horizon) for entry in data.dataset]
    check_history(predictor, pasts)
    common: dict[str, Any] = {
        "num_samples": samples, "seed": seed, "levels": levels, "channels": data.summary.channels
    }  # fmt: skip
    name = model.resolve().name
    with working():
        low = lowest_of(support_of(predictor))
        scored = score_model(name, predictor, test, beside, low, **common)
        scored.write(
            out,
            report,
            title=f"{name} on {table.name}",
            about=str(data.summary),
            settings={name: {"folder": str(model), "seed": seed, "windows": windows}},
        )
        present(scored.rows(), levels, (out, report), as_json=as_json, quiet=quiet)
