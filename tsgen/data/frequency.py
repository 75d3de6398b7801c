"""Frequencies: which period a table's time stamps are spaced by.

A GluonTS series starts with a ``pandas.Period`` and goes on in steps of its frequency, so whatever
has no period cannot be one: business month ends, say, whose nearest period is the month.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import BaseOffset, Tick

from tsgen.core import option_text

Stamp = Literal["start", "end"]
"""Where in its period a time stamp lies."""

_EDGES = re.compile(r"(\d*)((M|Q|Y|A)[SE](-[A-Z]{3})?)")
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
            return edge[1] + _anchored(
                edge[3], pd.date_range("2000-01-01", periods=1, freq=edge[2])[0]
            )
        name, period, fine = "", None, False
        with suppress(ValueError, AttributeError):
            offset = to_offset(freq)
            name = offset.name.split("-")[0]
            fine = isinstance(offset, Tick) and pd.Timedelta(offset) < pd.Timedelta("1ms")
            period = pd.Period("2000-01-03", freq=freq).freqstr
    if fine:
        raise ValueError(
            f"{option_text('freq', freq)} is too fine; expected steps of a millisecond or more"
        )
    if period is not None:
        return period
    if name in _NEAREST:
        raise ValueError(
            f"{option_text('freq', freq)} has no pandas period, which a series is counted in; "
            f"the nearest that has one is {_NEAREST[name]!r}"
        )
    raise ValueError(
        f"{option_text('freq', freq)} is not a frequency of pandas; examples are 'h', '15min', "
        "'250ms', 'D', 'B', 'W-SUN', 'M'"
    )


def offset_of(freq: str) -> BaseOffset:
    """The offset of a period frequency ("M") under its present name ("ME")."""
    with without_future_warnings():
        return to_offset(pd.Period("2000-01-03", freq=freq).freqstr)


def in_days(freq: str) -> bool:
    """Whether the steps of a frequency are days or longer."""
    offset = offset_of(freq)
    return not isinstance(offset, Tick) or pd.Timedelta(offset) >= pd.Timedelta("1D")


def infer_frequency(stamps: pd.DatetimeIndex) -> str:
    """The period frequency of time stamps that may have gaps and be a little irregular.

    Args:
        stamps: sorted, without duplicates.

    Raises:
        ValueError: if fewer than three stamps, mixed spacings or none at all tell no frequency.
    """
    if len(stamps) < 3:
        raise ValueError(
            f"{len(stamps)} time stamps do not tell a frequency; pass {option_text('freq')}"
        )
    regular = pd.infer_freq(stamps)
    if regular is not None:
        return period_frequency(regular)
    return _calendar(stamps) or _clock(stamps)


def _calendar(stamps: pd.DatetimeIndex) -> str | None:
    """Months, quarters, years, weeks or business days, where all stamps are of one kind."""
    months = np.diff((stamps.year * 12 + stamps.month).to_numpy())
    if (months > 0).all():
        if (stamps.day == np.minimum(stamps.day.max(), stamps.days_in_month)).all():
            return _months(stamps, int(np.gcd.reduce(months)))
        for name in ("BME", "BMS"):
            if all(map(to_offset(name).is_on_offset, stamps)):
                return period_frequency(name)
    if not (stamps == stamps.normalize()).all():
        return None
    gaps = np.diff(stamps.to_numpy()) // np.timedelta64(1, "D")
    shortest, days = gaps.min(), stamps.dayofweek
    if shortest >= 7 and (days == days[0]).all():
        weeks = int(np.gcd.reduce(gaps)) // 7
        return f"{_count(weeks)}W-{stamps[0].strftime('%a').upper()}"
    if shortest == 1 and (days < 5).all() and len(stamps) > 10:
        return "B"
    return None


def _months(stamps: pd.DatetimeIndex, months: int) -> str:
    """So many months, quarters or years, of stamps on one day of the month."""
    unit, length = next((u, n) for u, n in (("Y", 12), ("Q", 3), ("M", 1)) if months % n == 0)
    at_edges = stamps.is_month_start.all() or stamps.is_month_end.all()
    edge = stamps[0] if at_edges else pd.Timestamp("2000-01-01")  # else as in the calendar
    return _count(months // length) + _anchored(unit, edge)


def _count(number: int) -> str:
    return str(number) if number > 1 else ""


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
    if counts.max() >= 0.5 * len(gaps):  # else they are jittered
        _check_restarts(stamps, step, gaps)
    return period_frequency(to_offset(pd.Timedelta(step)).freqstr)


def _check_restarts(stamps: pd.DatetimeIndex, step: int, gaps: pd.Series) -> None:
    """Check that a step does not begin anew, as 16 days do each January and 7 hours each midnight.

    Then several stamps in a row are off the grid by the same amount. A grid of the step would move
    them all, and put two of them into one step where a remainder is short. Weeks may move to
    another day, and clocks change by an hour twice a year; that moves stamps, but loses none.

    Raises:
        ValueError: naming the steps.
    """
    day = pd.Timedelta("1D").value
    whole = step % day == 0 and step > day
    time = (stamps.normalize() if whole else stamps).to_numpy().astype("datetime64[ns]")
    phases = time.astype(np.int64) % step
    values, counts = np.unique(phases, return_counts=True)
    off = (phases - values[counts.argmax()] + step // 2) % step - step // 2
    moved = np.abs(off) > step / 16
    same = moved[1:] & (np.diff(off) == 0)
    restarts = int((np.diff(same.astype(int), prepend=0) == 1).sum())
    if restarts >= (1 if whole and step != 7 * day else max(3, 0.01 * len(stamps))):
        raise _unclear(gaps, f"steps of {_duration(step)} begin anew on the way")


def _unclear(gaps: pd.Series, why: str = "mixed frequencies") -> ValueError:
    values, counts = np.unique(gaps, return_counts=True)
    spacings = ", ".join(
        f"{_duration(int(values[i]))} ({counts[i] / len(gaps):.0%})"
        for i in np.argsort(-counts)[:3]
    )
    how = f"pass {option_text('freq')}"
    if why != "mixed frequencies":
        how = (
            f"they are on no grid of equal steps; pass a finer {option_text('freq')} that leaves "
            f"gaps, or a coarser one, such as {option_text('freq', 'M')} with "
            f"{option_text('duplicates', 'mean')}"
        )
    return ValueError(f"{why}: the time stamps are {spacings} apart; {how}")


def _duration(nanoseconds: int) -> str:
    """A duration as pandas writes it, whole days without a time of day."""
    return str(pd.Timedelta(nanoseconds)).removesuffix(" 00:00:00")
