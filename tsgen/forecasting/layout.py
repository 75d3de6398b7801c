"""What goes in and out of the networks: training pairs, stream states, input features."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tsgen.core import Options
from tsgen.diffusion import Guidance
from tsgen.encoders import State
from tsgen.forecasting.scaling import Link, Scaling
from tsgen.forecasting.spec import Entry


class Pairs(NamedTuple):
    """Teacher-forced training pairs.

    Training, likelihood and the scoring of a log all rest on them. Step decoding has batch shape
    (B, N) with N = L + H - 1 and event (C,); horizon decoding (B,) and (H, C).
    """

    x: Tensor
    """Scaled events (*batch, *event_shape)."""
    cond: Tensor
    """(*batch, *cond_shape)."""
    weight: Tensor
    """(*batch,): 1 where the example counts, else 0."""
    log_scale: Tensor
    """(*batch,): log |dy/dx| summed over the observed elements."""
    observed: Tensor
    """Like x: 1 where observed."""


class StreamState(NamedTuple):
    """What a forecaster remembers between the rows of a stream; all tensors are batch first."""

    encoder: State
    values: Tensor
    """The last values z that lags reach to, (B, M, C)."""
    observed: Tensor
    """Which of them were observed, (B, M, C)."""
    location: Tensor
    """(B, C)."""
    scale: Tensor
    """(B, C)."""
    covariates: Tensor
    """Past-only covariates last seen, (B, F')."""
    static: Tensor
    """Static features, (B, F'')."""
    center: Tensor
    """(B, C)."""


class Known(NamedTuple):
    """What is known of the horizons to be drawn, for some rows or for all (B, 1 or S, H, C)."""

    values: Tensor
    """Given values, relative to the center; of other cells they do not matter."""
    mask: Tensor
    """Which are given, bool."""
    guess: Tensor | None = None
    """Whole horizons to start from, relative to the center."""
    strength: float = 1.0
    """The diffusion time to which the guess is noised."""
    guidance: Guidance | None = None
    """How to condition on the given values."""

    def rows(self, index: Tensor, samples: int) -> "Known":
        """Of sample paths numbered series by series, (R, H, C)."""
        series = torch.div(index, samples, rounding_mode="floor")
        path = index % samples

        def of(values: Tensor) -> Tensor:
            return values[series, path if values.shape[1] > 1 else 0]

        guess = None if self.guess is None else of(self.guess)
        return self._replace(values=of(self.values), mask=of(self.mask), guess=guess)


class InputLayout(Options):
    """How the encoder's input is made of a window.

    Args:
        num_channels: C.
        horizon: H.
        lags: values so many steps before the one predicted; anchored scaling has no lag 1.
        scaling: which running statistics scale the target.
        link: the support's bijection.
        missing: whether the mask of the lagged values is an input.
        num_known: features known for each step: calendar, age, known covariates.
        num_past: past-only covariates.
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
    num_known: int = 0
    num_past: int = 0
    num_static: int = 0
    cardinality: tuple[int, ...] = ()
    statistics_mean: tuple[float, ...] = ()
    statistics_std: tuple[float, ...] = ()

    @property
    def embedding_sizes(self) -> tuple[int, ...]:
        """Size of each static category's embedding."""
        return tuple(min(16, (count + 1) // 2) for count in self.cardinality)

    @property
    def input_size(self) -> int:
        """Features of the encoder's input."""
        lagged = self.num_channels * len(self.lags) * (2 if self.missing else 1)
        past = self.num_past + 1 if self.num_past else 0
        return (
            lagged + self.num_known + past + self.num_static + sum(self.embedding_sizes)
            + len(self.statistics_mean)
        )  # fmt: skip


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
    count, total, squares = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for number, entry in enumerate(entries):
        if number >= 64 and not isinstance(entries, list):
            break
        location, scale = (
            torch.from_numpy(entry[name].T).double() for name in ("location", "scale")
        )
        values = raw_statistics(scaling, location, scale, torch.from_numpy(entry["center"]))
        started = torch.from_numpy(np.isfinite(entry["target"].T)).double()
        weights = started.repeat(1, values.shape[1] // max(started.shape[1], 1))
        count = count + weights.sum(0)
        total = total + (values * weights).sum(0)
        squares = squares + (values**2 * weights).sum(0)
    count = count.clamp_min(1)
    mean = total / count
    variance = (squares / count - mean**2).clamp_min(0)
    std = torch.where(variance > 1e-10 * (1 + mean**2), variance.sqrt(), 1.0)
    return tuple(mean.tolist()), tuple(std.tolist())


def squash(u: Tensor) -> Tensor:
    """The identity up to 10, logarithmic beyond: one wild value does not saturate an encoder."""
    beyond = u.abs().clamp_min(10).div(10).log().copysign(u)
    return u.clamp(-10, 10).add(beyond, alpha=10)
