"""Hints of other libraries off the screen, with several threads within at once."""

import logging
import warnings

import pytest

from tsgen.forecasting.training.quiet import quiet


def hints() -> list[str]:
    """Those that are shown of one from each library."""
    with warnings.catch_warnings(record=True) as caught:
        for library in ("gluonts", "lightning", "else"):
            warnings.warn_explicit(library, UserWarning, "file.py", 1, module=f"{library}.part")
    return [str(one.message) for one in caught]


def test_the_last_to_leave_turns_hints_on_again() -> None:
    logger = logging.getLogger("lightning.pytorch")
    level, filters = logger.level, list(warnings.filters)
    logger.setLevel(logging.INFO)
    try:
        first, second = quiet("lightning"), quiet("gluonts", "lightning")
        first.__enter__()
        assert hints() == ["gluonts", "else"] and logger.level == logging.ERROR
        second.__enter__()
        assert hints() == ["else"]
        warnings.filterwarnings("error", message="of the user")
        first.__exit__(None, None, None)  # not the last to have entered
        assert hints() == ["else"] and logger.level == logging.ERROR
        second.__exit__(None, None, None)
        assert hints() == ["gluonts", "lightning", "else"] and logger.level == logging.INFO
        with pytest.raises(UserWarning, match="of the user"):
            warnings.warn("of the user", stacklevel=1)
        warnings.filters.pop(0)
        assert warnings.filters == filters
    finally:
        logger.setLevel(level)


def test_another_threads_catch_warnings_does_not_bring_a_filter_back() -> None:
    filters, hushed = list(warnings.filters), quiet("lightning")
    hushed.__enter__()
    with warnings.catch_warnings():  # as another thread's, which ends later
        hushed.__exit__(None, None, None)
        assert hints() == ["gluonts", "lightning", "else"]
    assert warnings.filters == filters and hints() == ["gluonts", "lightning", "else"]


def test_errors_leave_nothing_behind() -> None:
    filters = list(warnings.filters)
    with pytest.raises(ZeroDivisionError), quiet("lightning"):
        raise ZeroDivisionError
    with pytest.raises(KeyError), quiet("lightning", "no such library"):
        pass
    assert warnings.filters == filters and hints() == ["gluonts", "lightning", "else"]
