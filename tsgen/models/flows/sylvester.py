"""Sylvester flows."""

import functools
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.distributions import Transform
from torch.nn import functional as F

from tsgen.core import Count, OptionError, at_least
from tsgen.models.flows.base import Direction
from tsgen.models.flows.common import OnePass
from tsgen.models.flows.planar import AmortisedFlow, above_minus_one
from tsgen.models.flows.roots import solve_increasing

Orthogonal = Literal["orthogonal", "householder", "triangular"]

LARGEST_TRIANGLE = 64
"""Most elements of an event with ``orthogonal="triangular"``, whose matrices are as large as it."""


def gram_schmidt(values: Tensor, columns: int) -> Tensor:
    r"""Orthonormal columns (\*, E, M) that span those of ``values`` (\*, E M)."""
    q, r = torch.linalg.qr(values.unflatten(-1, (-1, columns)))
    # the signs that Gram-Schmidt gives, so that Q is a continuous function of the values
    return q * torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).unsqueeze(-2).to(q.dtype)


def reflections(values: Tensor, columns: int) -> Tensor:
    r"""First M columns of a product of M Householder reflections :math:`I - 2 v v^\top`.

    Args:
        values: the vectors v, to be normalised, (\*, E M).
        columns: M.
    """
    vectors = F.normalize(values.unflatten(-1, (columns, -1)), dim=-1)
    basis = torch.eye(vectors.shape[-1], columns, dtype=values.dtype, device=values.device)
    for v in vectors.unsqueeze(-1).unbind(-3):
        basis = basis - 2 * v * (v.mT @ basis)
    return basis


