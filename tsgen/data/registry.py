"""Data sets by name: what is known of each, whether it is here, how it is obtained and loaded.

>>> data = datasets["nyc_departures"]()  # training data, test windows, frequency and horizon
>>> cards["nyc_departures"].licence
>>> status("electricity_nips")
'can be downloaded'
"""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsgen.data.benchmarks import Benchmark
from tsgen.data.card import Card, Cards, read_cards
from tsgen.data.files import Verified, compare, data_file, looked_in, missing
from tsgen.data.loaders import load
from tsgen.data.loaders.flights import package_folder
from tsgen.data.loaders.repository import download, folder_of
from tsgen.data.loaders.simulated import simulated

if TYPE_CHECKING:
    from tsgen.core import Registry

__all__ = ["cards", "datasets", "obtain", "simulated", "status", "verify"]

cards: Cards
"""What is known of each data set; read once, when first asked for."""
datasets: "Registry[Benchmark]"
"""Loaders without arguments. They raise :class:`tsgen.data.benchmarks.MissingData` where the data
are not on this machine and cannot be downloaded."""


@functools.cache
def _cards() -> Cards:
    return read_cards()


@functools.cache
def _datasets() -> "Registry[Benchmark]":
    from tsgen.core import Registry

    return Registry("data set", {k: functools.partial(load, v) for k, v in _cards().items()})


def __getattr__(name: str) -> Any:
    """Make the tables on first use: they take their time, and ``tsgen.core`` takes seconds."""
    property_of = {"cards": _cards, "datasets": _datasets}.get(name)
    if property_of is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return property_of()


def status(name: str) -> str:
    """Whether a data set is here: nothing is loaded or downloaded.

    Returns:
        "here", "can be downloaded", "needs pip install PACKAGE", "simulated" or "missing".

    Raises:
        ValueError: if there is no such set.
    """
    card = _cards()[name]
    if card.get.kind == "simulator":
        return "simulated"
    if _local_folder(card) is not None:
        return "here"
    if card.get.kind == "gluonts":
        return "can be downloaded"
    return f"needs pip install {card.get.name}" if card.get.kind == "package" else "missing"


def obtain(name: str) -> Path | None:
    """Have a data set here: download it if it can be, and compare its files with their checksums.

    Returns:
        The file or folder; ``None`` for a simulated set.

    Raises:
        MissingData: if it has to be obtained by hand; the message says how.
        ValueError: if a file is not what the card says, or there is no such set.
    """
    card = _cards()[name]
    if card.get.kind == "simulator":
        return None
    folder = _local_folder(card)
    if folder is None and card.get.kind == "gluonts":
        return download(card)
    if folder is None and card.get.kind == "package":
        raise missing(card, f"the package {card.get.name} is not installed")
    if folder is None:
        absent = [path for path in card.needed if data_file(path) is None]
        raise missing(card, f"no {' and '.join(absent)} in {looked_in()}")
    for file, ok, why in verify(name):
        if not ok:
            raise ValueError(f"{file} {why}. {card.get.how}")
    return folder


def verify(name: str) -> list[Verified]:
    """Compare the files of a data set that are here with their sizes and checksums.

    What GluonTS downloaded into its own folder is not compared: it writes sets anew.

    Raises:
        ValueError: if there is no such set.
    """
    files = _cards()[name].files
    here = [(file, data_file(file.path)) for file in files]
    return [compare(file, path) for file, path in here if path is not None]


def _local_folder(card: Card) -> Path | None:
    """Where a data set is, if it is here."""
    if card.get.kind == "package":
        return package_folder(card.get.name)
    if card.get.kind == "gluonts":
        return folder_of(card)
    paths = [data_file(path) for path in card.needed]
    return paths[0] if paths and all(paths) else None
