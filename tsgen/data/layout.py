"""Which column of a table is what; reading a table in that layout."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsgen.core import Options
from tsgen.data.align import Alignment, Duplicates, Irregular
from tsgen.data.entries import Entry, series_entry
from tsgen.data.frequency import Stamp, in_days
from tsgen.data.items import item_names
from tsgen.data.numbers import parse_numbers
from tsgen.data.repeats import check_repeats
from tsgen.data.spacing import check_spacing
from tsgen.data.static import Categories, static_features
from tsgen.data.tables import require_columns, to_pandas
from tsgen.data.time_column import require_header
from tsgen.data.times import parse_times


class TableLayout(Options):
    """Which column is what, and the rules for what is not regular.

    ``from_dataframe`` makes it from a first table; kept beside a model, it reads the next ones.

    Args:
        freq: period frequency.
        target: columns of the target.
        time: column of time stamps; ``None`` is the index.
        item_id: the column, or columns, that tell series apart; ``None`` if all rows are of one
            time line.
        multivariate: one series of several channels, or a series for each.
        channels: the items that are channels of a multivariate series, in order.
        known: columns known for the future.
        past: columns known up to now.
        static: columns that are constant for each item: numbers or names.
        categories: the names in each static column of names, in the order of their codes.
        duplicates: which of several values of one time counts; ``None`` is the last, as long as
            only a few times have several.
        irregular: where stamps off the grid go.
        dayfirst: whether days come before months in dates such as 03.04.2024.
        stamp: where in their period time stamps lie.
        spacing: frequency of the first table, which the next ones must have; ``None`` if it told
            none. It differs from ``freq`` where that was asked for, to merge rows, say.
        time_format: how times are written, where that was asked for or the first table told it.
    """

    freq: str
    target: tuple[str, ...]
    time: str | None = None
    item_id: str | tuple[str, ...] | None = None
    multivariate: bool = True
    channels: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categories: Categories = ()
    duplicates: Duplicates | None = None
    irregular: Irregular = "nearest"
    dayfirst: bool = False
    stamp: Stamp = "start"
    spacing: str | None = None
    time_format: str | None = None

    @property
    def items(self) -> tuple[str, ...]:
        """The columns that tell series apart."""
        if self.item_id is None:
            return ()
        return (self.item_id,) if isinstance(self.item_id, str) else self.item_id

    @property
    def joins(self) -> bool:
        """Whether items become channels of one series."""
        return self.item_id is not None and self.multivariate

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the target's channels; a panel of single columns has one, "value"."""
        if self.joins and len(self.target) == 1:
            return self.channels
        if self.joins:
            return tuple(f"{item} {name}" for item in self.channels for name in self.target)
        return self.target if self.multivariate or self.item_id is not None else ("value",)

    def read(self, data: Any) -> "Table":
        """Read another table in the same way.

        Args:
            data: a frame, something with ``to_pandas``, or a path.

        Raises:
            ValueError: naming the column, row and value that cannot be used, and for times of
                another frequency than the first table's.
        """
        time = [] if self.time is None else [self.time]
        columns = [*self.target, *self.known, *self.past, *self.static]
        text = [*self.items, *dict(self.categories), *time]
        frame, changes, _ = to_pandas(data, text, [*columns, *text])
        require_header(frame)
        require_columns(frame, columns)
        days = in_days(self.freq)
        times, time_changes = parse_times(frame, self.time, self.dayfirst, days, self.time_format)
        items = item_names(frame, self.items)
        strange = sorted(set(() if items is None else items) - set(self.channels))
        if strange and self.joins:
            raise ValueError(
                f"table: item {strange[0]!r} is none of the channels {', '.join(self.channels)}"
            )
        if self.duplicates is None:
            check_repeats(frame, times, items, [*columns, *time], self.items)
        if self.spacing is not None:
            check_spacing(times, items, self.spacing)
        return Reader(self, frame, times, [*changes, *time_changes]).table()


class Summary(NamedTuple):
    """What was read and what was changed on the way; ``print`` it."""

    layout: TableLayout
    """How the table was read: ``layout.read(other)`` reads another one in the same way."""
    channels: tuple[str, ...]
    series: int
    steps: int
    """Of the longest series."""
    start: pd.Timestamp
    end: pd.Timestamp
    """Of the last target."""
    missing: float
    """Share of target values that are missing (NaN)."""
    changes: tuple[str, ...]
    """A sentence for each kind of change; empty where the table was regular."""

    def __str__(self) -> str:
        channels = f"{len(self.channels)} channel{'s' if len(self.channels) > 1 else ''}"
        series = f"{self.series} series of " if self.series > 1 else ""
        what = (
            f"{series}{channels}, {self.steps} steps of {self.layout.freq} from {self.start} to "
            f"{self.end}, {self.missing:.2%} missing"
        )
        return "\n".join([what, *self.changes])


