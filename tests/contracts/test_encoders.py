import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.support.encoders import Penalised, Relaxing, Whole
from tsgen.core import seeded
from tsgen.encoders import (
    GRUEncoder,
    LSTMEncoder,
    PatternEncoder,
    TransformerEncoder,
    encoders,
)
from tsgen.encoders.base import select_rows
from tsgen.testing import check_encoder
from tsgen.testing.common import reload


def transformer(inputs=3, **options):
    """An untrained Transformer, in float64 so that equal means equal."""
    with seeded(0):
        return TransformerEncoder(inputs, **{"output_size": 4, **options}).double().eval()


def noise(rows, length, inputs=3):
    with seeded(1):
        return torch.randn(rows, length, inputs, dtype=torch.float64)


def assert_near(one, two):
    torch.testing.assert_close(one, two, atol=1e-9, rtol=0)


@pytest.mark.parametrize("encoder", [GRUEncoder, LSTMEncoder])
@pytest.mark.parametrize("layers", [1, 2])
def test_conforms(encoder, layers):
    check_encoder(encoder, num_layers=layers)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_single_steps_are_the_same_without_gradients(dtype, limit):
    """On a CPU they have code of their own; the state before a step is left as it was."""
    encoder = GRUEncoder(3, 7, 3, output_size=5).to(dtype).eval()
    state, inputs = torch.randn(4, 3, 7, dtype=dtype), torch.randn(6, 4, 3, dtype=dtype)
    other = state.clone()
    for row in inputs:
        kept = other.clone()
        out, state = encoder.step(row, state)[:2]
        with torch.no_grad():
            plain, after = encoder.step(row, other)[:2]
        assert torch.equal(kept, other) and after.shape == state.shape and after.dtype == dtype
        assert (out - plain).abs().max() < limit and (state - after).abs().max() < limit
        other = after


@pytest.mark.parametrize(
    ("temporal", "graph"),
    [(kind, graph) for kind in ("gru", "tcn", "attention") for graph in (True, False)]
    + [("none", True)],
)
def test_patterns_conform(temporal, graph):
    options = {"temporal": temporal, "graph": graph, "hidden_size": 8, "features": 4}
    check_encoder(PatternEncoder, num_channels=2, window=2, neighbours=1, **options)
    encoder = PatternEncoder(5, num_channels=2, window=2, neighbours=1, **options)
    rows = [] if options.get("temporal") == "none" else [2]
    assert [w.shape[1] for w in encoder.input_weights()] == [*rows, 1]  # channels, and the rest


def test_patterns_need_their_window():
    with pytest.raises(ValueError, match="input_size=5 must be at least .* = 6"):
        PatternEncoder(5, num_channels=2, window=3)
    with pytest.raises(ValueError, match="graph=False must be True with temporal='none'"):
        PatternEncoder(6, num_channels=2, window=3, temporal="none", graph=False)


@pytest.mark.parametrize("temporal", ["gru", "tcn", "attention"])
def test_temporal_patterns_see_the_order_of_rows(temporal):
    encoder = PatternEncoder(6, 2, 3, temporal, graph=False, hidden_size=8).eval()
    rows = noise(1, 1, 6).float()
    swapped = rows.unflatten(2, (3, 2)).flip(2).flatten(2)
    assert (encoder(rows)[0] - encoder(swapped)[0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window": None},
        {"window": 3},
        {"window": 1},
        {"d_model": 12, "num_heads": 3, "num_layers": 1, "feedforward": 5, "dropout": 0.0},
        {"d_model": 8, "num_heads": 4, "num_layers": 2},
    ],
)
def test_transformer_conforms(options):
    check_encoder(TransformerEncoder, **options)


@torch.no_grad()
@pytest.mark.parametrize("window", [1, 2, 5, 40, 256, None])
@pytest.mark.parametrize("stretch", [7, 256])
def test_transformer_goes_on_from_any_state(window, stretch, monkeypatch):
    """Pieces of every length, single steps among them, equal one pass over all."""
    monkeypatch.setattr(TransformerEncoder, "stretch", stretch)
    encoder, inputs = transformer(window=window), noise(2, 40)
    outputs, last = encoder(inputs)[:2]
    assert outputs.isfinite().all()
    state, pieces = encoder.initial_state(2), []
    for piece in inputs.split([1, 9, 1, 1, 20, 8], 1):
        if piece.shape[1] == 1:
            one, state = encoder.step(piece[:, 0], state)[:2]
            pieces.append(one[:, None])
        else:
            out, state = encoder(piece, state)[:2]
            pieces.append(out)
    assert_near(torch.cat(pieces, 1), outputs)
    for one, two in zip(state, last, strict=True):
        assert_near(one, two)


