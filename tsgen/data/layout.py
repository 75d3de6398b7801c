"""Which column of a table is what; reading a table in that layout."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsgen.core import Options
from tsgen.data.align import Alignment, Duplicates, Irregular
from tsgen.data.frequency import Stamp, lay_grid
from tsgen.data.splits import Entry
from tsgen.data.static import Categories, categories_of, static_features
from tsgen.data.tables import parse_numbers, parse_times, require_columns, to_pandas


class TableLayout(Options):
    """Which column is what, and the rules for what is not regular.

    ``from_dataframe`` makes it from a first table; kept beside a model, it reads the next ones.

    Args:
        freq: period frequency.
        target: columns of the target.
        time: column of time stamps; ``None`` is the index.
        item_id: column that tells series apart; ``None`` if all rows are of one time line.
        multivariate: one series of several channels, or a series for each.
        channels: the items that are channels of a multivariate series, in order.
        known: columns known for the future.
        past: columns known up to now.
        static: columns that are constant for each item: numbers or names.
        categories: the names in each static column of names, in the order of their codes.
        duplicates: which of several values of one time counts.
        irregular: where stamps off the grid go.
        dayfirst: whether days come before months in dates such as 03.04.2024.
        stamp: where in their period time stamps lie.
    """

    freq: str
    target: tuple[str, ...]
    time: str | None = None
    item_id: str | None = None
    multivariate: bool = True
    channels: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categories: Categories = ()
    duplicates: Duplicates = "last"
    irregular: Irregular = "nearest"
    dayfirst: bool = False
    stamp: Stamp = "start"

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
            ValueError: naming the column, row and value that cannot be used.
        """
        frame = to_pandas(data)
        return Reader(self, frame, *parse_times(frame, self.time, self.dayfirst)).table()


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
        self.alignment = Alignment(layout.freq, layout.duplicates, layout.irregular)

    def learn(self) -> "Reader":
        """Complete the layout by what only a table tells: channels, categories, stamps."""
        layout, frame = self.layout, self.frame
        self.layout = layout.replace(
            channels=tuple(self._items().unique()) if layout.joins else (),
            categories=categories_of(frame, layout.static),
            stamp=lay_grid(self.times, layout.freq).stamp,
        )
        return self

    def table(self) -> Table:
        """The data set and its summary."""
        layout, times, items = self.layout, self.times, self._items()
        columns = [*layout.target, *layout.known, *layout.past]
        values = pd.DataFrame(parse_numbers(self.frame, columns, times), columns=columns)
        targets = list(layout.target)
        if layout.joins:
            values = self._join(values, items)
            times, items = pd.DatetimeIndex(values.index), pd.Series(["all"] * len(values))
            values, targets = values.reset_index(drop=True), list(layout.channel_names)
        dataset: list[Entry] = []
        for name, rows in items.groupby(items, sort=False).indices.items():
            where = "table" if layout.item_id is None or layout.joins else f"item {name!r}"
            grid, regular = self.alignment.place(times[rows], values.iloc[rows], where)
            entry = self._entry(str(name), grid.start, regular, targets)
            if layout.static:
                own = self.frame.iloc[rows]
                entry |= static_features(own, layout.static, layout.categories, str(name))
            if layout.multivariate or layout.item_id is not None:
                dataset.append(entry)
            else:
                parts = zip(targets, entry["target"], strict=True)
                dataset += [{**entry, "target": y, "item_id": column} for column, y in parts]
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
            times.max(),
            sum(int(m.sum()) for m in missing) / sum(m.size for m in missing),
            tuple(self.changes),
        )
        return Table(dataset, summary)

    def _items(self) -> pd.Series:
        """The item of each row, as text."""
        column = self.layout.item_id
        if column is None:
            return pd.Series(["all"] * len(self.frame))
        require_columns(self.frame, [column])
        items = self.frame[column].reset_index(drop=True)
        if items.isna().any():
            row = int(np.flatnonzero(items.isna())[0])
            raise ValueError(f"table: column {column!r} is empty in row {row}")
        return items.astype(str)

    def _join(self, values: pd.DataFrame, items: pd.Series) -> pd.DataFrame:
        """Items as columns: one row for each time, covariates shared."""
        layout = self.layout
        strange = sorted(set(items) - set(layout.channels))
        if strange:
            raise ValueError(
                f"table: item {strange[0]!r} is none of the channels {', '.join(layout.channels)}"
            )
        for name in layout.channels:
            if name not in set(items):
                self.changes.append(f"channel {name!r} is not in the table: missing throughout")
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

    def _entry(
        self, name: str, start: pd.Period, values: pd.DataFrame, targets: list[str]
    ) -> Entry:
        layout = self.layout
        target = values[targets].to_numpy().T
        length = target.shape[1]
        entry: Entry = {"start": start, "item_id": name}
        if layout.known:
            observed = np.flatnonzero(np.isfinite(target).any(0))
            if not len(observed):
                raise ValueError(f"item {name!r}: it has no target value")
            ahead = length - int(observed[-1]) - 1
            if ahead:
                self._say(f"{ahead} steps without a target at the end are the future")
            length -= ahead
            entry["feat_dynamic_real"] = self._filled(name, values[list(layout.known)])
        entry["target"] = target[:, :length]
        if layout.past:
            past = self._filled(name, values[list(layout.past)].iloc[:length])
            entry["past_feat_dynamic_real"] = past
        return entry

    def _filled(self, name: str, covariates: pd.DataFrame) -> np.ndarray:
        """Covariates, which must not be missing: the last value before a gap goes on."""
        empty = covariates.isna().all()
        if empty.any():
            raise ValueError(f"item {name!r}: covariate {empty.idxmax()!r} has no value")
        if covariates.isna().any(axis=None):
            self._say("covariates were carried over their gaps from the value before")
        return covariates.ffill().bfill().to_numpy().T

    def _say(self, change: str) -> None:
        if change not in self.changes:
            self.changes.append(change)
