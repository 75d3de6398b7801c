"""Coupling and autoregressive flows: one class, told apart by three choices."""

from typing import Annotated, ClassVar, Literal

from zuko.lazy import LazyTransform

from tsgen.core import Count, Sizes, at_least
from tsgen.models.flows.base import Direction, Flow
from tsgen.models.flows.conditioners import Recurrent, autoregressive, coupling
from tsgen.models.flows.linear import ActNorm, Mixing
from tsgen.models.flows.univariate import Affine, Univariate

Conditioner = Literal["masked", "coupling", "recurrent"]
MixingKind = Literal["none", "reverse", "permutation", "lu", "qr", "householder"]
AUTOREGRESSIVE_LIMIT = 512


class LayeredFlow(Flow):
    r"""Blocks of an elementwise function whose parameters come from other elements.

    A family says which function, which conditioner by default, and what stands between the blocks.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        num_blocks: layers.
        hidden: layers of each conditioner's network; ReLU between them.
        conditioner: "masked" (autoregressive, one pass from x to z), "coupling" (one pass both
            ways) or "recurrent" (autoregressive by a GRU over the elements); the family's own if
            not given. Autoregressive ones take at most 512 elements.
        mixing: between blocks: "none", "reverse" or "permutation" of the elements, or a learnt
            matrix over the channels: "lu", "qr", "householder".
        norm: whether activation normalisation stands before each block.
        location_scale: whether a location and a scale, linear in the conditioning, come first.
        resolution: of the function: bins of a spline, components of a mixture, signals of a
            network, degree of a polynomial.
        direction: "density" runs the blocks from x to z, "sampling" from z to x: then samples take
            one pass, and densities are found element by element in autoregressive flows. Functions
            whose inverse is searched for have the first only.
    """

    function: ClassVar[type[Univariate]] = Affine
    default_conditioner: ClassVar[Conditioner] = "masked"
    default_mixing: ClassVar[MixingKind] = "reverse"
    default_norm: ClassVar[bool] = False
    default_direction: ClassVar[Direction] = "density"

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        num_blocks: Count = 3,
        hidden: Sizes = (100, 100),
        conditioner: Conditioner | None = None,
        mixing: MixingKind | None = None,
        norm: bool | None = None,
        location_scale: bool = True,
        resolution: Annotated[int, at_least(2)] | None = None,
        direction: Direction | None = None,
    ) -> None:
        kind = self.default_conditioner if conditioner is None else conditioner
        mixing = self.default_mixing if mixing is None else mixing
        norm = self.default_norm if norm is None else norm
        super().__init__(event_shape, cond_shape, direction or self.default_direction)
        if kind != "coupling":
            self._check_size(AUTOREGRESSIVE_LIMIT)
        if self.direction == "sampling" and self.function.numeric:
            self._refuse_sampling("a search for the inverse of each element's function")
        features, channels = self.event_shape.numel(), self.event_shape[-1]
        layers: list[LazyTransform] = []
        for block in range(num_blocks):
            if norm:
                layers.append(ActNorm(channels, inverted=self.direction == "sampling"))
            mixed = features if mixing in ("reverse", "permutation") else channels
            if mixing != "none" and mixed > 1 and (block > 0 or mixed < features or norm):
                layers.append(Mixing(mixing, features, channels))
            function = self.function(resolution or self.function.resolution)
            size = self.context_size
            if kind == "coupling":
                layers.append(coupling(features, size, function, hidden, block % 2))
            elif kind == "masked":
                layers.append(autoregressive(features, size, function, hidden))
            else:
                layers.append(Recurrent(features, size, function, hidden))
        what = "root" if self.function.numeric else "step"
        if kind != "coupling":
            self.inversion = f"one {what} per element"
        elif self.function.numeric:
            self.inversion = "one root per block"
        self.held = sum(hidden) + 4 * features * function.total
        self.compose(*layers, location_scale=location_scale)

    @property
    def working_size(self) -> int:
        """Numbers held per sample: a block's hidden units and its functions' parameters."""
        return super().working_size + self.held
