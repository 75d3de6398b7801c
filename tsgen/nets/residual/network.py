"""The dilated residual network of DiffWave and TimeGrad, for events of one or two dimensions."""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from tsgen.nets.contract import block_outputs
from tsgen.nets.embedding import TimeEmbedding
from tsgen.nets.residual.backends import InputLayer, current_backend
from tsgen.nets.residual.evaluator import BlocksNet, ResidualEvaluator, stack_inputs
from tsgen.nets.residual.gradient import residual_blocks
from tsgen.nets.residual.reference import SLOPE, Weights, reference_blocks


class CircularConvolution(nn.Module):
    """Convolution of width 3 along the positions of (channels, positions, rows), ends joined.

    Written as a matrix product over shifted copies: with eight channels this trains three times as
    fast on a CPU as ``conv1d``.
    """

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.empty(out_channels, 3 * in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.kaiming_normal_(self.weight)

    def matrix(self, features: int, factor: float = 1.0) -> Tensor:
        """The weights, times a factor, in the order of columns of :class:`Weights`."""
        left, middle, right = (self.weight * factor).chunk(3, 1)
        no_features = left.new_zeros(len(left), features)
        return torch.cat([left, right, no_features, self.bias[:, None], middle], 1)


class DilatedResidualNet(BlocksNet):
    r"""Predicts an array of the shape of a noised event.

    It sees the event, the diffusion time and a conditioning vector. For an event ``(C,)`` the
    convolutions run along the C channels (TimeGrad: Rasul et al. 2021, figure 2); for ``(H, C)``
    they run along the H steps and the channels are features. Each block adds a projection of the
    time, convolves, adds a projection of the conditioning, gates, and hands on a residual and a
    skip part.

    :mod:`tsgen.nets.residual.reference` has its equations.

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

    doubles: Tensor
    halves: Tensor
    row_axis: ClassVar[int] = 2
    divides_rows: ClassVar[bool] = True

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
            nn.LeakyReLU(SLOPE),
            nn.Linear(max(outputs // 2, 8), outputs),
            nn.LeakyReLU(SLOPE),
        )
        self.cond_projection = nn.Linear(cond_channels, layers * 2 * channels)
        # the event, which of it was observed, and the rest
        self.input = nn.Linear((2 + extra) * features, channels)
        self.convolutions = nn.ModuleList(
            CircularConvolution(channels, 2 * channels, 2 ** (i % dilation_cycle))
            for i in range(layers)
        )
        self.outputs = block_outputs(layers, channels)
        self.skip = CircularConvolution(channels, channels)
        self.output = CircularConvolution(channels, features)
        doubles = torch.ones(2 * channels, 1)
        doubles[channels:] = 2
        self.register_buffer("doubles", doubles, persistent=False)
        self.register_buffer("halves", torch.arange(layers) / 2, persistent=False)
        nn.init.kaiming_normal_(self.input.weight)
        nn.init.zeros_(self.output.weight)

    @property
    @override
    def working_size(self) -> int:
        # features of the conditioning and a few copies of the event
        return self.positions * (self.cond_projection.in_features + 4 * self.input.in_features)

    @override
    def condition(self, cond: Tensor) -> Tensor:
        """Features of a conditioning (rows, *cond_shape), (k, positions, rows)."""
        lifted = self.upsample(cond)
        if not self.per_step:
            lifted = lifted.view(len(cond), self.positions, self.cond_projection.in_features)
        return lifted.permute(2, 1, 0).contiguous()

    @override
    def embed(self, t: Tensor) -> Tensor:
        """What times (rows,) in [0, 1] add to each block, (layers, 2 channels, rows).

        A time is added to all positions alike, so that the convolution of it is a product with the
        sum of the three taps.
        """
        projected = self.time_projection(self.time_embedding(t)).T
        taps = torch.stack([c.weight for c in self._blocks()[0]]).unflatten(2, (3, -1)).sum(2)
        return self.doubles * taps @ projected.reshape(self.layers, self.channels, len(t))

    def weights(self) -> Weights:
        r"""The parameters in the form of :mod:`tsgen.nets.residual.reference`.

        The state before block l is :math:`2^{l / 2}` times the papers', hence the growth, and the
        second half of W and b is doubled for :math:`\tanh x = 2 \sigma(2 x) - 1`. The sign of V
        follows from :math:`\sigma(g) \tanh(v / 2) = -\sigma(g) (1 - 2 \sigma(v))`.
        """
        width, (convolutions, outputs) = self.channels, self._blocks()
        growth = 2 ** self.halves.view(-1, 1, 1)
        taps = torch.stack([c.weight for c in convolutions]) / growth
        left, middle, right = taps.split(width, 2)
        features = self.cond_projection.weight.view(self.layers, 2 * width, -1)
        bias = self.cond_projection.bias.view(self.layers, -1)
        bias = (bias + torch.stack([c.bias for c in convolutions]))[:, :, None]
        stacked = self.doubles * torch.cat([left, right, features, bias, middle], 2)
        projections = [torch.cat([-o.weight, o.bias[:, None]], 1) for o in outputs]
        projections[-1] = F.pad(projections[-1], (0, 0, width, 0))
        residual, skip = torch.stack(projections).split(width, 1)
        k = features.shape[2]
        return Weights(
            stacked,
            torch.cat([residual * growth, skip], 1),
            # the sum of the skips is divided by the root of their number
            self.skip.matrix(k, self.layers**-0.5),
            self.output.matrix(k),
            tuple(c.dilation for c in convolutions),
        )

    def _blocks(self) -> tuple[list[CircularConvolution], list[nn.Linear]]:
        return cast(list[CircularConvolution], list(self.convolutions)), cast(
            list[nn.Linear], list(self.outputs)
        )

    @override
    def forward(
        self,
        x: Tensor,
        time: Tensor,
        conditioning: Tensor,
        observed: Tensor | None = None,
        extra: Tensor | None = None,
    ) -> Tensor:
        weight, bias = self.entry(observed is not None)
        hidden = F.leaky_relu(torch.addmm(bias, weight, stack_inputs(x, observed, extra)), SLOPE)
        hidden = hidden.view(self.channels, self.positions, len(x))
        blocks = reference_blocks if current_backend() == "reference" else residual_blocks
        return blocks(hidden, conditioning, time, self.weights()).permute(2, 1, 0).reshape(x.shape)

    @override
    def evaluator(self, cond: Tensor) -> ResidualEvaluator:
        """The network with its weights laid out and buffers for the rows of a conditioning."""
        return ResidualEvaluator(self, cond)

    def entry(self, masked: bool) -> InputLayer:
        """Weight and bias of the first layer; without a mask its ones are in the bias."""
        weight: Tensor = self.input.weight
        bias: Tensor = self.input.bias
        if not masked:
            features = self.output.weight.shape[0]
            values, mask, others = weight.tensor_split([features, 2 * features], 1)
            weight, bias = torch.cat([values, others], 1), bias + mask.sum(1)
        return weight, bias[:, None]
