"""Folders in GluonTS's format: single series, kept apart as a panel or grouped to one.

``train/`` and ``test/`` hold lines of JSON, one series a line; ``test/`` has all series of the
first window, then of the second, and so on.
"""

import json
import warnings
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsgen.data.benchmarks import Benchmark
from tsgen.data.card import Card
from tsgen.data.card_tables import GluonTS
from tsgen.data.entries import Entry
from tsgen.data.files import opened, parts_of, reading
from tsgen.data.loaders.repository import download, folder_of
from tsgen.data.loaders.tables import steps_between
from tsgen.data.splits import length_of, rolling, until


def load(card: Card) -> Benchmark:
    """Read a set, downloading it first if there is no other way.

    Every window is compared with the training series and with the window before it; then one copy
    of the values is kept, and windows are views of it.

    Raises:
        MissingData: if the set is neither here nor could be downloaded.
        ValueError: if a file cannot be read, or windows do not continue their series.
    """
    about = card.gluonts
    assert about is not None
    folder = folder_of(card) or download(card)
    _check_metadata(card, folder / "metadata.json")
    train, count = _training(card, about, folder / "train")
    series = _whole(card, about, folder / "test", train, count)
    fits = [i for i, entry in enumerate(series) if entry is not None]
    whole = [entry for entry in series if entry is not None]
    train = [train[i] for i in fits]
    if card.kind == "multivariate":
        whole = [_grouped(card, whole)]
    if about.extends:
        steps = card.windows * card.prediction_length
        train = [until(entry, length_of(entry) - steps) for entry in whole]
    elif card.kind == "multivariate":
        train = [_grouped(card, train)]
    test = rolling(whole, card.windows, card.prediction_length)
    names = list(card.names) if card.names and len(card.names) == len(fits) else None
    return Benchmark(card.name, card.freq, card.prediction_length, train, test, names)


def _check_metadata(card: Card, path: Path) -> None:
    """Frequency and horizon, where the folder says them, must be the card's."""
    if not path.is_file():
        return
    with reading(card, path):
        about: dict[str, Any] = json.loads(path.read_text())
        freq, horizon = about.get("freq"), about.get("prediction_length")
        for name, value, ours in (
            ("freq", freq and _plain(freq), _plain(card.freq)),
            ("prediction_length", horizon, card.prediction_length),
        ):
            if value not in (None, ours):
                raise ValueError(f"{name}={value!r}; the card says {ours!r}")


def _plain(freq: str) -> str:
    """A frequency in today's spelling, without a leading 1: "1H" is "h"."""
    return freq.removeprefix("1").replace("H", "h").replace("T", "min")


def _training(card: Card, about: GluonTS, folder: Path) -> tuple[list[Entry], int]:
    """The training series that are used, and how many the file has."""
    lines: deque[tuple[Path, int, bytes]] = deque(maxlen=about.last or None)
    count = 0
    for path in _files(card, folder):
        with reading(card, path), opened(path) as stream:
            for number, line in enumerate(stream, 1):
                count += 1
                lines.append((path, number, line))
    if not count:
        raise ValueError(f"{folder} holds no series of {card.name}")
    offset = count - len(lines)
    return [_entry(card, *line, offset + i) for i, line in enumerate(lines)], count


def _files(card: Card, folder: Path) -> list[Path]:
    with reading(card, folder):
        return parts_of(folder)


def _entry(card: Card, path: Path, number: int, line: bytes, index: int) -> Entry:
    """A line as an entry; series without a name are numbered."""
    with reading(card, path):
        try:
            row = json.loads(line)
            start = pd.Period(row["start"], freq=card.freq)
            target = np.asarray(row["target"], dtype=np.float64)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"line {number} is no series ({type(error).__name__}: {error})"
            ) from None
        if target.ndim != 1:
            raise ValueError(f"line {number} has a target of shape {target.shape}, expected (T,)")
    return {"start": start, "target": target, "item_id": str(row.get("item_id", index))}


