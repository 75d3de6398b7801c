"""Taming wild values."""

import torch
from torch import Tensor, nn


def squash(u: Tensor, limit: float = 10.0) -> Tensor:
    """The identity up to a limit, logarithmic beyond: one wild value does not saturate a network.

    Args:
        u: any shape.
        limit: up to where nothing is changed; the slope is 1 there, too.
    """
    beyond = u.sign() * limit * (1 + (u.abs() / limit).clamp_min(1).log())
    return torch.where(u.abs() > limit, beyond, u)


class Squash(nn.Module):
    """:func:`squash` as a layer."""

    def __init__(self, limit: float = 10.0) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, u: Tensor) -> Tensor:
        """Any shape."""
        return squash(u, self.limit)
