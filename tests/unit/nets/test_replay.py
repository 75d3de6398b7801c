"""Recording of GPU work, with a recorder of the same face on the CPU."""

from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from tsgen.nets.replay import Replayed


class OnGPU(Tensor):
    """Says that it is on a GPU."""

    @property
    def device(self) -> Any:  # type: ignore[override]
        """Not where it is."""
        return torch.device("cuda", 0)


class Graph:
    """Replays what was called while it was recorded; ``wrong`` by something else."""

    wrong = False

    def __init__(self) -> None:
        self.replays = 0

    def replay(self) -> None:
        """Once more, into the tensor that the recording returned."""
        self.replays += 1
        inputs, result = self.replayed.inputs, self.replayed.result
        result.copy_(self.replayed.function(inputs) + self.wrong)


class Work:
    """Adds noise to its input and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, values: Tensor) -> Tensor:
        self.calls += 1
        return 2 * values + torch.randn(3)


def recorded(monkeypatch: pytest.MonkeyPatch, wrong: bool = False) -> Replayed:
    """A function as on a GPU; recording leaves the generator alone, as there."""
    replayed = Replayed(Work())

    @contextmanager
    def record(graph: Any, stream: Any, capture_error_mode: str) -> Any:
        assert stream.index == 0  # the one of the values' device
        state = torch.get_rng_state()
        yield
        torch.set_rng_state(state)
        replayed.result.fill_(torch.nan)  # nothing has run
        graph.replayed, graph.wrong = replayed, wrong

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: device)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.get_rng_state())
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: torch.set_rng_state(state)
    )
    return replayed


@torch.no_grad()
def answers(function: Any) -> Tensor:
    """To six inputs, with noise that goes on from call to call."""
    torch.manual_seed(0)
    inputs = [torch.full((3,), float(i)).as_subclass(OnGPU) for i in range(6)]
    return torch.stack([torch.Tensor(function(x)).clone() for x in inputs])


def test_on_a_cpu_it_is_a_call() -> None:
    """Nothing is recorded."""
    work = Work()
    replayed = Replayed(work)
    for _ in range(4):
        assert replayed(torch.ones(3)).device.type == "cpu"
    assert work.calls == 4 and replayed.graph is None


def test_the_third_call_records_and_later_ones_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call's answer is the function's, the recording one's too, with the same noise."""
    replayed = recorded(monkeypatch)
    assert torch.equal(answers(replayed), answers(Work()))
    assert replayed.graph.replays == 4  # type: ignore[union-attr]  # the first checked the recording


def test_a_recording_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers stay right, and the user is told."""
    replayed = recorded(monkeypatch, wrong=True)
    with pytest.warns(UserWarning, match="without a CUDA graph: its answer differs"):
        found = answers(replayed)
    assert torch.equal(found, answers(Work()))
    assert replayed.graph is None


def test_with_gradients_it_is_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording has none."""
    replayed = recorded(monkeypatch)
    for _ in range(4):
        replayed(torch.ones(3, requires_grad=True).as_subclass(OnGPU)).sum().backward()
    assert replayed.graph is None and replayed.calls == 0


@torch.no_grad()
def test_an_answer_stays_when_others_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the recording's own memory."""
    replayed = recorded(monkeypatch)
    answers(replayed)
    values = torch.ones(3).as_subclass(OnGPU)
    first = replayed(values)
    kept = first.clone()
    replayed(values)
    assert torch.equal(first, kept)


def test_what_is_not_a_number_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of a model that has diverged."""
    replayed = recorded(monkeypatch)
    work = replayed.function
    replayed.function = lambda values: work(values).index_fill(0, torch.tensor([1]), torch.nan)
    assert answers(replayed)[:, 1].isnan().all()
    assert replayed.graph is not None


def test_a_recording_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers stay right, and its memory is given back."""
    replayed = recorded(monkeypatch)

    @contextmanager
    def fail(*args: Any, **options: Any) -> Any:
        yield
        raise RuntimeError("operation not permitted")

    monkeypatch.setattr(torch.cuda, "graph", fail)
    with pytest.warns(UserWarning, match="without a CUDA graph: operation not permitted"):
        found = answers(replayed)
    assert torch.equal(found, answers(Work()))
    assert not hasattr(replayed, "inputs") and not hasattr(replayed, "result")


@torch.no_grad()
def test_in_mixed_precision_it_is_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-precision copies of weights are gone at the next call."""
    replayed = recorded(monkeypatch)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: True)
    answers(replayed)
    assert replayed.calls == 0
