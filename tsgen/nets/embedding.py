"""Embedding of the diffusion time."""

import math

import torch
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """Sines and cosines of t, and two layers.

    Args:
        size: number of sines and cosines.
        hidden: width of the layers.
        max_frequency: the largest angular frequency; the smallest is 1.
        activated: whether an activation follows the second layer, too.
    """

    frequencies: Tensor

    def __init__(
        self, size: int, hidden: int, max_frequency: float, activated: bool = True
    ) -> None:
        super().__init__()
        frequencies = torch.logspace(0, math.log10(max_frequency), size // 2, dtype=torch.float64)
        self.register_buffer("frequencies", frequencies, persistent=False)
        layers = [nn.Linear(2 * (size // 2), hidden), nn.SiLU(), nn.Linear(hidden, hidden)]
        self.layers = nn.Sequential(*layers, *[nn.SiLU()] * activated)

    def forward(self, t: Tensor) -> Tensor:
        """Times (rows,) in [0, 1] -> (rows, hidden)."""
        angles = t.double()[:, None] * self.frequencies
        waves = torch.cat([angles.sin(), angles.cos()], -1)
        return self.layers(waves.to(next(self.layers.parameters()).dtype))
