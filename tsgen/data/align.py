"""Putting a table's rows on the regular grid: merging, sorting, gaps; and what is said of it."""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from tsgen.core import option_text
from tsgen.data.grid import Grid, lay_grid
from tsgen.data.repeats import many, which_counts

Duplicates = Literal["last", "first", "mean", "sum", "error"]
Irregular = Literal["nearest", "floor", "error"]

_LARGEST_GRID = 50  # steps for each row of the table


class Alignment:
    """Puts rows on the grid of a frequency and counts what had to be done for it.

    Args:
        freq: period frequency.
        duplicates: which of several values of one time counts; ``None`` is the last, as long as
            only a few steps have several.
        irregular: where stamps off the grid go.
        summed: columns that "sum" and "mean" are for; of the others they take the last value.
    """

    def __init__(
        self,
        freq: str,
        duplicates: Duplicates | None,
        irregular: Irregular,
        summed: Collection[str],
    ) -> None:
        self.freq, self.irregular = freq, irregular
        self.asked, self.duplicates = duplicates is not None, duplicates or "last"
        self.summed = summed
        self.counts = dict.fromkeys(("unsorted", "irregular", "repeated", "gaps"), 0)
        self.shift = pd.Timedelta(0)

    def merge(self, values: pd.DataFrame, by: Sequence[Any], where: str) -> pd.DataFrame:
        """One row for each key, sorted, by the rule for duplicates.

        Args:
            values: the rows.
            by: their keys, each (rows,).
            where: what to call the rows in an error.

        Raises:
            ValueError: for a key that comes twice where that is an error.
        """
        repeated = pd.MultiIndex.from_arrays(by).duplicated()
        if self.duplicates == "error" and repeated.any():
            earliest = ", ".join(str(key[int(repeated.argmax())]) for key in by)
            raise ValueError(
                f"{where}: {repeated.sum()} times come more than once, first {earliest} "
                f"({option_text('duplicates', 'error')})"
            )
        self.counts["repeated"] += int(repeated.sum())
        grouped = values.groupby([np.asarray(key) for key in by])
        if self.duplicates == "first":
            return grouped.first()
        merged = grouped.last()
        measured = [str(name) for name in values if name in self.summed]
        if measured and self.duplicates == "sum":
            merged[measured] = grouped[measured].sum(min_count=1)
        elif measured and self.duplicates == "mean":
            merged[measured] = grouped[measured].mean()
        return merged

    def note_order(self, times: pd.DatetimeIndex) -> None:
        """Count a series whose times, (rows,), are not in order."""
        self.counts["unsorted"] += not times.is_monotonic_increasing

    def place(
        self, times: pd.DatetimeIndex, values: pd.DataFrame, where: str
    ) -> tuple[Grid, pd.DataFrame]:
        """A series' grid, and its values with a row for each step of it.

        Args:
            times: in any order, (rows,).
            values: the rows.
            where: what to call the series in an error.

        Raises:
            ValueError: for a grid that would be almost empty, for stamps off the grid where that
                is an error, and for many that fall into one step where nobody said which counts.
        """
        self.note_order(times)
        order = np.argsort(times.to_numpy(), kind="stable")
        times, values = times[order], values.iloc[order]
        grid = lay_grid(times, self.freq, "floor" if self.irregular == "floor" else "nearest")
        if grid.length > _LARGEST_GRID * len(times) + 1000:
            raise ValueError(
                f"{where}: {len(times)} rows from {times[0]} to {times[-1]} would make a series of "
                f"{grid.length} steps of {self.freq}; is the first or last time wrong? Else pass "
                f"{option_text('freq')}"
            )
        if self.irregular == "error" and grid.irregular.any():
            raise ValueError(
                f"{where}: {grid.irregular.sum()} time stamps are off the grid of {self.freq}, "
                f"first {times[int(grid.irregular.argmax())]} "
                f"({option_text('irregular', 'error')})"
            )
        distinct = times.nunique()
        steps = len(np.unique(grid.position))
        if not self.asked and many(distinct - steps, distinct):
            raise ValueError(
                f"{where}: the {distinct} times from {times[0]} to {times[-1]} fall into {steps} "
                f"steps of {self.freq}, several into one; {which_counts()}, or pass "
                f"another {option_text('freq')}"
            )
        self.counts["irregular"] += int(grid.irregular.sum())
        self.shift = max(self.shift, grid.shift)
        merged = self.merge(values, [grid.position], where)
        self.counts["gaps"] += grid.length - len(merged)
        return grid, merged.reindex(range(grid.length))

    def report(self) -> list[str]:
        """A sentence for each kind of thing that was done."""
        said = {
            "unsorted": "time stamps of {} series were not in order and were sorted",
            "irregular": f"{{}} time stamps off the grid of {self.freq} were moved to it "
            f"({option_text('irregular', self.irregular)})",
            "repeated": f"{{}} rows of times that came more than once were merged "
            f"({option_text('duplicates', self.duplicates)})",
            "gaps": "{} steps without a row were filled in as missing (NaN)",
        }
        changes = [said[key].format(count) for key, count in self.counts.items() if count]
        if self.shift:
            changes.append(
                f"time stamps lie {self.shift} after the start of their period, which forecasts "
                "are stamped with"
            )
        return changes
