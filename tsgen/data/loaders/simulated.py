"""Simulated sets: independent series of a law that is known, so that no forecast can be better."""

from tsgen.data.benchmarks import Benchmark
from tsgen.data.card import Card

_TRAIN, _TEST = 1, 2
"""Seeds."""


def load(card: Card) -> Benchmark:
    """The set that a card describes.

    Raises:
        ValueError: if there is no such law.
    """
    assert card.simulator is not None
    return simulated(
        card.name,
        card.simulator.law,
        horizon=card.prediction_length,
        num_train=card.series,
        num_test=card.test_series,
        length=card.lengths[0],
    )


def simulated(
    name: str, law: str, horizon: int, num_train: int, num_test: int, length: int
) -> Benchmark:
    """Independent series of one of :data:`tsgen.data.synthetic.laws`, the same at every call.

    Args:
        name: of the set.
        law: name of the law; it comes back as the set's ``law``.
        horizon: H, steps to forecast in each test series.
        num_train: training series.
        num_test: test series, one window each.
        length: steps of a training series, and of a test series before its window.

    Raises:
        ValueError: if there is no such law.
    """
    from tsgen.data.synthetic import laws

    if law not in laws:
        raise ValueError(f"{name}: law={law!r}; expected one of {', '.join(sorted(laws))}")
    process = laws[law]
    train = process.dataset(num_train, length, _TRAIN)
    test = process.dataset(num_test, length + horizon, _TEST)
    test = [{**entry, "item_id": f"test {entry['item_id']}"} for entry in test]
    return Benchmark(name, process.freq, horizon, train, test, law=process)
