"""Which parts of a forecaster learn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from tsgen.forecasting.network.forecaster import Forecaster

EVERY_PART = ("model", "encoder")
"""The two parts of a forecaster: the law of an event, and all that makes its conditioning."""

_OF_THE_MODEL = ("model", "dequantiser")
"""Modules of a forecaster that belong to the law of an event; all others are the encoder's."""


@contextmanager
def frozen_but(forecaster: Forecaster, trainable: Sequence[str]) -> Iterator[list[nn.Module]]:
    """Let only some parts of a forecaster learn within a ``with`` statement.

    Args:
        forecaster: whose weights stop to require gradients.
        trainable: "model" (with what maps its events to the target's values), "encoder" (with what
            makes its inputs), or the name of a module within, such as "model.net".

    Yields:
        The modules of which nothing learns.

    Raises:
        ValueError: for a name that the forecaster does not have, or if nothing is left to learn.
    """
    modules = dict(forecaster.named_modules())
    for name in trainable:
        if name not in EVERY_PART and name not in modules:
            raise ValueError(
                f"trainable={name!r} is no part of the network: it must be "
                f"{' or '.join(map(repr, EVERY_PART))}, or the name of a module within"
            )

    def learns(name: str) -> bool:
        part = "model" if name.partition(".")[0] in _OF_THE_MODEL else "encoder"
        return part in trainable or any(f"{name}.".startswith(f"{one}.") for one in trainable)

    def holds_learning(name: str) -> bool:
        return not name or any(one.startswith(f"{name}.") for one in trainable)

    weights = dict(forecaster.named_parameters())
    stopped = [p for name, p in weights.items() if p.requires_grad and not learns(name)]
    if not any(p.requires_grad and learns(name) for name, p in weights.items()):
        raise ValueError(f"trainable={tuple(trainable)!r} leaves no weight to learn")
    for weight in stopped:
        weight.requires_grad_(False)
    try:
        yield [m for name, m in modules.items() if not learns(name) and not holds_learning(name)]
    finally:
        for weight in stopped:
            weight.requires_grad_(True)
