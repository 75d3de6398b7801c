"""Cards of data sets: where each comes from, what it holds and how it is used, in one TOML file.

The files are in ``datasets/`` of a checkout and in ``tsgen/data/cards/`` of an installed package.
"""

import os
import tomllib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tsgen.data.card_tables import File, Flights, Get, GluonTS, PhysioNet, Simulator, Table
from tsgen.data.schema import build, require

Support = Literal["real", "positive", "count"] | tuple[float, float]


@dataclass(frozen=True)
class Card:
    """What is known of a data set, and its protocol. ``source`` to ``protocol`` are sentences."""

    name: str
    title: str
    kind: Literal["multivariate", "panel", "irregular"]
    source: str
    licence: str
    citation: str
    protocol: str
    freq: str
    """Of pandas' periods."""
    series: int
    """Training series."""
    channels: int
    """C of each; 1 for a panel's."""
    length: int | tuple[int, int]
    """Training steps of each series, or the shortest's and the longest's."""
    prediction_length: int
    windows: int
    """Test windows of each series."""
    season: int
    """Steps of the main period; 1 for none."""
    support: Support
    """Where values can be, as an estimator's option."""
    get: Get
    test_series: int = 0
    """Test series where they are others than the training series; else 0."""
    notes: tuple[str, ...] = ()
    """What to beware of."""
    names: tuple[str, ...] = ()
    """Of the channels, where the data have none."""
    files: tuple[File, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    """Estimator options advised for this set; a table in it holds those of one estimator."""
    table: Table | None = None
    gluonts: GluonTS | None = None
    physionet: PhysioNet | None = None
    flights: Flights | None = None
    simulator: Simulator | None = None

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        for name in ("series", "channels", "prediction_length", "windows", "season"):
            require(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        low, high = self.lengths
        require("length", self.length, 1 <= low <= high, "at least 1, the shortest first")
        require("test_series", self.test_series, self.test_series >= 0, "at least 0")
        single = self.kind != "panel" or self.channels == 1
        require("channels", self.channels, single, "1 for a panel of single series")
        counted = not self.names or len(self.names) == self.channels
        require("names", self.names, counted, f"one for each of {self.channels} channels")
        tables = [loader for loader in LOADERS if getattr(self, loader) is not None]
        require("loaders", tables, len(tables) == 1, f"one table of {', '.join(LOADERS)}")
        if isinstance(self.support, tuple):
            require("support", self.support, self.support[0] < self.support[1], "low below high")
        require("freq", self.freq, _is_freq(self.freq), "a frequency of pandas.Period, as 'h'")

    @property
    def lengths(self) -> tuple[int, int]:
        """Training steps of the shortest and of the longest series."""
        return self.length if isinstance(self.length, tuple) else (self.length, self.length)

    @property
    def loader(self) -> str:
        """The name of the loader, one of :data:`LOADERS`."""
        return next(name for name in LOADERS if getattr(self, name) is not None)

    @property
    def needed(self) -> tuple[str, ...]:
        """Files and folders under ``TSGEN_DATA/forecasting`` that the data are read from."""
        read: list[str] = [file.path for file in self.files]
        if self.table is not None:
            read += [path for path in (self.table.file, self.table.masked) if path]
        if self.physionet is not None:
            read.append(self.physionet.file)
        return tuple(dict.fromkeys(read))

    def options_for(self, estimator: str) -> dict[str, Any]:
        """The options advised for one estimator: those for all, and over them its own."""
        common = {k: v for k, v in self.options.items() if not isinstance(v, dict)}
        own = self.options.get(estimator, {})
        return common | (own if isinstance(own, dict) else {})


LOADERS = ("table", "gluonts", "physionet", "flights", "simulator")
"""Tables of a card that say how the data are read; a card has one of them."""


class Cards(dict[str, Card]):
    """Cards by name; a wrong name is answered with the right ones."""

    def __missing__(self, name: str) -> Card:
        """Name the known cards."""
        raise ValueError(f"unknown data set {name!r}; known are {', '.join(sorted(self))}")


def read_card(path: Path) -> list[Card]:
    """The card in a file, and its variants: ``[variants.NAME]`` holds what NAME has otherwise.

    Raises:
        ValueError: naming the file, the field, what it holds and what was expected.
    """
    try:
        content = read_toml(path)
        variants = content.pop("variants", {})
        if content.get("name") != path.stem:
            raise ValueError(f"name={content.get('name')!r}; expected the file's, {path.stem!r}")
        cards = [build(Card, content)]
        for name, changes in variants.items():
            if not isinstance(changes, Mapping):
                raise ValueError(f"variants.{name}={changes!r}; expected a table")
            changed = {k: merged(content.get(k), v) for k, v in changes.items()}
            cards.append(build(Card, {**content, **changed, "name": name}))
    except (ValueError, UnicodeDecodeError) as error:  # a TOMLDecodeError is a ValueError
        raise ValueError(f"{path}: {error}") from None
    return cards


def read_toml(path: Path) -> dict[str, Any]:
    """What a card's file holds."""
    with path.open("rb") as file:
        return tomllib.load(file)


def card_folders() -> list[Path]:
    """Where cards are: the package's, and the user's own in ``TSGEN_DATA/cards``."""
    packed, checkout = Path(__file__).with_name("cards"), Path(__file__).parents[2] / "datasets"
    root = os.environ.get("TSGEN_DATA")
    own = [Path(root) / "cards"] if root and (Path(root) / "cards").is_dir() else []
    return [packed if packed.is_dir() else checkout, *own]


def read_cards(folders: Iterable[Path] | None = None) -> Cards:
    """All cards of some folders, of :func:`card_folders` if not given.

    But for those of plants' logs (``kind = "log"``), see :mod:`tsgen.data.plant.cards`.

    Raises:
        ValueError: if a card is wrong, or two have one name.
    """
    cards, origin = Cards(), dict[str, Path]()
    for folder in card_folders() if folders is None else folders:
        for path in sorted(folder.glob("*.toml")):
            if _is_log(path):
                continue
            for card in read_card(path):
                if card.name in cards:
                    raise ValueError(f"{path}: name={card.name!r} is taken by {origin[card.name]}")
                cards[card.name], origin[card.name] = card, path
    return cards


def _is_log(path: Path) -> bool:
    try:
        return read_toml(path).get("kind") == "log"
    except ValueError:  # which read_card says better
        return False


def merged(base: Any, change: Any) -> Any:
    """A changed value; tables are changed entry by entry."""
    both = isinstance(base, Mapping) and isinstance(change, Mapping)
    return {**base, **change} if both else change


def _is_freq(text: str) -> bool:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "B" and "M" are said to change one day
        try:
            pd.Period("2000-01-03", freq=text)
        except (ValueError, AttributeError):
            return False
    return True
