"""From one's own table to a GluonTS data set, with a word on everything that was changed."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from tsgen.data.align import Duplicates, Irregular
from tsgen.data.frequency import infer_frequency, lay_grid, period_frequency
from tsgen.data.layout import Reader, Table, TableLayout
from tsgen.data.tables import find_time, parse_times, require_columns, to_pandas

_SPARSEST = 1 / 3
"""Share of the grid that times must fill for a frequency to be inferred from them."""


def from_dataframe(
    data: Any,
    *,
    time: str | None = None,
    target: str | Sequence[str] | None = None,
    item_id: str | None = None,
    multivariate: bool | None = None,
    known: Sequence[str] = (),
    past: Sequence[str] = (),
    static: Sequence[str] = (),
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
        target: column or columns to forecast; all numeric ones that are nothing else if not given.
        item_id: column that tells the series of a long table apart.
        multivariate: one series with several channels (the default for wide tables) or a series
            for each column or item (the default for long ones).
        known: covariates known for the future, such as prices or holidays.
        past: covariates known only up to now, such as measured weather.
        static: columns constant for each item: numbers, or names of classes.
        freq: spacing of the time stamps, see pandas; inferred if not given.
        duplicates: which of several rows of one time counts: "last", "first", "mean", "sum", or
            "error".
        irregular: stamps off the regular grid go to the "nearest" step, to the one before
            ("floor"), or are an "error".
        dayfirst: whether days come before months in dates such as 03.04.2024.

    Returns:
        The data set and a summary of what was read and changed.

    Raises:
        ValueError: naming the column, row and value that cannot be used, and what was expected.
    """
    frame = to_pandas(data)
    named = [target] if isinstance(target, str) else list(target or ())
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
    times, changes = parse_times(frame, time, dayfirst)
    layout = TableLayout(
        freq=_frequency(frame, times, item_id) if freq is None else period_frequency(freq),
        target=tuple(map(str, columns)),
        time=time,
        item_id=item_id,
        multivariate=item_id is None if multivariate is None else multivariate,
        known=tuple(known),
        past=tuple(past),
        static=tuple(static),
        duplicates=duplicates,
        irregular=irregular,
        dayfirst=dayfirst,
    )
    return Reader(layout, frame, times, changes).learn().table()


def _frequency(frame: pd.DataFrame, times: pd.DatetimeIndex, item_id: str | None) -> str:
    """The one frequency of all items."""
    found: dict[str, str] = {}
    groups: Iterable[tuple[str, pd.DatetimeIndex]] = [("the table", times)]
    if item_id is not None:
        parts = pd.Series(times).groupby(frame[item_id].astype(str).to_numpy(), sort=False)
        groups = ((f"item {name!r}", pd.DatetimeIndex(part)) for name, part in parts)
    for name, stamps in groups:
        stamps = stamps.unique().sort_values()
        if len(stamps) > 2 or item_id is None:
            try:
                freq = infer_frequency(stamps)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            _check_density(name, stamps, freq)
            found.setdefault(freq, name)
    if not found:
        raise ValueError("no item has the three time stamps that tell a frequency; pass freq=")
    if len(found) > 1:
        (first, one), (second, two) = list(found.items())[:2]
        raise ValueError(
            f"mixed frequencies: {one} has {first!r}, {two} has {second!r}; give each frequency a "
            "data set of its own, or pass freq="
        )
    return next(iter(found))


def _check_density(name: str, stamps: pd.DatetimeIndex, freq: str) -> None:
    """Raise where an inferred frequency would leave most of the grid empty.

    That is how 03.04. taken for March, or one wrong year, shows.
    """
    length = lay_grid(stamps, freq).length
    if len(stamps) < _SPARSEST * length:
        share = len(stamps) / length
        raise ValueError(
            f"{name}: {len(stamps)} times from {stamps[0]} to {stamps[-1]} fill {share:.0%} of the "
            f"{length} steps of {freq} between them; are days and months (dayfirst=), and the "
            "first and last time right? Else pass freq="
        )
