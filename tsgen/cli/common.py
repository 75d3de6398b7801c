"""What several commands share: options of tables, models and samples, and splitting in time."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer


def at_least(least: int) -> Callable[[int | None], int | None]:
    """A check of an option's number, if it is given; it is less than torch's largest seed."""

    def check(value: int | None) -> int | None:
        if value is not None and not least <= value < 2**63:
            expected = f"at least {least}" if value < least else "less than 2**63"
            raise typer.BadParameter(f"{value}, expected {expected}")
        return value

    return check


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")]
SeedOption = Annotated[
    int, typer.Option(callback=at_least(0), help="Makes training and samples repeatable.")
]
SamplesOption = Annotated[
    int, typer.Option("--samples", callback=at_least(2), help="Sample paths for each forecast.")
]
LevelsOption = Annotated[
    int,
    typer.Option(
        callback=at_least(1),
        help="Quantiles of the CRPS: 9 (GluonTS), 19 (TimeGrad's papers) or 99.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(callback=at_least(1), help="Threads of torch; one is fastest on a busy machine."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")]
ReportOption = Annotated[
    Path | None, typer.Option(help="Write one HTML page with figures, scores and settings.")
]
BaselinesOption = Annotated[
    str,
    typer.Option(help="Baselines scored beside the model, by commas; 'none' for none."),
]
BASELINES = "last_value,random_walk,seasonal_naive,ridge"


def names_in(text: str | None) -> list[str]:
    """Names written with commas between them."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def columns_in(option: str, texts: Sequence[str] | None) -> list[str]:
    """Names of columns: an option may be repeated, and each text has one or several by commas.

    A name with a comma in it has quotes around it, as in a CSV.

    Raises:
        ValueError: for quotes that do not end.
    """
    names: list[str] = []
    for text in texts or ():
        try:
            (row,) = csv.reader([text], skipinitialspace=True, strict=True)
        except (csv.Error, ValueError):
            raise ValueError(
                f"{option} {text}: expected names of columns with commas between them, quotes "
                "around a name that has a comma itself: '\"Sold, units\",price'"
            ) from None
        names += [name.strip() for name in row if name.strip()]
    return names


def baselines_in(text: str) -> list[str]:
    """Baselines written with commas between them, each checked; "none" for none.

    Raises:
        ValueError: for a name that is no baseline's, with those that are.
    """
    from tsgen.estimators.registry import baselines

    names = [name for name in names_in(text) if name != "none"]
    for name in names:
        baselines[name]
    return names


def set_threads(threads: int | None) -> None:
    """Limit torch to so many threads."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


class HeldOut(NamedTuple):
    """Windows at the end of a table that no training sees."""

    test: int
    """Windows at the end, to be scored."""
    calibration: int
    """Windows before them, to calibrate intervals by."""


def plan_windows(
    lengths: Mapping[str, int], horizon: int, test: int | None, calibration: int | None
) -> HeldOut:
    """Windows that suit the data, where they are not given.

    A tenth of the shortest series is kept for the test, at most 7 windows, and a fifth for
    calibration, at most 30 windows or what 20 forecasts need.

    Args:
        lengths: steps of each series, by its name.
        horizon: steps of a window.
        test: windows of the test, if given.
        calibration: windows for calibration, if given.

    Raises:
        ValueError: naming the shortest of several series, if the horizon does not fit the data or
            the windows leave nothing to train on.
    """
    series = len(lengths)
    name, shortest = min(lengths.items(), key=lambda item: item[1])
    which = f", {name!r}," if series > 1 else ""
    if shortest < 2 * horizon + 1:
        raise ValueError(
            f"--horizon {horizon}: the shortest series{which} has {shortest} steps, expected more "
            f"than two horizons ({2 * horizon})"
        )
    if test is None:
        test = max(1, min(7, shortest // (10 * horizon)))
        test = test if shortest > (test + 1) * horizon else 0
    if calibration is None:
        enough = max(1, -(-20 // series)) if series > 1 else 30
        calibration = min(enough, shortest // (5 * horizon))
    left = shortest - (test + calibration) * horizon
    if left <= horizon:
        raise ValueError(
            f"--windows {test} and --calibrate {calibration} of horizon {horizon} leave "
            f"{max(left, 0)} of {shortest} steps{' of ' + repr(name) if series > 1 else ''} for "
            f"training, expected more than {horizon}"
        )
    return HeldOut(test, calibration)
