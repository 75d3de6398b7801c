"""``tsgen detect train``: from a log without attacks to a calibrated detector."""

import time as clock
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tsgen.cli.checks import check_folder, working
from tsgen.cli.common import JsonOption, QuietOption, SeedOption, ThreadsOption, at_least
from tsgen.cli.common import set_threads as limit_threads
from tsgen.cli.detect.folder import MODEL, Reading, save_detector, words
from tsgen.cli.detect.rows import as_rows, kinds_in, normal_runs, row_count
from tsgen.cli.folder import CHECKPOINTS, check_free, one_training, writing_into
from tsgen.cli.output import note, print_json
from tsgen.core.atomic import discard

if TYPE_CHECKING:
    import pandas as pd

    from tsgen.anomaly import CalibratedThreshold, Detector


def train(
    context: typer.Context,
    log: Annotated[
        list[Path], typer.Argument(help="CSV (.csv, .csv.gz) or parquet; several runs.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the detector.")],
    false_alarms_per_day: Annotated[
        float, typer.Option(help="Alarms that normal operation may raise, a day.")
    ],
    detector: Annotated[
        str, typer.Option(help="tfdpm, windowed_pca, pca, ar1, var, lowrank, maf, uae, ...")
    ] = "tfdpm",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="An option of the detector: --set 'scorer=DenoisingError(levels=(.2,))'; may be "
            "repeated.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(callback=at_least(1), help="Of a network's training.")
    ] = None,
    calibrate: Annotated[
        float, typer.Option(help="Share of the log that sets the threshold.")
    ] = 0.3,
    method: Annotated[
        Literal["pot", "conformal"], typer.Option(help="How the threshold is set.")
    ] = "pot",
    merge: Annotated[
        str | None, typer.Option(help="Alarms closer than this are one: 3h, or rows.")
    ] = None,
    on_delay: Annotated[
        str | None, typer.Option(help="How long scores stay high before an alarm: 5min, or rows.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Column of times (or two by commas); found if not given.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of labels; found by its name if not given.")
    ] = None,
    dayfirst: Annotated[
        bool | None,
        typer.Option("--dayfirst/--monthfirst", help="Order of dates, where it is not found."),
    ] = None,
    every: Annotated[str | None, typer.Option(help="Down-sample to a row for each: 10s.")] = None,
    warm_up: Annotated[
        str | None, typer.Option(help="What to leave out at the start: 6h, or rows.")
    ] = None,
    drop: Annotated[str | None, typer.Option(help="Columns to leave out, by commas.")] = None,
    kinds: Annotated[
        str | None, typer.Option(help="Kinds that are not what values suggest: P1=binary,...")
    ] = None,
    missing: Annotated[
        str | None, typer.Option(help="Texts that mean a missing value, by commas.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Taken off the names of columns.")] = "",
    duplicates: Annotated[
        Literal["error", "first", "last"], typer.Option(help="Which of rows of one time counts.")
    ] = "error",
    seed: SeedOption = 0,
    device: Annotated[str | None, typer.Option(help="Where a network is trained.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what --out holds.")
    ] = False,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Learn from a log without attacks, and set the threshold for a budget of false alarms.

    The log is cut into five pieces, so that all seasons count; the ends of these, --calibrate, set
    the threshold, and the rest is learnt from. Rows that a column of labels calls attacks are left
    out. A training that was interrupted goes on when the command is given again.

        tsgen detect train plant.csv --out model/ --false-alarms-per-day 0.5
    """
    say = (lambda text: None) if quiet else note
    limit_threads(threads)
    _check_shares(false_alarms_per_day, calibrate)
    check_folder("--out", out)
    detector_ = _detector(detector, settings, epochs, seed, device, out, quiet)
    context.with_resource(writing_into(out))
    from tsgen.anomaly import ForecastDetector, hold_out

    if not overwrite:
        check_free(out, isinstance(detector_, ForecastDetector), MODEL)

    from tsgen.data.plant import read_logs

    read_options: dict[str, Any] = {
        "time": None if time is None else list(words(time)), "label": label, "dayfirst": dayfirst,
        "every": as_rows(every), "drop": words(drop), "kinds": kinds_in(kinds),
        "missing": words(missing), "prefix": prefix, "duplicates": duplicates,
        "warm_up": as_rows(warm_up) or 0,
    }  # fmt: skip
    logs = read_logs(log, **read_options)
    for one in logs:
        say(str(one.summary))
    empty = [tag for tag in logs[0].tags if all(one.frame[tag].isna().all() for one in logs)]
    if empty:
        say(f"left out, for they hold no value: {', '.join(empty)}")
    runs = normal_runs([one.frame.drop(columns=empty) for one in logs], logs)
    rows = sum(map(len, runs))
    skipped = sum(len(one) for one in logs) - rows
    if skipped:
        say(f"left out: {skipped:,} rows that the labels call attacks")
    learn, held = hold_out(runs, calibrate)
    last = logs[-1].summary
    reading = Reading(
        tags=tuple(map(str, runs[0].columns)),
        kinds={tag: logs[0].kinds[tag] for tag in runs[0].columns},
        time=tuple(last.time), dayfirst=last.dayfirst, every=read_options["every"],
        missing=read_options["missing"], prefix=prefix, drop=(*read_options["drop"], *empty),
        duplicates=duplicates, start=str(logs[0].summary.start), end=str(last.end),
    )  # fmt: skip
    period = logs[0].summary.period
    detector_ = detector_.replace(
        policy=detector_.policy.replace(
            merge_gap=row_count("--merge", merge, period, detector_.policy.merge_gap),
            min_duration=row_count("--on-delay", on_delay, period, detector_.policy.min_duration),
        )
    )
    say(f"learns from {sum(map(len, learn)):,} rows; {sum(map(len, held)):,} others calibrate")
    if overwrite:
        discard(out / CHECKPOINTS)
    begun = clock.perf_counter()
    with one_training(out):
        detector_.fit(learn)
    spent = clock.perf_counter() - begun
    with working():
        calibration = _finish(detector_, learn, held, reading, out, false_alarms_per_day, method)
        say(f"{_sentence(calibration)} The detector is in {out}; training took {spent:.0f} s.")
        if as_json:
            print_json(
                {
                    "detector": detector, "rows": rows, "channels": len(reading.tags),
                    "threshold": calibration.threshold,
                    "false_alarms_per_day": false_alarms_per_day,
                    "likely": [calibration.low, calibration.high], "seen": calibration.seen,
                    "days": calibration.days, "extrapolated": calibration.extrapolated,
                    "train_s": spent, "model": str(out),
                }
            )  # fmt: skip


def _check_shares(budget: float, calibrate: float) -> None:
    if not 0 < budget < float("inf"):
        raise ValueError(f"--false-alarms-per-day {budget:g}: expected a number above 0")
    if not 0 < calibrate < 1:
        raise ValueError(f"--calibrate {calibrate:g}: expected a share between 0 and 1")


def _detector(
    name: str,
    settings: list[str] | None,
    epochs: int | None,
    seed: int,
    device: str | None,
    out: Path,
    quiet: bool,
) -> "Detector":
    """The detector of a name with its options; a network keeps checkpoints in the folder."""
    from tsgen.anomaly import ForecastDetector
    from tsgen.anomaly.fitted import Seeded
    from tsgen.anomaly.registry import detector_parts, detectors
    from tsgen.estimators.options import read_options

    options = read_options(settings or [], detector_parts)
    built = detectors.build(name, **options)
    if isinstance(built, Seeded) and "seed" not in options:
        built = built.replace(seed=seed)
    if not isinstance(built, ForecastDetector):
        for option, value in (("--epochs", epochs), ("--device", device)):
            if value is not None:
                raise ValueError(f"{option} {value}: {name} has no network that is trained by it")
        return built
    changed: dict[str, Any] = {"verbose": not quiet, "checkpoint_dir": str(out / CHECKPOINTS)}
    changed |= {} if epochs is None else {"max_epochs": epochs}
    changed |= {} if device is None else {"device": device}
    return built.replace(estimator=built.inner_estimator.replace(**changed))


def _finish(
    detector: "Detector",
    learn: "list[pd.DataFrame]",
    held: "list[pd.DataFrame]",
    reading: Reading,
    out: Path,
    budget: float,
    method: Literal["pot", "conformal"],
) -> "CalibratedThreshold":
    """Calibrate and save; a detector that cannot be calibrated is not lost."""
    from tsgen.anomaly.metrics import plain_pca

    plain = plain_pca().fit(learn)
    calibration, failure = None, None
    try:
        with warnings.catch_warnings(action="ignore"):  # of the reference nobody asked
            plain.calibrate(held, false_alarms_per_day=budget, method=method)
        calibration = detector.calibrate(held, false_alarms_per_day=budget, method=method)
    except ValueError as error:
        failure = error
    save_detector(detector, plain, reading, out)
    discard(out / CHECKPOINTS)
    if calibration is None:
        raise ValueError(
            f"not calibrated ({failure}); the detector is kept in {out} with the .999 quantile of "
            "its training scores as its threshold"
        )
    return calibration


def _sentence(calibration: "CalibratedThreshold") -> str:
    """Return the sentence that tells what a threshold promises, and from how much data."""
    more = (
        " That is beyond what these data show: the tail of the scores was extrapolated."
        if calibration.extrapolated
        else ""
    )
    return (
        f"Threshold {calibration.threshold:.4g} for {calibration.asked:g} false alarms a day: "
        f"{calibration.days:.3g} days of normal data had {calibration.seen} alarms at it, which "
        f"makes {calibration.low:.2g} to {calibration.high:.2g} a day likely (90 %).{more}"
    )
