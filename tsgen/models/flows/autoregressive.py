"""Autoregressive flows: one pass one way, element by element the other."""

from typing import ClassVar

from tsgen.models.flows.base import Direction
from tsgen.models.flows.layered import LayeredFlow
from tsgen.models.flows.univariate import (
    Bernstein,
    Integral,
    Neural,
    Quadratic,
    RationalQuadratic,
    SumOfSquares,
    Univariate,
)


class MAF(LayeredFlow):
    """Masked autoregressive flow (Papamakarios, Pavlakou, Murray 2017, arXiv 1705.07057, eq 3-5).

    Densities take one pass; samples are found element by element. The options are those of
    :class:`LayeredFlow`.
    """


class IAF(MAF):
    """Inverse autoregressive flow (Kingma et al. 2016, arXiv 1606.04934, eq 10-14).

    MAF turned round: samples take one pass; densities, and so training by maximum likelihood, go
    element by element. The options are those of :class:`LayeredFlow`.
    """

    default_direction: ClassVar[Direction] = "sampling"


class NSF(MAF):
    """Rational-quadratic spline flow (Durkan, Bekasov, Murray, Papamakarios 2019, 1906.04032).

    The options are those of :class:`LayeredFlow`; ``conditioner="coupling"`` is RQ-NSF (C).
    """

    function: ClassVar[type[Univariate]] = RationalQuadratic


class QuadraticSplineFlow(MAF):
    """Piecewise-quadratic spline flow (Mueller et al. 2019, arXiv 1808.03856, section 4.3).

    The options are those of :class:`LayeredFlow`; ``conditioner="coupling"`` is the paper's.
    """

    function: ClassVar[type[Univariate]] = Quadratic


class NAF(MAF):
    """Neural autoregressive flow (Huang, Krueger, Lacoste, Courville 2018, arXiv 1804.00779).

    The options are those of :class:`LayeredFlow`.
    """

    function: ClassVar[type[Univariate]] = Neural


class UMNNFlow(NAF):
    """Unconstrained monotonic neural network flow (Wehenkel, Louppe 2019, arXiv 1908.05164).

    The options are those of :class:`LayeredFlow`.
    """

    function: ClassVar[type[Univariate]] = Integral


class SOSPF(NAF):
    """Sum-of-squares polynomial flow (Jaini, Selby, Yu 2019, arXiv 1905.02325).

    The options are those of :class:`LayeredFlow`.
    """

    function: ClassVar[type[Univariate]] = SumOfSquares


class BPF(NAF):
    """Bernstein polynomial flow (Sick et al. 2021, arXiv 2004.00464; Arpogaus et al. 2022).

    The options are those of :class:`LayeredFlow`.
    """

    function: ClassVar[type[Univariate]] = Bernstein
