"""Cards of plants' logs: ``datasets/NAME.toml`` with ``kind = "log"``."""

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tsgen.data.benchmarks import MissingData
from tsgen.data.card import card_folders, merged, read_toml
from tsgen.data.card_tables import File, Get
from tsgen.data.files import Verified, compare
from tsgen.data.schema import build, require


@dataclass(frozen=True)
class LogCard:
    """What is known of a plant's log. ``source`` to ``protocol`` are sentences."""

    name: str
    title: str
    kind: Literal["log"]
    source: str
    licence: str
    citation: str
    protocol: str
    period: str
    """Between rows, as "1s"; "row" where they are only numbered."""
    channels: int | tuple[int, int]
    """Tags as loaded; the fewest and the most of several versions."""
    train_rows: int | tuple[int, int]
    """Rows to learn from, of all runs; the fewest and the most of several versions."""
    test_rows: int | tuple[int, int]
    """Rows with labels."""
    attacks: int
    """Attacks or faults in the test part; 0 if it differs by version or is not known."""
    attack_share: float
    """Of the test rows; 0 if it differs by version or is not known."""
    known: Literal["measured", "literature"]
    """Whether these figures were counted in the data, or are what papers say."""
    folder: str
    """Under ``TSGEN_DATA/anomaly``."""
    get: Get
    notes: tuple[str, ...] = ()
    """What to beware of."""
    files: tuple[File, ...] = ()
    """By their paths in the folder."""

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        for name in ("channels", "train_rows", "test_rows"):
            low, high = _range(getattr(self, name))
            require(name, getattr(self, name), 0 <= low <= high, "at least 0, the fewest first")
        require("attacks", self.attacks, self.attacks >= 0, "at least 0")
        share = 0 <= self.attack_share < 1
        require("attack_share", self.attack_share, share, "at least 0 and below 1")
        require("get.kind", self.get.kind, self.get.kind == "file", "'file'")

    @property
    def where(self) -> Path | None:
        """Its folder, whether it is there or not; ``None`` if ``TSGEN_DATA`` is not set."""
        root = os.environ.get("TSGEN_DATA")
        return Path(root) / "anomaly" / self.folder if root else None

    @property
    def state(self) -> Literal["here", "missing"]:
        """Whether its folder is here, with the files that the card names."""
        where = self.where
        if where is None or not where.is_dir():
            return "missing"
        return "here" if all((where / f.path).is_file() for f in self.files) else "missing"

    def missing(self, what: str) -> MissingData:
        """The error for a log that is not here, in one line with how to get it."""
        return MissingData(
            f"{self.name} is not on this machine: {what}. {self.get.how} Licence: {self.licence}"
        )

    def verify(self) -> list[Verified]:
        """Compare the files that are here with their sizes and checksums."""
        where = self.where
        paths = [] if where is None else [(file, where / file.path) for file in self.files]
        return [compare(file, path) for file, path in paths if path.exists()]


def read_log_cards(folders: Iterable[Path] | None = None) -> dict[str, LogCard]:
    """All cards of logs in some folders, of :func:`tsgen.data.card.card_folders` if not given.

    Raises:
        ValueError: naming the file, the field, what it holds and what was expected.
    """
    by_name: dict[str, LogCard] = {}
    for folder in card_folders() if folders is None else folders:
        for path in sorted(folder.glob("*.toml")):
            try:
                content = read_toml(path)
                if content.get("kind") != "log":
                    continue
                variants = content.pop("variants", {})
                if content.get("name") != path.stem:
                    raise ValueError(
                        f"name={content.get('name')!r}; expected the file's, {path.stem!r}"
                    )
                versions = [build(LogCard, content)]
                for name, changes in variants.items():
                    if not isinstance(changes, Mapping):
                        raise ValueError(f"variants.{name}={changes!r}; expected a table")
                    changed = {k: merged(content.get(k), v) for k, v in changes.items()}
                    versions.append(build(LogCard, {**content, **changed, "name": name}))
            except (ValueError, UnicodeDecodeError) as error:
                raise ValueError(f"{path}: {error}") from None
            for card in versions:
                if card.name in by_name:
                    raise ValueError(f"{path}: name={card.name!r} is taken by another card")
                by_name[card.name] = card
    return by_name


@functools.cache
def log_cards() -> dict[str, LogCard]:
    """All cards of logs by name; read once."""
    return read_log_cards()


def log_card(name: str) -> LogCard:
    """The card of a log.

    Raises:
        ValueError: if there is none, with the names known.
    """
    if name not in log_cards():
        raise ValueError(f"unknown plant {name!r}; known are {', '.join(sorted(log_cards()))}")
    return log_cards()[name]


def _range(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)
