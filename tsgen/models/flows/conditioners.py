"""Layers that give each element's function parameters from other elements and the context."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributions import Transform
from zuko.flows.gaussianization import ElementWiseTransform
from zuko.lazy import LazyTransform
from zuko.nn import MLP
from zuko.transforms import AutoregressiveTransform, DependentTransform
from zuko.utils import unpack

from tsgen.models.flows.common import OnePass
from tsgen.models.flows.masked import WILD, Masked
from tsgen.models.flows.univariate import Univariate


def coupling(
    features: int, context: int, univariate: Univariate, hidden: tuple[int, ...], parity: int
) -> LazyTransform:
    """Coupling layer (Dinh et al. 2015, eq 9): every other element is changed, given the rest.

    Args:
        features: E.
        context: K.
        univariate: what changes an element.
        hidden: layers of the network.
        parity: which half is kept, 0 or 1.
    """
    if features == 1:
        layer = _elementwise(context, univariate, hidden)
        cast(nn.Sequential, layer.hyper).insert(0, nn.Hardtanh(-WILD, WILD))
        return layer
    return Coupling(features, context, univariate, hidden, parity)


def autoregressive(
    features: int, context: int, univariate: Univariate, hidden: tuple[int, ...]
) -> LazyTransform:
    """Masked autoregressive layer, or its conditional univariate case; see :class:`Masked`."""
    if features > 1:
        return Masked(features, context, univariate, hidden)
    return _elementwise(context, univariate, hidden)


def _elementwise(context: int, univariate: Univariate, hidden: tuple[int, ...]) -> LazyTransform:
    """A single element's function from the context alone."""
    layer = ElementWiseTransform(
        1, context, univariate=univariate, shapes=univariate.shapes, hidden_features=hidden
    )
    _near_identity(layer.hyper)
    return layer


def _near_identity(network: nn.Sequential) -> None:
    """Let the parameters of the functions start near 0, which is near the identity."""
    with torch.no_grad():
        last = cast(nn.Linear, network[-1])
        last.weight.mul_(0.01)
        last.bias.mul_(0.01)


class Coupling(LazyTransform):
    r"""Coupling layer: :math:`y_b = f(x_b; \theta(x_a, c))` and :math:`y_a = x_a`.

    The parts a and b are every other element; theta is a network with ReLU.

    Args:
        features: E, at least 2.
        context: K.
        univariate: f.
        hidden: layers of the network.
        parity: which elements are kept, those with even places (0) or with odd (1).
    """

    mask: Tensor

    def __init__(
        self,
        features: int,
        context: int,
        univariate: Univariate,
        hidden: tuple[int, ...],
        parity: int,
    ) -> None:
        super().__init__()
        self.univariate = univariate
        self.kept, self.changed = slice(parity, None, 2), slice(1 - parity, None, 2)
        self.register_buffer("mask", torch.arange(features) % 2 == parity)
        self.total = univariate.total
        self.seen = int(self.mask.sum())
        self.hyper = MLP(self.seen + context, (features - self.seen) * self.total, hidden)
        _near_identity(self.hyper)
        self.hyper.insert(0, nn.Hardtanh(-WILD, WILD))

    def forward(self, c: Tensor) -> Transform:
        """The transform for a context (rows, K)."""
        return _CouplingTransform(self, c)

    def parameters_for(self, x: Tensor, c: Tensor) -> Tensor:
        """Parameters (rows, b, total) of the changed elements of x (rows, E)."""
        first, *middle, last = list(self.hyper)[1::2]
        from_elements, from_context = first.weight.split([self.seen, c.shape[1]], 1)
        h = nn.functional.linear(c.clamp(-WILD, WILD), from_context, first.bias)
        h = h.addmm_(x[:, self.kept].clamp(-WILD, WILD), from_elements.T).relu_()
        for layer in middle:
            h = layer(h).relu_()
        return last(h).unflatten(-1, (-1, self.total))


class _CouplingTransform(OnePass):
    """One coupling layer.

    Args:
        layer: it.
        context: (rows, K).
    """

    def __init__(self, layer: Coupling, context: Tensor) -> None:
        super().__init__()
        self.layer, self.context = layer, context

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Y (rows, E) and the log-determinant (rows,)."""
        layer = self.layer
        function: Any = layer.univariate.of(layer.parameters_for(x, self.context))
        changed, log_slopes = function.call_and_ladj(x[:, layer.changed])
        return self._merge(x, changed), log_slopes.sum(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        layer = self.layer
        phi = layer.parameters_for(y, self.context)
        return self._merge(y, layer.univariate.inverse(phi, y[:, layer.changed]))

    def _merge(self, x: Tensor, changed: Tensor) -> Tensor:
        merged = x.clone()
        merged[:, self.layer.changed] = changed
        return merged


class Recurrent(LazyTransform):
    """Autoregressive layer whose conditioner is a GRU that runs over the elements.

    Its state starts from the context; its inputs are the element before and a learnt vector of the
    position. Both ways it goes through the elements one by one; forwards as one call of the GRU.

    Args:
        features: E.
        context: K.
        univariate: the function of each element.
        hidden: the GRU has as many units as the last says, and as many layers as there are.
    """

    def __init__(
        self, features: int, context: int, univariate: Univariate, hidden: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.univariate, self.features = univariate, features
        self.total = univariate.total
        self.positions = nn.Parameter(0.1 * torch.randn(features, 8))
        self.start = nn.Linear(context, len(hidden) * hidden[-1])
        self.rnn = nn.GRU(9, hidden[-1], len(hidden), batch_first=True)
        self.last = nn.Linear(hidden[-1], self.total)
        with torch.no_grad():
            self.last.weight.mul_(0.01)
            self.last.bias.mul_(0.01)

    def forward(self, c: Tensor) -> Transform:
        """The transform for a context (rows, K)."""
        state = self.start(c).tanh().unflatten(-1, (self.rnn.num_layers, -1))
        return _RecurrentTransform(self, state.transpose(0, 1).contiguous())

    def parameters_of(
        self, before: Tensor, first: int, state: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Parameters of the elements from ``first`` on, given those before each (rows, n)."""
        positions = self.positions[first : first + before.shape[1]].expand(len(before), -1, -1)
        h, state = self.rnn(torch.cat([before.clamp(-WILD, WILD)[..., None], positions], -1), state)
        return list(unpack(self.last(h), self.univariate.shapes)), state


class _RecurrentTransform(AutoregressiveTransform):
    def __init__(self, layer: Recurrent, state: Tensor) -> None:
        super().__init__(self._functions, layer.features)
        self.layer, self.state = layer, state

    def _functions(self, x: Tensor) -> Transform:
        before = nn.functional.pad(x[:, :-1], (1, 0))
        phi, _ = self.layer.parameters_of(before, 0, self.state)
        return DependentTransform(self.layer.univariate(*phi), 1)

    def _inverse(self, y: Tensor) -> Tensor:
        state, elements = self.state, [torch.zeros_like(y[:, :1])]
        for i in range(self.layer.features):
            phi, state = self.layer.parameters_of(elements[-1], i, state)
            elements.append(self.layer.univariate(*phi).inv(y[:, i : i + 1]))
        return torch.cat(elements[1:], 1)
