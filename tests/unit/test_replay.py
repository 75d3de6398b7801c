"""Recording of GPU work, with a recorder of the same face on the CPU."""

from contextlib import contextmanager
from typing import Any

import pytest
import torch

from tsgen.nets.replay import Replayed


class Graph:
    """Replays what was called while it was recorded; ``wrong`` by something else."""

    wrong = False

    def __init__(self) -> None:
        self.replays = 0

    def replay(self) -> None:
        """Once more."""
        self.replays += 1
        self.work()
        if self.wrong:
            self.buffer += 1


class Work:
    """Doubles its buffer in place and counts."""

    def __init__(self) -> None:
        self.buffer, self.calls = torch.ones(3), 0

    def __call__(self) -> torch.Tensor:
        self.calls += 1
        return self.buffer.mul_(2)


def prepared(monkeypatch: pytest.MonkeyPatch, wrong: bool = False) -> tuple[Work, Replayed]:
    """A function as on a GPU; recording runs nothing, as there."""
    work = Work()

    @contextmanager
    def record(graph: Any) -> Any:
        kept, calls = work.buffer.clone(), work.calls
        yield
        work.buffer.copy_(kept)
        work.calls = calls
        graph.work, graph.buffer, graph.wrong = work, work.buffer, wrong

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    replayed = Replayed(work, work.buffer)
    replayed.left = Replayed._before
    return work, replayed


def test_on_a_cpu_it_is_a_call() -> None:
    """Nothing is recorded."""
    work = Work()
    replayed = Replayed(work, work.buffer)
    assert [replayed()[0].item() for _ in range(6)] == [2, 4, 8, 16, 32, 64]
    assert work.calls == 6 and replayed.graph is None


def test_the_third_call_records_and_later_ones_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call's answer is the function's, the recording one's too."""
    _, replayed = prepared(monkeypatch)
    assert [replayed()[0].item() for _ in range(6)] == [2, 4, 8, 16, 32, 64]
    assert replayed.graph.replays == 4  # the first checked the recording


def test_a_recording_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers stay right, and the user is told."""
    _, replayed = prepared(monkeypatch, wrong=True)
    with pytest.warns(UserWarning, match="without a CUDA graph"):
        assert [replayed()[0].item() for _ in range(6)] == [2, 4, 8, 16, 32, 64]
    assert replayed.graph is None
