"""The contract of strategies that make the encoder's inputs, and what they are told."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tsgen.core import Component, Options
from tsgen.data.entries import Entry
from tsgen.data.running import Moments
from tsgen.forecasting.data.window import Window
from tsgen.forecasting.network.pairs import PathState
from tsgen.forecasting.target.links import Link
from tsgen.forecasting.target.statistics import Scaling


class InputLayout(Options):
    """How the encoder's input is made of a window.

    Args:
        num_channels: C.
        horizon: H.
        lags: values so many steps before the one predicted; anchored scaling has no lag 1.
        scaling: which running statistics scale the target.
        link: the support's bijection.
        missing: whether the mask of the lagged values is an input.
        num_features: features of each step: calendar, age, covariates known ahead.
        num_covariates: past covariates.
        num_static: static real covariates.
        cardinality: of each static categorical covariate.
        statistics_mean: mean of log scale and, where there is one, of the location over the
            training data, per channel: with several series these are inputs themselves, so that
            scaling does not hide which one this is.
        statistics_std: their standard deviations.
    """

    num_channels: int
    horizon: int
    lags: tuple[int, ...] = (1,)
    scaling: Scaling = "mean"
    link: Link = Link()  # noqa: RUF009
    missing: bool = False
    num_features: int = 0
    num_covariates: int = 0
    num_static: int = 0
    cardinality: tuple[int, ...] = ()
    statistics_mean: tuple[float, ...] = ()
    statistics_std: tuple[float, ...] = ()

    @property
    def embedding_sizes(self) -> tuple[int, ...]:
        """Size of each static category's embedding."""
        return tuple(min(16, (count + 1) // 2) for count in self.cardinality)

    @property
    def static_size(self) -> int:
        """Static features, the embedded categories among them."""
        return self.num_static + sum(self.embedding_sizes)


class EncoderInputs(NamedTuple):
    """Arguments of an encoder over N steps, or, without their dimension, for one."""

    inputs: Tensor
    """(B, N, D_in)."""
    times: Tensor | None = None
    """(B, N), in units of the median gap; ``None`` where steps are regular."""
    observed: Tensor | None = None
    """(B, N, D_in): 0 where an input is to be treated as absent; ``None`` is all present."""
    query: Tensor | None = None
    """(B, N): the time of the step that each output is the conditioning of."""


class Inputs(Component, nn.Module, ABC):
    """A strategy that makes the encoder's inputs of a window.

    Its windows are on the real line: targets are z, the locations and scales of a past are those of
    the step after each, those of a future of each step itself, and static features hold the
    embedded categories.

    Args:
        layout: what a window holds.
    """

    takes_times: ClassVar[bool] = False
    """Whether windows of regular series must have times, too."""
    input_size: int
    """D_in, features of an input."""
    memory: int = 1
    """Values that the input of one step looks back at."""

    def __init__(self, layout: InputLayout) -> None:
        super().__init__()
        self.layout = layout

    @abstractmethod
    def window(self, window: Window, steps: int) -> EncoderInputs:
        """Inputs of ``steps`` steps from the context's first on, each for predicting the next.

        More steps than the context has reach into the future, whose targets must be there.
        """

    @abstractmethod
    def step(
        self, state: PathState, features: Tensor, time: Tensor | None, query: Tensor | None
    ) -> EncoderInputs:
        """The input made of the last of the state's values, for predicting the step after it.

        Args:
            state: of R rows, with the location and scale of the step after.
            features: of the step after, (R, F).
            time: of the last value, (R,), where windows have times.
            query: of the step after, (R,), likewise.
        """


def input_times(window: Window, steps: int) -> tuple[Tensor | None, Tensor | None]:
    """Times of ``steps`` steps from the context's first on, and of the step after each, (B, N)."""
    past, future = window.past.times, window.future.times
    if past is None or future is None:
        return None, None
    context = window.past.scale.shape[1]
    times = torch.cat([past[:, -context:], future[:, : steps - context + 1]], 1)
    return times[:, :-1], times[:, 1:]


def over_steps(past: Tensor, future: Tensor, steps: int) -> Tensor:
    r"""What belongs to the step after each of N steps, (B, N, \*), from the context's first on.

    The last past step and the first of the future are followed by the same one.
    """
    return torch.cat([past, future[:, 1 : steps - past.shape[1] + 1]], 1)


def raw_statistics(scaling: Scaling, location: Tensor, scale: Tensor, center: Tensor) -> Tensor:
    r"""The scaling statistics worth telling a network, (\*, C) or (\*, 2 C), or none."""
    parts = {
        "none": [],
        "global": [],
        "mean": [scale.log()],
        "anchored": [scale.log()],
    }.get(scaling, [scale.log(), (location + center).to(scale.dtype)])
    return torch.cat(parts, -1) if parts else scale[..., :0]


def measure_statistics(
    entries: Iterable[Entry], scaling: Scaling
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the scaling statistics over the training data.

    Of a stream only the first 64 series are read.
    """
    moments = Moments()
    for number, entry in enumerate(entries):
        if number >= 64 and not isinstance(entries, list):
            break
        location, scale = (
            torch.from_numpy(entry[name].T).double() for name in ("location", "scale")
        )
        values = raw_statistics(scaling, location, scale, torch.from_numpy(entry["center"]))
        observed = np.isfinite(entry["target"])
        kinds = values.shape[1] // max(len(observed), 1)  # statistics of a channel
        moments.add(values.T.numpy(), np.tile(observed, (kinds, 1)))
    mean, std = moments.mean, moments.scale(1e-10, 1e-10)
    return tuple(mean.tolist()), tuple(std.tolist())


def squash(u: Tensor) -> Tensor:
    """The identity up to 10, logarithmic beyond: one wild value does not saturate an encoder."""
    beyond = u.abs().clamp_min(10).div(10).log().copysign(u)
    return u.clamp(-10, 10).add(beyond, alpha=10)
