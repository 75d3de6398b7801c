"""Calendar features and lags that suit a frequency."""

import math
import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
from gluonts.time_feature import get_lags_for_frequency, get_seasonality
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import BaseOffset

from tsgen.core import Options

TimeFeature = Callable[[pd.PeriodIndex], np.ndarray]

_SECONDS = {"s": 1, "min": 60, "h": 3600, "D": 86400, "B": 86400}
_WHOLE_DAYS = ("D", "B", "W", "M", "Q", "Y")


class CalendarWave(Options):
    r"""One sine or cosine of the calendar: :math:`\sin(2\pi k \varphi)` with the phase of a cycle.

    Args:
        cycle: "hour", "day", "week" or "year", whose elapsed fraction is the phase.
        harmonic: k, full waves per cycle.
        wave: "sin" or "cos".
    """

    cycle: Literal["hour", "day", "week", "year"]
    harmonic: int = 1
    wave: Literal["sin", "cos"] = "sin"

    def __call__(self, index: pd.PeriodIndex) -> np.ndarray:
        """Values at each period's start, shape (len(index),)."""
        return self.at(_phase(index, self.cycle))

    def at(self, phase: np.ndarray) -> np.ndarray:
        """Values at phases of the cycle."""
        return getattr(np, self.wave)(2 * math.pi * self.harmonic * phase)


def calendar_features(
    features: tuple[TimeFeature, ...], index: pd.PeriodIndex, first: int = 0
) -> np.ndarray:
    """Several features at each period's start, (len(features), len(index)).

    Waves of a cycle share its phase, which takes longest to find, and are 0 before the period
    number ``first``.
    """
    values = np.zeros((len(features), len(index)))
    waves = [f for f in features if isinstance(f, CalendarWave)]
    phases = {cycle: _phase(index[first:], cycle) for cycle in {wave.cycle for wave in waves}}
    for row, feature in zip(values, features, strict=True):
        if isinstance(feature, CalendarWave):
            row[first:] = feature.at(phases[feature.cycle])
        else:
            row[:] = feature(index)
    return values


def _phase(index: pd.PeriodIndex, cycle: str) -> np.ndarray:
    """Elapsed fraction of a cycle at each period's start, shape (len(index),)."""
    hour = day = np.zeros(len(index))
    if index.freqstr.split("-")[0] not in _WHOLE_DAYS:  # at midnight else
        hour = (np.asarray(index.minute) * 60.0 + np.asarray(index.second)) / 3600
        day = (np.asarray(index.hour) + hour) / 24
    return {
        "hour": lambda: hour,
        "day": lambda: day,
        "week": lambda: (np.asarray(index.dayofweek) + day) / 7,
        "year": lambda: (np.asarray(index.dayofyear) - 1 + day) / 365.25,
    }[cycle]()


def default_time_features(freq: str) -> tuple[TimeFeature, ...]:
    """Sines and cosines of the cycles that a frequency resolves.

    There are none for sub-second and yearly data.
    """
    offset = _offset(freq)
    name = _base_name(offset)
    if name in ("s", "min"):
        harmonics = {"hour": 1, "day": 3, "week": 2}
    elif name == "h":
        harmonics = {"day": 3, "week": 3}
    elif name in ("D", "B"):
        harmonics = {"week": 3, "year": 1}
    elif name in ("W", "ME", "QE", "M", "Q"):
        harmonics = {"year": 2}
    else:
        harmonics = {}
    return tuple(
        CalendarWave(cycle, k, wave)  # type: ignore[arg-type]
        for cycle, count in harmonics.items()
        for k in range(1, count + 1)
        for wave in ("sin", "cos")
    )


def season_length(freq: str) -> int:
    """Steps of the shortest season that a frequency has.

    24 for hourly, 48 for half-hourly, 7 for daily data, else GluonTS's.
    """
    offset = _offset(freq)
    name = _base_name(offset)
    if name in ("h", "min", "s"):
        return (
            max(1, round(86400 / (_SECONDS[name] * offset.n)))
            if name != "s"
            else get_seasonality(offset.freqstr)
        )
    return {"D": 7, "B": 5}.get(name, get_seasonality(offset.freqstr))


def default_lags(freq: str, num_channels: int, length: int) -> tuple[int, ...]:
    """Lags to look back at: few for several channels (as TimeGrad), GluonTS's list for one.

    Args:
        freq: pandas frequency.
        num_channels: C.
        length: the longest lag allowed, from the length of the series.
    """
    offset = _offset(freq)
    name = _base_name(offset)
    lags: list[int]
    if num_channels == 1:
        try:
            lags = get_lags_for_frequency(offset.freqstr, lag_ub=min(max(length, 7), 1200))
        except (
            ValueError,
            AssertionError,
        ):  # frequencies GluonTS has no list for, e.g. sub-second ones
            lags = list(range(1, 8))
    elif name == "h":
        lags = [1, round(24 / offset.n), round(168 / offset.n)]
    elif name in ("D", "B"):
        lags = [1, 7, 14] if name == "D" else [1, 2]
    else:
        lags = [1, season_length(freq)]
    return tuple(sorted({lag for lag in lags if 1 <= lag <= max(length, 1)} | {1}))


def _offset(freq: str) -> BaseOffset:
    """The offset of a frequency as periods spell it ("M"), under its present name ("ME")."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return to_offset(pd.Period("2000-01-03", freq=freq).freqstr)


def _base_name(offset: BaseOffset) -> str:
    return offset.name.split("-")[0]
