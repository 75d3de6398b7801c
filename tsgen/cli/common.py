"""What several commands share: options of tables, models and samples, and splitting in time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")]
SeedOption = Annotated[int, typer.Option(help="Makes training and samples repeatable.")]
SamplesOption = Annotated[int, typer.Option("--samples", help="Sample paths for each forecast.")]
LevelsOption = Annotated[
    int, typer.Option(help="Quantiles of the CRPS: 9 (GluonTS), 19 (TimeGrad's papers) or 99.")
]
ThreadsOption = Annotated[
    int | None, typer.Option(help="Threads of torch; one is fastest on a busy machine.")
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
        if threads < 1:
            raise ValueError(f"--threads {threads}: expected at least 1")
        import torch

        torch.set_num_threads(threads)


class Plan(NamedTuple):
    """How a table is divided in time."""

    test: int
    """Windows at the end, to be scored."""
    calibration: int
    """Windows before them, to calibrate intervals by."""


def plan_windows(
    lengths: Sequence[int], horizon: int, test: int | None, calibration: int | None
) -> Plan:
    """Windows that suit the data, where they are not given.

    A tenth of the shortest series is kept for the test, at most 7 windows, and a fifth for
    calibration, at most 30 windows or what 20 forecasts need.

    Raises:
        ValueError: if the horizon does not fit the data or the windows leave nothing to train on.
    """
    shortest, series = min(lengths), len(lengths)
    if horizon < 1:
        raise ValueError(f"--horizon {horizon}: expected at least 1")
    if shortest < 2 * horizon + 1:
        raise ValueError(
            f"--horizon {horizon}: the shortest series has {shortest} steps, expected more than "
            f"two horizons ({2 * horizon})"
        )
    if test is None:
        test = max(1, min(7, shortest // (10 * horizon)))
        test = test if shortest > (test + 1) * horizon else 0
    if calibration is None:
        wanted = max(1, -(-20 // series)) if series > 1 else 30
        calibration = min(wanted, shortest // (5 * horizon))
    for name, value in (("--windows", test), ("--calibrate", calibration)):
        if value < 0:
            raise ValueError(f"{name} {value}: expected at least 0")
    left = shortest - (test + calibration) * horizon
    if left <= horizon:
        raise ValueError(
            f"--windows {test} and --calibrate {calibration} of horizon {horizon} leave "
            f"{max(left, 0)} of {shortest} steps for training, expected more than {horizon}"
        )
    return Plan(test, calibration)