class _Sylvester(OnePass):
    """One layer.

    Args:
        basis: Q (*, E, M), or (E, M) if it is the same for all rows.
        matrix: above the diagonal what R has there, below it what R~'s transpose has there, on it
            R~'s diagonal before its constraint (*, M M).
        product: the diagonals' products before their constraint (*, M).
        b: (*, M).
    """

    def __init__(self, basis: Tensor, matrix: Tensor, product: Tensor, b: Tensor) -> None:
        super().__init__()
        matrix = matrix.unflatten(-1, (b.shape[-1], -1))
        inner = F.softplus(matrix.diagonal(dim1=-2, dim2=-1)) + 1e-2
        self.product = above_minus_one(product)
        # tanh is odd: the sign of a row of R~ can be moved to a column of R, so R~'s diagonal is
        # positive
        self.outer = matrix.triu(1) + (self.product / inner).diag_embed()
        self.inner = matrix.mT.triu(1) + inner.diag_embed()
        self.basis, self.b = basis, b

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        units = self.inner @ (self.basis.mT @ x.unsqueeze(-1))
        h = (units.squeeze(-1) + self.b).tanh()
        y = x + (self.basis @ (self.outer @ h.unsqueeze(-1))).squeeze(-1)
        return y, torch.log1p(self.product * (1 - h**2)).sum(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        targets = (self.basis.mT @ y.unsqueeze(-1)).squeeze(-1)
        roots, units = targets[..., :0], targets[..., :0]  # coordinates i + 1, ..., M
        for i in reversed(range(self.b.shape[-1])):
            b = self.b[..., i] + (self.inner[..., i, i + 1 :] * roots).sum(-1)
            target = targets[..., i] - (self.outer[..., i, i + 1 :] * units).sum(-1)
            root = self._root(i, target, b)
            roots = torch.cat([root.unsqueeze(-1), roots], -1)
            unit = (self.inner[..., i, i] * root + b).tanh()
            units = torch.cat([unit.unsqueeze(-1), units], -1)
        return y - (self.basis @ (self.outer @ units.unsqueeze(-1))).squeeze(-1)

    def _root(self, i: int, target: Tensor, b: Tensor) -> Tensor:
        inner, outer, product = self.inner[..., i, i], self.outer[..., i, i], self.product[..., i]

        def function(root: Tensor) -> tuple[Tensor, Tensor]:
            h = (inner * root + b).tanh()
            return root + outer * h, 1 + product * (1 - h**2)

        reach = outer.detach().abs()
        return solve_increasing(function, target, target - reach, target + reach)


def _made(
    make: Callable[[Tensor, int], Tensor], columns: int, values: Tensor, *parts: Tensor
) -> Transform:
    """A layer whose Q is computed from ``values``."""
    return _Sylvester(make(values, columns), *parts)


def _ordered(reverse: bool, matrix: Tensor, product: Tensor, b: Tensor) -> Transform:
    """A layer whose Q keeps the elements' order or reverses it."""
    basis = torch.eye(b.shape[-1], dtype=b.dtype, device=b.device)
    return _Sylvester(basis.flip(0) if reverse else basis, matrix, product, b)


class SylvesterFlow(AmortisedFlow):
    r"""Sylvester flow (van den Berg, Hasenclever, Tomczak, Welling 2018).

    "Sylvester Normalizing Flows for Variational Inference": a planar flow of M units at once,

    .. math:: y = x + Q R \tanh(\tilde R Q^\top x + b), \quad
        \log \det = \sum_i \log(1 + R_{ii} \tilde R_{ii} (1 - \tanh^2(\tilde R Q^\top x + b)_i))

    by Sylvester's determinant identity (theorem 1), with orthonormal columns Q (E, M), upper
    triangular :math:`R, \tilde R` (M, M) and b (M,), all computed from the conditioning. A layer is
    invertible where :math:`R_{ii} \tilde R_{ii} > -1` (theorem 2). Here :math:`\tilde R_{ii}` is
    positive, which loses nothing as tanh is odd, and the product is m of
    :func:`~tsgen.models.flows.planar.above_minus_one`, so it is not bounded above as that of two
    tanh is.

    Q comes (section 4) from

    - ``"orthogonal"``: the QR decomposition of E x M numbers (the paper iterates to it instead),
    - ``"householder"``: M reflections, of whose product it is the first M columns,
    - ``"triangular"``: the identity and the reversal of all elements in turn, with M = E <= 64.

    In a variational autoencoder the layers carry noise to posterior samples and are never inverted.
    Here they carry x to noise, since the density of data is to be computed. A sample then takes M
    roots for each layer, of the coordinates of :math:`Q^\top x` from the last to the first, each
    10 to 25 evaluations of one tanh.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or (H, D).
        num_blocks: layers.
        columns: M, at most E are used; ``"triangular"`` always uses E.
        orthogonal: where Q comes from.
        hidden: widths of the network that computes the layers' parameters.
        direction: only "density".

    Raises:
        ValueError: if an option is below 1, the direction is "sampling", or the event is too large
            for ``"triangular"``.
    """

    inversion: str = "one root per layer and column of Q"

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        num_blocks: Count = 6,
        columns: Count = 8,
        orthogonal: Orthogonal = "orthogonal",
        hidden: Annotated[tuple[int, ...], at_least(1)] = (100,),
        direction: Direction = "density",
    ) -> None:
        super().__init__(event_shape, cond_shape, direction)
        size = self.event_shape.numel()
        if orthogonal == "triangular" and size > LARGEST_TRIANGLE:
            raise OptionError(
                type(self).__name__, "orthogonal", orthogonal, "'orthogonal' or 'householder'",
                "'triangular' has matrices as large as the event and takes at most "
                f"{LARGEST_TRIANGLE} elements; event_shape={tuple(event_shape)} has {size}",
            )  # fmt: skip
        units = size if orthogonal == "triangular" else min(columns, size)
        outer, inner = torch.randn(2, num_blocks, units, units)
        matrix = 0.1 * outer.triu(1) + inner.tril(-1) / units**0.5 + 1.5 * torch.eye(units)
        product, b = torch.randn(2, num_blocks, units)
        start = [matrix.flatten(1), 0.1 * product, b]
        if orthogonal == "triangular":
            layers = [functools.partial(_ordered, bool(i % 2)) for i in range(num_blocks)]
        else:
            make = gram_schmidt if orthogonal == "orthogonal" else reflections
            layers = [functools.partial(_made, make, units)] * num_blocks
            start.insert(0, torch.randn(num_blocks, size * units))
        self.amortise(layers, start, hidden)


__all__ = ["SylvesterFlow"]
