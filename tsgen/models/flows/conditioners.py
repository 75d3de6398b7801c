"""Layers that give each element's function parameters from other elements and the context."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Transform
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.flows.gaussianization import ElementWiseTransform
from zuko.lazy import LazyTransform
from zuko.nn import MaskedLinear
from zuko.transforms import AutoregressiveTransform, DependentTransform
from zuko.utils import unpack

from tsgen.models.flows.univariate import Univariate
from tsgen.nets import Squash, squash

_WILD = 5.0
"""Beyond it, the logarithm of an element is what steers the others' functions."""


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
    layer = GeneralCouplingTransform(
        features,
        context,
        None if features == 1 else torch.arange(features) % 2 == parity,
        univariate=univariate,
        shapes=univariate.shapes,
        hidden_features=hidden,
    )
    _near_identity(layer).hyper.insert(0, Squash(_WILD))
    return layer


def autoregressive(
    features: int, context: int, univariate: Univariate, hidden: tuple[int, ...]
) -> LazyTransform:
    """Masked autoregressive layer, or its conditional univariate case; see :class:`Masked`."""
    if features > 1:
        return Masked(features, context, univariate, hidden)
    return _near_identity(
        ElementWiseTransform(
            1, context, univariate=univariate, shapes=univariate.shapes, hidden_features=hidden
        )
    )


def _near_identity(layer: LazyTransform) -> LazyTransform:
    """Let the parameters of the functions start near 0, which is near the identity."""
    with torch.no_grad():
        last = cast(nn.Linear, cast(nn.Sequential, layer.hyper)[-1])
        last.weight *= 0.01
        last.bias *= 0.01
    return layer


