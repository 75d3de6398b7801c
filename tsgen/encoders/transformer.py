"""A causal Transformer whose state is bounded."""

import math
import sys
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from tsgen.core import Count, OptionError, between
from tsgen.encoders.base import Encoded, HistoryEncoder, State


class TransformerEncoder(HistoryEncoder):
    r"""Causal self-attention over the latest inputs and a linear map to the conditioning.

    One decoder-only stack (Vaswani et al. 2017) in place of the encoder and the decoder of
    Transformer-TempFlow (Rasul et al. 2021, arXiv 2002.06103): every step of a window is a training
    pair, and a forecast goes on from a cache of keys and values. A layer is

    .. math:: x \leftarrow x + \mathrm{Attention}(\mathrm{LN}(x)),\quad
              x \leftarrow x + W_2\,\mathrm{gelu}(W_1\,\mathrm{LN}(x))

    with the norm first, which trains stably (Xiong et al. 2020, arXiv 2002.04745). Queries and keys
    are turned in pairs of units by angles :math:`\omega_j t`,
    :math:`\omega_j = 1000^{-2 j / d_\mathrm{head}}`, so that a score depends on the distance of two
    inputs and not on their position t (rotary positions, Su et al. 2021, arXiv 2104.09864). Hence
    encoding goes on from anywhere, and an output depends on the last
    ``num_layers * (window - 1) + 1`` inputs alone, whatever the age of the stream.

    Distances that training has not seen mean nothing to attention, and outputs go astray. In
    evaluation a position therefore attends to no more inputs than the longest stretch in training
    had, nor to more than ``window``. An encoder that was never trained knows ``window`` only.

    Args:
        input_size: features of an input.
        d_model: width of the stack.
        num_heads: attention heads; each has an even share of ``d_model``.
        num_layers: layers.
        feedforward: hidden units of a layer, the rows of :math:`W_1`; ``None`` is 4 ``d_model``.
        dropout: probability of dropping a unit of what either half of a layer adds, in training.
        output_size: size of the conditioning.
        window: latest inputs, the newest among them, that a position attends to in each layer. It
            bounds the state of a stream; the cost of a long log is linear in its length. ``None``
            leaves the bound to training.

    Raises:
        ValueError: if a size is below 1, the heads have no even share of the width or dropout is
            outside [0, 1).
    """

    stretch: ClassVar[int] = 256
    """Inputs encoded at a time: attention needs memory for (stretch, stretch + window) scores."""
    circle: ClassVar[int] = 2**20
    """All turns are whole after so many inputs; positions are kept modulo this, without error."""

    turns: Tensor
    seen: Tensor

    def __init__(
        self,
        input_size: int,
        d_model: Count = 16,
        num_heads: Count = 4,
        num_layers: Count = 3,
        feedforward: Count | None = None,
        dropout: Annotated[float, between(0, 1, "[)")] = 0.1,
        output_size: Count = 100,
        window: Count | None = 256,
    ) -> None:
        super().__init__(input_size)
        if d_model % (2 * num_heads):
            raise OptionError(
                type(self).__name__, "d_model", d_model,
                f"a multiple of 2 * num_heads={2 * num_heads}", "each head takes an even share",
            )  # fmt: skip
        self.window, self.num_heads, self.head_size = window, num_heads, d_model // num_heads
        self.embedding = nn.Linear(input_size, d_model)
        self.layers = nn.ModuleList(
            _Layer(d_model, num_heads, feedforward or 4 * d_model, dropout)
            for _ in range(num_layers)
        )
        self.projection = nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, output_size))
        self.output_size = output_size
        omega = 1000 ** (-2 * torch.arange(self.head_size // 2).double() / self.head_size)
        turns = (omega * self.circle / (2 * math.pi)).round().long()
        self.register_buffer("turns", turns[:, None], persistent=False)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def initial_state(self, batch_size: int) -> State:
        """No inputs yet.

        Returns:
            The number of inputs so far (B,), modulo :attr:`circle`, and of each layer the keys and
            values of the latest K, (B, 2, heads, head size, K). K grows up to the window - 1.
        """
        cache = self.embedding.weight.new_zeros(batch_size, 2, self.num_heads, self.head_size, 0)
        return (self.turns.new_zeros(batch_size), *[cache] * len(self.layers))

    @override
    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        times: Tensor | None = None,
        observed: Tensor | None = None,
        query: Tensor | None = None,
    ) -> Encoded:
        if observed is not None:
            inputs = torch.where(observed > 0, inputs, torch.zeros_like(inputs))
        count, *caches = self.initial_state(len(inputs)) if state is None else state
        reach = self._reach(caches[0].shape[-1] + inputs.shape[1])
        outputs = []
        for x in self.embedding(inputs).split(self.stretch, 1):
            caches = _latest(caches, reach)
            turn, mask = self._turn(count, x), _mask(x, caches[0].shape[-1], reach)
            for i, layer in enumerate(self.layers):
                x, caches[i] = layer(x, caches[i], turn, mask)
            count = (count + x.shape[1]) % self.circle
            outputs.append(self.projection(x))
        return Encoded(torch.cat(outputs, 1), (count, *_latest(caches, reach)))

    def _reach(self, length: int) -> int:
        """How many inputs a position of a stretch attends to; training remembers the length."""
        reach = sys.maxsize if self.window is None else self.window
        if self.training:
            self.seen.clamp_(min=min(length, reach))
            return reach
        return min(reach, int(self.seen) or reach)

    def _turn(self, count: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the angles of new inputs, (B, 1, 1, head size / 2, L)."""
        places = count[:, None] + torch.arange(x.shape[1], device=x.device)
        parts = places[:, None, None, None] * self.turns % self.circle
        angles = parts.to(x.dtype) * (2 * math.pi / self.circle)
        return angles.cos(), angles.sin()


class _Layer(nn.Module):
    """Attention over cached and new inputs, and the feed-forward half."""

    def __init__(self, d_model: int, num_heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads = (3, num_heads, d_model // num_heads)
        self.attention_norm, self.feedforward_norm = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.attended = nn.Linear(d_model, 3 * d_model, bias=False)
        self.merge = nn.Linear(d_model, d_model)
        self.feedforward = nn.Sequential(
            nn.Linear(d_model, feedforward), nn.GELU(), nn.Linear(feedforward, d_model)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, cache: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """New inputs (B, L, d_model), cache, cosine and sine, mask: the output and the cache."""
        parts = self.attended(self.attention_norm(x)).unflatten(-1, self.heads)
        parts = parts.permute(0, 2, 3, 4, 1)  # time last: stepping then works on long rows
        (cos, sin), (a, b) = turn, parts[:, :2].chunk(2, -2)
        query, key = torch.cat([a * cos - b * sin, a * sin + b * cos], -2).unbind(1)
        cache = torch.cat([cache, torch.stack([key, parts[:, 2]], 1)], -1)
        keys, values = cache.unbind(1)
        if mask is None:  # one query a row: products are faster than many tiny matrices
            scores = (query * query.shape[-2] ** -0.5 * keys).sum(-2, keepdim=True)
            attended = (scores.softmax(-1) * values).sum(-1, keepdim=True)
        else:
            query, keys, values = (v.transpose(-1, -2).contiguous() for v in (query, keys, values))
            attended = F.scaled_dot_product_attention(query, keys, values, mask).transpose(-1, -2)
        x = x + self.dropout(self.merge(attended.permute(0, 3, 1, 2).flatten(-2)))
        return x + self.dropout(self.feedforward(self.feedforward_norm(x))), cache


def _mask(x: Tensor, cached: int, reach: int) -> Tensor | None:
    """Which of cached and new inputs each new one attends to, (L, K + L); one attends to all."""
    length = x.shape[1]
    if length == 1:
        return None
    places = torch.arange(cached + length, device=x.device)
    distance = places[cached:, None] - places
    return (distance >= 0) & (distance < reach)


def _latest(caches: list[Tensor], reach: int) -> list[Tensor]:
    """What the next input may attend to."""
    return [cache[..., max(0, cache.shape[-1] - reach + 1) :] for cache in caches]
