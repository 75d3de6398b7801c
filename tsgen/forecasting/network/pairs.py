"""Training pairs, the state of an unrolled path, and the given part of a horizon."""

from typing import NamedTuple

import torch
from torch import Tensor

from tsgen.diffusion import Guidance
from tsgen.encoders import State


class Pairs(NamedTuple):
    """Teacher-forced training pairs.

    Training, likelihood and the scoring of a log all rest on them. Step decoding has batch shape
    (B, N) with N = L + H - 1 and event (C,); horizon decoding (B,) and (H, C).
    """

    x: Tensor
    """Events (*batch, *event_shape), see :class:`~tsgen.forecasting.target.target.TargetMap`."""
    cond: Tensor
    """(*batch, *cond_shape)."""
    weight: Tensor
    """(*batch,): 1 where the example counts, else 0."""
    log_jacobian: Tensor
    """(*batch,): log |dx/dy| summed over the observed elements."""
    observed: Tensor
    """Like x: 1 where observed."""
    penalty: Tensor | None = None
    """(B,): what the encoder asks the loss to keep small."""
    times: Tensor | None = None
    """(B, H): times of the horizon's steps, for a model that takes them."""


class PathState(NamedTuple):
    """What unrolling a path remembers from one step to the next; all tensors are batch first."""

    encoder: State
    values: Tensor
    """The last values z that inputs and anchor look back at, (B, M, C)."""
    observed: Tensor
    """Which of them were observed, (B, M, C)."""
    location: Tensor
    """Of the step that comes next, (B, C)."""
    scale: Tensor
    """Likewise, (B, C)."""
    covariates: Tensor
    """Past covariates of the last step that has them, (B, F')."""
    static: Tensor
    """Static features, (B, F'')."""
    center: Tensor
    """(B, C)."""


class Ahead(NamedTuple):
    """What is known of each step of a horizon before any of it is drawn."""

    features: Tensor
    """(B, H, F)."""
    location: Tensor
    """(B, H, C)."""
    scale: Tensor
    """(B, H, C)."""
    times: Tensor | None
    """(B, H), in units of the median gap."""


class HorizonGiven(NamedTuple):
    """What is given of the horizons to be drawn, for some rows or for all (B, 1 or S, H, C)."""

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

    def rows(self, index: Tensor, samples: int) -> "HorizonGiven":
        """Of sample paths numbered series by series, (R, H, C)."""
        series = torch.div(index, samples, rounding_mode="floor")
        path = index % samples

        def of(values: Tensor) -> Tensor:
            return values[series, path if values.shape[1] > 1 else 0]

        guess = None if self.guess is None else of(self.guess)
        return self._replace(values=of(self.values), mask=of(self.mask), guess=guess)
