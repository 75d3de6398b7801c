"""A causal Transformer whose state is bounded."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsgen.encoders.base import HistoryEncoder, State


class TransformerEncoder(HistoryEncoder):
    r"""Causal self-attention over the latest inputs and a linear map to the conditioning.

    One decoder-only stack (Vaswani et al. 2017) in place of the encoder and decoder of
    Transformer-TempFlow (Rasul et al. 2021, arXiv 2002.06103), so that every step of a window is a
    training pair and a forecast goes on from a cache. A layer is

    .. math:: x \leftarrow x + \mathrm{Attention}(\mathrm{LN}(x)),\quad
              x \leftarrow x + W_2\,\mathrm{gelu}(W_1\,\mathrm{LN}(x))

    with the norm first, which trains without a warm-up of the learning rate (Xiong et al. 2020,
    arXiv 2002.04745). Where an input stands enters by its distance only: head h of n weighs an
    input d steps back by

    .. math:: \mathrm{softmax}_d\bigl(q \cdot k_d / \sqrt{d_\mathrm{head}} - 2^{-8 h / n} d\bigr),
              \quad 0 \le d < \mathrm{window}

    (Press et al. 2022, "Train short, test long", arXiv 2108.12409). There is no position to count
    or to run out of: encoding goes on anywhere, for longer than training has seen, and an output
    depends on nothing before the last ``num_layers * (window - 1) + 1`` inputs, whatever the age of
    the stream.

    Args:
        input_size: features of an input.
        d_model: width of the stack.
        num_heads: attention heads; divides ``d_model``.
        num_layers: layers.
        feedforward: hidden units of a layer's W; ``None`` is 4 ``d_model``.
        dropout: probability of dropping a unit of what a layer's two parts add, in training.
        output_size: size of the conditioning.
        window: latest inputs, its own among them, that a position attends to in each layer. It
            bounds the state of a stream, and makes the cost of L inputs linear in L. Windows of
            fewer inputs are attended to in full; give context length + horizon - 1 if a long log
            is to be scored with no more in sight than in training. ``None`` has no bound: the state
            grows with each input.

    Raises:
        ValueError: if a size is below 1, heads do not divide the width or dropout is no
            probability below 1.
    """

    stretch: ClassVar[int] = 256
    """Inputs encoded at a time: attention over them needs memory for stretch + window each."""

    slopes: Tensor

    def __init__(
        self,
        input_size: int,
        d_model: int = 16,
        num_heads: int = 4,
        num_layers: int = 3,
        feedforward: int | None = None,
        dropout: float = 0.1,
        output_size: int = 100,
        window: int | None = 256,
    ) -> None:
        super().__init__(input_size)
        name = type(self).__name__
        feedforward = 4 * d_model if feedforward is None else feedforward
        sizes = {"d_model": d_model, "num_heads": num_heads, "num_layers": num_layers}
        sizes |= {"feedforward": feedforward, "output_size": output_size, "window": window or 0}
        for field, size in sizes.items():
            if size < 1 and not (field == "window" and window is None):
                raise ValueError(f"{name}: {field}={size} must be at least 1")
        if d_model % num_heads:
            raise ValueError(f"{name}: d_model={d_model} must be a multiple of {num_heads=}")
        if not 0 <= dropout < 1:
            raise ValueError(f"{name}: dropout={dropout} must lie in [0, 1)")
        self.window, self.num_heads, self.d_model = window, num_heads, d_model
        self.embedding = nn.Linear(input_size, d_model)
        self.layers = nn.ModuleList(
            _Layer(d_model, num_heads, feedforward, dropout) for _ in range(num_layers)
        )
        self.projection = nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, output_size))
        self.output_size = output_size
        slopes = 2 ** (-8 * torch.arange(1, num_heads + 1) / num_heads)
        self.register_buffer("slopes", slopes[:, None, None], persistent=False)

    def initial_state(self, batch_size: int) -> State:
        """An empty cache of each layer.

        Returns:
            Of each layer the keys and values of the latest K inputs, (B, 2, heads, d_head, K): as
            many as there have been, ``window - 1`` at the most.
        """
        heads = self.num_heads
        cache = self.slopes.new_zeros(batch_size, 2, heads, self.d_model // heads, 0)
        return (cache,) * len(self.layers)

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        times: Tensor | None = None,
        observed: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Encode a stretch of inputs; see :class:`HistoryEncoder`."""
        if observed is not None:
            inputs = torch.where(observed > 0, inputs, torch.zeros_like(inputs))
        caches = self.initial_state(len(inputs)) if state is None else state
        outputs = []
        for x in self.embedding(inputs).split(self.stretch, 1):
            bias, after = self._bias(x.shape[1], caches[0].shape[-1]), []
            for layer, cache in zip(self.layers, caches, strict=True):
                x, cache = layer(x, cache, bias)
                after.append(self._latest(cache))
            caches = tuple(after)
            outputs.append(self.projection(x))
        return torch.cat(outputs, 1), caches

    def _bias(self, length: int, cached: int) -> Tensor:
        """What distance adds to the scores, (heads, L, K + L)."""
        places = torch.arange(cached + length, device=self.slopes.device)
        distance = places[cached:, None] - places
        bias = -self.slopes * distance
        if length > 1:
            hidden = distance < 0
            if self.window is not None:
                hidden |= distance >= self.window
            bias = bias.masked_fill(hidden, -torch.inf)
        return bias

    def _latest(self, cache: Tensor) -> Tensor:
        """What later inputs may attend to."""
        count = cache.shape[-1]
        return cache if self.window is None else cache[..., max(0, count - self.window + 1) :]


class _Layer(nn.Module):
    """Attention over cache and new inputs, and the feed-forward part, each added to its input."""

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

    def forward(self, x: Tensor, cache: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """New inputs (B, L, d_model), the cache (B, 2, heads, d_head, K) and the bias."""
        parts = self.attended(self.attention_norm(x)).unflatten(-1, self.heads)
        parts = parts.permute(0, 2, 3, 4, 1)
        query, cache = parts[:, 0], torch.cat([cache, parts[:, 1:]], -1)
        keys, values = cache[:, 0], cache[:, 1]
        if x.shape[1] == 1:  # many rows and one query each: products beat small matrices
            scores = (query * query.shape[-2] ** -0.5 * keys).sum(-2, keepdim=True) + bias
            attended = (scores.softmax(-1) * values).sum(-1, keepdim=True).transpose(-1, -2)
        else:
            query, keys, values = (v.transpose(-1, -2) for v in (query, keys, values))
            attended = F.scaled_dot_product_attention(
                query, keys.contiguous(), values.contiguous(), attn_mask=bias.to(query.dtype)
            )
        x = x + self.dropout(self.merge(attended.transpose(1, 2).flatten(-2)))
        return x + self.dropout(self.feedforward(self.feedforward_norm(x))), cache
