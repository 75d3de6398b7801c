"""Families of increasing functions of one variable: what coupling and autoregressive layers hold.

Each is a module that, called with parameters of the shapes it names, gives an elementwise
``Transform``. All of them are onto the real line: what zuko bounds has linear tails here.
"""

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Transform
from typing_extensions import override
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
from zuko.utils import unpack

from tsgen.models.flows.scalar import (
    SLOPE,
    LinearTail,
    LogisticMixtureTransform,
    QuadraticSplineTransform,
)


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
        self.total = sum(map(math.prod, self.shapes))

    @abstractmethod
    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        """Shape of each parameter."""

    @abstractmethod
    def forward(self, *phi: Tensor) -> Transform:
        r"""The function with parameters of shapes (\*, \*shape), elementwise over (\*,)."""

    def of(self, phi: Tensor) -> Transform:
        r"""The function with all its parameters in a row (\*, total), elementwise over (\*,)."""
        return self(*unpack(phi, self.shapes))

    def inverse(self, phi: Tensor, y: Tensor) -> Tensor:
        r"""X (\*,) with f(x) = y, for parameters in a row (\*, total)."""
        return self.of(phi)._inverse(y)  # without the wrapper of .inv, which caches


class Additive(Univariate):
    """Shift (NICE: Dinh, Krueger, Bengio 2015)."""

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((),)

    @override
    def forward(self, *phi: Tensor) -> Transform:
        return AdditiveTransform(*phi)


class Affine(Univariate):
    """Scale and shift (RealNVP: Dinh, Sohl-Dickstein, Bengio 2017, eq 7)."""

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((), ())

    @override
    def forward(self, *phi: Tensor) -> Transform:
        return MonotonicAffineTransform(*phi)

    def inverse(self, phi: Tensor, y: Tensor) -> Tensor:
        """As zuko's, in few operations, since samples are made of thousands of small ones."""
        shift, scale = phi.unbind(-1)
        bend = scale.abs().mul_(-1 / math.log(SLOPE)).add_(1)
        return (y - shift).div_((scale / bend).exp_())


class RationalQuadratic(Univariate):
    """Rational-quadratic spline on [-5, 5] (Durkan et al. 2019, eq 4); ``resolution`` bins."""

    resolution: ClassVar[int] = 8

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((resolution,), (resolution,), (resolution - 1,))

    @override
    def forward(self, *phi: Tensor) -> Transform:
        return MonotonicRQSTransform(*phi, slope=SLOPE)


class Quadratic(Univariate):
    """Piecewise-quadratic spline on [-5, 5] (Mueller et al. 2019, eq 12-14); so many bins."""

    resolution: ClassVar[int] = 8

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((resolution,), (resolution + 1,))

    @override
    def forward(self, *phi: Tensor) -> Transform:
        widths, densities = phi
        return QuadraticSplineTransform(widths, densities)


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

    @override
    def forward(self, *phi: Tensor) -> Transform:
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
        return self.network.f(signal, x) + SLOPE * x

    @override
    def forward(self, *phi: Tensor) -> Transform:
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

    @override
    def forward(self, *phi: Tensor) -> Transform:
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

    @override
    def forward(self, *phi: Tensor) -> Transform:
        coefficients, shift = phi
        base = SOSPolynomialTransform(coefficients, bound=5.0, slope=SLOPE)
        return ComposedTransform(LinearTail(base, 5.0), AdditiveTransform(shift))


class Bernstein(Univariate):
    """Bernstein polynomial on [-5, 5] (Sick et al. 2021) of degree ``resolution`` + 2."""

    numeric: ClassVar[bool] = True
    resolution: ClassVar[int] = 16

    def _shapes(self, resolution: int) -> tuple[tuple[int, ...], ...]:
        return ((resolution,),)

    @override
    def forward(self, *phi: Tensor) -> Transform:
        return LinearTail(BernsteinTransform(*phi, bound=5.2), 5.0)
