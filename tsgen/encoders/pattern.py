"""Temporal and feature patterns of a window of lagged values (TFDPM-style)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from tsgen.core import OptionError
from tsgen.encoders.base import Encoded, HistoryEncoder, State
from tsgen.nets import GraphAttention


class PatternEncoder(HistoryEncoder):
    """What the last W rows look like along time, and across channels.

    Yan, Zhou, Zhan, Xia 2021 (arXiv 2112.10774) describe a temporal and a feature pattern
    extractor, the latter a graph neural network; their sizes are not known to us. Here the temporal
    pattern is read off the rows of the window as they follow each other, and the feature pattern
    off each channel's own window by graph attention over the channels. Each step sees its own
    window only: the state is empty.

    Inputs are those of a forecaster with ``lags_seq=(1, ..., W)``: the first W x C are the lagged
    values, the latest first.

    Args:
        input_size: D_in, at least W x C; what is beyond goes through one layer.
        num_channels: C.
        window: W.
        temporal: "gru"; "tcn", causal convolutions whose dilations double; "attention", the last
            row over all rows; or "none".
        graph: whether there is a feature pattern.
        neighbours: of each channel, see :class:`~tsgen.nets.GraphAttention`.
        adjacency: a graph known in advance.
        hidden_size: of the temporal pattern.
        features: of each channel in the feature pattern.
    """

    def __init__(
        self,
        input_size: int,
        num_channels: int,
        window: int,
        temporal: Literal["gru", "tcn", "attention", "none"] = "gru",
        graph: bool = True,
        neighbours: int = 15,
        adjacency: tuple[tuple[bool, ...], ...] | None = None,
        hidden_size: int = 128,
        features: int = 16,
    ) -> None:
        super().__init__(input_size)
        if input_size < window * num_channels:
            least = f"at least window x num_channels = {window * num_channels}"
            raise OptionError(type(self).__name__, "input_size", input_size, least)
        if temporal == "none" and not graph:
            raise OptionError(type(self).__name__, "graph", graph, "True with temporal='none'")
        self.channels, self.window, self.kind = num_channels, window, temporal
        self.temporal = {"gru": _GRU, "tcn": _TCN, "attention": _Attention, "none": _Nothing}[
            temporal
        ](num_channels, window, hidden_size)
        self.node = nn.Linear(window, features) if graph else None
        self.graph = (
            GraphAttention(num_channels, features, neighbours, adjacency) if graph else None
        )
        rest = input_size - window * num_channels
        self.rest = nn.Linear(rest, min(rest, hidden_size)) if rest else None
        self.output_size = min(rest, hidden_size) + (0 if temporal == "none" else hidden_size)
        self.output_size += num_channels * features if graph else 0

    def input_weights(self) -> list[Tensor]:
        """Those that see all channels of a row, and those of what is beyond the lagged values."""
        layer = "rnn.weight_ih_l0" if self.kind == "gru" else "input.weight"
        rows: list[Tensor] = [] if self.kind == "none" else [self.temporal.get_parameter(layer)]
        return rows if self.rest is None else [*rows, self.rest.weight]

    def initial_state(self, batch_size: int) -> State:
        """Nothing, (B, 0)."""
        return next(self.parameters()).new_zeros(batch_size, 0)

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
        if state is None:
            state = self.initial_state(len(inputs))
        flat = inputs.flatten(0, 1)
        size = self.window * self.channels
        rows = flat[:, :size].unflatten(1, (self.window, self.channels)).flip(1)
        parts = [] if self.rest is None else [self.rest(flat[:, size:])]
        if self.kind != "none":
            parts.append(self.temporal(rows))
        if self.node is not None and self.graph is not None:
            parts.append(self.graph(self.node(rows.transpose(1, 2))).flatten(1))
        return Encoded(torch.cat(parts, 1).unflatten(0, inputs.shape[:2]), state)


class _GRU(nn.Module):
    """The last state of gated recurrent units over the rows."""

    def __init__(self, channels: int, window: int, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(channels, hidden, batch_first=True)
        weight = self.rnn.get_parameter("weight_ih_l0")
        nn.init.uniform_(weight, -(channels**-0.5), channels**-0.5)

    def forward(self, rows: Tensor) -> Tensor:
        return self.rnn(rows)[1][0]


class _TCN(nn.Module):
    """Causal convolutions of width 2 whose dilations double, read at the last row."""

    def __init__(self, channels: int, window: int, hidden: int) -> None:
        super().__init__()
        depth = max(1, (window - 1).bit_length())
        self.input = nn.Linear(channels, hidden)
        self.layers = nn.ModuleList(
            nn.Conv1d(hidden, hidden, 2, dilation=2**i) for i in range(depth)
        )

    def forward(self, rows: Tensor) -> Tensor:
        h = self.input(rows).transpose(1, 2)
        for layer in self.layers:
            assert isinstance(layer, nn.Conv1d)
            h = h + F.silu(layer(F.pad(h, (layer.dilation[0], 0))))
        return h[:, :, -1]


class _Attention(nn.Module):
    """The last row attends to all rows, whose places are learnt."""

    def __init__(self, channels: int, window: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(channels, hidden)
        self.places = nn.Parameter(0.1 * torch.randn(window, hidden))
        self.attention = nn.MultiheadAttention(hidden, 4, batch_first=True)
        self.output = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.SiLU())

    def forward(self, rows: Tensor) -> Tensor:
        h = self.input(rows) + self.places
        attended, _ = self.attention(h[:, -1:], h, h, need_weights=False)
        last = h[:, -1] + attended[:, 0]
        return last + self.output(last)


class _Nothing(nn.Module):
    def __init__(self, channels: int, window: int, hidden: int) -> None:
        super().__init__()
