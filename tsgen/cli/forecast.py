"""``tsgen forecast``: what comes after the end of a table."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsgen.cli.checks import check_band, check_history, check_writable, quantiles_in, working
from tsgen.cli.common import QuietOption, SeedOption, ThreadsOption, at_least, set_threads
from tsgen.cli.folder import open_model
from tsgen.cli.output import note, write_frame

if TYPE_CHECKING:
    import pandas as pd

    from tsgen.data.entries import Entry


def forecast(
    model: Annotated[Path, typer.Argument(help="Folder that `tsgen train` wrote.")],
    table: Annotated[Path, typer.Argument(help="Table with the same columns; its end is now.")],
    quantiles: Annotated[str, typer.Option(help="Levels, by commas.")] = "0.05,0.5,0.95",
    out: Annotated[
        Path | None, typer.Option(help="File for quantiles (.csv, .parquet, .json); else stdout.")
    ] = None,
    paths: Annotated[
        Path | None, typer.Option(help="File for the sample paths themselves.")
    ] = None,
    total: Annotated[
        bool,
        typer.Option(
            "--sum",
            help="Add the sum over channels, path by path; of a panel of single series the sum "
            "over them, as if they were independent.",
        ),
    ] = False,
    band: Annotated[
        float | None,
        typer.Option(
            help="Add the joint band that whole paths stay in with this probability, one of those "
            "that the model is calibrated for (.5, .8, .9, .95, with enough windows)."
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", callback=at_least(1), help="Sample paths.")
    ] = 200,
    seed: SeedOption = 0,
    device: Annotated[str | None, typer.Option(help="Where the model runs.")] = None,
    threads: ThreadsOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of CSV, with --out, too.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Forecast what comes after the end of a table.

    The result has a row for each time and channel, with the mean and each quantile. With --paths
    come the sample paths: values of one item_id and sample_id are one possible future of all
    channels. Covariates known for the future must be in the table, in rows without a target.

        tsgen forecast model/ demand.csv --quantiles .1,.5,.9 --out forecast.csv
    """
    set_threads(threads)
    quantile_levels = quantiles_in(quantiles)
    if band is not None and not 0 < band < 1:
        raise ValueError(f"--band {band:g}: expected a level between 0 and 1")
    check_writable("--out", out)
    check_writable("--paths", paths)

    import pandas as pd

    from tsgen.data import quantile_frame, sample_frame

    predictor, layout = open_model(model, device)
    check_band(band, predictor)
    data = layout.read(table)
    channels, stamp = list(data.summary.channels), layout.stamp
    items = () if layout.joins else layout.items
    if not quiet:
        note(f"{table}: {data.summary}")
    if total:
        _check_sum(data.dataset, channels)
    check_history(predictor, data.dataset, layout.known)
    with working():
        forecasts = list(predictor.predict(data.dataset, num_samples=samples, seed=seed))
        frame = quantile_frame(forecasts, quantile_levels, channels, stamp, items)
        if band is not None:
            frame = pd.concat([frame, _band(forecasts, band)], axis=1)
        if total:
            sums, names = _summed(forecasts, channels)
            added = quantile_frame(sums, quantile_levels, names, stamp)
            frame = pd.concat([frame, added], ignore_index=True)
        if paths is not None:
            write_frame(sample_frame(forecasts, channels, stamp, items), paths)
        if out is not None:
            write_frame(frame, out)
        if as_json:
            print(frame.to_json(orient="records", date_format="iso", indent=1))
        elif out is None:
            frame.to_csv(sys.stdout, index=False)
    if not quiet:
        written = [str(path) for path in (out, paths) if path is not None]
        note(
            f"{len(forecasts)} forecasts of {predictor.prediction_length} steps from "
            f"{frame['time'].iloc[0]}" + (f", written: {', '.join(written)}" if written else "")
        )


def _check_sum(dataset: "list[Entry]", channels: list[str]) -> None:
    """Raise ``ValueError`` where there is nothing to add up, or what there is ends at odd times."""
    from tsgen.data.splits import length_of

    if len(channels) > 1:
        return
    if len(dataset) == 1:
        raise ValueError("--sum: the table has one series of one channel, expected several")
    ends = {str(entry["item_id"]): entry["start"] + length_of(entry) - 1 for entry in dataset}
    (first, end), *others = ends.items()
    for name, other in others:
        if other != end:
            raise ValueError(
                f"--sum: {first!r} ends at {end} and {name!r} at {other}, expected series that end "
                "together"
            )


def _summed(forecasts: list[Any], channels: list[str]) -> tuple[list[Any], list[str]]:
    """Sums over channels, or else over single series, and the names of their channels."""
    from gluonts.model.forecast import SampleForecast

    from tsgen.data import channel_sum

    if len(channels) > 1:
        return channel_sum(forecasts), [_free_name(channels)]
    whole = sum(forecast.samples for forecast in forecasts)
    name = _free_name([str(forecast.item_id) for forecast in forecasts])
    return [SampleForecast(whole, forecasts[0].start_date, item_id=name)], channels


def _free_name(taken: list[str]) -> str:
    """What a sum is called: "sum", or "sum of all" where a channel or an item is called that."""
    name = "sum"
    while name in taken:
        name = "sum of all" if name == "sum" else f"({name})"
    return name


def _band(forecasts: list[Any], level: float) -> "pd.DataFrame":
    """Lower and upper ends of the joint bands, in the order of the quantiles' rows."""
    import numpy as np
    import pandas as pd

    ends = [forecast.band(level) for forecast in forecasts]
    low, high = (np.concatenate([np.reshape(end[k], -1) for end in ends]) for k in (0, 1))
    return pd.DataFrame({f"band_{level:g}_low": low, f"band_{level:g}_high": high})
