"""Frequencies: which period a table's time stamps are spaced by, and where each falls on its grid.

A GluonTS series starts with a ``pandas.Period`` and goes on in steps of its frequency, so whatever
has no period cannot be one: business month ends, say, whose nearest period is the month.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import BaseOffset, Tick

Stamp = Literal["start", "end"]
"""Where in its period a time stamp lies."""

_EDGES = re.compile(r"(M|Q|Y|A)(S|E)(-[A-Z]{3})?")
_NEAREST = {
    "BME": "M", "BMS": "M", "CBME": "M", "CBMS": "M", "SME": "M", "SMS": "M", "WOM": "M",
    "LWOM": "M", "BQE": "Q", "BQS": "Q", "BYE": "Y", "BYS": "Y", "REQ": "Q", "RE": "Y", "C": "B",
    "bh": "h", "cbh": "h",
}  # fmt: skip
_UNITS = (
    *("1ms 2ms 5ms 10ms 20ms 50ms 100ms 200ms 250ms 500ms 1s 2s 5s 10s 15s 20s 30s").split(),
    *("1min 2min 3min 5min 6min 10min 12min 15min 20min 30min 1h 2h 3h 4h 6h 8h 12h 1D 7D").split(),
)


@contextmanager
def without_future_warnings() -> Iterator[None]:
    """Keep quiet what pandas says of old names and of business-day periods, which GluonTS uses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def period_frequency(freq: str) -> str:
    """The name of a frequency as periods spell it: "h", "15min", "250ms", "W-SUN", "M".

    Args:
        freq: any name that pandas knows for an offset; "MS" and "ME" both are "M".

    Raises:
        ValueError: for what pandas does not know, and for offsets without a period, with the
            nearest that has one.
    """
    with without_future_warnings():
        edge = _EDGES.fullmatch(freq)
        if edge is not None:
            return _anchored(edge[1], pd.date_range("2000-01-01", periods=1, freq=freq)[0])
        try:
            return pd.Period("2000-01-03", freq=freq).freqstr
        except (ValueError, AttributeError):
            pass
        try:
            name = to_offset(freq).name.split("-")[0]
        except ValueError:
            name = ""
    if name in _NEAREST:
        raise ValueError(
            f"freq={freq!r} has no pandas period, which a series is counted in; the nearest that "
            f"has one is {_NEAREST[name]!r}"
        )
    raise ValueError(
        f"freq={freq!r} is not a frequency of pandas; examples are 'h', '15min', '250ms', 'D', "
        "'B', 'W-SUN', 'M'"
    )


def offset_of(freq: str) -> BaseOffset:
    """The offset of a period frequency ("M") under its present name ("ME")."""
    with without_future_warnings():
        return to_offset(pd.Period("2000-01-03", freq=freq).freqstr)


def infer_frequency(stamps: pd.DatetimeIndex) -> str:
    """The period frequency of time stamps that may have gaps and be a little irregular.

    Args:
        stamps: sorted, without duplicates.

    Raises:
        ValueError: if fewer than three stamps, mixed spacings or none at all tell no frequency.
    """
    if len(stamps) < 3:
        raise ValueError(f"{len(stamps)} time stamps do not tell a frequency; pass freq=")
    regular = pd.infer_freq(stamps)
    if regular is not None:
        return period_frequency(regular)
    return _calendar(stamps) or _clock(stamps)


def _calendar(stamps: pd.DatetimeIndex) -> str | None:
    """Months, quarters, years, weeks or business days, where all stamps are of one kind."""
    if not (stamps == stamps.normalize()).all():
        return None
    shortest = np.diff(stamps.to_numpy()).min() / np.timedelta64(1, "D")
    if shortest >= 28 and (stamps.is_month_start.all() or stamps.is_month_end.all()):
        months = stamps.year * 12 + stamps.month
        common = int(np.gcd.reduce(np.diff(months.to_numpy())))
        return _anchored("Y" if common % 12 == 0 else "Q" if common % 3 == 0 else "M", stamps[0])
    days = stamps.dayofweek
    if shortest >= 7 and (days == days[0]).all():
        return f"W-{stamps[0].strftime('%a').upper()}"
    if shortest == 1 and (days < 5).all() and len(stamps) > 10:
        return "B"
    return None


def _anchored(unit: str, edge: pd.Timestamp) -> str:
    """Months, or the quarters or years that end or start at an edge; pandas names their end."""
    if unit == "M":
        return "M"
    last = edge.month if edge.is_month_end else (edge.month - 2) % 12 + 1
    month = last if unit in ("Y", "A") else (last - 1) % 3 + 10
    return f"{'Q' if unit == 'Q' else 'Y'}-{pd.Timestamp(2000, month, 1).strftime('%b').upper()}"


