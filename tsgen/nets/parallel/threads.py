"""Threads of a CPU divide the rows of a network, instead of each of its operators.

torch divides every operator among its threads. The small products of a piece of rows that fits in a
core's cache gain little by that, and where another process takes a core, the threads wait for each
other at every one of them. Within :func:`rows_in_parallel` an operator runs in one thread, and
whole pieces are handed to as many threads as torch had: they meet once for all of a network.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock, Thread, local

import torch

MIN_COLUMNS = 8000
"""Fewest columns of a thread's share: with fewer, threads wait for each other in Python."""


class _Thread(local):
    """What a thread of Python knows of torch's threads."""

    threads = 1
    """Threads that divide rows in it."""
    computed = False
    """Whether a network may have run in it."""


_thread = _Thread()
_pools: dict[int, ThreadPoolExecutor] = {}
_pools_lock = Lock()


@contextmanager
def rows_in_parallel(enabled: bool = True) -> Iterator[None]:
    """Give torch's threads to :func:`run_parallel`, if enabled; they are given back afterwards.

    torch's threads spin for a while after each operator, in the way of any others: so it is one or
    the other for all that is done within. Other threads of the process keep theirs.
    """
    _thread.computed = True
    threads = torch.get_num_threads()
    if not enabled or threads == 1:
        yield
        return
    before = _thread.threads
    _thread.threads = threads
    _run_operators_in_one_thread(threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _thread.threads = before


def num_shares(columns: int, device: torch.device) -> int:
    """The number of threads among which so many columns are divided."""
    threads = _thread.threads if device.type == "cpu" else 1
    return max(1, min(threads, columns // MIN_COLUMNS))


def run_parallel(work: Sequence[Callable[[], None]]) -> None:
    """Do all work without gradients, each piece in a thread of its own if there are several.

    Several pieces need :func:`rows_in_parallel` around them.

    Raises:
        Exception: the first that a piece raised, after all pieces have ended.
    """
    if len(work) == 1:
        with torch.no_grad():
            work[0]()
        return
    inference = torch.is_inference_mode_enabled()  # each thread has a mode of its own
    pool = _pool(_thread.threads)
    futures = [pool.submit(_without_gradients, one, inference) for one in work]
    wait(futures)
    for future in futures:
        future.result()


def _without_gradients(work: Callable[[], None], inference: bool) -> None:
    with torch.inference_mode(inference), torch.no_grad():
        work()


def _pool(size: int) -> ThreadPoolExecutor:
    """A pool of so many threads whose operators are not divided."""
    with _pools_lock:
        if size not in _pools:
            _pools[size] = ThreadPoolExecutor(size, "tsgen", _run_operators_in_one_thread, (size,))
        return _pools[size]


def _run_operators_in_one_thread(usual: int) -> None:
    """Run this thread's operators in one thread, and those of threads to come in as many as usual.

    A thread that torch has not met has as many as were set last, in whatever thread that was.
    """
    torch.get_num_threads()  # now it has met this one
    torch.set_num_threads(1)
    last = Thread(target=torch.set_num_threads, args=(usual,), name="tsgen-usual")
    last.start()
    last.join()


def _reset_after_fork() -> None:
    """Forget the threads in a forked process, which does not have them.

    Nor has it torch's, for which the next divided operator would wait without end if the thread
    that forked had them.
    """
    global _pools_lock
    _pools.clear()
    _pools_lock = Lock()
    if _thread.computed:
        torch.set_num_threads(1)


os.register_at_fork(after_in_child=_reset_after_fork)
