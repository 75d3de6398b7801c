"""Keeping hints of other libraries, which are not about the user's data, off the screen."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_LOGGERS = {
    "gluonts": {"gluonts": logging.ERROR},
    "lightning": {
        "lightning.pytorch": logging.ERROR,
        "lightning.fabric": logging.ERROR,
        # these speak only if an argument or a callback asks for it
        "lightning.pytorch.profilers.profiler": logging.INFO,
        "lightning.pytorch.callbacks.model_summary": logging.INFO,
    },
}
"""Loggers of each library, and the level from which their messages are shown."""

_lock = threading.Lock()
_threads: dict[str, int] = {}
"""How many want a library to be quiet."""
_filters: dict[str, tuple[Any, Any]] = {}
"""What was put in front of which list."""
_levels: dict[str, list[int]] = {}


@contextmanager
def quiet(*libraries: str) -> Iterator[None]:
    """Turn warnings and messages below errors of libraries off.

    Filters and levels belong to the process. So with several threads within, the first turns them
    off and the last turns them on again: each by itself would put back what another had changed.

    Args:
        libraries: "gluonts", "lightning".
    """
    with ExitStack() as stack:
        for library in libraries:
            _enter(library)
            stack.callback(_leave, library)
        yield


def _enter(library: str) -> None:
    loggers = [logging.getLogger(name) for name in _LOGGERS[library]]
    with _lock:
        _threads[library] = _threads.get(library, 0) + 1
        if _threads[library] > 1:
            return
        warnings.filterwarnings("ignore", module=rf"{library}\..*")
        _filters[library] = warnings.filters[0], warnings.filters
        _levels[library] = [logger.level for logger in loggers]
        for logger, level in zip(loggers, _LOGGERS[library].values(), strict=True):
            logger.setLevel(level)


def _leave(library: str) -> None:
    with _lock:
        _threads[library] -= 1
        if _threads[library]:
            return
        for name, level in zip(_LOGGERS[library], _levels[library], strict=True):
            logging.getLogger(name).setLevel(level)
        # not by catch_warnings, which would put back others' filters; it only tells of the change
        own, where = _filters.pop(library)
        lists: tuple[Any, ...] = (where, warnings.filters)  # a thread's catch_warnings has a copy
        for filters in lists:
            if own in filters:
                filters.remove(own)
        with warnings.catch_warnings():
            pass
