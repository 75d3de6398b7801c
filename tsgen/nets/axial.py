"""A denoising network that attends along the steps and along the channels of a horizon."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from tsgen.core import OptionError
from tsgen.nets.contract import DenoisingNet, block_outputs, masked_inputs
from tsgen.nets.embedding import TimeEmbedding


class AxialTransformer(DenoisingNet):
    r"""Predicts an array of the shape of a noised event (H, C).

    The network of CSDI (Tashiro, Song, Song, Ermon 2021, arXiv 2107.03502, figure 6): every cell of
    the event is a token, to which come a sine embedding of its step and a learnt vector of its
    channel. Each block adds a projection of the diffusion time, lets the cells of a channel attend
    to each other, then those of a step, adds a projection of what is known of each cell (its
    embeddings, the conditioning, the masks), gates, and hands on a residual and a skip part.

    Args:
        event_shape: (H, C).
        cond_shape: (D,) or (H, D).
        layers: number of blocks.
        channels: width of the blocks, a multiple of ``num_heads``.
        num_heads: attention heads.
        extra: further arrays of the event's shape that are seen beside it.
        step_features: size of the sine embedding of the step.
        channel_features: size of the learnt vector of a channel.
        embedding: size of the diffusion time's embedding and width of its layers.
        max_frequency: the largest angular frequency of the embedding of t in [0, 1].

    Raises:
        ValueError: if the event has one dimension or the heads have no even share of the width.
    """

    step_embedding: Tensor

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        layers: int = 4,
        channels: int = 64,
        num_heads: int = 8,
        extra: int = 0,
        step_features: int = 128,
        channel_features: int = 16,
        embedding: int = 128,
        max_frequency: float = 100.0,
    ) -> None:
        super().__init__()
        if len(event_shape) != 2:
            raise OptionError(
                "AxialTransformer", "event_shape", event_shape, "(horizon, channels)",
                "it is a network for decoding='horizon'",
            )  # fmt: skip
        if channels % num_heads:
            multiple = f"a multiple of num_heads={num_heads}"
            raise OptionError("AxialTransformer", "channels", channels, multiple)
        horizon, width = event_shape
        self.event_shape, self.layers, self.channels = event_shape, layers, channels
        rates = 10000 ** (-torch.arange(0, step_features, 2) / step_features)
        angles = torch.arange(horizon)[:, None] * rates
        step_embedding = torch.cat([angles.sin(), angles.cos()], -1)
        self.register_buffer("step_embedding", step_embedding, persistent=False)
        self.channel_vectors = nn.Parameter(torch.randn(width, channel_features))
        self.time_embedding = TimeEmbedding(embedding, embedding, max_frequency)
        self.time_projection = nn.Linear(embedding, layers * channels)
        cond_features = min(cond_shape[-1], 32)
        self.cond_net = nn.Sequential(nn.Linear(cond_shape[-1], cond_features), nn.SiLU())
        self.input = nn.Linear(2 + extra, channels)  # the event, what was observed, and the rest
        self.step_side = nn.Linear(step_embedding.shape[1] + cond_features, layers * 2 * channels)
        self.channel_side = nn.Linear(channel_features, layers * 2 * channels, bias=False)
        self.cell_side = nn.Linear(1 + extra, layers * 2 * channels, bias=False)
        self.along_steps = nn.ModuleList(_Attention(channels, num_heads) for _ in range(layers))
        self.along_channels = nn.ModuleList(_Attention(channels, num_heads) for _ in range(layers))
        self.middles = nn.ModuleList(nn.Linear(channels, 2 * channels) for _ in range(layers))
        self.outputs = block_outputs(layers, channels)
        self.skip = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, 1)
        for linear in (self.input, self.skip, *self.middles, *self.outputs):
            nn.init.kaiming_normal_(linear.weight)
        nn.init.zeros_(self.output.weight)

    @property
    @override
    def working_size(self) -> int:
        return math.prod(self.event_shape) * self.channels * 12

    @override
    def condition(self, cond: Tensor) -> Tensor:
        """The part of each step in the blocks, (rows, H, layers * 2 channels)."""
        per_step = (
            cond if cond.dim() == 3 else cond[:, None].expand(-1, len(self.step_embedding), -1)
        )
        features = torch.cat(
            [self.cond_net(per_step), self.step_embedding.expand(len(cond), -1, -1)], -1
        )
        return self.step_side(features)

    @override
    def embed(self, t: Tensor) -> Tensor:
        """Times (rows,) in [0, 1] -> (rows, layers * channels)."""
        return self.time_projection(self.time_embedding(t))

    @override
    def forward(
        self,
        x: Tensor,
        time: Tensor,
        conditioning: Tensor,
        observed: Tensor | None = None,
        extra: Tensor | None = None,
    ) -> Tensor:
        values, *beside = masked_inputs(x, observed, extra)
        hidden = F.relu(self.input(torch.stack([values, *beside], -1)))
        sides = self._sides(conditioning, torch.stack(beside, -1))
        skips = torch.zeros_like(hidden)
        for i, (shift, side) in enumerate(zip(time.chunk(self.layers, 1), sides, strict=True)):
            y = hidden + shift[:, None, None]
            y = self.along_steps[i](y.transpose(1, 2)).transpose(1, 2)
            y = self.middles[i](self.along_channels[i](y)) + side
            gate, value = y.chunk(2, -1)
            out = self.outputs[i](gate.sigmoid() * value.tanh())
            if i < self.layers - 1:
                residual, out = out.chunk(2, -1)
                hidden = (hidden + residual) * math.sqrt(0.5)
            skips = skips + out
        return self.output(F.relu(self.skip(skips / math.sqrt(self.layers))))[..., 0]

    def _sides(self, steps: Tensor, beside: Tensor) -> Iterator[Tensor]:
        """The part of step, channel and masks in each block, (rows, H, C, 2 channels), in turn."""
        size = 2 * self.channels
        channel = self.channel_side(self.channel_vectors).split(size, -1)
        weights = self.cell_side.weight.split(size)
        for s, c, w in zip(steps.split(size, -1), channel, weights, strict=True):
            yield s[:, :, None] + c + F.linear(beside, w)


class _Attention(nn.Module):
    """A Transformer layer over the last but one dimension of (*, length, channels), norm after."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attended, self.merge = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.feedforward = nn.Sequential(
            nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, channels)
        )
        self.first_norm, self.second_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.attended(x).unflatten(-1, (3, self.num_heads, -1)).movedim(-3, 0)
        query, key, value = parts.transpose(-2, -3).flatten(1, -4)
        attended = F.scaled_dot_product_attention(query, key, value)
        merged = self.merge(attended.transpose(-2, -3).flatten(-2).view(x.shape))
        x = self.first_norm(x + merged)
        return self.second_norm(x + self.feedforward(x))
