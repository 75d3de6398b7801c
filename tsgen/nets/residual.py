"""The dilated residual network of DiffWave and TimeGrad, for events of one or two dimensions."""

import math
from collections.abc import Iterable, Iterator
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsgen.nets.embedding import TimeEmbedding

_SLOPE = 0.4


class _Shift(nn.Module):
    """Convolution of width 3 along the last dimension of (channels, rows, positions), ends joined.

    Written as a matrix product over shifted copies: with eight channels this trains three times as
    fast on a CPU as ``conv1d`` and samples as fast.
    """

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.empty(out_channels, 3 * in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        shifted = torch.cat([x.roll(self.dilation, -1), x, x.roll(-self.dilation, -1)])
        return _mix(self.weight, shifted, self.bias)


def _mix(weight: Tensor, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """(out, in) times (in, rows, positions)."""
    flat = x.reshape(len(x), -1)
    mixed = weight @ flat if bias is None else torch.addmm(bias[:, None], weight, flat)
    return mixed.view(-1, *x.shape[1:])


class DilatedResidualNet(nn.Module):
    r"""Predicts an array of the shape of a noised event.

    It sees the event, the diffusion time and a conditioning vector. For an event ``(C,)`` the
    convolutions run along the C channels (TimeGrad: Rasul et al. 2021, figure 2); for ``(H, C)``
    they run along the H steps and the channels are features. Each block adds a projection of the
    time, convolves, adds a projection of the conditioning, gates, and hands on a residual and a
    skip part.

    What depends only on the conditioning (:meth:`condition`) or only on the time (:meth:`embed`) is
    a call of its own, so that a sampler makes it once.

    Args:
        event_shape: (C,) or (H, C).
        cond_shape: (D,) or, for an event (H, C), (H, D).
        layers: number of residual blocks.
        channels: width of the blocks.
        dilation_cycle: the dilations 1, 2, 4, ... start anew after this many blocks.
        cond_channels: conditioning features per position (the paper has one).
        embedding: size of the time's embedding, half sines and half cosines.
        hidden: width of the time embedding's layers.
        max_frequency: the largest angular frequency of the embedding of t in [0, 1].
        extra: further arrays of the event's shape that are seen beside it.
    """

    row_axis: ClassVar[int] = 2

    def __init__(
        self,
        event_shape: tuple[int, ...],
        cond_shape: tuple[int, ...],
        layers: int = 8,
        channels: int = 8,
        dilation_cycle: int = 2,
        cond_channels: int = 1,
        embedding: int = 32,
        hidden: int = 64,
        max_frequency: float = 100.0,
        extra: int = 0,
    ) -> None:
        super().__init__()
        self.event_shape, self.cond_shape = event_shape, cond_shape
        self.positions = event_shape[0]
        features = 1 if len(event_shape) == 1 else event_shape[1]
        self.channels, self.layers = channels, layers
        self.time_embedding = TimeEmbedding(embedding, hidden, max_frequency)
        self.time_projection = nn.Linear(hidden, layers * channels)
        self.per_step = len(cond_shape) == 2
        outputs = cond_channels if self.per_step else cond_channels * self.positions
        self.upsample = nn.Sequential(
            nn.Linear(cond_shape[-1], max(outputs // 2, 8)),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(max(outputs // 2, 8), outputs),
            nn.LeakyReLU(_SLOPE),
        )
        self.cond_projection = nn.Linear(cond_channels, layers * 2 * channels)
        # the event, which of it was observed, and the rest
        self.input = nn.Linear((2 + extra) * features, channels)
        self.convolutions = nn.ModuleList(
            _Shift(channels, 2 * channels, 2 ** (i % dilation_cycle)) for i in range(layers)
        )
        # the last block has no residual part: nothing would read it
        self.outputs = nn.ModuleList(
            nn.Linear(channels, 2 * channels if i < layers - 1 else channels) for i in range(layers)
        )
        self.skip = _Shift(channels, channels)
        self.output = _Shift(channels, features)
        nn.init.kaiming_normal_(self.input.weight)
        nn.init.zeros_(self.output.weight)

    @property
    def working_size(self) -> int:
        """Numbers held per row: conditioning of every block and a handful of activations."""
        return self.positions * self.channels * (2 * self.layers + 12)

    def condition(self, cond: Tensor) -> Iterator[Tensor]:
        """What each block adds for a conditioning (rows, *cond_shape), in turn.

        (2 channels, rows, positions) each.
        """
        lifted = self.upsample(cond)
        if not self.per_step:
            lifted = lifted.view(len(cond), self.positions, -1)
        lifted = lifted.permute(2, 0, 1).contiguous()
        weights, biases = (
            self.cond_projection.weight.chunk(self.layers),
            self.cond_projection.bias.chunk(self.layers),
        )
        return (_mix(w, lifted, b) for w, b in zip(weights, biases, strict=True))

    def embed(self, t: Tensor) -> Tensor:
        """Times (rows,) in [0, 1] -> (layers, channels, rows, 1)."""
        projected = self.time_projection(self.time_embedding(t))
        return projected.T.reshape(self.layers, self.channels, len(t), 1)

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        conditioning: Iterable[Tensor],
        observed: Tensor | None = None,
        extra: Tensor | None = None,
    ) -> Tensor:
        """Predict.

        Args:
            x: noised events (rows, *event_shape).
            time: result of :meth:`embed`, for as many rows or for one.
            conditioning: result of :meth:`condition`; a list of it can be used many times.
            observed: 1 where ``x`` is real and 0 where it must not be looked at, like ``x``;
                ``None`` is all ones.
            extra: the further arrays (number, rows, *event_shape).

        Returns:
            (rows, *event_shape).
        """
        hidden = F.leaky_relu(self._enter(x, observed, extra), _SLOPE)
        skips = torch.zeros_like(hidden)
        outputs = cast(Iterable[nn.Linear], self.outputs)
        blocks = zip(self.convolutions, outputs, time, conditioning, strict=True)
        for i, (convolution, output, shift, added) in enumerate(blocks):
            gate, value = (convolution(hidden + shift) + added).chunk(2)
            out = F.leaky_relu(
                _mix(output.weight, gate.sigmoid() * value.tanh(), output.bias), _SLOPE
            )
            if i < self.layers - 1:
                residual, out = out.chunk(2)
                hidden = (hidden + residual) * math.sqrt(0.5)
            skips = skips + out
        skips = F.leaky_relu(self.skip(skips / math.sqrt(self.layers)), _SLOPE)
        result = self.output(skips)
        return result[0] if x.dim() == 2 else result.permute(1, 2, 0)

    def _enter(self, x: Tensor, observed: Tensor | None, extra: Tensor | None) -> Tensor:
        """The first layer, (channels, rows, positions)."""

        def flat(array: Tensor) -> Tensor:
            return array[None] if array.dim() == 2 else array.permute(2, 0, 1)

        event, weight, bias = flat(x), self.input.weight, self.input.bias
        shown, hidden, others = weight.split(
            [len(event), len(event), weight.shape[1] - 2 * len(event)], 1
        )
        parts, weights = [event], [shown]
        if observed is None:
            bias = bias + hidden.sum(1)
        else:
            mask = flat(observed)
            parts, weights = [event * mask, mask], [shown, hidden]
        if extra is not None:
            parts, weights = [*parts, *map(flat, extra)], [*weights, others]
        return _mix(torch.cat(weights, 1), torch.cat(parts), bias)
