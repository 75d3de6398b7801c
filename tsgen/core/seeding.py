"""The random generators, which belong to the whole process, used by one thread at a time.

torch, NumPy and Python each have one global generator. To draw under a seed is to seed it, draw,
and put it back: a thread that drew meanwhile would get the seed's numbers, and the first thread
would miss them. So whatever the library draws, with a seed or without, it draws in a section of
:func:`seeded`, and one thread is within at a time. A thread may enter again. A section that takes
minutes, a training, lets others in between two of its steps by :func:`give_way`.

What is not covered: threads that draw from the global generators by themselves. They should do as
the library does, ``with seeded(None): ...``. And within a section, nothing may wait for another
thread that draws: a callback of a training that forecasts does so in the training's own thread.

A process is forked while no other thread is within a section, for which the fork waits: the child
finds the generators as they are between sections, and no lock that nobody is left to give back.
"""

import os
import random
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

_LONGEST = 0.2
"""Seconds that a section gives way for, if those who waited for it have gone."""
_FORK_WAITS = 20.0
"""Seconds that a fork waits for another thread's section; foreign code may never end."""


class _Generator(NamedTuple):
    """A global generator: how its state is taken and put back, and how it is seeded."""

    state: Callable[[], Any]
    restore: Callable[[Any], None]
    seed: Callable[[int], Any]


def _torch_state() -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Of the CPU, and of every GPU unless this is a forked process, which can use none."""
    gpus = torch.cuda.is_available() and not torch.cuda._is_in_bad_fork()
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if gpus else []


def _restore_torch(state: tuple[torch.Tensor, list[torch.Tensor]]) -> None:
    torch.set_rng_state(state[0])
    if state[1] and not torch.cuda._is_in_bad_fork():
        torch.cuda.set_rng_state_all(state[1])


def seed_torch(seed: int) -> None:
    """Seed torch's generators of the CPU and of the devices that this machine has.

    ``torch.manual_seed`` does the same, but for each kind of device that there is not, it notes the
    call and where it came from, for ever: two milliseconds and a little memory each time.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available() and not torch.cuda._is_in_bad_fork():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available() and not torch.mps._is_in_bad_fork():
        torch.mps.manual_seed(seed)
    if torch.xpu.is_available() and not torch.xpu._is_in_bad_fork():
        torch.xpu.manual_seed_all(seed)


_TORCH = _Generator(_torch_state, _restore_torch, seed_torch)
_EVERY = (
    _TORCH,
    _Generator(np.random.get_state, np.random.set_state, np.random.seed),
    _Generator(random.getstate, random.setstate, random.seed),
)

_Before = dict[_Generator, Any]
"""States of generators before a section seeded them."""


class _Turn:
    """Who is within a section."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.waiting: set[int] = set()
        """Threads that want in."""
        self.holder: int | None = None
        """The thread within."""
        self.sections: list[_Before] = []
        """The holder's sections, the outermost first."""

    def outermost(self) -> _Before:
        """States from before all sections, of each generator that one of them has seeded."""
        return {g: state for before in reversed(self.sections) for g, state in before.items()}


_turn = _Turn()
_forking = threading.local()


@contextmanager
def _section(generators: tuple[_Generator, ...] = (), seed: int = 0) -> Iterator[None]:
    """Be the only thread within, with these generators seeded; put them back afterwards."""
    turn, me = _turn, threading.get_ident()
    turn.waiting.add(me)
    try:
        with turn.lock:  # no interrupt comes between having it and being within
            turn.waiting.discard(me)
            depth = len(turn.sections)
            try:
                turn.holder = me
                turn.sections.append({generator: generator.state() for generator in generators})
                for generator in generators:
                    generator.seed(seed)
                yield
            finally:
                for before in turn.sections[depth:]:
                    for generator, state in before.items():
                        generator.restore(state)
                del turn.sections[depth:]
                if not depth:
                    turn.holder = None
                    turn.changed.notify_all()
    finally:
        turn.waiting.discard(me)


def seeded(seed: int | None, *salt: object) -> AbstractContextManager[None]:
    """Run with torch's global generators seeded, and put them back afterwards.

    No other thread is within at the same time. A generator function must not yield within.

    Args:
        seed: ``None`` leaves the generators as they are; other threads wait all the same.
        salt: further values mixed into the seed, so that the k-th batch does not repeat the first.
    """
    if seed is None:
        return _section()
    return _section((_TORCH,), _mixed(seed, *salt) if salt else seed)


def seeded_everywhere(seed: int | None, *salt: object) -> AbstractContextManager[None]:
    """As :func:`seeded`, with the global generators of NumPy and Python, which GluonTS uses."""
    return _section() if seed is None else _section(_EVERY, _mixed(seed, *salt))


def _mixed(*values: object) -> int:
    return zlib.crc32(repr(values).encode())


def give_way() -> None:
    """Between two steps of a long section, let in the threads that wait.

    They find the generators as they were before the section, which finds them as it left them.
    Outside of a section, and where nobody waits, nothing happens.
    """
    turn, me = _turn, threading.get_ident()
    if turn.holder != me or not turn.waiting:
        return
    sections, ambient, away = turn.sections, turn.outermost(), False
    own = {generator: generator.state() for generator in ambient}
    try:
        turn.sections, turn.holder = [], None
        _restore(ambient)
        away = True
        turn.waiting.add(me)
        turn.changed.notify_all()  # others may have given way
        turn.changed.wait(_LONGEST)  # gives the lock back, however often it was taken
    finally:
        turn.waiting.discard(me)
        turn.sections, turn.holder = sections, me
        for generator in own if away else ():
            outermost = next(before for before in sections if generator in before)
            outermost[generator] = generator.state()
        _restore(own)


def _restore(states: _Before) -> None:
    for generator, state in states.items():
        generator.restore(state)


def _before_fork() -> None:
    """Let no other thread be within."""
    turn, me, _forking.turn = _turn, threading.get_ident(), None
    turn.waiting.add(me)
    try:
        _forking.turn = turn if turn.lock.acquire(timeout=_FORK_WAITS) else None
    finally:
        turn.waiting.discard(me)


def _after_fork() -> None:
    if _forking.turn is not None:
        _forking.turn.lock.release()


def _after_fork_in_child() -> None:
    """The other threads are gone: nobody waits, and what one was in the middle of has no end."""
    global _turn
    if _forking.turn is None:
        abandoned, _turn = _turn.outermost(), _Turn()
        _restore(abandoned)
        return
    turn = _forking.turn
    turn.waiting.clear()
    turn.changed = threading.Condition(turn.lock)
    turn.lock.release()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)
