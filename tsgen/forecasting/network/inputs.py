"""The encoder's inputs, made of a window."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from tsgen.core import Options
from tsgen.data.entries import Entry
from tsgen.data.running import Moments
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
    def input_size(self) -> int:
        """Features of the encoder's input."""
        lagged = self.num_channels * len(self.lags) * (2 if self.missing else 1)
        past = self.num_covariates + 1 if self.num_covariates else 0
        return (
            lagged + self.num_features + past + self.num_static + sum(self.embedding_sizes)
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
