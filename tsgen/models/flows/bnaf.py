"""Block neural autoregressive flows."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Transform
from zuko.lazy import LazyTransform

from tsgen.core import Count, Sizes, at_least
from tsgen.models.flows.base import Direction, Flow
from tsgen.models.flows.common import OnePass
from tsgen.models.flows.linear import Mixing
from tsgen.models.flows.planar import SMALLEST_SLOPE
from tsgen.models.flows.roots import solve_increasing
from tsgen.nets import MLP


class BlockLinear(nn.Module):
    r"""Weights of a block autoregressive linear map, increasing from each element to itself.

    .. math:: W = e^s V / \lVert V \rVert

    row by row, where the E x E blocks of V are exponentials on the diagonal, free below it and
    zero above.

    Args:
        features: E.
        inputs: a, numbers for each element that come in.
        outputs: b, numbers for each element that go out.
    """

    def __init__(self, features: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = (features * inputs) ** -0.5
        self.weight = nn.Parameter(bound * torch.randn(outputs, inputs, features, features))
        self.log_norm = nn.Parameter(torch.rand(features * outputs, 1).clamp_min(1e-3).log())

    def forward(self) -> tuple[Tensor, Tensor]:
        """W (E b, E a) and the blocks on its diagonal (E, b, a)."""
        outputs, inputs, features, _ = self.weight.shape
        positive = self.weight.diagonal(dim1=2, dim2=3).exp()
        raw = self.weight.tril(-1) + positive.diag_embed()
        raw = raw.permute(2, 0, 3, 1).reshape(features * outputs, features * inputs)
        scale = self.log_norm.exp() / torch.linalg.vector_norm(raw, dim=1, keepdim=True)
        blocks = positive.permute(2, 0, 1) * scale.view(features, outputs, 1)
        return raw * scale, blocks


class _Block(OnePass):
    """One flow.

    Args:
        weights: W (E b, E a) of each layer.
        blocks: those on its diagonal (E, b, a).
        shifts: added to what each layer gives (*, E b).
        gate: share of the network in the output, between 0 and 1.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        blocks: Sequence[Tensor],
        shifts: Sequence[Tensor],
        gate: Tensor,
    ) -> None:
        super().__init__()
        self.weights, self.blocks, self.shifts, self.gate = weights, blocks, shifts, gate

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h, slope = x, torch.ones_like(x).unsqueeze(-1)  # (*, E a), (*, E, a)
        last = len(self.weights) - 1
        for k, (weight, block) in enumerate(zip(self.weights, self.blocks, strict=True)):
            h = h @ weight.mT + self.shifts[k]
            slope = torch.einsum("...ea,eba->...eb", slope, block)
            if k < last:
                h = h.tanh()
                slope = slope * (1 - h**2).unflatten(-1, slope.shape[-2:])
        slope = (1 - self.gate) + self.gate * slope.squeeze(-1)
        return torch.lerp(x, h, self.gate), slope.log().sum(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        inputs = [y[..., :0] for _ in self.weights]  # of each layer, for the elements before i
        for i in range(y.shape[-1]):
            blocks = [block[i] for block in self.blocks]
            shifts = []
            for weight, block, shift, before in zip(
                self.weights, blocks, self.shifts, inputs, strict=True
            ):
                rows = slice(i * len(block), (i + 1) * len(block))
                shifts.append(shift[..., rows] + before @ weight[rows, : before.shape[-1]].mT)
            element = self._element(y[..., i], blocks, shifts)
            inputs = [torch.cat(pair, -1) for pair in zip(inputs, element, strict=True)]
        return inputs[0]

    def _element(self, y: Tensor, blocks: list[Tensor], shifts: list[Tensor]) -> list[Tensor]:
        """What each layer gets from element i, given what it gets from those before (shifts)."""
        gate = self.gate

        def layers(x: Tensor) -> tuple[list[Tensor], Tensor]:
            inputs, slope = [x.unsqueeze(-1)], torch.ones_like(x).unsqueeze(-1)
            for block, shift in zip(blocks[:-1], shifts[:-1], strict=True):
                inputs.append((inputs[-1] @ block.mT + shift).tanh())
                slope = (slope @ block.mT) * (1 - inputs[-1] ** 2)
            return inputs, slope

        def function(x: Tensor) -> tuple[Tensor, Tensor]:
            inputs, slope = layers(x)
            h = (inputs[-1] @ blocks[-1].mT + shifts[-1]).squeeze(-1)
            return torch.lerp(x, h, gate), 1 - gate + gate * (slope @ blocks[-1].mT).squeeze(-1)

        middle, reach = shifts[-1].detach().squeeze(-1), blocks[-1].detach().sum()
        low, high = ((y - gate * (middle + r)).detach() / (1 - gate) for r in (reach, -reach))
        return layers(solve_increasing(function, y, low, high))[0]


class _BlockLayer(LazyTransform):
    def __init__(
        self, features: int, context: int, units: tuple[int, ...], hidden: tuple[int, ...]
    ) -> None:
        super().__init__()
        sizes = (1, *units, 1)
        self.linears = nn.ModuleList(
            BlockLinear(features, a, b) for a, b in zip(sizes, sizes[1:], strict=False)
        )
        self.sizes = [features * size for size in sizes[1:]]
        self.hyper = MLP(context, sum(self.sizes), hidden)
        self.start = nn.Parameter(torch.randn(sum(self.sizes)))
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, c: Tensor) -> Transform:
        weights, blocks = zip(*(linear() for linear in self.linears), strict=True)
        shifts = (self.start + self.hyper(c)).split(self.sizes, -1)
        return _Block(weights, blocks, shifts, (1 - SMALLEST_SLOPE) * self.gate.sigmoid())


