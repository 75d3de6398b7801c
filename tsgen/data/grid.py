"""The regular grid of a series: where each time stamp falls on it, and back."""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.offsets import Tick

from tsgen.data.frequency import Stamp, offset_of, without_future_warnings

_CENTRED = 4  # jitter around less than a quarter of a step counts as around the step


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

    Hours, days and other fixed steps are counted from the phase that most stamps share. Where they
    share none, the phase is the start of the period, or for the nearest step the middle of the
    phases if that is far from the start. Stamps off it are moved to the nearest step or the one
    before. Calendar periods (weeks, months, ...) take whatever falls inside; business days take
    weekends to the day the rule says.

    Args:
        stamps: in any order, repeated or not, (N,).
        freq: see :func:`period_frequency`.
        rule: for stamps off the grid.
    """
    offset = offset_of(freq)
    if isinstance(offset, Tick):
        step = pd.Timedelta(offset).value
        time = stamps.to_numpy().astype("datetime64[ns]").astype(np.int64)
        phase = _phase(time % step, step, rule)
        position = (time - phase + (step // 2 if rule == "nearest" else 0)) // step
        first = position.min()
        begin = pd.Timestamp(int(first) * step + phase)
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
        position, rest = np.divmod(ordinal - first, offset.n)
        start = pd.Period(ordinal=int(first), freq=freq)
        ends = (_ends(periods) == stamps.normalize()).all()
    stamp: Stamp = "end" if ends and offset.name != "B" else "start"
    single = len(np.unique(position)) == len(position)  # else a period has no one place for stamps
    shift = stamps.min() - start.start_time if stamp == "start" and single else pd.Timedelta(0)
    return Grid(start, position, weekend | (rest > 0), stamp, shift)


def _phase(phases: np.ndarray, step: int, rule: str) -> int:
    """The phase that a grid is counted from, in nanoseconds.

    Args:
        phases: how far stamps lie into their step, (N,).
        step: its length.
        rule: where stamps off the grid go.
    """
    values, counts = np.unique(phases, return_counts=True)
    if counts.max() > 0.5 * len(phases):
        return int(values[counts.argmax()])
    if rule == "floor":
        return 0
    turn = 2 * np.pi / step
    centre = round(float(np.angle(np.exp(1j * turn * phases).mean())) / turn)
    middle = int(np.median((phases - centre + step // 2) % step)) - step // 2 + centre
    return 0 if abs(middle) < step / _CENTRED else middle % step


def stamps_of(start: pd.Period, count: int, stamp: Stamp = "start") -> pd.DatetimeIndex:
    """Time stamps of so many periods, lying in them as a table's do."""
    with without_future_warnings():
        index = pd.period_range(start, periods=count, freq=start.freqstr)
        return index.to_timestamp(how="start") if stamp == "start" else _ends(index)


def _ends(periods: pd.PeriodIndex) -> pd.DatetimeIndex:
    """Last days: of a step of two months that of the first one, where the period is counted."""
    single = periods.freqstr.lstrip("0123456789")
    return periods.asfreq(single, how="S").to_timestamp(how="end").normalize()
