"""What a loader returns: a data set cut by its protocol into training data and test windows."""

from typing import Any, NamedTuple

from tsgen.data.card import Card
from tsgen.data.entries import Entry
from tsgen.data.splits import length_of, rolling, until


class MissingData(FileNotFoundError):
    """A data set is not on this machine; the message says how to get it."""


class Benchmark(NamedTuple):
    """A data set and its protocol."""

    name: str
    freq: str
    prediction_length: int
    train: list[Entry]
    """What an estimator is trained on."""
    test: list[Entry]
    """One entry a test window and series, all series of the first window, then of the second; the
    last ``prediction_length`` steps are to be forecast."""
    channels: list[str] | None = None
    """Their names, where they have any."""
    card: Card | None = None
    """Where the data come from and what to beware of."""
    law: Any = None
    """Of a simulated set: a :class:`tsgen.data.synthetic.KnownLaw`, whose ``ExactPredictor`` is
    the best forecast there is."""
    season: int | None = None
    """Steps of the main period, 1 for none."""


def validation(data: Benchmark) -> Benchmark:
    """The same protocol inside the training data: to choose options by.

    Each series is cut one test period earlier, at its own end. Where the test series are others
    than the training series, every fifth of these is held out instead.

    Raises:
        ValueError: if a series is not longer than the test period.
    """
    count, horizon = len(data.train), data.prediction_length
    own = {entry.get("item_id") for entry in data.train}
    if any(entry.get("item_id") not in own for entry in data.test):
        parts = (
            [entry for i, entry in enumerate(data.train) if i % 5 != 4],
            [entry for i, entry in enumerate(data.train) if i % 5 == 4],
        )
        short = [len(part) == 0 for part in parts]
        if any(short) or any(length_of(entry) <= horizon for entry in parts[1]):
            raise ValueError(
                f"{data.name}: of {count} training series none can be held out; expected at least "
                f"5, longer than the horizon {horizon}"
            )
        return data._replace(name=f"{data.name}/validation", train=parts[0], test=parts[1])
    windows = len(data.test) // count
    try:
        test = rolling(data.train, windows, horizon)
    except ValueError as error:
        raise ValueError(
            f"{data.name}: no validation period fits before the test: {error}"
        ) from None
    train = [until(entry, length_of(entry) - windows * horizon) for entry in data.train]
    return data._replace(name=f"{data.name}/validation", train=train, test=test)
