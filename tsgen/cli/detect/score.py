"""``tsgen detect score`` and ``tsgen detect report``: the alarms of a log."""

import sys
import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsgen.cli.checks import PAGES, check_writable, working
from tsgen.cli.common import JsonOption, QuietOption, ThreadsOption, set_threads
from tsgen.cli.detect.attacks import attack_table, targets_of
from tsgen.cli.detect.folder import REFERENCE, Reading, open_detector, words
from tsgen.cli.output import note, print_json, print_table, write_frame

if TYPE_CHECKING:
    import pandas as pd

    from tsgen.anomaly import Detector, Scored
    from tsgen.data.plant import PlantLog

ModelArgument = Annotated[Path, typer.Argument(help="Folder that `tsgen detect train` wrote.")]
LogArgument = Annotated[Path, typer.Argument(help="CSV (.csv, .csv.gz) or parquet file.")]
LabelOption = Annotated[
    str | None,
    typer.Option(help="Column of labels; found by its name if not given, 'none' for none."),
]
AttacksOption = Annotated[
    Path | None,
    typer.Option(
        help="Table of attacks: start, end (the last row) and, if known, target (tags, by blanks)."
    ),
]
DropOption = Annotated[
    str | None, typer.Option(help="Columns to leave out, by commas, besides those of training.")
]
DeviceOption = Annotated[str | None, typer.Option(help="Where a network scores.")]
CARRIERS = 3
ALARM_CODE = 3


