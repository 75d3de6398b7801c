"""Recurrent encoders."""

from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from tsgen.core import between
from tsgen.encoders.base import Encoded, HistoryEncoder, State


class GRUEncoder(HistoryEncoder):
    """Gated recurrent units and a linear map to the conditioning, as in TimeGrad's notebook.

    Cho et al. 2014.

    Args:
        input_size: features of an input.
        hidden_size: units of a layer.
        num_layers: layers.
        dropout: probability of dropping a unit between layers, in training.
        output_size: size of the conditioning.
    """

    cell: ClassVar[type[nn.GRU] | type[nn.LSTM]] = nn.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 40,
        num_layers: int = 2,
        dropout: Annotated[float, between(0, 1, "[)")] = 0.1,
        output_size: int = 100,
    ) -> None:
        super().__init__(input_size)
        self.rnn = self.cell(
            input_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        # torch draws input weights as wide as recurrent ones, whatever the number of inputs;
        # hundreds saturate the gates
        weight = self.rnn.get_parameter("weight_ih_l0")
        nn.init.uniform_(weight, -(input_size**-0.5), input_size**-0.5)
        self.projection = nn.Linear(hidden_size, output_size)
        self.output_size = output_size

    def initial_state(self, batch_size: int) -> State:
        """Zeros, (B, num_layers, hidden_size)."""
        weight = self.projection.weight
        return weight.new_zeros(batch_size, self.rnn.num_layers, self.rnn.hidden_size)

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
        outputs, last = self.rnn(inputs, self._swap(state))
        return Encoded(self.projection(outputs), self._swap(last))

    def step(
        self,
        inputs: Tensor,
        state: State,
        times: Tensor | None = None,
        observed: Tensor | None = None,
        query: Tensor | None = None,
    ) -> Encoded:
        """Encode one more input, (B, D_in) -> (B, output_size).

        On a CPU, where no gradients are needed, by the cell's own equations: there torch's GRU
        takes nearly twice as long for a single step.
        """
        plain = observed is None and inputs.device.type == "cpu" and not self.training
        if self.cell is not nn.GRU or torch.is_grad_enabled() or not plain:
            return super().step(inputs, state, times, observed, query)
        h, size, layers = inputs.T, self.rnn.hidden_size, []  # the batch along the columns
        for before, weights in zip(state.permute(1, 2, 0), self.rnn.all_weights, strict=True):
            of_input, of_state, bias, state_bias = (
                w if w.dim() == 2 else w[:, None] for w in weights
            )
            sums = torch.addmm(bias, of_input, h)
            gates = sums[: 2 * size].addmm_(of_state[: 2 * size], before)
            reset, update = gates.add_(state_bias[: 2 * size]).sigmoid_().chunk(2)
            new = torch.addmm(state_bias[2 * size :], of_state[2 * size :], before)
            new = new.mul_(reset).add_(sums[2 * size :]).tanh_()
            h = torch.lerp(new, before, update)
            layers.append(h)
        return Encoded(self.projection(h.T), torch.stack(layers).permute(2, 0, 1))

    def input_weights(self) -> list[Tensor]:
        """Those of the first layer."""
        return [self.rnn.get_parameter("weight_ih_l0")]

    def _swap(self, state: State) -> State:
        """Between batch first and torch's layers first."""
        return state.transpose(0, 1).contiguous()


class LSTMEncoder(GRUEncoder):
    """Long short-term memory (Hochreiter, Schmidhuber 1997).

    The arguments are those of :class:`GRUEncoder`.
    """

    cell: ClassVar[type[nn.GRU] | type[nn.LSTM]] = nn.LSTM

    def initial_state(self, batch_size: int) -> State:
        """Zeros for the output and for the memory cell."""
        return (super().initial_state(batch_size), super().initial_state(batch_size))

    def _swap(self, state: State) -> State:
        """Both tensors of the pair."""
        return (super()._swap(state[0]), super()._swap(state[1]))
