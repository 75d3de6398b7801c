"""A family in one file outside the package: rectified flow in step or horizon decoding.

Liu, Gong, Liu 2023.
"""

import torch
from torch import Tensor

from tsgen import GenerativeEstimator
from tsgen.models import GenerativeModel
from tsgen.nets import MLP


class RectifiedFlow(GenerativeModel):
    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        hidden: int = 64,
        num_steps: int = 16,
    ) -> None:
        super().__init__(event_shape, cond_shape)
        self.num_steps = num_steps
        size = self.event_shape.numel()
        self.net = MLP(size + self.cond_shape.numel() + 1, size, (hidden, hidden, hidden))

    def velocity(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        inputs = torch.cat([x.flatten(1), cond.flatten(1), t[:, None]], 1)
        return self.net(inputs).view_as(x)

    def _loss(
        self, x: Tensor, cond: Tensor, observed: Tensor | None, times: Tensor | None
    ) -> Tensor:
        t, noise = torch.rand(len(x)).to(x), torch.randn_like(x)
        wide = t.view(-1, *[1] * len(self.event_shape))
        error = self.velocity(noise + wide * (x - noise), t, cond) - (x - noise)
        return (error**2).flatten(1).mean(1)

    def _sample(self, cond: Tensor, times: Tensor | None) -> Tensor:
        x = torch.randn(len(cond), *self.event_shape, dtype=cond.dtype, device=cond.device)
        for step in range(self.num_steps):
            t = torch.full((len(x),), (step + 0.5) / self.num_steps).to(x)
            x = x + self.velocity(x, t, cond) / self.num_steps
        return x


class RectifiedFlowEstimator(GenerativeEstimator):
    hidden: int = 64

    def build_model(
        self, event_shape: tuple[int, ...], cond_shape: tuple[int, ...]
    ) -> GenerativeModel:
        return RectifiedFlow(event_shape, cond_shape, hidden=self.hidden)
