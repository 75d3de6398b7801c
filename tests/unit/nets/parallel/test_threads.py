"""Rows divided among threads: the same results, nothing left behind."""

import multiprocessing
import threading
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch

from tsgen import GaussianEstimator, TimeGradEstimator
from tsgen.anomaly import ForecastDetector
from tsgen.anomaly.scorers import DenoisingError
from tsgen.diffusion import LinearSchedule
from tsgen.nets import Axial
from tsgen.nets.parallel import threads
from tsgen.nets.parallel.threads import num_shares, rows_in_parallel, run_parallel

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of torch's threads; a share may be small."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    monkeypatch.setattr(threads, "MIN_COLUMNS", 10)
    yield
    torch.set_num_threads(before)


def test_threads_are_lent_and_given_back() -> None:
    assert num_shares(1000, CPU) == 1  # torch has them
    with rows_in_parallel():
        assert torch.get_num_threads() == 1
        assert [num_shares(n, CPU) for n in (0, 19, 20, 29, 30, 1000)] == [1, 1, 2, 2, 3, 3]
        assert num_shares(1000, torch.device("cuda")) == 1
        with rows_in_parallel():
            assert torch.get_num_threads() == 1 and num_shares(1000, CPU) == 3
        assert num_shares(1000, CPU) == 3
    assert torch.get_num_threads() == 3 and num_shares(1000, CPU) == 1
    with rows_in_parallel(False):
        assert torch.get_num_threads() == 3 and num_shares(1000, CPU) == 1
    with pytest.raises(KeyError), rows_in_parallel():
        raise KeyError
    assert torch.get_num_threads() == 3 and num_shares(1000, CPU) == 1


