"""Increasing functions of one variable that zuko lacks, elementwise."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Transform, constraints
from torch.nn import functional as F

from tsgen.models.flows.common import OnePass
from tsgen.models.flows.roots import solve_increasing

SLOPE = 1e-3
"""Smallest slope."""


class LinearTail(OnePass):
    r"""An increasing function on [-B, B], continued beyond by its tangents at the ends.

    Args:
        base: the function; its value and slope are asked for inside only.
        bound: B.
    """

    domain = codomain = constraints.real
    sign = +1

    def __init__(self, base: Transform, bound: float) -> None:
        super().__init__()
        self.base: Any = base
        self.bound = bound

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Value and log slope."""
        inside = x.clamp(-self.bound, self.bound)
        y, log_slope = self.base.call_and_ladj(inside)
        return y + log_slope.exp() * (x - inside), log_slope

    def _inverse(self, y: Tensor) -> Tensor:
        end = torch.full_like(y, self.bound)
        (low, low_slope), (high, high_slope) = map(self._value_and_slope, (-end, end))
        inside = torch.minimum(torch.maximum(y, low), high)
        x = solve_increasing(self._value_and_slope, inside, -end, end)
        return x + (y - high).clamp_min(0) / high_slope - (low - y).clamp_min(0) / low_slope

    def _value_and_slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_slope = self.base.call_and_ladj(x)
        return y, log_slope.exp()


class LogisticMixtureTransform(OnePass):
    r""":math:`y = \mathrm{logit} \sum_k \pi_k \, \sigma((x - \mu_k) / s_k)`.

    Args:
        logits: of the weights, (\*, K).
        means: (\*, K).
        log_scales: unconstrained logarithms of s, (\*, K).
    """

    domain = codomain = constraints.real
    sign = +1

    def __init__(self, logits: Tensor, means: Tensor, log_scales: Tensor) -> None:
        super().__init__()
        self.log_weights, self.means = logits.log_softmax(-1), means
        self.log_scales = log_scales / (1 + (log_scales / math.log(SLOPE)).abs())

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Value and log slope."""
        z = (x[..., None] - self.means) * (-self.log_scales).exp()
        below, above = F.logsigmoid(z), F.logsigmoid(-z)
        log_cdf = (self.log_weights + below).logsumexp(-1)
        log_rest = (self.log_weights + above).logsumexp(-1)
        log_pdf = (self.log_weights + below + above - self.log_scales).logsumexp(-1)
        return log_cdf - log_rest, log_pdf - log_cdf - log_rest

    def _inverse(self, y: Tensor) -> Tensor:
        # the mixture's quantile lies between the components'
        quantiles = (self.means + self.log_scales.exp() * y[..., None]).detach()
        return solve_increasing(self._value_and_slope, y, quantiles.amin(-1), quantiles.amax(-1))

    def _value_and_slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_slope = self.call_and_ladj(x)
        return y, log_slope.exp()


class QuadraticSplineTransform(OnePass):
    r"""The CDF of a piecewise-linear density on [-B, B], scaled to it; linear beyond.

    In a bin of width w and density from v to v', at the share :math:`\alpha` of its width, the CDF
    is that of the bin's start plus :math:`w (\alpha v + \alpha^2 (v' - v) / 2)`.

    Args:
        widths: unconstrained, (\*, K).
        densities: unconstrained, at the knots, (\*, K + 1).
        bound: B.
    """

    domain = codomain = constraints.real
    sign = +1

    def __init__(self, widths: Tensor, densities: Tensor, bound: float = 5.0) -> None:
        super().__init__()
        limit = math.log(SLOPE)
        self.bound = bound
        self.widths = (widths / (1 + (2 * widths / limit).abs())).softmax(-1)
        v = (densities / (1 + (2 * densities / limit).abs())).exp()
        areas = self.widths * (v[..., 1:] + v[..., :-1]) / 2
        total = areas.sum(-1, keepdim=True)
        self.v = v / total
        self.knots = F.pad(self.widths.cumsum(-1), (1, 0))
        self.levels = F.pad((areas / total).cumsum(-1), (1, 0))

    def _bin(self, edges: Tensor, values: Tensor) -> list[Tensor]:
        """Start, width, level and the two densities of the bin of each value."""
        inner = edges[..., 1:-1]
        index = (values[..., None] >= inner).sum(-1, keepdim=True)
        shape = values.shape
        parts = (self.knots, self.widths, self.levels, self.v)
        picked = [p.expand(*shape, -1).gather(-1, index)[..., 0] for p in parts]
        return [*picked, self.v.expand(*shape, -1).gather(-1, index + 1)[..., 0]]

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Value and log slope."""
        inside = x.clamp(-self.bound, self.bound)
        u = (inside + self.bound) / (2 * self.bound)
        start, width, level, v0, v1 = self._bin(self.knots, u)
        share = ((u - start) / width).clamp(0, 1)
        slope = v0 + share * (v1 - v0)
        y = level + width * share * (v0 + share * (v1 - v0) / 2)
        return self.bound * (2 * y - 1) + slope * (x - inside), slope.log()

    def _inverse(self, y: Tensor) -> Tensor:
        inside = y.clamp(-self.bound, self.bound)
        level = (inside + self.bound) / (2 * self.bound)
        start, width, base, v0, v1 = self._bin(self.levels, level)
        rest = ((level - base) / width).clamp_min(0)
        root = (v0**2 + 2 * (v1 - v0) * rest).clamp_min(1e-12).sqrt()
        share = (2 * rest / (v0 + root)).clamp(0, 1)
        slope = v0 + share * (v1 - v0)
        return self.bound * (2 * (start + share * width) - 1) + (y - inside) / slope
