"""Anchors: forecasts of the target on the real line, from which events are measured."""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from typing_extensions import override

from tsgen.core import Component
from tsgen.forecasting.data.window import repeat_last


class Anchor(Component, nn.Module, ABC):
    """A causal point forecast m of the target, so that a model learns the rest, (z - m) / s.

    Values z (B, T, C) are on the real line, relative to the window's center, carried forward over
    gaps and NaN before a channel has begun; ``observed`` (B, T, C) says which are no such repeats.
    A forecast is finite everywhere. It may have parameters, which are trained, and buffers.
    """

    memory: int = 1
    """Steps that a forecast looks back at: that of step t + 1 sees t - memory + 1 to t."""

    def __init__(self) -> None:
        super().__init__()  # a constructor of its own is what is written to a folder

    @abstractmethod
    def one_step(self, z: Tensor, observed: Tensor) -> Tensor:
        """The forecast of the step after each of T steps, (B, T, C)."""

    @abstractmethod
    def ahead(self, z: Tensor, observed: Tensor, horizon: int) -> Tensor:
        """The forecast of each of the ``horizon`` steps after the last one, (B, H, C)."""


class LastValue(Anchor):
    """The last value observed, 0 before a channel has begun: what is learnt are changes."""

    @override
    def one_step(self, z: Tensor, observed: Tensor) -> Tensor:
        return z.nan_to_num(0.0)

    @override
    def ahead(self, z: Tensor, observed: Tensor, horizon: int) -> Tensor:
        return repeat_last(z.nan_to_num(0.0), horizon)
