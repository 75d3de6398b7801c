"""Denoising networks as options of an estimator: one object with all sizes of one network."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

from tsgen.core import Count, OptionError, Options
from tsgen.nets.axial import AxialTransformer
from tsgen.nets.dense import DenseDenoiser, EnergyDenoiser
from tsgen.nets.residual import DilatedResidualNet


class Network(Options, ABC):
    """A kind of denoising network and its sizes."""

    needs_horizon: ClassVar[bool] = False
    """Whether its events must be whole horizons (H, C), not single steps (C,)."""

    @abstractmethod
    def builder(self, event_shape: tuple[int, ...], max_frequency: float) -> Callable:
        """The network's class with its sizes.

        Args:
            event_shape: (C,) or (H, C).
            max_frequency: the largest angular frequency of the embedding of t in [0, 1].
        """


class Residual(Network):
    """TimeGrad's network: dilated convolutions along the channels of a step.

    With ``decoding="horizon"`` they run along the steps.

    Args:
        layers: residual blocks.
        channels: width of the blocks.
        dilation_cycle: dilations 1, 2, ... repeat after this many blocks.
        cond_channels: conditioning features per channel of the target that reach the blocks.
            TimeGrad's paper has one, and so has this from eight channels on; fewer channels get as
            many as make eight in all, for a single number tells a single channel little more than a
            mean. With ``decoding="horizon"`` it is 32 for each step.
    """

    layers: Count = 8
    channels: Count = 8
    dilation_cycle: Count = 2
    cond_channels: Count | None = None

    def options_without_effect(self) -> Iterator[str]:
        """Dilations that no layer has."""
        cycle, layers = self.dilation_cycle, self.layers
        if cycle != Residual.dilation_cycle and cycle > layers:
            yield (
                f"dilation_cycle={cycle} has no effect with layers={layers} beyond that of "
                f"dilation_cycle={layers}"
            )

    def builder(self, event_shape: tuple[int, ...], max_frequency: float) -> Callable:
        """The class of the network with its sizes."""
        usual = 32 if len(event_shape) == 2 else -(-8 // event_shape[-1])
        return functools.partial(
            DilatedResidualNet,
            layers=self.layers,
            channels=self.channels,
            dilation_cycle=self.dilation_cycle,
            cond_channels=self.cond_channels or usual,
            max_frequency=max_frequency,
        )


class Axial(Network):
    """CSDI's network: attention along the steps and along the channels of a horizon.

    Args:
        layers: blocks.
        channels: width of the blocks, a multiple of ``num_heads``.
        num_heads: attention heads.
    """

    needs_horizon: ClassVar[bool] = True

    layers: Count = 4
    channels: Count = 64
    num_heads: Count = 8

    def __post_init__(self) -> None:
        """Check that the heads share the width evenly."""
        if self.channels % self.num_heads:
            raise OptionError(
                "Axial", "channels", self.channels, f"a multiple of num_heads={self.num_heads}"
            )

    def builder(self, event_shape: tuple[int, ...], max_frequency: float) -> Callable:
        """The class of the network with its sizes."""
        return functools.partial(
            AxialTransformer,
            layers=self.layers,
            channels=self.channels,
            num_heads=self.num_heads,
            max_frequency=max_frequency,
        )


class Dense(Network):
    """Dense residual blocks, for events whose elements have no order.

    Args:
        layers: residual blocks.
        hidden_size: width of the blocks.
        energy: whether the output is the gradient of an energy, see
            :class:`~tsgen.nets.EnergyDenoiser`.
    """

    layers: Count = 3
    hidden_size: Count = 256
    energy: bool = False

    def builder(self, event_shape: tuple[int, ...], max_frequency: float) -> Callable:
        """The class of the network with its sizes."""
        return functools.partial(
            EnergyDenoiser if self.energy else DenseDenoiser,
            layers=self.layers,
            hidden=self.hidden_size,
            max_frequency=max_frequency,
        )
