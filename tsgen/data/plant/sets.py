"""What the loaders of published logs share: :class:`PlantData`, and finding files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from tsgen.data.plant.cards import LogCard
from tsgen.data.plant.log import PlantLog

_PACKED = ("", ".gz")


@dataclass(frozen=True, eq=False)
class PlantData:
    """A published log, cut into what to learn from and what to find attacks in.

    Args:
        name: of the set.
        train: normal runs.
        test: runs with labels.
        check: runs with labels for choosing settings and thresholds, where the set has such.
        attacks: where they are published, with the columns ``log`` (a log's name), ``start`` and
            ``end`` (times or numbers of rows, the end belongs to the attack), ``targets`` (a tuple
            of tags) and ``description``.
        card: source, licence, citation and what to beware of.
    """

    name: str
    train: list[PlantLog]
    test: list[PlantLog]
    check: list[PlantLog] = field(default_factory=list)
    attacks: pd.DataFrame | None = None
    card: LogCard | None = None

    def sites(self) -> list["PlantData"]:
        """One for each plant of a set of several, which are to be learnt apart; else itself.

        They are several if each test log has a training log of its name.
        """
        own = {log.name: log for log in self.train}
        if not self.test or {log.name for log in self.test} - set(own):
            return [self]
        return [
            replace(
                self,
                name=f"{self.name}/{name}",
                train=[own[name]],
                test=[log for log in self.test if log.name == name],
                check=[log for log in self.check if log.name == name],
                attacks=None if self.attacks is None else self.attacks_in(name),
            )
            for name in dict.fromkeys(log.name for log in self.test)
        ]

    def attacks_in(self, log: str) -> pd.DataFrame:
        """The attacks in a log, in the order of their starts."""
        if self.attacks is None:
            return attack_table([])
        rows = self.attacks[self.attacks["log"] == log]
        return rows.sort_values("start", kind="stable").reset_index(drop=True)


def attack_table(rows: Sequence[tuple]) -> pd.DataFrame:
    """A table of (log, start, end, targets, description)."""
    return pd.DataFrame(list(rows), columns=["log", "start", "end", "targets", "description"])


def folder_of(card: LogCard, folder: str | Path | None) -> Path:
    """A folder that is there.

    Args:
        card: of the set.
        folder: where it is; if not given, where its card says, under ``TSGEN_DATA/anomaly``.

    Raises:
        MissingData: if it is not there, with how to get the set.
    """
    where = Path(folder) if folder is not None else card.where
    if where is None:
        raise card.missing("folder= is not given and the environment variable TSGEN_DATA not set")
    if not where.is_dir():
        raise card.missing(f"no folder {where}")
    return where


def find_file(card: LogCard, folder: Path, *names: str) -> Path:
    """The first of some files that is in a folder or in one of its own, packed or not.

    Capitals do not matter.

    Raises:
        MissingData: if there is none, with how to get the set.
    """
    path = possible_file(folder, *names)
    if path is None:
        raise card.missing(f"no file {' or '.join(names)} in {folder}")
    return path


def possible_file(folder: Path, *names: str) -> Path | None:
    """As :func:`find_file`; ``None`` if there is none."""
    files = {}
    for path in sorted([*folder.glob("*/*"), *folder.glob("*")]):
        files[path.name.lower()] = path
    for name in names:
        for ending in _PACKED:
            if name.lower() + ending in files:
                return files[name.lower() + ending]
    return None


def numbered_files(folder: Path, pattern: str) -> list[Path]:
    """Files whose whole names match a pattern, in the order of the number in its first group."""
    matches = [(re.fullmatch(pattern, path.name, re.IGNORECASE), path) for path in folder.iterdir()]
    return [p for _, p in sorted((int(m[1]), p) for m, p in matches if m is not None)]


def read_frame(card: LogCard, folder: Path, name: str, *columns: str) -> pd.DataFrame:
    """A table as pandas reads it.

    Args:
        card: of the set.
        folder: where the file is.
        name: of the file.
        *columns: that it must have.

    Raises:
        MissingData: if it is not there.
        ValueError: naming the file if it cannot be read or lacks a column.
    """
    path = find_file(card, folder, name)
    try:
        frame = pd.read_csv(path)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as {card.name} ({error})") from None
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise ValueError(f"{path}: there is no column {absent[0]!r}, which {card.name} has")
    return frame
