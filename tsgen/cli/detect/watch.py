"""``tsgen detect watch``: alarms of a log while it is written."""

import json
import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsgen.cli.checks import check_folder
from tsgen.cli.common import QuietOption, ThreadsOption, set_threads
from tsgen.cli.detect.folder import Reading, open_detector
from tsgen.cli.detect.score import CARRIERS, DeviceOption, ModelArgument
from tsgen.cli.folder import writing_into
from tsgen.cli.output import note

if TYPE_CHECKING:
    import pandas as pd

    from tsgen.anomaly import Alarm, Detector

_SAVED = 60.0  # seconds after which the state is saved again


def watch(
    context: typer.Context,
    model: ModelArgument,
    follow: Annotated[
        Path, typer.Option(help="CSV to which rows are added; it may not exist yet.")
    ],
    poll: Annotated[float, typer.Option(help="Seconds between looks at the file.")] = 1.0,
    idle: Annotated[
        float | None, typer.Option(help="Stop after so many seconds without a new row; 0: at once.")
    ] = None,
    from_end: Annotated[
        bool, typer.Option("--from-end", help="Leave out the rows that are there already.")
    ] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Raise alarms on rows as they are written, as JSON lines on stdout.

    A line comes when an alarm is raised and one when it ends. The state is kept in the model's
    folder: after each line, every minute and when the command ends, by Ctrl-C, too. Given again, it
    goes on with the rows after the last one that it saw; killed right after a line it may print
    that line once more. Rows that are late, or hold text, are left out with a
    warning.

        tsgen detect watch model/ --follow plant.csv
    """
    for option, value in (("--poll", poll), ("--idle", idle)):
        if value is not None and not 0 <= value < float("inf"):
            raise ValueError(f"{option} {value:g}: expected seconds, 0 or more")
    set_threads(threads)
    check_folder("MODEL", model)
    context.with_resource(writing_into(model))
    detector, reading = open_detector(model, device)

    from tsgen.data.plant import LogFollower

    follower = LogFollower(
        follow, reading.tags, time=list(reading.time), dayfirst=reading.dayfirst,
        missing=reading.missing, prefix=reading.prefix, from_end=from_end, skip_late=True,
    )  # fmt: skip
    watched = Watch(detector, reading, model)
    if not quiet and detector.stream_.time is not None:
        note(f"goes on after {detector.stream_.time}")
    last = saved = clock.monotonic()
    try:
        while True:
            now, late = clock.monotonic(), follower.late
            try:
                rows = follower.read()
            except ValueError as error:  # of one piece of the file; what comes may be right again
                if not follower.headed:
                    raise
                note(f"warning: rows left out, {error}")
                continue
            if follower.late > late:
                note(f"warning: {follower.late - late:,} rows left out, they are late")
            if rows is not None:
                reading.check_tags(follow, follower.absent, follower.dropped)
                if watched.take(rows):  # and is not told again if the process is killed
                    saved = now - _SAVED
                last = clock.monotonic()
            elif idle is not None and now - last >= idle:
                return
            else:
                clock.sleep(poll)
            if now - saved >= _SAVED:
                watched.save()
                saved = now
    finally:
        watched.save()
        if not quiet:
            note(f"{watched.rows:,} rows, {watched.alarms} alarms; the state is in {model}")


class Watch:
    """Rows on their way to a detector, down-sampled where it learnt from such rows.

    Args:
        detector: with its stream.
        reading: how its rows are made.
        folder: where the state is kept.
    """

    def __init__(self, detector: "Detector", reading: Reading, folder: Path) -> None:
        self.detector, self.reading, self.folder = detector, reading, folder
        self.rows = self.alarms = 0
        self.waiting: pd.DataFrame | None = None

    def take(self, rows: "pd.DataFrame") -> bool:
        """Score new rows and print what happens.

        Returns:
            Whether there was anything to print.
        """
        rang = False
        last_time = self.detector.stream_.time
        if last_time is not None:
            rows = rows[rows.index > last_time]
        if self.reading.every is not None and len(rows):
            rows = self._whole(rows)
        for time, row in zip(rows.index, rows.to_numpy(), strict=True):
            alarm = self.detector.update(row, time)
            self.rows += 1
            if alarm is not None:
                self.alarms += alarm.state == "raised"
                print(json.dumps(_line(alarm, self.detector)), flush=True)
                rang = True
        return rang

    def save(self) -> None:
        """Keep the state of the stream."""
        self.detector.stream_.save(self.folder)

    def _whole(self, rows: "pd.DataFrame") -> "pd.DataFrame":
        """Rows of the detector's spacing; what may still grow waits for more."""
        import pandas as pd

        from tsgen.data.plant.resample import as_duration, down_sample

        assert self.reading.every is not None
        length = as_duration("every", self.reading.every)
        together = rows if self.waiting is None else pd.concat([self.waiting, rows])
        # bins begin where the training's began, so that a restart does not shift them
        begin = pd.Timestamp(self.reading.start)
        place = (pd.DatetimeIndex(together.index) - begin) // length
        whole = place < place[-1]
        self.waiting = together[~whole]
        medians = []
        for number in dict.fromkeys(place[whole]):
            part = together[place == number]
            part_medians, _ = down_sample(part, None, self.reading.every, self.reading.kinds)
            medians.append(part_medians.set_axis([begin + number * length], axis=0))
        return pd.concat(medians) if medians else together.iloc[:0]


def _line(alarm: "Alarm", detector: "Detector") -> dict[str, Any]:
    """An alarm as plain values."""
    return {
        "state": alarm.state, "time": str(alarm.time), "start": str(alarm.start),
        "score": alarm.score, "threshold": detector.threshold_,
        "p_value": None if alarm.p_value != alarm.p_value else alarm.p_value,
        "channels": dict(list(alarm.channels.items())[:CARRIERS]),
    }  # fmt: skip
