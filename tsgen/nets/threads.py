"""Rows divided among threads on a CPU, and not operators.

torch divides every operator among its threads. The small products of a piece of rows that fits in a
core's cache gain little by that, and where another process takes a core, the threads wait for each
other at every one of them. Within :func:`rows_divided` an operator runs in one thread, and whole
pieces are handed to as many as torch had: they meet once for all of a network.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock, Thread, local

import torch

SMALLEST = 8000
"""Columns of a thread's share: with fewer, threads mostly wait for each other in Python."""

_spare = local()
_pools: dict[int, ThreadPoolExecutor] = {}
_making = Lock()


@contextmanager
def rows_divided(wanted: bool = True) -> Iterator[None]:
    """Give torch's threads to :func:`side_by_side`, if wanted; they are given back afterwards.

    torch's threads spin for a while after each operator, in the way of any others: so it is one or
    the other for all that is done within. Other threads of the process keep theirs.
    """
    _spare.computed = True
    threads = torch.get_num_threads()
    if not wanted or threads == 1:
        yield
        return
    before = getattr(_spare, "threads", 1)
    _spare.threads = threads
    _divide_no_operator(threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _spare.threads = before


def num_shares(columns: int, device: torch.device) -> int:
    """Among how many threads so many columns are divided."""
    threads = getattr(_spare, "threads", 1) if device.type == "cpu" else 1
    return max(1, min(threads, columns // SMALLEST))


def side_by_side(work: Sequence[Callable[[], None]]) -> None:
    """Within :func:`rows_divided` do all of it, without gradients; a thread for each but one alone.

    Raises:
        Exception: the first that a piece raised, when none is at work any more.
    """
    if len(work) == 1:
        with torch.no_grad():
            work[0]()
        return
    inference = torch.is_inference_mode_enabled()  # each thread has a mode of its own
    pool = _pool(_spare.threads)
    futures = [pool.submit(_alone, one, inference) for one in work]
    wait(futures)
    for future in futures:
        future.result()


def _alone(work: Callable[[], None], inference: bool) -> None:
    with torch.inference_mode(inference), torch.no_grad():
        work()


def _pool(size: int) -> ThreadPoolExecutor:
    """So many threads whose operators are not divided."""
    with _making:
        if size not in _pools:
            _pools[size] = ThreadPoolExecutor(size, "tsgen", _divide_no_operator, (size,))
        return _pools[size]


def _divide_no_operator(usual: int) -> None:
    """Run this thread's operators in one thread, and those of threads to come in as many as usual.

    A thread that torch has not met has as many as were set last, in whatever thread that was.
    """
    torch.get_num_threads()  # now it has met this one
    torch.set_num_threads(1)
    last = Thread(target=torch.set_num_threads, args=(usual,), name="tsgen-usual")
    last.start()
    last.join()


def _forget() -> None:
    """In a forked process, which does not have the threads.

    Nor has it torch's, for which the next divided operator would wait without end if the thread
    that forked had them.
    """
    global _making
    _pools.clear()
    _making = Lock()
    if getattr(_spare, "computed", False):
        torch.set_num_threads(1)


os.register_at_fork(after_in_child=_forget)
