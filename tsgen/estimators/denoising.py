"""What estimators with a denoising network share."""

import functools
from collections.abc import Callable
from typing import Literal

from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.nets import AxialTransformer, DilatedResidualNet

_OWN = {"residual": ("dilation_cycle", "cond_channels"), "axial": ("num_heads",)}


class DenoisingEstimator(GenerativeEstimator):
    """Base of the estimators with a denoising network; its options beyond those of all estimators.

    Args:
        network: "residual" is TimeGrad's, which convolves along the channels of a step or, with
            ``decoding="horizon"``, along the steps; "axial" attends along the steps and along the
            channels of a horizon (CSDI).
        residual_layers: blocks of the denoising network.
        residual_channels: their width.
        dilation_cycle: dilations 1, 2, ... repeat after this many blocks.
        cond_channels: conditioning features per channel of the target that reach the blocks of the
            residual network. TimeGrad's paper has one, and so has this from eight channels on;
            fewer channels get as many as make eight in all, for a single number tells a single
            channel little more than a mean. With ``decoding="horizon"`` it is 32 for each step.
        num_heads: attention heads of the axial network.
        given_rate: share of the training windows in which a random part of the horizon is given to
            the network, for forecasts with a partly known future and for imputation; see
            :class:`~tsgen.models.DDPM`.
        given_patterns: what may be given: "cells", "channels", "steps".

    ``lr_inputs`` is 100 here: the network's output starts at zero, so the encoder hears little of
    the first batches, and then at a rate that with hundreds of inputs leaves it in the same state
    at every hour (``benchmarks/README.md``, electricity of 321 clients).
    """

    lr_inputs: int | None = 100

    network: Literal["residual", "axial"] = "residual"
    residual_layers: int = 8
    residual_channels: int = 8
    dilation_cycle: int = 2
    cond_channels: int | None = None
    num_heads: int = 8
    given_rate: float = 0.0
    given_patterns: tuple[Literal["cells", "channels", "steps"], ...] = (
        "cells", "channels", "steps",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check the network's options."""
        super().__post_init__()
        name = type(self).__name__
        for field in ("residual_layers", "residual_channels", "dilation_cycle", "cond_channels"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ValueError(f"{name}: {field}={value} must be at least 1")
        other = "residual" if self.network == "axial" else "axial"
        for field in _OWN[other]:
            if getattr(self, field) != getattr(DenoisingEstimator, field):
                raise ValueError(
                    f"{name}: {field}={getattr(self, field)} is an option of network={other!r}, "
                    f"not of network={self.network!r}"
                )
        if self.network == "axial" and self.decoding != "horizon":
            raise ValueError(
                f"{name}: network='axial' needs decoding='horizon', not {self.decoding!r}"
            )
        if self.network == "axial" and (
            self.num_heads < 1 or self.residual_channels % self.num_heads
        ):
            raise ValueError(
                f"{name}: residual_channels={self.residual_channels} must be a multiple of "
                f"num_heads={self.num_heads}"
            )
        if not 0 <= self.given_rate <= 1 or not self.given_patterns:
            raise ValueError(
                f"{name}: given_rate={self.given_rate} must lie in [0, 1] and given_patterns="
                f"{self.given_patterns} must name at least one"
            )

    def network_builder(self, event_shape: tuple[int, ...], max_frequency: float) -> Callable:
        """The class of the denoising network with its options."""
        if self.network == "axial":
            return functools.partial(
                AxialTransformer,
                layers=self.residual_layers,
                channels=self.residual_channels,
                num_heads=self.num_heads,
                max_frequency=max_frequency,
            )
        usual = 32 if len(event_shape) == 2 else -(-8 // event_shape[-1])
        return functools.partial(
            DilatedResidualNet,
            layers=self.residual_layers,
            channels=self.residual_channels,
            dilation_cycle=self.dilation_cycle,
            cond_channels=self.cond_channels or usual,
            max_frequency=max_frequency,
        )
