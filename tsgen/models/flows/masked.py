"""Masked autoregressive layers: all parameters in one pass, and samples by computing each once."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.distributions import Transform
from zuko.lazy import LazyTransform
from zuko.nn import MaskedLinear
from zuko.transforms import AutoregressiveTransform, DependentTransform

from tsgen.models.flows.univariate import Univariate

WILD = 10.0
"""A wilder element than this steers the others' functions no further, lest errors multiply."""
_BLOCK = 16
"""Steps between two products with everything known."""


class _Step(NamedTuple):
    """What is found together: the units of a degree, then the elements up to the next degree."""

    rows: list[slice]
    """Of each layer's weights: those of the units, and those of the elements' parameters."""
    elements: slice


class Masked(LazyTransform):
    r"""Autoregressive layer: :math:`y_i = f(x_i; \theta_i(x_{<i}, c))`.

    The parameters of all elements come from one pass of a masked network (MADE: Germain et al.
    2015; MAF: Papamakarios, Pavlakou, Murray 2017, eq 3). Hidden unit k of n has degree
    :math:`\lfloor kE / n \rfloor`: it sees so many elements. Connections past the hidden layers,
    which MADE may have, are left out: with a hundred channels that nearly repeat each other they
    learn long chains of copies, whose errors add up when samples are drawn along them.

    Backwards the elements are found in order. Each hidden unit is computed once, as soon as all
    that it sees is known, so that the whole of it costs the arithmetic of a single pass; elements
    between which no unit lies are found together. As degrees do not fall within a layer, what a
    unit or an element sees of the layer before is a leading part of it: no mask is needed.

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
        self.total = univariate.total
        elements = torch.arange(features)
        degrees = [torch.arange(n) * features // n for n in hidden]
        outputs = elements.repeat_interleave(self.total)
        sees = [elements + 1, *degrees]
        self.layers = nn.ModuleList(
            MaskedLinear(adjacency=after[:, None] >= before)
            for before, after in zip(sees, [*degrees, outputs], strict=True)
        )
        self.context = nn.Linear(context, hidden[0], bias=False)
        with torch.no_grad():
            last = cast(MaskedLinear, self.layers[-1])
            for p in (last.weight, last.bias):
                cast(Tensor, p).mul_(0.01)
        starts = torch.cat(degrees).unique()
        stops = torch.cat([starts[1:], torch.tensor([features])])
        self.steps: list[_Step] = []
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            bounds = [torch.searchsorted(d, torch.tensor([start, stop])).tolist() for d in degrees]
            bounds.append([start * self.total, stop * self.total])
            self.steps.append(_Step([slice(*pair) for pair in bounds], slice(start, stop)))

    def forward(self, c: Tensor) -> Transform:
        """The transform for a context (rows, K)."""
        return _MaskedTransform(self, c)

    def functions(self, x: Tensor, c: Tensor) -> Transform:
        """The functions of all elements of x (rows, E), for a context (rows, K)."""
        first, *rest = self.layers
        h = (first(x.clamp(-WILD, WILD)) + self.context(c)).relu()
        for layer in rest[:-1]:
            h = layer(h).relu()
        phi = rest[-1](h).unflatten(-1, (self.features, self.total))
        return DependentTransform(self.univariate.of(phi), 1)

    def invert(self, y: Tensor, c: Tensor) -> Tensor:
        """X (rows, E) with f(x) = y (rows, E), for a context (rows, K)."""
        y = y.T.contiguous().T  # the batch runs along the columns from here on
        inverse, clamped = _Growing(self.features, y), _Growing(self.features, y)
        weights = [cast(Tensor, layer.weight) for layer in self.layers]
        starts = [cast(Tensor, layer.bias)[:, None] for layer in self.layers]
        starts[0] = torch.addmm(starts[0], self.context.weight, c.T)
        layers: list[_Layer] = []
        for weight, start in zip(weights, starts, strict=True):
            read = len(layers) + 1 < len(weights)
            layers.append(_Layer(weight, start, layers[-1] if layers else clamped, y, read))
        *hidden, last = layers
        for first in range(0, len(self.steps), _BLOCK):
            steps = self.steps[first : first + _BLOCK]
            for layer, begin, end in zip(layers, steps[0].rows, steps[-1].rows, strict=True):
                layer.look_ahead(begin.start, end.stop)
            for step in steps:
                for layer, rows in zip(hidden, step.rows, strict=False):
                    layer.add_units(rows)
                phi = last.sums(step.rows[-1]).T.unflatten(-1, (-1, self.total))
                x = self.univariate.inverse(phi, y[:, step.elements]).T
                inverse.add(x)
                clamped.add(x.clamp(-WILD, WILD))
        return inverse.rows.T


class _Growing:
    """Rows (n, batch) that are found one after the other.

    They are written in place, or joined where gradients are needed.

    Args:
        size: how many there will be.
        like: y (batch, E).
    """

    def __init__(self, size: int, like: Tensor) -> None:
        self.size, self.joined = 0, torch.is_grad_enabled()
        self.rows = like.new_empty(0 if self.joined else size, len(like))

    def add(self, rows: Tensor) -> None:
        """Append rows."""
        stop = self.size + rows.shape[0]
        if self.joined:
            self.rows = torch.cat([self.rows, rows])
        else:
            self.rows[self.size : stop] = rows
        self.size = stop


class _Layer(_Growing):
    """Units of a layer, computed some at a time from what is known of the layer before.

    Args:
        weight: (n, units before).
        start: what the sums begin with, (n, batch) or (n, 1).
        before: the layer before.
        like: y (batch, E).
        kept: whether the units are kept for a layer after this one.
    """

    def __init__(
        self, weight: Tensor, start: Tensor, before: _Growing, like: Tensor, kept: bool
    ) -> None:
        super().__init__(len(weight) if kept else 0, like)
        self.weight, self.start, self.before = weight, start, before
        self.in_place = kept and not self.joined

    def look_ahead(self, first: int, stop: int) -> None:
        """Let all that is known reach the next rows in one product."""
        self.first, self.seen = first, self.before.size
        self.block = torch.addmm(
            self.start[first:stop],
            self.weight[first:stop, : self.seen],
            self.before.rows[: self.seen],
            out=self.rows[first:stop] if self.in_place else None,
        )

    def sums(self, part: slice) -> Tensor:
        """Sums of some rows (n, batch) with what has become known since."""
        new = slice(self.seen, self.before.size)
        start = self.block[part.start - self.first : part.stop - self.first]
        add = start.addmm if self.joined else start.addmm_
        return add(self.weight[part, new], self.before.rows[new])

    def add_units(self, part: slice) -> None:
        """Append ReLU of the sums."""
        units = self.sums(part).relu_()
        if self.in_place:  # they are where they belong
            self.size = part.stop
        else:
            self.add(units)


class _MaskedTransform(AutoregressiveTransform):
    def __init__(self, layer: Masked, context: Tensor) -> None:
        super().__init__(lambda x: layer.functions(x, context), layer.features)
        self.layer, self.context = layer, context

    def _inverse(self, y: Tensor) -> Tensor:
        return self.layer.invert(y, self.context)
