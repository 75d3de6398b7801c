"""How the time stamps of a whole table are spaced, item by item."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tsgen.core import option_text
from tsgen.data.frequency import infer_frequency
from tsgen.data.grid import lay_grid

_SPARSEST = 1 / 3  # share of the grid that times must fill for a frequency to be inferred from them
_FULL, _MERGED = 0.6, 0.25  # shares that tell a table of another frequency from one with gaps
_FEW = 10  # times of which half may well be missing by chance


def table_frequency(times: pd.DatetimeIndex, items: pd.Series | None) -> str:
    """The one frequency of all items.

    Args:
        times: (rows,).
        items: the item of each row, ``None`` if all are of one time line.

    Raises:
        ValueError: if there is none, or several, or one that leaves most of the grid empty.
    """
    by_frequency: dict[str, str] = {}
    for name, stamps in _series(times, items):
        if len(stamps) > 2 or items is None:
            try:
                freq = infer_frequency(stamps)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            _check_density(name, stamps, freq)
            by_frequency.setdefault(freq, name)
    if not by_frequency:
        raise ValueError(
            f"no item has the three time stamps that tell a frequency; pass {option_text('freq')}"
        )
    if len(by_frequency) > 1:
        (freq, one), (other_freq, two) = list(by_frequency.items())[:2]
        raise ValueError(
            f"mixed frequencies: {one} has {freq!r}, {two} has {other_freq!r}; give each "
            f"frequency a data set of its own, or pass {option_text('freq')}"
        )
    return next(iter(by_frequency))


def check_spacing(times: pd.DatetimeIndex, items: pd.Series | None, freq: str) -> None:
    """Raise ``ValueError`` if times have another frequency; gaps and jitter do not count as one.

    Args:
        times: (rows,).
        items: the item of each row, ``None`` if all are of one time line.
        freq: the frequency expected.
    """
    for name, stamps in _series(times, items):
        if len(stamps) < 3:
            continue
        try:
            actual = infer_frequency(stamps)
        except ValueError:
            actual = "none"
        if actual == freq:
            continue
        grid = lay_grid(stamps, freq)
        steps = len(np.unique(grid.position))
        least = _SPARSEST if len(stamps) < _FEW else _FULL
        if steps < least * grid.length or steps < (1 - _MERGED) * len(stamps):
            raise ValueError(
                f"{name}: times from {stamps[0]} to {stamps[-1]} have frequency {actual}, expected "
                f"{freq}, which the first table had; {len(stamps)} times would fill {steps} of "
                f"{grid.length} steps"
            )


def _series(
    times: pd.DatetimeIndex, items: pd.Series | None
) -> Iterator[tuple[str, pd.DatetimeIndex]]:
    """Each item's name and its times, in order and each once."""
    if items is None:
        yield "table", times.unique().sort_values()
        return
    for name, part in pd.Series(times).groupby(items.to_numpy(), sort=False):
        yield f"item {name!r}", pd.DatetimeIndex(part).unique().sort_values()


def _check_density(name: str, stamps: pd.DatetimeIndex, freq: str) -> None:
    """Raise where an inferred frequency would leave most of the grid empty.

    That is how 03.04. taken for March, or one wrong year, shows.
    """
    length = lay_grid(stamps, freq).length
    if len(stamps) < _SPARSEST * length:
        raise ValueError(
            f"{name}: {len(stamps)} times from {stamps[0]} to {stamps[-1]} fill "
            f"{len(stamps) / length:.0%} of the {length} steps of {freq} between them; if days "
            f"come before months pass {option_text('dayfirst', True)}, if the first or last time "
            f"is wrong mend it, if there are long pauses (nights, weekends) pass "
            f"{option_text('freq', freq)}"
        )
