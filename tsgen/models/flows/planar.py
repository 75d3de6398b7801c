"""Planar and radial flows."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Transform
from torch.nn import functional as F
from zuko.lazy import LazyTransform
from zuko.transforms import ComposedTransform

from tsgen.core import Count, at_least
from tsgen.models.flows.base import Direction, Flow
from tsgen.models.flows.common import OnePass
from tsgen.models.flows.roots import solve_increasing
from tsgen.nets import MLP

Layers = Sequence[Callable[..., Transform]]
SMALLEST_SLOPE = 1e-2
"""What a layer's slope in the direction that it bends stays above."""


def above_minus_one(a: Tensor) -> Tensor:
    r"""Any number to one above -1: :math:`m(a) = s + (1 - s) \mathrm{softplus}(a + c) - 1`.

    s is ``SMALLEST_SLOPE``, which keeps inverses well conditioned, and :math:`c = \log(e - 1)`, so
    that m(0) = 0. Rezende and Mohamed (appendix A.1) have s = c = 0.
    """
    shifted = F.softplus(a + math.log(math.e - 1))
    return SMALLEST_SLOPE + (1 - SMALLEST_SLOPE) * shifted - 1


class Amortised(LazyTransform):
    r"""Layers whose parameters one network computes from the context.

    Args:
        layers: each makes a transform of vectors from its parameters, (\*, size) each.
        start: initial values of each parameter, (number of layers, size); the network's outputs are
            added to them.
        context: K.
        hidden: widths of the network.
    """

    def __init__(
        self,
        layers: Layers,
        start: Sequence[Tensor],
        context: int,
        hidden: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.layers, self.sizes = layers, [values.shape[1] for values in start]
        self.start = nn.Parameter(torch.cat(list(start), -1))
        self.hyper = MLP(context, self.start.numel(), hidden)

    def forward(self, c: Tensor) -> Transform:
        """The transform for a context (rows, K)."""
        values = self.start + self.hyper(c).unflatten(-1, self.start.shape)
        parts = (layer.split(self.sizes, -1) for layer in values.unbind(-2))
        transforms = (layer(*part) for layer, part in zip(self.layers, parts, strict=True))
        return ComposedTransform(*transforms)


class AmortisedFlow(Flow):
    """What planar, radial and Sylvester flows share."""

    trains_inverted: ClassVar[bool] = False

    def amortise(self, layers: Layers, start: Sequence[Tensor], hidden: tuple[int, ...]) -> None:
        """Take layers as :class:`Amortised` has them."""
        amortised = Amortised(layers, start, self.context_size, hidden)
        self.num_values = amortised.start.numel()
        self.compose(amortised, location_scale=True)

    @property
    def working_size(self) -> int:
        """Numbers held per sample: its own and its layers' parameters."""
        return super().working_size + 2 * self.num_values


class _Planar(OnePass):
    """One planar layer: u and w (*, E), b (*, 1)."""

    def __init__(self, u: Tensor, w: Tensor, b: Tensor) -> None:
        super().__init__()
        dot, square = (w * u).sum(-1, keepdim=True), (w**2).sum(-1, keepdim=True)
        self.bend = above_minus_one(dot)
        self.u = u + (self.bend - dot) * w / square.clamp_min(1e-12)
        self.w, self.b = w, b

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = ((self.w * x).sum(-1, keepdim=True) + self.b).tanh()
        return x + self.u * h, torch.log1p(self.bend * (1 - h**2)).squeeze(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        target = (self.w * y).sum(-1, keepdim=True)

        def function(dot: Tensor) -> tuple[Tensor, Tensor]:
            h = (dot + self.b).tanh()
            return dot + self.bend * h, 1 + self.bend * (1 - h**2)

        reach = self.bend.detach().abs()
        dot = solve_increasing(function, target, target - reach, target + reach)
        return y - self.u * (dot + self.b).tanh()


class _Radial(OnePass):
    """One radial layer: centre (*, E), alpha and beta / alpha before their constraints (*, 1)."""

    def __init__(self, centre: Tensor, alpha: Tensor, ratio: Tensor) -> None:
        super().__init__()
        self.centre, self.alpha = centre, F.softplus(alpha) + 1e-2
        self.beta = self.alpha * above_minus_one(ratio)

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        offset = x - self.centre
        h = 1 / (self.alpha + torch.linalg.vector_norm(offset, dim=-1, keepdim=True))
        across, along = self.beta * h, self.alpha * self.beta * h**2
        log_det = (x.shape[-1] - 1) * torch.log1p(across) + torch.log1p(along)
        return x + across * offset, log_det.squeeze(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        # r is the positive root of r^2 + p r = alpha |y - centre|, found without cancellation
        offset = y - self.centre
        reach = torch.linalg.vector_norm(offset, dim=-1, keepdim=True)
        p = self.alpha + self.beta - reach
        larger = (p**2 + 4 * self.alpha * reach).sqrt() + p.abs()
        r = torch.where(p > 0, 2 * self.alpha * reach / larger, 0.5 * larger)
        return self.centre + offset / (1 + self.beta / (self.alpha + r))


class PlanarFlow(AmortisedFlow):
    r"""Planar flow (Rezende, Mohamed 2015, "Variational Inference with Normalizing Flows").

    Each layer shifts space along one direction, by an amount that depends on another (eq 10-12):

    .. math:: y = x + \hat u \tanh(w^\top x + b), \quad
        \log \det = \log(1 + w^\top \hat u \, (1 - \tanh^2(w^\top x + b)))

    u and w (E,) and the number b are computed from the conditioning. The layer is invertible where
    :math:`w^\top \hat u > -1`, which :math:`\hat u = u + (m(w^\top u) - w^\top u)\, w / \lVert w
    \rVert^2` ensures, with m of :func:`above_minus_one` (appendix A.1).

    In a variational autoencoder the layers carry noise to posterior samples and are never inverted.
    Here they carry x to noise, since the density of data is to be computed. A sample then takes,
    for each layer, the root of an increasing function of :math:`w^\top x`: 10 to 25 evaluations of
    one tanh, whatever the size of the event.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        num_blocks: layers; each bends along one direction only.
        hidden: widths of the network that computes the layers' parameters.
        direction: only "density".

    Raises:
        ValueError: if an option is below 1, or the direction is "sampling".
    """

    inversion: str = "one root per layer"

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        num_blocks: Count = 12,
        hidden: Annotated[tuple[int, ...], at_least(1)] = (100,),
        direction: Direction = "density",
    ) -> None:
        super().__init__(event_shape, cond_shape, direction)
        u, w = torch.randn(2, num_blocks, self.event_shape.numel())
        start = (0.1 * u, 1.5 * F.normalize(w), torch.randn(num_blocks, 1))
        self.amortise([_Planar] * num_blocks, start, hidden)


class RadialFlow(AmortisedFlow):
    r"""Radial flow (Rezende, Mohamed 2015, "Variational Inference with Normalizing Flows").

    Each layer pulls space towards a centre or pushes it away (eq 14):

    .. math:: y = x + \beta h \, (x - x_0), \quad h = \frac{1}{\alpha + r}, \quad
        r = \lVert x - x_0 \rVert, \quad
        \log \det = (E - 1) \log(1 + \beta h) + \log(1 + \alpha \beta h^2)

    The last term is the paper's :math:`1 + \beta h + \beta h' r`. The centre (E,),
    :math:`\alpha > 0` and :math:`\beta > -\alpha` are computed from the conditioning; the last
    inequality makes the layer invertible (appendix A.2) and holds since :math:`\beta / \alpha` is
    m of :func:`above_minus_one`.

    As in :class:`PlanarFlow` the layers carry x to noise, since the density of data is to be
    computed. The inverse's r is the positive root of a quadratic, so that a sample costs as much
    as a density.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        num_blocks: layers; each acts around one point only.
        hidden: widths of the network that computes the layers' parameters.
        direction: only "density".

    Raises:
        ValueError: if an option is below 1, or the direction is "sampling".
    """

    inversion: str = "a quadratic equation per layer"

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        num_blocks: Count = 16,
        hidden: Annotated[tuple[int, ...], at_least(1)] = (100,),
        direction: Direction = "density",
    ) -> None:
        super().__init__(event_shape, cond_shape, direction)
        centre = torch.randn(num_blocks, self.event_shape.numel())
        start = (centre, torch.zeros(num_blocks, 1), 0.5 * torch.randn(num_blocks, 1))
        self.amortise([_Radial] * num_blocks, start, hidden)


__all__ = ["PlanarFlow", "RadialFlow"]