class BNAF(Flow):
    r"""Block neural autoregressive flow (De Cao, Titov, Aziz 2019, section 3).

    Each flow is one network with ``units`` numbers for each element in each hidden layer,

    .. math:: h^{(k)} = \tanh(W^{(k)} h^{(k - 1)} + V^{(k)}(c)), \quad
        y = \alpha \, h^{(L)} + (1 - \alpha) \, x

    (no tanh in the last layer), whose weights are block lower triangular with positive blocks on
    the diagonal and rows of learnt length (weight normalisation). So :math:`y_i` depends on
    :math:`x_{\le i}` only and increases in :math:`x_i`, and

    .. math:: \frac{\partial y_i}{\partial x_i} = (1 - \alpha) + \alpha \, W^{(L)}_{ii} \prod_k
        \mathrm{diag}(1 - (h^{(k)}_i)^2) \, W^{(k)}_{ii}

    with :math:`W_{ii}` the blocks on the diagonal, the first layer's rightmost. The paper
    multiplies them by way of their logarithms.
    Here the gated residual stands in every flow, the last too: it keeps the slope above
    :math:`1 - \alpha` and the tails linear, so that products of the positive numbers themselves
    lose nothing and far values have an inverse. The conditioning enters through V, a network whose
    outputs are added in every layer. Elements change order between flows.

    Layers carry x to noise: a density is one pass. A sample takes the elements one by one, each the
    root of a network of ``units`` alone, since what the elements before it contribute is computed
    once: together one pass and E times 10 to 25 evaluations of that small network, for each flow.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        num_blocks: flows.
        units: numbers for each element in each hidden layer.
        hidden: widths of the network that conditions each flow.
        direction: only "density".

    Raises:
        ValueError: if an option is below 1, ``units`` is empty, the event has more than 512
            elements, or the direction is "sampling".
    """

    inversion: str = "one root per flow and element"
    trains_inverted: ClassVar[bool] = False
    max_elements: ClassVar[int | None] = 512

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        num_blocks: Count = 4,
        units: Sizes = (8, 8),
        hidden: Annotated[tuple[int, ...], at_least(1)] = (100,),
        direction: Direction = "density",
    ) -> None:
        super().__init__(event_shape, cond_shape, direction)
        size = self.event_shape.numel()
        self.num_values = num_blocks * sum(units) * size
        layers: list[LazyTransform] = []
        for _ in range(num_blocks):
            layers += [
                _BlockLayer(size, self.context_size, units, hidden),
                Mixing("reverse", size, size),
            ]
        self.compose(*layers[:-1], location_scale=True)

    @property
    def working_size(self) -> int:
        """Numbers held per sample: its own and its layers' inputs and shifts."""
        return super().working_size + 2 * self.num_values


__all__ = ["BNAF"]
