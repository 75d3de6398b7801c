"""Layers that give each element's function parameters from other elements and the context."""

import math
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

_WILD = 10.0
"""A wilder element than this steers the others' functions no further, lest errors multiply."""
_BLOCK = 16
"""Elements that are found between two products with everything known."""


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
    _near_identity(layer).hyper.insert(0, nn.Hardtanh(-_WILD, _WILD))
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
        last.weight.mul_(0.01)
        last.bias.mul_(0.01)
    return layer


class Masked(LazyTransform):
    r"""Autoregressive layer: :math:`y_i = f(x_i; \theta_i(x_{<i}, c))`.

    The parameters of all elements come from one pass of a masked network (MADE: Germain et al.
    2015; MAF: Papamakarios, Pavlakou, Murray 2017, eq 3). Hidden unit k of n has degree
    :math:`\lfloor kE / n \rfloor`: it sees so many elements. Connections past the hidden layers,
    which MADE may have, are left out: with a hundred channels that nearly repeat each other they
    learn long chains of copies, whose errors add up when samples are drawn along them.

    Backwards the elements are found one by one. Each hidden unit is computed once, as soon as all
    that it sees is known, so that the whole of it costs the arithmetic of a single pass, most of it
    in products of matrices.

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
        self.context = nn.Linear(context, hidden[0], bias=False)
        with torch.no_grad():
            last = cast(MaskedLinear, self.layers[-1])
            for p in (last.weight, last.bias):
                cast(Tensor, p).mul_(0.01)
        # everything in the order in which it becomes known: for each element the units of each
        # layer that wait for nothing after it, then the element itself
        kinds = [steps + 1, *degrees]
        keys = torch.cat([d * len(kinds) + k for k, d in enumerate(kinds)])
        place = torch.empty_like(keys)
        place[keys.argsort(stable=True)] = torch.arange(len(keys))
        self.places = [p.tolist() for p in place.split([len(d) for d in kinds])]
        stops = torch.unique(keys, return_counts=True)[1].cumsum(0).tolist()
        elements, seen = set(self.places[0]), 0
        self.blocks: list[list[tuple[int, int, bool]]] = []
        for low, high in zip([0, *stops[:-1]], stops, strict=True):
            if not self.blocks or seen == _BLOCK:
                self.blocks.append([])
                seen = 0
            self.blocks[-1].append((low, high, low in elements))
            seen += low in elements

    def forward(self, c: Tensor) -> Transform:
        """The transform for a context (rows, K)."""
        return _MaskedTransform(self, self.context(c))

    def functions(self, x: Tensor, context: Tensor) -> Transform:
        """The functions of all elements of x (rows, E)."""
        first, *rest = self.layers
        x = x.clamp(-_WILD, _WILD)
        h = (first(x) + context).relu()
        for layer in rest[:-1]:
            h = layer(h).relu()
        phi = rest[-1](h)
        phi = phi.unflatten(-1, (self.features, self.total))
        return DependentTransform(self.univariate(*unpack(phi, self.univariate.shapes)), 1)

    def invert(self, y: Tensor, context: Tensor) -> Tensor:
        """X (rows, E) with f(x) = y, element by element."""
        inner, outer, start = self._joined(context)
        bias = self._masked()[-1].bias[:, None]
        known = _Growing(len(inner), y)
        targets, found = y.T.contiguous(), list[Tensor]()
        for waves in self.blocks:
            # what is known before a block reaches all of it in one product
            first, stop, element = waves[0][0], waves[-1][1], len(found)
            count = sum(is_element for _, _, is_element in waves)
            rows = slice(element * self.total, (element + count) * self.total)
            units = torch.addmm(start[first:stop], inner[first:stop, :first], known.rows(0))
            phis = torch.addmm(bias[rows], outer[rows, :first], known.rows(0))
            for low, high, is_element in waves:
                recent, part = known.rows(first), slice(low - first, high - first)
                if not is_element:
                    new = torch.addmm(units[part], inner[low:high, first:low], recent)
                    known.add(new.relu_())
                    continue
                i = len(found)
                part = slice((i - element) * self.total, (i - element + 1) * self.total)
                own = outer[i * self.total : (i + 1) * self.total, first:low]
                phi = torch.addmm(phis[part], own, recent)
                function = self.univariate(*unpack(phi.T, self.univariate.shapes))
                found.append(function._inverse(targets[i]))  # without the wrapper of .inv
                known.add(found[-1][None].clamp(-_WILD, _WILD))
        return torch.stack(found).T

    def _joined(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights of all units and of all elements' parameters on everything, in order of waves.

        Returns:
            (N, N), (E * parameters, N) and what the units start from, (N, rows).
        """
        *inner, last = [v.weight * cast(Tensor, v.mask) for v in self._masked()]
        size = sum(map(len, self.places))
        weights, outer = last.new_zeros(size, size), last.new_zeros(len(last), size)
        start = last.new_zeros(size, len(context))
        for k, weight in enumerate(inner):
            rows = torch.tensor(self.places[k + 1], device=weight.device)
            columns = torch.tensor(self.places[k], device=weight.device)
            weights = weights.index_put((rows[:, None], columns), weight)
            first = self._masked()[k].bias[:, None] + (context.T if k == 0 else 0)
            start = start.index_put((rows,), first.expand(-1, start.shape[1]))
        outer = outer.index_copy(1, torch.tensor(self.places[-1], device=last.device), last)
        return weights, outer, start

    def _masked(self) -> list[MaskedLinear]:
        return [cast(MaskedLinear, layer) for layer in self.layers]


class _Growing:
    """Rows added one after the other: in place, or by joining where gradients are needed."""

    def __init__(self, size: int, like: Tensor) -> None:
        self.size, self.joined = 0, torch.is_grad_enabled()
        self.buffer = like.new_empty(0 if self.joined else size, len(like))

    def add(self, rows: Tensor) -> None:
        stop = self.size + len(rows)
        if self.joined:
            self.buffer = torch.cat([self.buffer, rows])
        else:
            self.buffer[self.size : stop] = rows
        self.size = stop

    def rows(self, first: int) -> Tensor:
        return self.buffer[first : self.size]


class _MaskedTransform(AutoregressiveTransform):
    def __init__(self, layer: Masked, context: Tensor) -> None:
        super().__init__(lambda x: layer.functions(x, context), layer.features)
        self.layer, self.context = layer, context

    def _inverse(self, y: Tensor) -> Tensor:
        return self.layer.invert(y, self.context)


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
        h, state = self.rnn(
            torch.cat([before.clamp(-_WILD, _WILD)[..., None], positions], -1), state
        )
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
