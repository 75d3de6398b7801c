"""Families of increasing functions of one variable, the inside of coupling and autoregressive layers.

Each is a module that, called with parameters of the shapes it names, gives an elementwise
``Transform``. All of them are onto the real line: what zuko bounds has linear tails here.
"""

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Transform, constraints
from torch.nn import functional as F
from zuko.flows.neural import MNN, UMNN
from zuko.transforms import (
    AdditiveTransform,
    BernsteinTransform,
    ComposedTransform,
    MonotonicAffineTransform,
    MonotonicRQSTransform,
    MonotonicTransform,
    SOSPolynomialTransform,
)

from tsgen.models.flows.roots import solve_increasing

_SLOPE = 1e-3
"""Smallest slope."""


class Univariate(nn.Module, ABC):
    """A family of increasing functions.

    Args:
        resolution: how fine; what it counts is said by the family.
    """

    numeric: ClassVar[bool] = False
    """Whether the inverse is searched for."""
    resolution: ClassVar[int] = 1
    """Default."""
    shapes: tuple[tuple[int, ...], ...]
    """Shape of each parameter, for one variable."""

    def __init__(self, resolution: int) -> None:
        super().__init__()
        self.shapes = self._shapes(resolution)

    @abstractmethod
    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        """Shape of each parameter."""

    @abstractmethod
    def forward(self, *phi: Tensor) -> Transform:
        r"""The function with parameters of shapes (\*, \*shape), elementwise over (\*,)."""


class Additive(Univariate):
    """Shift (NICE: Dinh, Krueger, Bengio 2015)."""

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((),)

    def forward(self, *phi: Tensor) -> Transform:
        """See :class:`Univariate`."""
        return AdditiveTransform(*phi)


class Affine(Univariate):
    """Scale and shift (RealNVP: Dinh, Sohl-Dickstein, Bengio 2017, eq 7)."""

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((), ())

    def forward(self, *phi: Tensor) -> Transform:
        """See :class:`Univariate`."""
        return MonotonicAffineTransform(*phi)


class RationalQuadratic(Univariate):
    """Rational-quadratic spline on [-5, 5] (Durkan et al. 2019, eq 4); ``resolution`` bins."""

    resolution: ClassVar[int] = 8

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((resolution,), (resolution,), (resolution - 1,))

    def forward(self, *phi: Tensor) -> Transform:
        """See :class:`Univariate`."""
        return MonotonicRQSTransform(*phi, slope=_SLOPE)


class Quadratic(Univariate):
    """Piecewise-quadratic spline on [-5, 5] (Mueller et al. 2019, eq 12-14); so many bins."""

    resolution: ClassVar[int] = 8

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((resolution,), (resolution + 1,))

    def forward(self, *phi: Tensor) -> Transform:
        """See :class:`Univariate`."""
        return QuadraticSplineTransform(*phi)


class LogisticMixture(Univariate):
    """The logit of a mixture's CDF (Flow++: Ho et al. 2019, eq 9-10); so many components."""

    numeric: ClassVar[bool] = True
    resolution: ClassVar[int] = 8
    offsets: Tensor

    def __init__(self, resolution: int) -> None:
        super().__init__(resolution)
        self.register_buffer("offsets", torch.linspace(-2, 2, resolution), persistent=False)

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((resolution,), (resolution,), (resolution,), (), ())

    def forward(self, *phi: Tensor) -> Transform:
        """See :class:`Univariate`."""
        logits, means, log_scales, scale, shift = phi
        mixture = LogisticMixtureTransform(logits, means + self.offsets, log_scales)
        return ComposedTransform(mixture, MonotonicAffineTransform(shift, scale))


class Neural(Univariate):
    """A network with positive weights (NAF: Huang et al. 2018); so many signals steer it.

    The conditioner's signals enter zuko's monotonic network beside the variable. Linear outside
    [-10, 10].
    """

    numeric: ClassVar[bool] = True
    resolution: ClassVar[int] = 16

    def __init__(self, resolution: int) -> None:
        super().__init__(resolution)
        self.network = MNN(resolution)

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((resolution,), ())

    def _value(self, signal: Tensor, x: Tensor) -> Tensor:
        return self.network.f(signal, x) + _SLOPE * x

    def forward(self, *phi: Tensor) -> Transform:
        """See :class:`Univariate`."""
        signal, shift = phi
        base = MonotonicTransform(partial(self._value, signal), (signal, *self.parameters()))
        return ComposedTransform(LinearTail(base, 10.0), AdditiveTransform(shift))


