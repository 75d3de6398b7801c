r"""The residual network of DiffWave and TimeGrad, written out plainly: what all backends compute.

The papers (Kong et al. 2021, figure 2; Rasul et al. 2021, figure 2) have L blocks of c channels
over the positions p of an event. Block l, with the dilation d, the time's projection :math:`u_l`
and the conditioning's :math:`K_l k_p`, does

.. math::

    (g, v) &= C_l\,[\,h_{p-d},\ h_p,\ h_{p+d}\,] + C_l\,[\,u_l,\ u_l,\ u_l\,] + K_l k_p + a_l, \\
    (r, s) &= \mathrm{LeakyReLU}\bigl(O_l\,[\sigma(g) \tanh(v)] + o_l\bigr), \qquad
    h \leftarrow (h + r) / \sqrt 2, \quad S \leftarrow S + s.

The positions form a circle. Two convolutions of :math:`S / \sqrt L`, with a leaky ReLU between
them, end it.

All backends compute it in a form with fewer operations, on arrays (channels, positions, rows):

.. math::

    (g, v) &= \sigma\bigl(W_l\,[\,h_{p-d},\ h_{p+d},\ k_p,\ 1,\ h_p\,] + b_l\bigr), \\
    (r, s) &= \mathrm{LeakyReLU}\bigl(V_l\,[\,g\,(1 - 2 v),\ 1\,]\bigr), \qquad
    h \leftarrow h + r, \quad S \leftarrow S + s.

Here h is :math:`2^{l / 2}` times the papers', so that nothing is divided, and :math:`\tanh x = 2
\sigma(2 x) - 1`: torch's sigmoid is as fast as its tanh on some processors and six times as fast on
others. :meth:`DilatedResidualNet.weights` folds both into W and V; b is the time's part.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

SLOPE = 0.4
"""Slope of the leaky ReLU below zero."""

Blocks = list[tuple[Tensor, Tensor, int]]
"""Of each block W, V and the dilation."""


class Weights(NamedTuple):
    """Weights of L blocks with c channels and k conditioning features, and of the last two layers.

    The columns of a convolution are those of its input: c of the left neighbour, c of the right
    one, k of the conditioning, one of the bias, c of the position itself.
    """

    convolutions: Tensor
    """W, (L, 2 c, 3 c + k + 1)."""
    projections: Tensor
    """V, (L, 2 c, c + 1), the last column the bias."""
    skip: Tensor
    """The convolution of the skips' sum, (c, 3 c + k + 1), 0 for the conditioning."""
    output: Tensor
    """The convolution that ends the network, (f, 3 c + k + 1), 0 for the conditioning."""
    dilations: tuple[int, ...]

    def blocks(self) -> Blocks:
        """The blocks, one after another."""
        return list(zip(self.convolutions, self.projections, self.dilations, strict=True))

    @property
    def channels(self) -> int:
        """The width c."""
        return self.projections.shape[2] - 1

    @property
    def bias_column(self) -> int:
        """The column of a convolution that holds its bias."""
        return self.convolutions.shape[2] - self.channels - 1


def reference_blocks(
    hidden: Tensor, conditioning: Tensor, shift: Tensor, weights: Weights
) -> Tensor:
    """The blocks and the last layers as they are defined, with derivatives of any order.

    Args:
        hidden: h before the first block, (c, positions, rows).
        conditioning: features k of the conditioning, (k, positions, rows).
        shift: b, the time's part, (L, 2 c, rows), or (L, 2 c, 1) for all rows.
        weights: of the blocks.

    Returns:
        (f, positions, rows).
    """
    skips, channels = torch.zeros_like(hidden), len(hidden)
    one = torch.ones_like(hidden[:1])

    def convolve(weight: Tensor, x: Tensor, d: int = 1) -> Tensor:
        inputs = torch.cat([x.roll(d, 1), x.roll(-d, 1), conditioning, one, x])
        return torch.tensordot(weight, inputs, 1)

    for (w, v, dilation), b in zip(weights.blocks(), shift, strict=True):
        gate, value = (convolve(w, hidden, dilation) + b[:, None]).sigmoid().split(channels)
        gated = torch.cat([gate * (1 - 2 * value), one])
        residual, skip = F.leaky_relu(torch.tensordot(v, gated, 1), SLOPE).split(channels)
        hidden, skips = hidden + residual, skips + skip
    return convolve(weights.output, F.leaky_relu(convolve(weights.skip, skips), SLOPE))
