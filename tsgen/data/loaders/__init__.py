"""Few loaders for many data sets: each reads what a table of a card describes."""

import importlib

from tsgen.data.benchmarks import Benchmark
from tsgen.data.card import Card
from tsgen.data.splits import length_of

__all__ = ["load"]

_MODULES = {
    "table": "tables",
    "gluonts": "folders",
    "physionet": "physionet",
    "flights": "flights",
    "simulator": "simulated",
}


def load(card: Card) -> Benchmark:
    """Read a data set and cut it by its protocol.

    Raises:
        MissingData: if it is not on this machine and could not be downloaded.
        ValueError: naming the file that cannot be read, or what is not as the card says.
    """
    loader = importlib.import_module(f"tsgen.data.loaders.{_MODULES[card.loader]}")
    data: Benchmark = loader.load(card)._replace(card=card, season=card.season)
    _conforms(data, card)
    return data


def _conforms(data: Benchmark, card: Card) -> None:
    """Compare what was read with what the card says.

    Raises:
        ValueError: naming what differs.
    """
    lengths = [length_of(entry) for entry in data.train]
    shapes = {entry["target"].shape[:-1] for entry in data.train}
    fewer = card.gluonts is not None and card.gluonts.misfits == "leave out"
    series, channels = len(data.train), {shape[0] if shape else 1 for shape in shapes}
    low, high = card.lengths
    tests = card.windows * (card.test_series or series)
    for what, actual, expected, holds in (
        ("training series", series, card.series, fewer and card.channels == 1),
        ("channels", sorted(channels), [card.channels], fewer and card.channels > 1),
        ("test entries", len(data.test), tests, False),
    ):
        if actual != expected and not holds:
            raise ValueError(f"{card.name}: {what} {actual}; the card says {expected}")
    if not low <= min(lengths) <= max(lengths) <= high:
        raise ValueError(
            f"{card.name}: training steps {min(lengths)} to {max(lengths)}; the card says {low} to "
            f"{high}"
        )