class LargestTensor(TorchDispatchMode):
    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [v.numel() for v in tree_leaves(result) if isinstance(v, torch.Tensor)]
        self.numbers = max([self.numbers, *sizes])
        return result


@torch.no_grad()
def test_transformer_encodes_long_streams_in_bounded_memory():
    length, window = 5000, 50
    encoder, inputs = transformer(window=window, num_layers=1), noise(1, length)
    with LargestTensor() as largest:
        outputs, last = encoder(inputs)[:2]
    assert largest.numbers <= 20 * length, "attention over the whole stream would be length ** 2"
    state, steps = encoder.initial_state(1), []
    for row in inputs.unbind(1):
        one, state = encoder.step(row, state)[:2]
        steps.append(one)
    assert_near(torch.stack(steps, 1), outputs)
    for cache, other in zip(state[1:], last[1:], strict=True):
        assert cache.shape == (1, 2, 4, 4, window - 1)
        assert cache.untyped_storage().nbytes() == 8 * 2 * 16 * window
        assert_near(cache, other)


@torch.no_grad()
def test_transformer_depends_on_distances_not_on_positions():
    encoder, inputs = transformer(window=4, num_layers=2), noise(2, 600)
    outputs, _ = encoder(inputs)[:2]
    reach = 2 * (4 - 1) + 1
    assert_near(encoder(inputs[:, -reach:])[0][:, -1], outputs[:, -1])
    shorter = encoder(inputs[:, 1 - reach :])[0][:, -1]
    assert (shorter - outputs[:, -1]).abs().max() > 1e-4
    count, *caches = encoder.initial_state(2)
    for start in (12_345, encoder.circle - 5):  # the second comes round to 0
        state = (count + start, *caches)
        for t in range(10):
            one, state = encoder.step(inputs[:, t], state)[:2]
            assert_near(one, outputs[:, t])
    encoder = transformer(num_layers=1)
    one, two = (encoder(inputs[:, order])[0][:, -1] for order in ([0, 1, 2], [1, 0, 2]))
    assert (one - two).abs().max() > 1e-3, "order matters"


@torch.no_grad()
@pytest.mark.parametrize("window", [None, 256, 5])
def test_transformer_looks_no_further_than_in_training(window):
    encoder, inputs = transformer(window=window, num_layers=1), noise(2, 30)
    everything, _ = encoder(inputs)[:2]
    encoder.train()(inputs[:, :8])
    encoder.train()(inputs[:, :6])
    seen = min(8, window or 8)
    for trained in (encoder.eval(), copy.deepcopy(encoder), reload(encoder).double()):
        outputs, state = trained(inputs)[:2]
        assert_near(outputs[:, :seen], everything[:, :seen])
        assert_near(outputs[:, -1], trained(inputs[:, -seen:])[0][:, -1])
        assert state[1].shape[-1] == seen - 1
    if window != 5:
        assert (outputs[:, -1] - everything[:, -1]).abs().max() > 1e-4


@torch.no_grad()
def test_rows_of_a_transformer_state_go_separate_ways():
    encoder, inputs = transformer(window=6), noise(3, 12)
    outputs, _ = encoder(inputs)[:2]
    _, state = encoder(inputs[:, :10])[:2]
    rows = torch.tensor([2, 0, 2])
    repeated = select_rows(state, rows)
    other, _ = encoder.step(inputs[rows, 10] + 1, repeated)[:2]
    one, after = encoder.step(inputs[rows, 10], repeated)[:2]  # the step before left no trace
    assert_near(one, outputs[rows, 10])
    assert (other - one).abs().max() > 1e-3
    two, _ = encoder.step(inputs[rows, 11], after)[:2]
    assert_near(two, outputs[rows, 11])


