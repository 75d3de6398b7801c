"""From one's own table to a GluonTS data set, with a word on everything that was changed."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tsgen.core import option_text
from tsgen.data.align import Duplicates, Irregular
from tsgen.data.frequency import in_days, period_frequency
from tsgen.data.grid import lay_grid
from tsgen.data.items import item_names
from tsgen.data.layout import Reader, Table, TableLayout
from tsgen.data.repeats import check_repeats
from tsgen.data.spacing import table_frequency
from tsgen.data.static import categories_of
from tsgen.data.tables import column_name, listed, require_columns, to_pandas
from tsgen.data.time_column import (
    PERIOD_NAMES,
    TIME_NAMES,
    find_time,
    holds_times,
    require_header,
    require_whole,
)
from tsgen.data.times import (
    check_day_order,
    check_time_format,
    days_come_first,
    parse_times,
    time_format_of,
)


def from_dataframe(
    data: Any,
    *,
    time: str | None = None,
    target: str | Sequence[str] | None = None,
    item_id: str | Sequence[str] | None = None,
    multivariate: bool | None = None,
    known: str | Sequence[str] = (),
    past: str | Sequence[str] = (),
    static: str | Sequence[str] = (),
    freq: str | None = None,
    duplicates: Duplicates | None = None,
    irregular: Irregular = "nearest",
    dayfirst: bool = False,
    time_format: str | None = None,
) -> Table:
    """Make a GluonTS data set of a table.

    A wide table has one column for each channel; a long one, with ``item_id``, a row for each time
    and item. Gaps become NaN. With known covariates, rows at the end without any target are the
    future, over which a forecast may be made. The columns' names may also be those of the levels of
    an index; a level that nothing was said of tells series apart.

    Args:
        data: a pandas frame, anything with ``to_pandas`` (polars, Arrow), or the path of a CSV or
            parquet file.
        time: column of time stamps; the index if it holds times, else the one column that does.
            Numbers are times as years (2024), dates (20240131), Unix seconds or milliseconds, in a
            column that is named here or called time, date or the like.
        target: column or columns to forecast; all numeric ones that are nothing else if not given.
        item_id: column that tells the series of a long table apart, or several that do together:
            an item of ["store", "product"] is then called "north/7".
        multivariate: one series with several channels (the default for wide tables) or a series
            for each column or item (the default for long ones).
        known: covariates known for the future, such as prices or holidays.
        past: covariates known only up to now, such as measured weather.
        static: columns constant for each item: numbers, or names of classes.
        freq: spacing of the time stamps, see pandas; inferred if not given. A coarser one than the
            table's merges rows by ``duplicates``.
        duplicates: which of several rows of one time counts: "last", "first", or "error"; with
            "mean" and "sum" that is for targets, and covariates have their last value. If not
            given it is the last, and more than a few such rows are an error.
        irregular: stamps off the regular grid go to the "nearest" step, to the one before
            ("floor"), or are an "error".
        dayfirst: whether days come before months in dates such as 03.04.2024.
        time_format: how times are written, as ``strptime`` takes it ("%y%m%d"), or "excel",
            "unix_s", "unix_ms", "unix_us" or "unix_ns" for numbers that count days or time. Needed
            where digits have several readings (190102) and the values do not exclude all but one.

    Returns:
        The data set and a summary of what was read and changed.

    Raises:
        ValueError: naming the column, row and value that cannot be used, and what was expected.
    """
    targets, items, known, past, static = (
        _names(what, columns_of_role)
        for what, columns_of_role in (
            ("target", target), ("item_id", item_id), ("known", known), ("past", past),
            ("static", static),
        )
    )  # fmt: skip
    time = _one_name("time", time)
    check_time_format(time_format, dayfirst)
    if freq is not None and not isinstance(freq, str):
        raise ValueError(
            f"{option_text('freq', freq)}: expected a text such as 'h', '15min', 'D' or 'M'"
        )
    others = [*targets, *items, *known, *past, *static]
    times_in_files = {*TIME_NAMES, *PERIOD_NAMES} - {name.lower() for name in others}
    text = [*items, *([] if time is None else [time])]
    frame, changes, levels = to_pandas(
        data, text, [*others, *text], times_in_files if time is None else ()
    )
    require_header(frame)
    require_columns(frame, [*others, *([] if time is None else [time])])
    if time is None:
        of_levels = [name for name in levels if name not in others and holds_times(frame[name])]
        time = (
            of_levels[0]
            if len(of_levels) == 1
            else find_time(frame, others, has_format=time_format is not None)
        )
    if time_format is None:
        require_whole(frame, time, others)
    roles = [*others, *([] if time is None else [time])]
    for name in set(roles):
        if roles.count(name) > 1:
            raise ValueError(f"table: column {name!r} is named for two things")
    free = [name for name in levels if name not in roles]
    if free and not items:
        items = free
        changes.append(f"items are told apart by {listed(free)}, which the index holds")
    columns = targets or [c for c in frame.columns if c not in (*roles, *levels)]
    if not columns:
        raise ValueError(
            f"table: no column is left for the target; name it with {option_text('target')}"
        )
    if static and not items:
        raise ValueError(
            f"{option_text('static', list(static))}: static columns tell items apart; a table "
            f"without {option_text('item_id')} has one item"
        )
    joined = bool(items) and bool(multivariate)
    if static and joined:
        raise ValueError(
            f"{option_text('static', list(static))}: static columns tell items apart, which are "
            f"channels of one series here ({option_text('multivariate', True)})"
        )
    if time_format is None and (time_format := time_format_of(frame, time, dayfirst)) is not None:
        changes.append(f"times were read as {option_text('time_format', time_format)} says")
    elif time_format is None and not dayfirst and (dayfirst := days_come_first(frame, time)):
        option = option_text("dayfirst", True)
        changes.append(f"dates were read with days before months ({option})")
    elif freq is None and not dayfirst and time_format is None:
        check_day_order(frame, time)
    freq = None if freq is None else period_frequency(freq)
    days = freq is None or in_days(freq)
    times, time_changes = parse_times(frame, time, dayfirst, days, time_format)
    item_of = item_names(frame, items)
    if duplicates is None:
        fixed = [*targets, *known, *past, *([] if time is None else [time])]
        check_repeats(frame, times, item_of, fixed, tuple(items))
    spacing = _spacing(times, item_of, freq)
    layout = TableLayout(
        freq=freq or str(spacing),
        target=tuple(columns),
        time=time,
        item_id=None if not items else items[0] if len(items) == 1 else tuple(items),
        multivariate=not items if multivariate is None else multivariate,
        channels=tuple(item_of.unique()) if joined and item_of is not None else (),
        known=tuple(known),
        past=tuple(past),
        static=tuple(static),
        categories=categories_of(frame, static),
        duplicates=duplicates,
        irregular=irregular,
        dayfirst=dayfirst,
        stamp=lay_grid(times, freq or str(spacing)).stamp,
        spacing=spacing,
        time_format=time_format,
    )
    _check_channels(layout)
    return Reader(layout, frame, times, [*changes, *time_changes]).table()


def _check_channels(layout: TableLayout) -> None:
    """Raise ``ValueError`` where channels, or a channel and a covariate, have one name."""
    channels = layout.channel_names
    both = sorted({*layout.known, *layout.past} & {*channels})
    if both:
        raise ValueError(f"table: {both[0]!r} is both an item and a covariate; rename one of them")
    twice = sorted(name for name in set(channels) if channels.count(name) > 1)
    if twice:
        raise ValueError(
            f"table: two channels would be called {twice[0]!r}, an item and a target together; "
            "rename one of them"
        )


def _spacing(times: pd.DatetimeIndex, items: pd.Series | None, freq: str | None) -> str | None:
    """The table's own frequency; it may tell none where one was asked for."""
    try:
        return table_frequency(times, items)
    except ValueError:
        if freq is None:
            raise
        return None


def _names(what: str, columns: Any) -> list[str]:
    """Names of columns: one, several or none."""
    if columns is None:
        return []
    if isinstance(columns, list | tuple | set | pd.Index):
        return [column_name(label) for label in columns]
    if isinstance(columns, str | int):
        return [column_name(columns)]
    raise ValueError(f"{what}={columns!r}: expected the name of a column, or a list of names")


def _one_name(what: str, column: Any) -> str | None:
    if isinstance(column, list) and len(column) != 1:
        raise ValueError(
            f"{what}={column!r}: expected one column; join the parts of times, such as year and "
            "month, into one, such as 2018-01"
        )
    return (
        None if column is None else column_name(column[0] if isinstance(column, list) else column)
    )
