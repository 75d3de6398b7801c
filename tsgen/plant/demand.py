"""What the plant's customers draw: patterns, days of the week, seasons and noise."""

from typing import Annotated

import numpy as np
import pandas as pd

from tsgen.core import FINITE, NonNegative, Options, above, between
from tsgen.plant.noise import autoregression
from tsgen.plant.reading import Group

_WARMEST = 201  # day of the year, 20 July


class Demand(Options):
    r"""How the demand of a group of junctions moves about its base.

    .. math:: m_g(t) = p_g(t)\, d_g(t)\, w(t)\, (1 + a \cos(2 \pi (D(t) - 201) / 365.25))\,
        e^{x_g(t) - s^2 / 2}

    p is the network's pattern, joined by straight lines between its steps (a plant has no jumps
    every hour) and cut to whole days where it is longer than one; d is the shape of a day, with
    mean 1, peaks at about 9 and 19 and least at 2 o'clock, where the pattern is constant, else 1;
    w is 1 on working days and ``1 + weekend`` at weekends; D the day of the year; x an
    autoregression of the group, independent of the others, of standard deviation s. Groups
    that supply water (negative base demand) follow their pattern alone.

    Args:
        daily: amplitude of d, in [0, 1).
        weekend: above -1.
        season: a, in [0, 1); the peak is on 20 July.
        noise: s.
        memory_hours: after which the correlation of x has fallen to 1/e.
    """

    daily: Annotated[float, between(0, 1, "[)")] = 0.4
    weekend: Annotated[float, above(-1), FINITE] = 0.08
    season: Annotated[float, between(0, 1, "[)")] = 0.1
    noise: Annotated[float, between(0, 1, "[)")] = 0.05
    memory_hours: NonNegative = 3.0

    def multipliers(
        self,
        groups: list[Group],
        times: pd.DatetimeIndex,
        offset: int,
        pattern_step: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """What base demands are multiplied by, (T, G).

        Args:
            groups: G of them.
            times: of the rows, evenly spaced.
            offset: seconds into the cycle of the patterns at the first row.
            pattern_step: seconds that a value of a pattern holds.
            rng: draws the noise.
        """
        seconds = (times - times[0]).total_seconds().to_numpy()
        hours = ((times - times.normalize()).total_seconds() / 3600).to_numpy()
        step = float(seconds[1]) if len(seconds) > 1 else 1.0
        paths = autoregression(
            rng, (len(times), len(groups)), self.noise, self.memory_hours * 3600 / step
        )
        year = 2 * np.pi * ((times.dayofyear.to_numpy() + hours / 24) - _WARMEST) / 365.25
        common = (1 + self.season * np.cos(year)) * np.where(
            times.dayofweek >= 5, 1 + self.weekend, 1.0
        )
        # two peaks, mean 0 over a day: a sum of two harmonics
        turn = 2 * np.pi * (hours - 8) / 24
        day = 1 + self.daily * (np.cos(2 * turn) + np.sin(turn)) / 2
        result = np.empty(paths.shape)
        for column, group in enumerate(groups):
            shape = _interpolated(group.pattern, seconds + offset, pattern_step)
            if not group.supply:
                shape = shape * common * np.exp(paths[:, column] - self.noise**2 / 2)
                if np.ptp(group.pattern) == 0:
                    shape = shape * day
            result[:, column] = shape
        return result


def _interpolated(pattern: np.ndarray, seconds: np.ndarray, step: int) -> np.ndarray:
    """A pattern (K,) at seconds (T,): each value holds in the middle of its step."""
    length = len(pattern) * step
    if length > 86400:
        pattern = pattern[: max(length // 86400 * 86400 // step, 1)]
    cycle = len(pattern) * step
    middles = (np.arange(len(pattern)) + 0.5) * step
    return np.interp(seconds % cycle, middles, pattern, period=cycle)
