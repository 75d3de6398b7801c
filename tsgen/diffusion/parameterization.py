"""What a denoising network predicts, and how that turns into an estimate of the clean data."""

from typing import Literal

import torch
from torch import Tensor

from tsgen.core import Options


class Parameterization(Options):
    r"""The network's target for :math:`x = \alpha x_0 + \sigma\varepsilon`.

    ======  =====================================  ============================================
    eps     the noise                              Ho, Jain, Abbeel 2020, eq 14
    x0      the data                               the same, section 3.2
    v       :math:`\alpha\varepsilon - \sigma x_0`  Salimans, Ho 2022, appendix D
    ======  =====================================  ============================================

    Args:
        target: one of the three.
    """

    target: Literal["eps", "x0", "v"] = "eps"

    def of(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The target for clean data ``x0`` noised by ``eps`` (all broadcastable)."""
        if self.target == "x0":
            return x0
        if self.target == "eps":
            return eps
        return alpha * eps - sigma * x0

    def to_x0(
        self, output: Tensor, x: Tensor, alpha: Tensor | float, sigma: Tensor | float
    ) -> Tensor:
        """The clean data that belongs to a network's ``output`` at ``x``."""
        if self.target == "x0":
            return output
        if self.target == "eps":
            return (x - sigma * output) / alpha
        return (alpha * x - sigma * output) / (alpha**2 + sigma**2)

    def weight(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Squared error of the target over squared error of x0, at the same x."""
        if self.target == "x0":
            return torch.ones_like(alpha)
        if self.target == "eps":
            return (alpha / sigma) ** 2
        return ((alpha**2 + sigma**2) / sigma) ** 2