class Table(NamedTuple):
    """A data set and what its table was."""

    dataset: list[Entry]
    """A GluonTS data set: entries with ``start``, ``target``, ``item_id`` and covariates."""
    summary: Summary


class Reader:
    """Reads one table in a layout; ``changes`` collects what had to be done.

    Args:
        layout: what is what.
        frame: the table.
        times: its time stamps, (rows,).
        changes: what was changed to get them.
    """

    def __init__(
        self, layout: TableLayout, frame: pd.DataFrame, times: pd.DatetimeIndex, changes: list[str]
    ) -> None:
        self.layout, self.frame, self.times, self.changes = layout, frame, times, list(changes)
        self.alignment = Alignment(
            layout.freq,
            layout.duplicates,
            layout.irregular,
            {*layout.target, *layout.channel_names},
        )

    def table(self) -> Table:
        """The data set and its summary."""
        layout, times = self.layout, self.times
        items = item_names(self.frame, layout.items)
        if items is None:
            items = pd.Series(["all"] * len(self.frame))
        columns = [*layout.target, *layout.known, *layout.past]
        roles = {**dict.fromkeys(layout.known, "known"), **dict.fromkeys(layout.past, "past")}
        values = pd.DataFrame(parse_numbers(self.frame, columns, times, roles), columns=columns)
        targets = list(layout.target)
        if layout.joins:
            values = self._join(values, items)
            times, items = pd.DatetimeIndex(values.index), pd.Series(["all"] * len(values))
            values, targets = values.reset_index(drop=True), list(layout.channel_names)
        dataset: list[Entry] = []
        has_values, ahead, end = np.zeros(len(targets), dtype=bool), 0, times.min()
        for name, rows in items.groupby(items, sort=False).indices.items():
            where = "table" if layout.item_id is None or layout.joins else f"item {name!r}"
            grid, regular = self.alignment.place(times[rows], values.iloc[rows], where)
            part, after, changes = series_entry(
                regular, targets, layout.known, layout.past, where, grid.start
            )
            entry: Entry = {"start": grid.start, "item_id": str(name), **part}
            has_values |= np.isfinite(entry["target"]).any(1)
            ahead = max(ahead, after)
            in_train = grid.position < grid.length - after
            end = max(end, times[rows].sort_values()[in_train].max())
            self.changes += [change for change in changes if change not in self.changes]
            if layout.static:
                own = self.frame.iloc[rows]
                entry |= static_features(own, layout.static, layout.categories, str(name))
            if layout.multivariate or layout.item_id is not None:
                dataset.append(entry)
            else:
                parts = zip(targets, entry["target"], strict=True)
                dataset += [{**entry, "target": y, "item_id": column} for column, y in parts]
        self.changes += [
            f"channel {targets[i]!r} has no value in the table: missing throughout"
            for i in np.flatnonzero(~has_values)
        ]
        if ahead:
            what = "are the future" if layout.known else "were left out"
            self.changes.append(f"{ahead} steps without a target at the end {what}")
        self.changes += self.alignment.report()
        if len(layout.channel_names) == 1:
            dataset = [{**entry, "target": entry["target"].reshape(-1)} for entry in dataset]
        missing = [np.isnan(entry["target"]) for entry in dataset]
        summary = Summary(
            layout,
            layout.channel_names,
            len(dataset),
            max(m.shape[-1] for m in missing),
            times.min(),
            end,
            sum(int(m.sum()) for m in missing) / sum(m.size for m in missing),
            tuple(self.changes),
        )
        return Table(dataset, summary)

    def _join(self, values: pd.DataFrame, items: pd.Series) -> pd.DataFrame:
        """Items as columns: one row for each time, covariates shared."""
        layout = self.layout
        for rows in items.groupby(items, sort=False).indices.values():
            self.alignment.note_order(self.times[rows])
        merged = self.alignment.merge(values, [self.times, items], "table")
        wide = pd.DataFrame(merged[list(layout.target)].unstack())
        order = [(name, item) for item in layout.channels for name in layout.target]
        wide = wide.reindex(columns=pd.MultiIndex.from_tuples(order))
        wide.columns = pd.Index(layout.channel_names)
        shared = merged[[*layout.known, *layout.past]].groupby(level=0)
        differ = shared.nunique().max() > 1
        if differ.any():
            raise ValueError(
                f"table: covariate {differ.idxmax()!r} differs between items at one time; in a "
                "multivariate series covariates are shared"
            )
        return pd.concat([wide, shared.first()], axis=1)
