"""Windows: a past and the horizon that follows it, of several series at once."""

from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

from tsgen.core import Options


class Stretch(NamedTuple):
    """One side of the forecast's start in a window: its past or its future.

    Shapes are of B windows, C channels, F features and F' past covariates. The target of a past
    reaches P steps back, as far as lags do; everything else only over the context, L <= P steps. A
    future has H steps throughout.
    """

    target: Tensor
    """(B, P | H, C), relative to the window's center; carried forward over gaps, NaN before a
    channel has begun and where a horizon is still to be forecast."""
    observed: Tensor
    """(B, P | H, C), bool: which of the target was observed."""
    location: Tensor
    """(B, L | H, C). Of a past: the running statistic of its own time, which scales the step after
    it. Of a future: what scales each step of the horizon, as known at the forecast's start."""
    scale: Tensor
    """(B, L | H, C): as the location, positive."""
    features: Tensor
    """(B, L | H, F): calendar, age and covariates that are known ahead."""
    covariates: Tensor
    """(B, L | 0, F'): past covariates, which nobody knows ahead."""
    times: Tensor | None = None
    """(B, P | H), in units of the median gap between observations, 0 at the last step of the past;
    ``None`` for data on a regular grid, whose steps are one unit apart."""


class Window(NamedTuple):
    """A batch of windows, from which training pairs, log densities and forecasts are made."""

    past: Stretch
    future: Stretch
    static: Tensor
    """(B, F''): static real covariates."""
    categories: Tensor
    """(B, K), int64: static categories."""
    center: Tensor
    """(B, C), float64: what the target's values are relative to."""


class Windows(Protocol):
    """A numbered collection of windows; which numbers a batch takes is decided elsewhere."""

    def __len__(self) -> int:
        """Number of windows."""

    def gather(self, index: Tensor) -> Window:
        """The windows of the given numbers (B,)."""


class WindowShape(Options):
    """Lengths of a window.

    Args:
        context_length: L, steps the encoder runs over.
        past_length: P >= L, steps that lags reach back to.
        prediction_length: H.
        min_history: steps of the series before the forecast's start that a training window has at
            least.
    """

    context_length: int
    past_length: int
    prediction_length: int
    min_history: int = 1

    def earliest_start(self, length: int, before: int = 0) -> int:
        """The earliest forecast start in a series.

        It has a full past if the series is long, else what there is; where none is needed, any.
        Steps before a series has begun are none of it, as long as a window is left.

        Args:
            length: of the series.
            before: steps before it has begun.
        """
        if self.min_history == 0:
            return 0
        room = length - before - self.prediction_length
        if room >= 2 * self.past_length:
            return before + self.past_length
        start = before + max(1, min(self.context_length, room // 2))
        return max(1, min(start, length - self.prediction_length))

    def earliest_start_of(self, padded: np.ndarray) -> int:
        """The earliest forecast start in a target (C, P + T), NaN until each channel has begun."""
        own = padded[:, self.past_length :]
        if np.isfinite(own[:, :1]).any():
            return self.earliest_start(own.shape[1])
        return self.earliest_start(own.shape[1], int(np.isfinite(own).any(0).argmax()))


def repeat_last(values: Tensor, count: int) -> Tensor:
    r"""The last of (B, T, \*) so many times, (B, count, \*)."""
    return values[:, -1:].expand(-1, count, *values.shape[2:])
