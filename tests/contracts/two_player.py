"""A tiny two-player family: the non-saturating GAN (Goodfellow et al. 2014) with the R1 penalty."""

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from tsgen import GenerativeEstimator
from tsgen.models import GenerativeModel
from tsgen.nets import MLP


class TinyGAN(GenerativeModel):
    players: ClassVar[tuple[str, ...]] = ("critic", "generator")

    def __init__(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...], hidden: int = 32
    ) -> None:
        super().__init__(event_shape, cond_shape)
        size, given = self.event_shape.numel(), self.cond_shape.numel()
        self.critic = MLP(size + given, 1, (hidden, hidden))
        self.generator = MLP(size + given, size, (hidden, hidden))

    def _judge(self, x: Tensor, cond: Tensor) -> Tensor:
        return self.critic(torch.cat([x.flatten(1), cond.flatten(1)], 1))[:, 0]

    def loss(self, x: Tensor, cond: Tensor, observed: Tensor | None = None) -> Tensor:
        """Monitored: squared distance of a draw."""
        batch = self._batch(cond, x)
        return ((self.sample(cond) - x) ** 2).reshape(*batch, -1).mean(-1)

    def player_loss(
        self, player: str, x: Tensor, cond: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        batch = self._batch(cond, x)
        x, cond = x.reshape(-1, *self.event_shape), cond.reshape(-1, *self.cond_shape)
        fake = self.sample(cond)
        if player == "generator":
            return F.softplus(-self._judge(fake, cond)).view(batch)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            real = self._judge(x, cond)
            (slope,) = torch.autograd.grad(real.sum(), x, create_graph=True)
        penalty = slope.flatten(1).square().sum(1)
        fooled = F.softplus(self._judge(fake.detach(), cond))
        return (fooled + F.softplus(-real) + 0.5 * penalty).view(batch)

    def sample(self, cond: Tensor, sample_shape: tuple[int, ...] = ()) -> Tensor:
        batch, count = self._batch(cond), math.prod(sample_shape)
        rows = (
            cond.reshape(1, -1, *self.cond_shape)
            .expand(count, *[-1] * (1 + len(self.cond_shape)))
            .flatten(0, 1)
        )
        noise = torch.randn(
            len(rows), self.event_shape.numel(), dtype=cond.dtype, device=cond.device
        )
        x = self.generator(torch.cat([noise, rows.flatten(1)], 1))
        return x.view(*sample_shape, *batch, *self.event_shape)


class TinyGANEstimator(GenerativeEstimator):
    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        return TinyGAN(event_shape, cond_shape)
