"""From one's own table to a GluonTS data set, with a word on everything that was changed."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tsgen.data.align import Duplicates, Irregular
from tsgen.data.frequency import in_days, period_frequency
from tsgen.data.grid import lay_grid
from tsgen.data.layout import Reader, Table, TableLayout
from tsgen.data.spacing import table_frequency
from tsgen.data.static import categories_of
from tsgen.data.tables import column_name, item_names, require_columns, to_pandas
from tsgen.data.times import check_day_order, find_time, parse_times


def from_dataframe(
    data: Any,
    *,
    time: str | None = None,
    target: str | Sequence[str] | None = None,
    item_id: str | None = None,
    multivariate: bool | None = None,
    known: str | Sequence[str] = (),
    past: str | Sequence[str] = (),
    static: str | Sequence[str] = (),
    freq: str | None = None,
    duplicates: Duplicates = "last",
    irregular: Irregular = "nearest",
    dayfirst: bool = False,
) -> Table:
    """Make a GluonTS data set of a table.

    A wide table has one column for each channel; a long one, with ``item_id``, a row for each time
    and item. Gaps become NaN. With known covariates, rows at the end without any target are the
    future, over which a forecast may be made.

    Args:
        data: a pandas frame, anything with ``to_pandas`` (polars, Arrow), or the path of a CSV or
            parquet file.
        time: column of time stamps; the index if it holds times, else the one column that does.
            Numbers are times as dates (20240131), Unix seconds or milliseconds, in a column that is
            named here or called time, date or the like.
        target: column or columns to forecast; all numeric ones that are nothing else if not given.
        item_id: column that tells the series of a long table apart.
        multivariate: one series with several channels (the default for wide tables) or a series
            for each column or item (the default for long ones).
        known: covariates known for the future, such as prices or holidays.
        past: covariates known only up to now, such as measured weather.
        static: columns constant for each item: numbers, or names of classes.
        freq: spacing of the time stamps, see pandas; inferred if not given. A coarser one than the
            table's merges rows by ``duplicates``.
        duplicates: which of several rows of one time counts: "last", "first", or "error"; with
            "mean" and "sum" that is for targets, and covariates have their last value.
        irregular: stamps off the regular grid go to the "nearest" step, to the one before
            ("floor"), or are an "error".
        dayfirst: whether days come before months in dates such as 03.04.2024.

    Returns:
        The data set and a summary of what was read and changed.

    Raises:
        ValueError: naming the column, row and value that cannot be used, and what was expected.
    """
    named, known, past, static = (_names(given) for given in (target, known, past, static))
    item_id = None if item_id is None else column_name(item_id)
    time = None if time is None else column_name(time)
    frame, changes = to_pandas(data, [] if item_id is None else [item_id])
    others = [*known, *past, *static, *([item_id] if item_id else [])]
    require_columns(frame, [*named, *others, *([time] if time else [])])
    time = time or find_time(frame, [*named, *others])
    roles = [*named, *others, *([time] if time else [])]
    for name in set(roles):
        if roles.count(name) > 1:
            raise ValueError(f"table: column {name!r} is named for two things")
    columns = named or [c for c in frame.columns if c not in roles]
    if not columns:
        raise ValueError("table: no column is left for the target; name it with target=")
    if static and item_id is None:
        raise ValueError(
            f"static={list(static)}: static columns tell items apart; a table without item_id= "
            "has one item"
        )
    joined = item_id is not None and bool(multivariate)
    if static and joined:
        raise ValueError(
            f"static={list(static)}: static columns tell items apart, which are channels of one "
            "series here (multivariate=True)"
        )
    if freq is None and not dayfirst:
        check_day_order(frame, time)
    freq = None if freq is None else period_frequency(freq)
    times, made = parse_times(frame, time, dayfirst, days=freq is None or in_days(freq))
    items = item_names(frame, item_id)
    spacing = _spacing(times, items, freq)
    layout = TableLayout(
        freq=freq or str(spacing),
        target=tuple(columns),
        time=time,
        item_id=item_id,
        multivariate=item_id is None if multivariate is None else multivariate,
        channels=tuple(items.unique()) if joined and items is not None else (),
        known=tuple(known),
        past=tuple(past),
        static=tuple(static),
        categories=categories_of(frame, static),
        duplicates=duplicates,
        irregular=irregular,
        dayfirst=dayfirst,
        stamp=lay_grid(times, freq or str(spacing)).stamp,
        spacing=spacing,
    )
    both = sorted({*known, *past} & {*layout.channel_names})
    if both:
        raise ValueError(f"table: {both[0]!r} is both an item and a covariate; rename one of them")
    return Reader(layout, frame, times, [*changes, *made]).table()


def _spacing(times: pd.DatetimeIndex, items: pd.Series | None, freq: str | None) -> str | None:
    """The table's own frequency; it may tell none where one was asked for."""
    try:
        return table_frequency(times, items)
    except ValueError:
        if freq is None:
            raise
        return None


def _names(given: str | Sequence[str] | None) -> list[str]:
    several = [given] if isinstance(given, str) else given or ()
    return [column_name(label) for label in several]
