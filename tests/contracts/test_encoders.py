import pytest
import torch

from tsgen.encoders import GRUEncoder, HistoryEncoder, LSTMEncoder, encoders
from tsgen.testing import check_encoder


@pytest.mark.parametrize("encoder", [GRUEncoder, LSTMEncoder])
@pytest.mark.parametrize("layers", [1, 2])
def test_conforms(encoder, layers):
    check_encoder(encoder, num_layers=layers)


def test_by_name():
    assert isinstance(encoders.build("lstm", 3), LSTMEncoder)
    with pytest.raises(ValueError, match="unknown encoder 'transfomer'; known are gru, lstm"):
        encoders.build("transfomer", 3)


def test_bad_options():
    with pytest.raises(ValueError, match=r"dropout=1.5 must lie in \[0, 1\)"):
        GRUEncoder(3, dropout=1.5)
    with pytest.raises(ValueError, match="input_size=0"):
        GRUEncoder(0)


def test_the_suite_finds_a_look_ahead():
    class Peeking(HistoryEncoder):
        def __init__(self, input_size: int) -> None:
            super().__init__(input_size)
            self.output_size = 4
            self.map = torch.nn.Linear(input_size, 4)

        def initial_state(self, batch_size):
            return torch.zeros(batch_size, 1)

        def forward(self, inputs, state=None, times=None, observed=None):
            return self.map(inputs) + inputs.mean((1, 2), keepdim=True), torch.zeros(len(inputs), 1)

    with pytest.raises(AssertionError, match="depends on later inputs"):
        check_encoder(Peeking)
