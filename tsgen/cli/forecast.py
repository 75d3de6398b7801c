"""``tsgen forecast``: what comes after the end of a table."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsgen.cli.common import QuietOption, SeedOption, ThreadsOption, names_in, set_threads
from tsgen.cli.evaluate import open_model
from tsgen.cli.output import check_writable, note, write_frame

if TYPE_CHECKING:
    import pandas as pd


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
        bool, typer.Option("--sum", help="Add the sum over channels, taken path by path.")
    ] = False,
    band: Annotated[
        float | None,
        typer.Option(help="Add the joint band that whole paths stay in with this probability."),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", help="Sample paths.")] = 200,
    seed: SeedOption = 0,
    device: Annotated[str | None, typer.Option(help="Where the model runs.")] = None,
    threads: ThreadsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of CSV.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Forecast what comes after the end of a table.

    The result has a row for each time and channel, with the mean and each quantile. With --paths
    come the sample paths: values of one item_id and sample_id are one possible future of all
    channels. Covariates known for the future must be in the table, in rows without a target.

        tsgen forecast model/ demand.csv --quantiles .1,.5,.9 --out forecast.csv
    """
    set_threads(threads)
    try:
        levels = [float(q) for q in names_in(quantiles)]
    except ValueError:
        raise ValueError(f"--quantiles {quantiles}: expected numbers with commas") from None
    if not levels or not all(0 < q < 1 for q in levels):
        raise ValueError(f"--quantiles {quantiles}: expected levels between 0 and 1")
    if samples < 1:
        raise ValueError(f"--samples {samples}: expected at least 1")
    check_writable("--out", out)
    check_writable("--paths", paths)

    import pandas as pd

    from tsgen.data import channel_sum, quantile_frame, sample_frame

    predictor, layout = open_model(model, device)
    data = layout.read(table)
    channels = list(data.summary.channels)
    made = list(predictor.predict(data.dataset, num_samples=samples, seed=seed))
    frame = quantile_frame(made, levels, channels, layout.stamp)
    if band is not None:
        frame = pd.concat([frame, _band(made, band, len(channels))], axis=1)
    if total:
        sums = quantile_frame(channel_sum(made), levels, ["sum"], layout.stamp)
        frame = pd.concat([frame, sums], ignore_index=True)
    if paths is not None:
        write_frame(sample_frame(made, channels, layout.stamp), paths)
    if out is not None:
        write_frame(frame, out)
    elif as_json:
        print(frame.to_json(orient="records", date_format="iso", indent=1))
    else:
        frame.to_csv(sys.stdout, index=False)
    if not quiet:
        written = [str(path) for path in (out, paths) if path is not None]
        note(
            f"{len(made)} forecasts of {predictor.prediction_length} steps from "
            f"{frame['time'].iloc[0]}" + (f", written: {', '.join(written)}" if written else "")
        )


def _band(made: list[Any], level: float, channels: int) -> "pd.DataFrame":
    """Lower and upper ends of the joint bands, in the order of the quantiles' rows."""
    import numpy as np
    import pandas as pd

    from tsgen.evaluation import CalibratedForecast

    if not all(isinstance(forecast, CalibratedForecast) for forecast in made):
        raise ValueError("--band: this model was not calibrated; train it with --calibrate")
    ends = [forecast.band(level) for forecast in made]
    low, high = (np.concatenate([np.reshape(end[k], -1) for end in ends]) for k in (0, 1))
    return pd.DataFrame({f"band_{level:g}_low": low, f"band_{level:g}_high": high})
