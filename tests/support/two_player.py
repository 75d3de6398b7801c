"""A tiny two-player family: the non-saturating GAN (Goodfellow et al. 2014) with the R1 penalty."""

import torch
from torch import Tensor
from torch.nn import functional as F

from tsgen import GenerativeEstimator
from tsgen.models import GenerativeModel, Player
from tsgen.nets import MLP


class TinyGAN(GenerativeModel):
    def __init__(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...], hidden: int = 32
    ) -> None:
        super().__init__(event_shape, cond_shape)
        size, given = self.event_shape.numel(), self.cond_shape.numel()
        self.critic = MLP(size + given, 1, (hidden, hidden))
        self.generator = MLP(size + given, size, (hidden, hidden))

    @property
    def players(self) -> tuple[Player, ...]:
        return (
            Player("critic", ("critic",), encoder=False),
            Player("generator", ("generator",)),
        )

    def _judge(self, x: Tensor, cond: Tensor) -> Tensor:
        return self.critic(torch.cat([x.flatten(1), cond.flatten(1)], 1))[:, 0]

    def _loss(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        return self._player_loss("generator", x, cond, observed, times)

    def _player_loss(
        self, player: str, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        fake = self._sample(cond, times)
        if player == "generator":
            return F.softplus(-self._judge(fake, cond))
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            real = self._judge(x, cond)
            (slope,) = torch.autograd.grad(real.sum(), x, create_graph=True)
        penalty = slope.flatten(1).square().sum(1)
        fooled = F.softplus(self._judge(fake.detach(), cond))
        return fooled + F.softplus(-real) + 0.5 * penalty

    def _sample(self, cond: Tensor, times: Tensor | None) -> Tensor:
        noise = torch.randn(
            len(cond), self.event_shape.numel(), dtype=cond.dtype, device=cond.device
        )
        return self.generator(torch.cat([noise, cond.flatten(1)], 1)).unflatten(1, self.event_shape)


class TinyGANEstimator(GenerativeEstimator):
    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        return TinyGAN(event_shape, cond_shape)
