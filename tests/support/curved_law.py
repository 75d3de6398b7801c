"""A conditional law on the plane that is curved, turned by its conditioning, and exactly known."""

import math

import torch
from torch import Tensor


def _parts(cond: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Center (n, 2), rotation's cosine and sine, spread across the curve."""
    center = torch.stack([cond[:, 0], torch.sin(2 * cond[:, 1])], 1)
    angle = math.pi / 2 * cond[:, 3]
    return center, angle.cos(), angle.sin(), 0.3 * (0.5 * cond[:, 2]).exp()


def draw(count: int) -> tuple[Tensor, Tensor]:
    """Points (n, 2) and conditioning (n, 4)."""
    cond = torch.rand(count, 4) * 2 - 1
    center, cos, sin, spread = _parts(cond)
    u = 0.8 * torch.randn(count)
    v = 0.8 * u**2 + spread * torch.randn(count)
    return center + torch.stack([cos * u - sin * v, sin * u + cos * v], 1), cond


def log_prob(x: Tensor, cond: Tensor) -> Tensor:
    """Exact log density (n,)."""
    center, cos, sin, spread = _parts(cond)
    a, b = (x - center).unbind(1)
    u, v = cos * a + sin * b, cos * b - sin * a
    normal = torch.distributions.Normal
    across = normal(0.8 * u**2, spread).log_prob(v)
    return normal(0.0, 0.8).log_prob(u) + across
