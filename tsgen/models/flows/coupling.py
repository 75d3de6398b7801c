"""Coupling flows: one pass both ways, for events of thousands of elements."""

from typing import ClassVar

from tsgen.models.flows.layered import Conditioner, LayeredFlow, MixingKind
from tsgen.models.flows.univariate import Additive, LogisticMixture, Univariate


class RealNVP(LayeredFlow):
    """Affine coupling (Dinh, Sohl-Dickstein, Bengio 2017, arXiv 1605.08803, eq 7-8).

    The options are those of :class:`LayeredFlow`.
    """

    default_conditioner: ClassVar[Conditioner] = "coupling"
    default_mixing: ClassVar[MixingKind] = "none"


class NICE(RealNVP):
    """Additive coupling (Dinh, Krueger, Bengio 2015, arXiv 1410.8516, eq 9-10).

    Only its first layer, the scaling (section 3.3, here conditional), changes volume, so the law of
    the noise's shape can be bent but not squeezed in one place and stretched in another. The
    options are those of :class:`LayeredFlow`.
    """

    function: ClassVar[type[Univariate]] = Additive


class Glow(RealNVP):
    """Affine coupling with activation normalisation and invertible 1x1 convolutions.

    Kingma, Dhariwal 2018, arXiv 1807.03039, table 1; the convolution in its LU form, over the
    channels. The options are those of :class:`LayeredFlow`.
    """

    default_mixing: ClassVar[MixingKind] = "lu"
    default_norm: ClassVar[bool] = True


class FlowPP(RealNVP):
    """Coupling by the CDF of a mixture of logistics (Flow++: Ho et al. 2019, arXiv 1902.00275).

    From x to z in one pass; samples take a search for each element's root, all elements of a half
    at once. The options are those of :class:`LayeredFlow`.
    """

    function: ClassVar[type[Univariate]] = LogisticMixture