class Masked(LazyTransform):
    r"""Autoregressive layer: :math:`y_i = f(x_i; \theta_i(x_{<i}, c))`.

    The parameters of all elements come from one pass of a masked network (MADE: Germain et al.
    2015; MAF: Papamakarios, Pavlakou, Murray 2017, eq 3). Hidden unit k of n has degree
    :math:`\lfloor kE / n \rfloor`: it sees so many elements; and each element's parameters see
    those before it directly, too.

    Backwards the elements are found one by one. Each hidden unit is computed once, as soon as all
    that it sees is known, so that the whole of it costs the arithmetic of a single pass.

    Args:
        features: E, at least 2.
        context: K.
        univariate: f.
        hidden: layers of the network.
    """

    def __init__(
        self, features: int, context: int, univariate: Univariate, hidden: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.univariate, self.features = univariate, features
        self.total = sum(math.prod(s) for s in univariate.shapes)
        steps = torch.arange(features)
        degrees = [torch.arange(n) * features // n for n in hidden]
        outputs = steps.repeat_interleave(self.total)
        sees = [steps + 1, *degrees]
        self.layers = nn.ModuleList(
            MaskedLinear(adjacency=after[:, None] >= before)
            for before, after in zip(sees, [*degrees, outputs], strict=True)
        )
        self.direct = MaskedLinear(adjacency=outputs[:, None] > steps, bias=False)
        self.contexts = nn.ModuleList(
            nn.Linear(context, n, bias=False) for n in (hidden[0], len(outputs))
        )
        with torch.no_grad():
            last = cast(MaskedLinear, self.layers[-1])
            for p in (last.weight, last.bias, self.direct.weight, self.contexts[1].weight):
                cast(Tensor, p).mul_(0.01)
        # units of each layer that see at most so many elements
        self.ready = [[int((d <= i).sum()) for i in range(features)] for d in degrees]

    def forward(self, c: Tensor) -> Transform:
        """The transform for a context (rows, K)."""
        return _MaskedTransform(self, [layer(c) for layer in self.contexts])

    def functions(self, x: Tensor, contexts: Sequence[Tensor]) -> Transform:
        """The functions of all elements of x (rows, E)."""
        first, *rest = self.layers
        x = squash(x, _WILD)
        h = (first(x) + contexts[0]).relu()
        for layer in rest[:-1]:
            h = layer(h).relu()
        phi = rest[-1](h) + self.direct(x) + contexts[1]
        phi = phi.unflatten(-1, (self.features, self.total))
        return DependentTransform(self.univariate(*unpack(phi, self.univariate.shapes)), 1)

    def invert(self, y: Tensor, contexts: Sequence[Tensor]) -> Tensor:
        """X (rows, E) with f(x) = y, element by element."""
        *inner, last = [
            (cast(Tensor, v.mask) * v.weight, cast(Tensor, v.bias)) for v in self._masked()
        ]
        direct = (cast(Tensor, self.direct.mask) * self.direct.weight).unflatten(
            0, (self.features, -1)
        )
        starts = [contexts[0].T + inner[0][1][:, None]]
        starts += [b[:, None].expand(-1, len(y)) for _, b in inner[1:]]
        out_weight = last[0].unflatten(0, (self.features, -1))
        out_start = (contexts[1] + last[1]).T.unflatten(0, (self.features, -1))
        targets = y.T
        grows = [_Growing(self.features, y)] + [_Growing(len(s), y) for s in starts]
        found: list[Tensor] = []
        for i in range(self.features):
            for k, (weight, _) in enumerate(inner):
                below, units = grows[k], grows[k + 1]
                old, new = units.size, self.ready[k][i]
                if new > old:
                    part = torch.addmm(
                        starts[k][old:new], weight[old:new, : below.size], below.rows()
                    )
                    units.add(part.relu_())
            known, units = grows[0], grows[-1]
            phi = torch.addmm(out_start[i], out_weight[i, :, : units.size], units.rows())
            if known.size:
                phi = torch.addmm(phi, direct[i, :, : known.size], known.rows())
            function = self.univariate(*unpack(phi.T, self.univariate.shapes))
            found.append(function.inv(targets[i]))
            known.add(squash(found[-1][None], _WILD))
        return torch.stack(found, -1)

    def _masked(self) -> list[MaskedLinear]:
        return [cast(MaskedLinear, layer) for layer in self.layers]


class _Growing:
    """Rows added one after the other: in place, or by joining where gradients are needed."""

    def __init__(self, size: int, like: Tensor) -> None:
        self.size = 0
        self.parts: list[Tensor] | None = [] if torch.is_grad_enabled() else None
        self.buffer = like.new_empty(0 if torch.is_grad_enabled() else size, len(like))

    def add(self, rows: Tensor) -> None:
        stop = self.size + len(rows)
        if self.parts is None:
            self.buffer[self.size : stop] = rows
        else:
            self.parts.append(rows)
            self.buffer = torch.cat([self.buffer, rows])
        self.size = stop

    def rows(self) -> Tensor:
        return self.buffer[: self.size]


class _MaskedTransform(AutoregressiveTransform):
    def __init__(self, layer: Masked, contexts: list[Tensor]) -> None:
        super().__init__(lambda x: layer.functions(x, contexts), layer.features)
        self.layer, self.contexts = layer, contexts

    def _inverse(self, y: Tensor) -> Tensor:
        return self.layer.invert(y, self.contexts)


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
        self.total = sum(math.prod(s) for s in univariate.shapes)
        self.positions = nn.Parameter(0.1 * torch.randn(features, 8))
        self.start = nn.Linear(context, len(hidden) * hidden[-1])
        self.rnn = nn.GRU(9, hidden[-1], len(hidden), batch_first=True)
        self.last = nn.Linear(hidden[-1], self.total)
        with torch.no_grad():
            self.last.weight *= 0.01
            self.last.bias *= 0.01

    def forward(self, c: Tensor) -> Transform:
        """The transform for a context (rows, K)."""
        state = self.start(c).tanh().unflatten(-1, (self.rnn.num_layers, -1))
        return _RecurrentTransform(self, state.transpose(0, 1).contiguous())

    def parameters_of(
        self, before: Tensor, first: int, state: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Parameters of the elements from ``first`` on, given those before each (rows, n)."""
        positions = self.positions[first : first + before.shape[1]].expand(len(before), -1, -1)
        h, state = self.rnn(torch.cat([squash(before, _WILD)[..., None], positions], -1), state)
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
        state, found = self.state, [torch.zeros_like(y[:, :1])]
        for i in range(self.layer.features):
            phi, state = self.layer.parameters_of(found[-1], i, state)
            found.append(self.layer.univariate(*phi).inv(y[:, i : i + 1]))
        return torch.cat(found[1:], 1)
