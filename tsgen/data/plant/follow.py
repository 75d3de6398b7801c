"""Following a log that is being written: new rows as they come."""

import io
import os
import time as clock
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsgen.data.csv_files import HEAD, Form, find_form
from tsgen.data.numbers import has_comma_numbers
from tsgen.data.plant.clock import (
    backwards,
    day_order,
    names_times,
    read_times,
    require_rising,
    time_columns,
)
from tsgen.data.plant.labels import find_label
from tsgen.data.plant.log import PlantLog
from tsgen.data.plant.source import RowError, Source
from tsgen.data.plant.table import read_raw

_BLOCK = 2**24  # bytes read at once


class LogFollower:
    """Reads what is added to a CSV log, row by row that is whole.

    A last line without its end stays for later. A file that became shorter, or another one under
    its name, is read from its start; ``restarts`` counts how often. ``headed`` says whether a
    header with a column of times was found.

    Args:
        path: the CSV; it need not exist yet.
        like: a log, whose tags are read in its order, with its times' column and order of day and
            month; or tags. Of tags that the file lacks all values are missing; others are left out.
        time: the column (or two) of times; see :func:`tsgen.data.plant.read_log`.
        dayfirst: whether days come before months; else as ``like`` or as the first rows tell.
        missing: more texts that mean a missing value.
        prefix: taken off the names that start with it.
        from_end: leave out the rows that are there already.
        skip_late: leave out rows that are not later than those before, and count them in ``late``.
    """

    def __init__(
        self,
        path: str | Path,
        like: PlantLog | Sequence[str] | None = None,
        *,
        time: str | Sequence[str] | None = None,
        dayfirst: bool | None = None,
        missing: Sequence[str] = (),
        prefix: str = "",
        from_end: bool = False,
        skip_late: bool = False,
    ) -> None:
        self.path, self.like, self.missing, self.from_end = Path(path), like, missing, from_end
        summary = like.summary if isinstance(like, PlantLog) else None
        self.time = time if time is not None or summary is None else list(summary.time)
        self.dayfirst = dayfirst if dayfirst is not None or summary is None else summary.dayfirst
        if self.path.suffix == ".gz":
            raise ValueError(f"{path}: a packed file cannot be followed; expected a CSV")
        self.restarts = self.late = 0
        self.skip_late, self.prefix = skip_late, prefix
        self.absent: tuple[str, ...] = ()  # tags that the file lacks
        self.dropped: tuple[str, ...] = ()  # columns that are no tags
        self.last: pd.Timestamp | None = None
        self.form: Form | None = None
        self.offset, self.line, self.decimal = 0, 1, "."
        self.headed = False
        self._file: int | None = None

    def read(self) -> pd.DataFrame | None:
        """The rows (n, C) that are new and whole, with rising times; ``None`` if there are none.

        Raises:
            ValueError: naming file, line and value: text in a tag, a time that is none or not
                later than the one before. The rows read with it are passed over by the next call.
        """
        text = self._new_text()
        if self.form is None:
            text = self._start(text)
        if self.form is None or not text.strip():
            self.line += text.count("\n")
            return None
        first_line, self.line = self.line, self.line + text.count("\n")
        rows = self._cells(text, self.form)
        if rows.isna().all(axis=None):
            return None
        source = Source(rows, names_times)
        source.name, source.first_line = str(self.path), first_line
        with source.located():
            return self._frame(source)

    def _cells(self, text: str, form: Form) -> pd.DataFrame:
        rows = pd.read_csv(
            io.StringIO(text), sep=form.delimiter, skipinitialspace=True, header=None,
            names=range(form.width), index_col=False, skip_blank_lines=False,
            low_memory=False, decimal=self.decimal,
        ).iloc[:, : len(form.names)].set_axis(form.names, axis=1)  # fmt: skip
        if (
            self.decimal == "."
            and form.delimiter != ","
            and any(has_comma_numbers(rows[name]) for name in rows)
        ):
            self.decimal = ","
            return self._cells(text, form)
        return rows

    def _frame(self, source: Source) -> pd.DataFrame | None:
        stamps = time_columns(source.head, self.time)
        self.headed = True
        label = find_label(source.names)
        drop = [] if label is None else [label]
        raw = read_raw(source, stamps, None, drop, self.prefix, self.missing, self.like)
        assert raw.stamps is not None
        self.absent = tuple(raw.absent)
        self.dropped = tuple(name for name in raw.dropped if name not in (*stamps, label))
        if self.dayfirst is None:
            self.dayfirst = day_order(raw.stamps)[0]
        times = read_times(raw.stamps, bool(self.dayfirst)).stamps
        values, rows = raw.values, raw.rows
        if self.skip_late:
            later = self._later(times)
            self.late += int((~later).sum())
            if not later.any():
                return None
            times, values, rows = times[later], values[:, later], rows[later]
        require_rising(times, rows)
        again = times.duplicated()
        if self.last is not None and times[0] <= self.last:
            again[0] = True
            if times[0] < self.last:
                raise RowError(int(rows[0]), backwards(times[0], self.last))
        if again.any():
            row = int(again.argmax())
            raise RowError(int(rows[row]), f"the time {times[row]} comes twice")
        self.last = times[-1]
        return pd.DataFrame(values.T, index=times, columns=raw.tags)

    def _later(self, times: pd.DatetimeIndex) -> np.ndarray:
        """Which rows are later than all before them, (T,) of bool."""
        numbers = times.as_unit("ns").asi8
        floor = np.iinfo(np.int64).min if self.last is None else self.last.as_unit("ns").value
        before = np.maximum.accumulate(np.concatenate([[floor], numbers[:-1]]))
        return numbers > before

    def _restart(self) -> None:
        self.form = None
        self.offset, self.line, self.decimal = 0, 1, "."
        self.headed = False

    def _new_text(self) -> str:
        """Whole lines from the offset on."""
        try:
            with self.path.open("rb") as handle:
                state = os.fstat(handle.fileno())
                if self._file not in (None, state.st_ino) or state.st_size < self.offset:
                    self._restart()
                    self.restarts += 1
                self._file = state.st_ino
                handle.seek(self.offset)
                content = handle.read(min(_BLOCK, state.st_size - self.offset))
        except FileNotFoundError:
            return ""
        whole = content[: content.rfind(b"\n") + 1]
        self.offset += len(whole)
        return whole.decode("utf-8-sig" if self.offset == len(whole) else "utf-8")

    def _start(self, text: str) -> str:
        """Take the header off the first lines; what is left."""
        keys = [self.time] if isinstance(self.time, str) else list(self.time or ())

        def is_header(cells: list[str]) -> bool:
            names = {cell.lower() for cell in cells}
            return {key.lower() for key in keys} <= names if keys else names_times(cells)

        if not text.strip():
            self.offset = 0  # until there is a header
            return ""
        self.form = find_form(self.path, text[:HEAD], is_header)
        self.line += self.form.before
        text = "".join(text.splitlines(keepends=True)[self.form.before :])
        while self.from_end and text:
            self.line += text.count("\n")
            text = self._new_text()
        self.from_end = False
        return text


def follow_log(
    path: str | Path,
    like: PlantLog | Sequence[str] | None = None,
    *,
    poll: float = 1.0,
    stop: Callable[[], bool] | None = None,
    **options: Any,
) -> Iterator[pd.DataFrame]:
    """Frames (n, C) of new rows as they are written; see :class:`LogFollower`.

    Args:
        path: the CSV.
        like: the log or the tags expected.
        poll: seconds to wait where nothing is new.
        stop: asked where nothing is new; ends the iteration.
        **options: of :class:`LogFollower`.
    """
    follower = LogFollower(path, like, **options)
    while True:
        rows = follower.read()
        if rows is not None:
            yield rows
        elif stop is not None and stop():
            return
        else:
            clock.sleep(poll)
