"""The process's random generators: one thread at a time, whatever becomes of it."""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tsgen.core import seeded, seeded_everywhere
from tsgen.core.seeding import give_way


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Threads take turns so often that they meet in the middle of everything."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def drawn() -> tuple[float, float, float]:
    return torch.rand(()).item(), np.random.random(), random.random()


def at_once(*work: Callable[[], object]) -> list:
    """Results of functions that begin together, each in a thread of its own."""
    start = threading.Barrier(len(work))

    def run(one: Callable[[], object]) -> object:
        start.wait(30)
        return one()

    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result(60) for future in [pool.submit(run, one) for one in work]]


def nobody_waits() -> bool:
    """Whether a section gives way to nobody: for one that waits it would stand still a while."""
    seconds = []
    for _ in range(3):
        with seeded(None):
            start = time.monotonic()
            give_way()
            seconds.append(time.monotonic() - start)
    return min(seconds) < 0.1


def is_free() -> bool:
    """Whether another thread can be within a section, and is the only one that wants to."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(nobody_waits).result(10)
    except TimeoutError:
        return False
    finally:
        pool.shutdown(wait=False)


def test_each_thread_has_its_own_numbers() -> None:
    def section(seed: int | None) -> list:
        with seeded_everywhere(seed, "salt"):
            first = drawn()
            with seeded(seed, "inner"):
                inner = torch.randn(3).tolist()
            time.sleep(0)
            return [first, inner, [drawn() for _ in range(20)]]

    def sections(seed: int | None) -> list:
        return [section(seed) for _ in range(5)]

    alone = [section(seed) for seed in range(6)]
    *together, noise, more = at_once(*(lambda s=s: sections(s) for s in (*range(6), None, None)))
    for expected, results in zip(alone, together, strict=True):
        assert results == [expected] * 5
    unseeded = [value for part in (*noise, *more) for value in (*part[0], *part[1])]
    assert len(set(unseeded)) == len(unseeded)  # nobody's seed
    assert is_free()


def test_generators_are_put_back() -> None:
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    expected = [drawn(), drawn()]
    for error in (ValueError, KeyboardInterrupt, None):
        torch.manual_seed(1), np.random.seed(1), random.seed(1)
        found = [drawn()]
        try:
            with seeded(7), seeded_everywhere(8):
                drawn()
                if error is not None:
                    raise error
        except (ValueError, KeyboardInterrupt):
            pass
        found.append(drawn())
        assert found == expected and is_free()


def test_a_long_section_lets_others_in() -> None:
    """They draw from the generators as they were, and the section goes on with its own."""
    steps, order = 40, []
    deadline = time.monotonic() + 60

    def long(seed: int, company: bool = True) -> list:
        values = []
        with seeded_everywhere(seed), seeded(seed):  # both save torch's
            for step in range(steps):
                give_way()
                values.append(drawn())
                order.append(seed)
                if step == 0:
                    begun.set()
                while company and step == 1 and set(order) == {seed}:
                    assert time.monotonic() < deadline, "nobody was let in"
                    give_way()
        return values

    def short(seed: int | None) -> tuple:
        begun.wait(30)
        with seeded_everywhere(seed):
            order.append(seed)
            return drawn()

    begun = threading.Event()
    alone = {seed: long(seed, company=False) for seed in (1, 2)}
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    ambient, after = drawn(), drawn()
    with seeded_everywhere(9):
        expected = drawn()

    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    begun.clear(), order.clear()
    first, found = at_once(lambda: long(1), lambda: short(None))
    assert (first, found) == (alone[1], ambient) and drawn() == after
    assert order.index(None) < steps

    begun.clear(), order.clear()
    first, second, found = at_once(lambda: long(1), lambda: long(2), lambda: short(9))
    assert (first, second, found) == (alone[1], alone[2], expected)
    places = {seed: [i for i, one in enumerate(order) if one == seed] for seed in (1, 2, 9)}
    assert max(places[9][0], places[1][0], places[2][0]) < steps  # none waited for another's end
    assert is_free()


def test_giving_way_to_nobody_is_nothing() -> None:
    give_way()
    with seeded(0):
        state = torch.get_rng_state()
        give_way()
        assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises, also where a shell started the tests in the background, without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_while_waiting_leaves_nothing_behind() -> None:
    """In the main thread, that wants in, or that gave way."""
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with seeded(0):
            entered.set()
            leave.wait(30)

    def interrupt(leaves: bool) -> None:
        entered.wait(30)
        time.sleep(0.2)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.2)
        if leaves:
            leave.set()

    with ThreadPoolExecutor(2) as pool:
        pool.submit(hold), pool.submit(interrupt, False)
        entered.wait(30)
        with pytest.raises(KeyboardInterrupt), seeded(1):
            pytest.fail("another thread is within")
        leave.set()
    assert is_free()

    entered.clear(), leave.clear()
    state = torch.get_rng_state()
    with ThreadPoolExecutor(2) as pool, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with seeded(1):
            torch.rand(3)
            inside = torch.get_rng_state()
            holding = pool.submit(hold)
            pool.submit(interrupt, True)
            try:
                while not holding.done():  # until it waits there is nobody to give way to
                    give_way()
            except KeyboardInterrupt:
                assert torch.equal(torch.get_rng_state(), inside)
                raise
        holding.result(30)
    assert torch.equal(torch.get_rng_state(), state) and is_free()


def child(work: Callable[[], bool]) -> int:
    """Exit code of a forked process; 0 if the work returns True, a signal's if it waits."""
    process = os.fork()
    if process == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        code = 1
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def draws_as_ever(seed: int, expected: tuple, ambient: torch.Tensor | None = None) -> bool:
    """In a child: a section, its numbers, and the generator as it was outside of sections."""
    same = ambient is None or torch.equal(torch.get_rng_state(), ambient)
    with seeded_everywhere(seed):
        return drawn() == expected and same and nobody_waits()


@pytest.mark.parametrize("ends", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_process_forked_beside_a_section(ends: bool) -> None:
    """The fork waits for its end; for one that does not end, not for ever but 20 seconds."""
    with seeded_everywhere(5):
        expected = drawn()
    ambient = torch.get_rng_state()
    entered, leave = threading.Event(), threading.Event()

    def hold() -> bool:
        with seeded_everywhere(6):
            entered.set()
            return leave.wait(0.5 if ends else 60)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        entered.wait(30)
        assert child(lambda: draws_as_ever(5, expected, ambient)) == 0
        assert holding.done() == ends
        leave.set()
    assert is_free() and torch.equal(torch.get_rng_state(), ambient)


def test_a_process_forked_within_a_section_goes_on_with_it() -> None:
    with seeded_everywhere(5):
        expected = drawn()
    ambient = torch.get_rng_state()

    def work() -> bool:
        same = draws_as_ever(5, expected)
        stack.__exit__(None, None, None)
        return same and draws_as_ever(5, expected, ambient) and is_free()

    stack = seeded(4)
    stack.__enter__()
    assert child(work) == 0
    stack.__exit__(None, None, None)
    assert is_free()


def test_a_fork_has_its_turn_in_a_long_section() -> None:
    stop, begun = threading.Event(), threading.Event()

    def long() -> None:
        with seeded(0):
            while not stop.is_set():
                give_way()
                torch.rand(10)
                begun.set()

    with seeded_everywhere(5):
        expected = drawn()
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(long)
        begun.wait(30)
        codes = [child(lambda: draws_as_ever(5, expected)) for _ in range(3)]
        assert codes == [0] * 3 and not training.done()
        stop.set()
        training.result(30)
    assert is_free()