class _Series:
    """A series to the end of its last window, put together window by window."""

    def __init__(self, train: Entry | None, windows: int, horizon: int) -> None:
        self.windows, self.horizon = windows, horizon
        self.whole: Entry = {}
        self.length = 0
        self.misfit = self.remark = ""
        if train is not None:
            self._begin(train, length_of(train))

    def _begin(self, entry: Entry, length: int) -> None:
        target = np.empty(length + self.windows * self.horizon)
        target[:length] = entry["target"][:length]
        self.whole, self.length = {**entry, "target": target}, length

    def add(self, row: Entry) -> None:
        """Compare a window's row with what is known of the series, and keep what is new.

        A row may begin at another time if it says so; if only the time it says is wrong, its values
        count.
        """
        if self.misfit:
            return
        length = length_of(row)
        if not self.whole:
            self._begin(row, max(length - self.horizon, 0))
        stored, target = self.length, self.whole["target"]
        later = steps_between(self.whole["start"], row["start"])
        for offset in dict.fromkeys((0, later)):
            past = stored - offset  # steps of the row that are known already
            if length != past + self.horizon or past < 1 or offset >= stored:
                continue
            overlap = row["target"][max(-offset, 0) : past]
            if np.array_equal(overlap, target[max(offset, 0) : stored], equal_nan=True):
                if offset != later:
                    self.remark = f"says that it starts {row['start']}, which its values belie"
                target[stored : stored + self.horizon] = row["target"][past:]
                self.length = stored + self.horizon
                return
        if length == stored + self.horizon and later == 0:
            self.misfit = "does not begin with the values before it"
        else:
            self.misfit = (
                f"starts {row['start']} and has {length} steps; expected {self.whole['start']} and "
                f"{stored + self.horizon}, or other values"
            )


def _whole(
    card: Card, about: GluonTS, folder: Path, train: list[Entry], count: int
) -> list[Entry | None]:
    """Each series to the end of its last window; ``None`` for one that is left out.

    Raises:
        ValueError: if windows do not continue their series, naming the first three.
    """
    skipped, lines = count - len(train), 0
    begun: list[Entry | None] = [entry if about.extends else None for entry in train]
    series = [_Series(entry, card.windows, card.prediction_length) for entry in begun]
    for path in _files(card, folder):
        with reading(card, path), opened(path) as stream:
            for number, line in enumerate(stream, 1):
                window, i = divmod(lines, count)
                lines += 1
                if i >= skipped and window < card.windows:
                    series[i - skipped].add(_entry(card, path, number, line, i))
    if lines != count * card.windows:
        raise ValueError(
            f"{folder} has {lines} lines, expected {count} series x {card.windows} windows"
        )
    misfits = {i: s.misfit for i, s in enumerate(series, skipped) if s.misfit}
    remarks = {i: s.remark for i, s in enumerate(series, skipped) if s.remark and not s.misfit}
    if misfits and (about.misfits == "error" or len(misfits) == len(series)):
        raise ValueError(f"{folder}: test {_listed(misfits)}; they do not continue the set")
    if misfits:
        warnings.warn(f"{card.name}: left out test {_listed(misfits)}", stacklevel=3)
    if remarks:
        warnings.warn(f"{card.name}: test {_listed(remarks)}", stacklevel=3)
    return [
        {**s.whole, "item_id": entry["item_id"]} if not s.misfit else None
        for s, entry in zip(series, train, strict=True)
    ]


def _listed(reasons: dict[int, str]) -> str:
    """The first three of some remarks on series, and how many there are."""
    some = "; ".join(f"series {i} {why}" for i, why in list(reasons.items())[:3])
    return some if len(reasons) <= 3 else f"{some}; and {len(reasons) - 3} more"


def _grouped(card: Card, series: list[Entry]) -> Entry:
    """Single series as the channels of one, if they run over the same time.

    Raises:
        ValueError: naming the first that does not.
    """
    begin, length = series[0]["start"], length_of(series[0])
    for entry in series:
        if entry["start"] != begin or length_of(entry) != length:
            raise ValueError(
                f"{card.name}: series {entry['item_id']} starts {entry['start']} and has "
                f"{length_of(entry)} steps, the first one {begin} and {length}; expected series of "
                "one time to group"
            )
    target = np.stack([entry["target"] for entry in series])
    return {"start": begin, "item_id": "all", "target": target}
