"""Links: bijections between the support of a target and the real line."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tsgen.core import Options

Support = Literal["real", "positive", "count"] | tuple[float, float]


class Link(Options):
    r"""The bijection g between the support of a target and the real line.

    ==========  =============================================================================
    real        identity
    positive    :math:`g(y) = \tau \log(e^{y / \tau} - 1)`: the logarithm for small y, the
                identity for large
    count       the same at y + u with :math:`u \sim U[0, 1)` (uniform dequantisation); samples
                are rounded down
    (lo, hi)    logit of the position in the interval, which is widened by .1 % so that its ends
                can occur; one end may be infinite, then as positive
    ==========  =============================================================================

    Whole numbers of any support can be dequantised: they become y + u - 1/2, the support reaches
    half a unit further, and samples are rounded. (With "count" they always are.)

    Args:
        support: which.
        tau: typical size of each channel, (C,) as a tuple; used by half-infinite supports.
        whole: whether the values are whole numbers to be dequantised.
    """

    support: Literal["real", "positive", "count"] | tuple[float, float] = "real"
    tau: tuple[float, ...] = (1.0,)
    whole: bool = False

    def __post_init__(self) -> None:
        """Check the interval."""
        if isinstance(self.support, tuple):
            low, high = self.support
            if not low < high or math.isnan(low + high) or (math.isinf(low) and math.isinf(high)):
                raise ValueError(
                    f"support={self.support} must be (lo, hi) with lo < hi, at most one infinite"
                )

    def check(self, values: np.ndarray, where: str) -> None:
        """Raise ``ValueError`` if an observed value lies outside the support.

        The target is (C, T) with NaN for missing.
        """
        if self.support == "real":
            return
        if isinstance(self.support, tuple):
            bad = (values < self.support[0]) | (values > self.support[1])
        else:
            bad = (
                values <= 0
                if self.support == "positive"
                else (values < 0) | (values != np.floor(values))
            )
            bad &= ~np.isnan(values)
        if bad.any():
            channel, step = np.argwhere(bad)[0]
            expected = {
                "positive": "values above 0 (use support=(0, inf) if zeros occur)",
                "count": "whole numbers from 0 up",
            }.get(self.support, f"values in {self.support}")  # type: ignore[arg-type]
            raise ValueError(
                f"{where}: target is {values[channel, step]:g} at channel {channel}, step {step}, "
                f"but support={self.support!r} expects {expected}"
            )

    @property
    def is_quantised(self) -> bool:
        """Whether values are whole numbers to which noise is added."""
        return self.whole or self.support == "count"

    @property
    def _half_line(self) -> tuple[float, float, float] | None:
        """Origin, direction and margin of a half-infinite support."""
        half, margin = (0.5, 0.0) if self.whole else (0.0, 1e-3)
        if self.support == "count":
            return 0.0, 1.0, 0.0
        if self.support == "positive":
            return half, 1.0, 0.0
        if isinstance(self.support, tuple) and math.isinf(self.support[1]):
            return self.support[0] - half, 1.0, margin
        if isinstance(self.support, tuple) and math.isinf(self.support[0]):
            return self.support[1] + half, -1.0, margin
        return None

    def _tau(self, like: Tensor) -> Tensor:
        return torch.tensor(self.tau, dtype=like.dtype, device=like.device)

    def forward(self, y: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Map y (\*, C) to z; also gives log |dz/dy| of each element.

        Args:
            y: values.
            noise: what whole numbers are dequantised with, in [0, 1); without it they stay in the
                middle of their unit.
        """
        if self.is_quantised:
            y = y + (0.5 if noise is None else noise) - (0.0 if self.support == "count" else 0.5)
        if self.support == "real":
            return y, torch.zeros_like(y)
        half_line = self._half_line
        if half_line is not None:
            origin, sign, margin = half_line
            tau = self._tau(y)
            u = (sign * (y - origin) / tau + margin).clamp_min(1e-6)
            log_slope = -torch.log(-torch.expm1(-u))
            return tau * (u + torch.log(-torch.expm1(-u))), log_slope
        low, high, width = self._interval()
        p = ((y - low) / width).clamp(1e-6, 1 - 1e-6)
        return p.log() - torch.log1p(-p), -(p * (1 - p) * width).log()

    def numpy(self, y: np.ndarray) -> np.ndarray:
        """Z of an array (C, T), in float64; NaN stays NaN."""
        return y if self.support == "real" else self.forward(torch.from_numpy(y.T))[0].numpy().T

    def inverse(self, z: Tensor) -> Tensor:
        r"""Map z (\*, C) back into the support."""
        if self.support == "count":
            return (self._tau(z) * F.softplus(z / self._tau(z))).floor()
        y = self._continuous(z)
        if self.whole:
            y = y.round()
            if self.support == "positive":
                y = y.clamp_min(1)
        return y.clamp(*self.support) if isinstance(self.support, tuple) else y

    def _continuous(self, z: Tensor) -> Tensor:
        half_line = self._half_line
        if self.support == "real":
            return z
        if half_line is None:
            low, _, width = self._interval()
            return low + width * z.sigmoid()
        origin, sign, margin = half_line
        tau = self._tau(z)
        u = F.softplus(z / tau)
        if self.support == "positive":
            return origin + tau * u.clamp_min(torch.finfo(u.dtype).tiny)
        return origin + sign * tau * (u - margin).clamp_min(0)

    def _interval(self) -> tuple[float, float, float]:
        assert isinstance(self.support, tuple)
        low, high = self.support
        margin = 0.5 if self.whole else 1e-3 * (high - low)
        return low - margin, high + margin, high - low + 2 * margin


def typical_size(support: Support, sums: np.ndarray, counts: np.ndarray) -> tuple[float, ...]:
    """Mean distance from the support's end for each channel, at least a little above zero."""
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)
    floor = 1.0 if support == "count" else 1e-12
    return tuple(float(v) for v in np.maximum(np.where(mean > 0, mean, 1.0), floor))