def score(
    model: ModelArgument,
    log: LogArgument,
    out: Annotated[
        Path | None, typer.Option(help="File of alarms (.csv, .parquet, .json); else stdout.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="File with the score of each row, and its alarm.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the HTML page as well.")] = None,
    label: LabelOption = None,
    attacks: AttacksOption = None,
    drop: DropOption = None,
    device: DeviceOption = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 3 if there is an alarm.")
    ] = False,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the alarms of a log.

    The table has a row for each alarm: when it was raised and when it ended, its score, the
    probability that normal rows have such an alarm, and the channels that carry it with their
    shares. With labels, or a table of --attacks, the figures by which detectors are compared are
    told, beside a score that knows nothing.

        tsgen detect score model/ new.csv --out alarms.csv
    """
    check_writable("--out", out)
    check_writable("--scores", scores)
    check_writable("--report", report, PAGES)
    set_threads(threads)
    detector, read = _opened(model, log, label, attacks, drop, device, quiet)
    with working():
        begun = clock.perf_counter()
        scored = _scored(detector, read.frame, quiet)
        spent = clock.perf_counter() - begun
        alarms = alarm_table(scored)
        figures = _figures(model, detector, read, scored, attacks)
        if report is not None:
            _page(report, model, detector, read, scored, attacks)
        if scores is not None:
            write_frame(_rows(scored), scores)
        if out is not None:
            write_frame(alarms, out)
        if as_json:
            print_json(
                {
                    "rows": len(read), "alarms": alarms.astype(object).to_dict("records"),
                    "flagged": float(scored.flagged.mean()), "threshold": detector.threshold_,
                    "measures": figures, "score_s": spent,
                }
            )  # fmt: skip
        elif out is None:
            alarms.to_csv(sys.stdout, index=False)
        if figures and out is not None and not quiet and not as_json:
            print_table([{"detector": name, **row} for name, row in figures.items()])
        if not quiet:
            files = ", ".join(str(path) for path in (out, scores, report) if path is not None)
            note(
                f"{len(alarms):,} alarms in {len(read):,} rows ({spent:.1f} s)"
                + (f", written: {files}" if files else "")
            )
    if exit_code and len(alarms):
        raise typer.Exit(ALARM_CODE)


def report(
    model: ModelArgument,
    log: LogArgument,
    out: Annotated[Path, typer.Option(help="The HTML page.")],
    label: LabelOption = None,
    attacks: AttacksOption = None,
    drop: DropOption = None,
    drawn: Annotated[int, typer.Option(help="Alarms that are drawn.")] = 8,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write one HTML page about a log: scores, channels, alarms and what carries them.

    It is the page of `tsgen detect score --report`.

        tsgen detect report model/ new.csv --out report.html
    """
    check_writable("--out", out, PAGES)
    if drawn < 0:
        raise ValueError(f"--drawn {drawn}: expected 0 or more")
    set_threads(threads)
    detector, read = _opened(model, log, label, attacks, drop, device, quiet)
    with working():
        scored = _scored(detector, read.frame, quiet)
        _page(out, model, detector, read, scored, attacks, drawn)
        if not quiet:
            note(f"{len(scored.alarms):,} alarms; the page is {out}")


def _scored(detector: "Detector", frame: "pd.DataFrame", quiet: bool) -> "Scored":
    """Score a log and show how far it is, if that takes a while."""
    from tqdm import tqdm

    with tqdm(total=len(frame), unit=" rows", disable=quiet, delay=2, leave=False) as bar:

        def step(rows: int) -> None:
            bar.update(rows)

        return detector.scored(frame, step)


def alarm_table(scored: "Scored") -> "pd.DataFrame":
    """Alarms with columns of plain values: of the channels, the first three and their shares."""
    table = scored.alarms.drop(columns="channels")
    for place in range(CARRIERS):
        leading = [list(shares.items()) for shares in scored.alarms["channels"]]
        channels = [each[place] if place < len(each) else (None, None) for each in leading]
        table[f"channel_{place + 1}"] = [name for name, _ in channels]
        table[f"share_{place + 1}"] = [part for _, part in channels]
    return table


def _opened(
    model: Path,
    path: Path,
    label: str | None,
    attacks: Path | None,
    drop: str | None,
    device: str | None,
    quiet: bool,
) -> "tuple[Detector, PlantLog]":
    """The detector, and the log as it reads it."""
    from dataclasses import replace

    detector, reading = open_detector(model, device)
    options: dict[str, Any] = {"label": False if label == "none" else label}
    if attacks is not None:
        options = {"label": None, "labels": attack_table(attacks, reading.tags)[["start", "end"]]}
    read = replace(reading, drop=(*reading.drop, *words(drop))).read(path, **options)
    if not quiet:
        note(str(read.summary))
        _warn(read, reading)
    return detector, read


def _warn(read: "PlantLog", reading: Reading) -> None:
    """Say so where a log was learnt from."""
    import pandas as pd

    if isinstance(read.summary.start, pd.Timestamp) and reading.end:
        first, last = pd.Timestamp(reading.start), pd.Timestamp(reading.end)
        if read.summary.start <= last and first <= pd.Timestamp(read.summary.end):
            note(
                f"warning: the detector learnt from {first} to {last}, which this log overlaps: "
                "there it finds less than elsewhere"
            )


def _figures(
    model: Path, detector: "Detector", read: "PlantLog", scored: "Scored", attacks: Path | None
) -> dict[str, dict[str, float]]:
    """Figures of a labelled log by detector; nothing if labels are missing or all alike."""
    from tsgen.report.plant_tables import quality

    if read.labels is None or not read.labels.any() or read.labels.all():
        return {}
    table = quality(
        detector, read.frame, scored, read.labels, targets_of(read, attacks), _reference(model)
    )
    return {str(name): dict(zip(row.index, row, strict=True)) for name, row in table.iterrows()}


def _reference(model: Path) -> "Detector | None":
    from tsgen.anomaly import Detector

    path = model / REFERENCE
    return Detector.load(path) if path.exists() else None


def _page(
    path: Path,
    model: Path,
    detector: "Detector",
    read: "PlantLog",
    scored: "Scored",
    attacks: Path | None,
    drawn: int = 8,
) -> None:
    from tsgen.report import write_plant_report

    write_plant_report(
        path, detector, read.frame, scored, title=f"Alarms in {read.name}",
        about=f"Detector {model.name}, log {read.summary.source}.", labels=read.labels,
        targets=targets_of(read, attacks), reference=_reference(model), drawn=drawn,
        notes=str(read.summary).splitlines(),
    )  # fmt: skip


def _rows(scored: "Scored") -> "pd.DataFrame":
    """The score of each row, whether it is in an alarm, and its strangest channel."""
    import pandas as pd

    return pd.DataFrame({"time": scored.index, "score": scored.scores, "alarm": scored.flagged})