def _clock(stamps: pd.DatetimeIndex) -> str:
    """A fixed step: the commonest distance, or the unit nearest to the median of jittered ones."""
    gaps = pd.Series(np.diff(stamps.to_numpy()).astype("timedelta64[ns]").astype(np.int64))
    values, counts = np.unique(gaps, return_counts=True)
    step = int(values[counts.argmax()])
    if counts.max() < 0.5 * len(gaps):
        units = np.array([pd.Timedelta(unit).value for unit in _UNITS])
        middle = gaps.median()
        step = int(units[np.abs(np.log(units / middle)).argmin()])
        near = (np.abs(gaps - step * np.maximum(np.round(gaps / step), 1)) < 0.25 * step).mean()
        if abs(np.log(step / middle)) > 0.1 or near < 0.8:
            raise _unclear(gaps)
    # another distance that goes on for a while; what is missing at random leaves no long runs
    multiples = (gaps / step).round()
    runs = multiples.groupby((multiples != multiples.shift()).cumsum()).agg(["first", "size"])
    if ((runs["first"] != 1) & (runs["size"] >= max(10, 0.05 * len(gaps)))).any():
        raise _unclear(gaps)
    return period_frequency(to_offset(pd.Timedelta(step)).freqstr)


def _unclear(gaps: pd.Series) -> ValueError:
    values, counts = np.unique(gaps, return_counts=True)
    seen = ", ".join(
        f"{pd.Timedelta(int(values[i]))} ({counts[i] / len(gaps):.0%})"
        for i in np.argsort(-counts)[:3]
    )
    return ValueError(f"mixed frequencies: the time stamps are {seen} apart; pass freq=")


class Grid(NamedTuple):
    """A series' regular grid and where its time stamps fall on it."""

    start: pd.Period
    position: np.ndarray
    """Step of each stamp, counted from the start, (N,); not sorted."""
    irregular: np.ndarray
    """Which stamps did not lie on the grid, (N,)."""
    stamp: Stamp = "start"
    shift: pd.Timedelta = pd.Timedelta(0)
    """How far into its period the grid lies."""

    @property
    def length(self) -> int:
        """Steps from the first stamp to the last."""
        return int(self.position.max()) + 1


def lay_grid(
    stamps: pd.DatetimeIndex, freq: str, rule: Literal["nearest", "floor"] = "nearest"
) -> Grid:
    """Put time stamps on the regular grid of a frequency.

    Hours, days and other fixed steps are counted from the phase that most stamps share; those off
    it are moved to the nearest step or the one before. Calendar periods (weeks, months, ...) take
    whatever falls inside; business days take weekends to the day the rule says.

    Args:
        stamps: in any order, repeated or not, (N,).
        freq: see :func:`period_frequency`.
        rule: for stamps off the grid.
    """
    offset = offset_of(freq)
    if isinstance(offset, Tick):
        step = pd.Timedelta(offset).value
        time = stamps.to_numpy().astype("datetime64[ns]").astype(np.int64)
        phases, counts = np.unique(time % step, return_counts=True)
        phase = phases[counts.argmax()]
        exact = (time - phase) / step
        position = np.round(exact) if rule == "nearest" else np.floor(exact)
        position = position.astype(np.int64)
        first = position.min()
        begin = pd.Timestamp(int(first * step + phase))
        start = pd.Period(begin, freq=freq)
        return Grid(
            start,
            position - first,
            position * step + phase != time,
            shift=begin - start.to_timestamp(),
        )
    weekend = np.zeros(len(stamps), dtype=bool)
    if offset.name == "B":
        weekend = np.asarray(stamps.dayofweek) > 4
        back = np.asarray(stamps.dayofweek) == 5 if rule == "nearest" else weekend
        days = stamps.normalize()
        friday = days - pd.to_timedelta(np.asarray(stamps.dayofweek) - 4, unit="D")
        monday = days + pd.to_timedelta(7 - np.asarray(stamps.dayofweek), unit="D")
        stamps = pd.DatetimeIndex(np.where(weekend, np.where(back, friday, monday), days))
    with without_future_warnings():
        periods = stamps.to_period(freq)
        ordinal = periods.asi8
        first = ordinal.min()
        position = (ordinal - first) // offset.n
        start = pd.Period(ordinal=int(first), freq=freq)
        ends = (periods.to_timestamp(how="end").normalize() == stamps.normalize()).all()
    stamp: Stamp = "end" if ends and offset.name != "B" else "start"
    return Grid(start, position, weekend, stamp)


def stamps_of(start: pd.Period, count: int, stamp: Stamp = "start") -> pd.DatetimeIndex:
    """Time stamps of so many periods, lying in them as a table's do."""
    with without_future_warnings():
        index = pd.period_range(start, periods=count, freq=start.freqstr)
        times = index.to_timestamp(how="start" if stamp == "start" else "end")
    return times if stamp == "start" else times.normalize()