def test_transformer_finds_what_came_a_season_ago():
    """Without lags or calendar, and in logs twenty times as long as in training.

    Series repeat 6 random levels with noise of variance 0.04. The mean of the k values a season
    apart has the error 0.04 (1 + 1/k), where k is 2 to 4; knowing nothing has 1.04.
    """

    def data(count, length):
        first, levels = torch.randint(6, (count, 1)), torch.randn(count, 6)
        values = levels.gather(1, (first + torch.arange(length + 1)) % 6)
        return (values + 0.2 * torch.randn_like(values))[..., None]

    def errors(y):
        return (head(encoder(y[:, :-1])[0]) - y[:, 1:]).square().mean((0, 2))

    with seeded(0):
        encoder, head = TransformerEncoder(1, num_layers=2, dropout=0.0), torch.nn.Linear(100, 1)
        parameters = [*encoder.parameters(), *head.parameters()]
        optimiser = torch.optim.Adam(parameters)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=300)
        for _ in range(300):
            optimiser.zero_grad()
            errors(data(32, 24))[12:].mean().backward()
            optimiser.step()
            schedule.step()
        encoder.eval()
        with torch.no_grad():
            found = errors(data(100, 480))
    assert found[12:24].mean() < 0.1
    assert found[240:].mean() < 0.1


@torch.no_grad()
def test_transformer_drops_units_in_training_only():
    inputs = noise(2, 8)
    for dropout, differs in ((0.5, True), (0.0, False)):
        encoder = transformer(dropout=dropout)
        assert torch.equal(encoder(inputs)[0], encoder(inputs)[0])
        encoder.train()
        assert torch.equal(encoder(inputs)[0], encoder(inputs)[0]) is not differs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_model": 10}, r"d_model=10 must be a multiple of 2 \* num_heads=8"),
        ({"d_model": 12}, r"d_model=12 must be a multiple of 2 \* num_heads=8"),
        ({"dropout": 1.0}, r"dropout=1.0 must be in \[0, 1\)"),
        ({"dropout": -0.1}, r"dropout=-0.1 must be in \[0, 1\)"),
        ({"window": 0}, "window=0 must be at least 1"),
        ({"window": 2.5}, "window=2.5"),
        ({"d_model": 0}, "d_model=0 must be at least 1"),
        ({"num_heads": 0}, "num_heads=0 must be at least 1"),
        ({"num_layers": 0}, "num_layers=0 must be at least 1"),
        ({"feedforward": 0}, "feedforward=0 must be at least 1"),
        ({"output_size": -1}, "output_size=-1 must be at least 1"),
        ({"heads": 2}, "did you mean 'num_heads'"),
    ],
)
def test_bad_options_of_the_transformer(options, message):
    with pytest.raises(ValueError, match=f"TransformerEncoder.*{message}"):
        TransformerEncoder(3, **options)


def test_by_name():
    assert isinstance(encoders.build("lstm", 3), LSTMEncoder)
    assert isinstance(encoders.build("transformer", 3), TransformerEncoder)
    with pytest.raises(ValueError, match="'transfomer'; known are gru, lstm, transformer"):
        encoders.build("transfomer", 3)


def test_bad_options():
    with pytest.raises(ValueError, match=r"dropout=1.5 must be in \[0, 1\)"):
        GRUEncoder(3, dropout=1.5)
    with pytest.raises(ValueError, match="input_size=0"):
        GRUEncoder(0)


class Unsaid(Whole):
    """It looks ahead and does not say so."""

    causal = True


@pytest.mark.parametrize("encoder", [Relaxing, Penalised, Whole])
def test_encoders_with_times_penalties_and_hindsight_conform(encoder):
    check_encoder(encoder)


def test_the_suite_finds_a_look_ahead():
    with pytest.raises(AssertionError, match="depends on later inputs"):
        check_encoder(Unsaid)


class Greedy(Penalised):
    """One penalty for all rows."""

    def forward(self, *args, **others):
        encoded = super().forward(*args, **others)
        return encoded._replace(penalty=encoded.penalty.sum())


class Late(Relaxing):
    """An output depends on the time of the next input."""

    def forward(self, inputs, state=None, times=None, observed=None, query=None):
        encoded = super().forward(inputs, state, times, observed, query)
        if times is None:
            return encoded
        later = torch.cat([times[:, 1:], times[:, -1:]], 1)
        return encoded._replace(outputs=encoded.outputs + later[..., None])


@pytest.mark.parametrize(
    ("encoder", "message"),
    [(Greedy, "penalty is not one number for each row"), (Late, "depends on later times")],
)
def test_the_suite_finds_penalties_and_times_that_are_wrong(encoder, message):
    with pytest.raises(AssertionError, match=message):
        check_encoder(encoder)