def test_work_is_done_side_by_side_in_one_thread_each() -> None:
    """Three that wait for each other must be at work together."""
    meet, found = threading.Barrier(3), {}
    weight = torch.ones(2, requires_grad=True)

    def work() -> None:
        meet.wait(30)
        found[threading.get_ident()] = torch.get_num_threads(), (weight * 2).requires_grad

    for _ in range(2):
        found.clear()
        with rows_in_parallel():
            run_parallel([work] * 3)
        assert list(found.values()) == [(1, False)] * 3
        assert threading.get_ident() not in found
    with rows_in_parallel():
        run_parallel([lambda: None] * 2)
    ours = [one for one in threading.enumerate() if one.name.startswith("tsgen")]
    assert len(ours) <= 3  # however many are wanted at a time
    assert torch.get_num_threads() == 3 and torch.is_grad_enabled()
    other: list[int] = []
    thread = threading.Thread(target=lambda: other.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert other == [3]  # threads of others are as they would have been


def test_an_error_comes_when_nothing_is_at_work_any_more() -> None:
    done = []

    def fail() -> None:
        raise ZeroDivisionError("first")

    def last() -> None:
        time.sleep(0.2)
        done.append(True)

    with pytest.raises(ZeroDivisionError, match="first"), rows_in_parallel():
        run_parallel([fail, last])
    assert done == [True]


def _in_a_child() -> None:
    total = torch.zeros(2)
    with rows_in_parallel():
        run_parallel([lambda: total[0].add_(1), lambda: total[1].add_(2)])
    assert total.tolist() == [1, 2]


def test_a_forked_process_has_threads_of_its_own() -> None:
    """GluonTS' ParallelizedPredictor forks."""
    with rows_in_parallel():
        run_parallel([lambda: None] * 2)
    child = multiprocessing.get_context("fork").Process(target=_in_a_child)
    child.start()
    child.join(60)
    child.kill()
    assert child.exitcode == 0


def test_threads_that_begin_meanwhile_divide_as_usual() -> None:
    """Also those that begin beside the first threads of the pool."""
    asked: list[int] = []

    def ask() -> None:
        thread = threading.Thread(target=lambda: asked.append(torch.get_num_threads()))
        thread.start()
        thread.join()

    torch.set_num_threads(5)  # of which there is no pool yet
    with rows_in_parallel():
        ask()
        run_parallel([lambda: time.sleep(0.05)] * 3)
        ask()
        assert torch.get_num_threads() == 1
    assert asked == [5, 5]


def _large() -> None:
    """What torch divides among its threads."""
    values = torch.ones(1200, 1200)
    torch.sigmoid(values @ values).sum()


def _child_of_one_that_computed() -> None:
    _large()
    assert torch.get_num_threads() == 1


def test_a_process_forked_after_a_forecast_does_not_wait_for_torchs_threads() -> None:
    """Which it does not have: their next common operator would never end."""
    with rows_in_parallel(False):
        _large()
    child = multiprocessing.get_context("fork").Process(target=_child_of_one_that_computed)
    child.start()
    child.join(30)
    child.kill()
    assert child.exitcode == 0
    assert torch.get_num_threads() == 3


def data() -> list[dict]:
    values = np.random.default_rng(0).normal(5, 1, (3, 60))
    return [{"start": pd.Period("2021-01-01", freq="h"), "target": values}]


def test_training_and_forecasts_are_those_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the last digits of sums; in inference mode, too."""
    asked = []
    real = threads.num_shares
    monkeypatch.setattr(
        "tsgen.nets.residual.pieces.num_shares", lambda *a: asked.append(real(*a)) or asked[-1]
    )
    options = {"max_epochs": 1, "num_batches_per_epoch": 3, "batch_size": 8, "verbose": False}
    estimator = TimeGradEstimator(
        3, schedule=LinearSchedule(8), lags_seq=(1, 2), device="cpu", **options
    )

    def forecast() -> np.ndarray:
        predictor = estimator.train(data(), seed=0)
        assert max(asked) == torch.get_num_threads()
        asked.clear()
        (drawn,) = predictor.predict(data(), num_samples=40, seed=1)
        assert max(asked) == torch.get_num_threads()
        with torch.inference_mode():
            (again,) = predictor.predict(data(), num_samples=40, seed=1)
        assert (again.samples == drawn.samples).all()
        asked.clear()
        return drawn.samples

    several = forecast()
    torch.set_num_threads(1)
    np.testing.assert_allclose(several, forecast(), rtol=1e-3, atol=1e-3)


def test_logs_are_scored_by_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors, and the band of what was expected, are those of one thread."""
    asked = []
    real = threads.num_shares
    monkeypatch.setattr(
        "tsgen.nets.residual.pieces.num_shares", lambda *a: asked.append(real(*a)) or asked[-1]
    )
    estimator = TimeGradEstimator(
        1, schedule=LinearSchedule(8), context_length=4, device="cpu", max_epochs=1,
        num_batches_per_epoch=3, batch_size=8, verbose=False,
    )  # fmt: skip
    log = np.random.default_rng(0).normal(5, 1, (120, 3))
    detector = ForecastDetector(estimator=estimator, scorer=DenoisingError()).fit(log)
    found = []
    for count in (3, 1):
        torch.set_num_threads(count)
        for ask in (detector.decision_function, detector.expected):
            asked.clear()
            found.append(np.asarray(ask(log)))
            assert max(asked) == count, ask
    np.testing.assert_allclose(found[0], found[2], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[1], found[3], rtol=1e-3, atol=1e-3)


def test_models_of_large_operators_keep_torchs_threads() -> None:
    """They have no rows to divide."""
    options = {"max_epochs": 1, "num_batches_per_epoch": 1, "verbose": False, "device": "cpu"}
    for estimator, expected in ((TimeGradEstimator, 1), (GaussianEstimator, 3)):
        with estimator(3, lags_seq=(1,), **options).train(data(), seed=0).inference():
            assert torch.get_num_threads() == expected and not torch.is_grad_enabled()
        assert torch.get_num_threads() == 3 and torch.is_grad_enabled()
    assert not GaussianEstimator(3).build_model((2,), (4,)).divides_rows
    assert TimeGradEstimator(3).build_model((2,), (4,)).divides_rows
    axial = TimeGradEstimator(3, decoding="horizon", network=Axial())
    assert not axial.build_model((3, 2), (3, 4)).divides_rows