class Integral(Univariate):
    """The integral of a positive network (UMNN: Wehenkel, Louppe 2019, eq 2); so many signals.

    Linear outside [-10, 10].
    """

    numeric: ClassVar[bool] = True
    resolution: ClassVar[int] = 16

    def __init__(self, resolution: int) -> None:
        super().__init__(resolution)
        self.integrand = UMNN(resolution)

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((resolution,), ())

    def forward(self, *phi: Tensor) -> Transform:
        """See :class:`Univariate`."""
        signal, shift = phi
        base, _ = self.integrand(signal, shift).transforms
        base.phi = (signal, *self.parameters())
        return ComposedTransform(LinearTail(base, 10.0), AdditiveTransform(shift))


class SumOfSquares(Univariate):
    """The integral of a sum of squared polynomials (SOS: Jaini, Selby, Yu 2019, eq 11).

    Three polynomials of degree ``resolution``, linear outside [-5, 5].
    """

    numeric: ClassVar[bool] = True
    resolution: ClassVar[int] = 4

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((3, resolution + 1), ())

    def forward(self, *phi: Tensor) -> Transform:
        """See :class:`Univariate`."""
        coefficients, shift = phi
        base = SOSPolynomialTransform(coefficients, bound=5.0, slope=_SLOPE)
        return ComposedTransform(LinearTail(base, 5.0), AdditiveTransform(shift))


class Bernstein(Univariate):
    """Bernstein polynomial on [-5, 5] (Sick et al. 2021) of degree ``resolution`` + 2."""

    numeric: ClassVar[bool] = True
    resolution: ClassVar[int] = 16

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((resolution,),)

    def forward(self, *phi: Tensor) -> Transform:
        """See :class:`Univariate`."""
        return LinearTail(BernsteinTransform(*phi, bound=5.2), 5.0)


class LinearTail(Transform):
    r"""An increasing function on [-B, B], continued beyond by its tangents at the ends.

    Args:
        base: the function; its value and slope are asked for inside only.
        bound: B.
    """

    domain = codomain = constraints.real
    bijective = True
    sign = +1

    def __init__(self, base: Transform, bound: float) -> None:
        super().__init__()
        self.base, self.bound = base, bound

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.call_and_ladj(x)[1]

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


class LogisticMixtureTransform(Transform):
    r""":math:`y = \mathrm{logit} \sum_k \pi_k \, \sigma((x - \mu_k) / s_k)`.

    Args:
        logits: of the weights, (\*, K).
        means: (\*, K).
        log_scales: unconstrained logarithms of s, (\*, K).
    """

    domain = codomain = constraints.real
    bijective = True
    sign = +1

    def __init__(self, logits: Tensor, means: Tensor, log_scales: Tensor) -> None:
        super().__init__()
        self.log_weights, self.means = logits.log_softmax(-1), means
        self.log_scales = log_scales / (1 + (log_scales / math.log(_SLOPE)).abs())

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.call_and_ladj(x)[1]

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


class QuadraticSplineTransform(Transform):
    r"""The CDF of a piecewise-linear density on [-B, B], scaled to it; linear beyond.

    In a bin of width w and density from v to v', at the share :math:`\alpha` of its width, the CDF
    is that of the bin's start plus :math:`w (\alpha v + \alpha^2 (v' - v) / 2)`.

    Args:
        widths: unconstrained, (\*, K).
        densities: unconstrained, at the knots, (\*, K + 1).
        bound: B.
    """

    domain = codomain = constraints.real
    bijective = True
    sign = +1

    def __init__(self, widths: Tensor, densities: Tensor, bound: float = 5.0) -> None:
        super().__init__()
        limit = math.log(_SLOPE)
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

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.call_and_ladj(x)[1]

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
