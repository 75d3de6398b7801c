"""What instruments make of a process: noise, drift, steps and drop-outs."""

from typing import Annotated, NamedTuple

import numpy as np

from tsgen.core import FINITE, NonNegative, Options, at_least, between
from tsgen.plant.noise import autoregression, drop_outs


class Faults(NamedTuple):
    """What befalls the sensors of a run."""

    error: np.ndarray
    """Added to the true values, (T, C)."""
    step: np.ndarray
    """Of the quantisation, (C,); 0 is none."""
    missing: np.ndarray
    """Where nothing arrives, (T, C)."""


class Sensors(Options):
    r"""Sensors of levels, pressures and flows; statuses, settings and setpoints arrive exactly.

    A sensor of span S reports :math:`q\,[(y + S n x + S d z) / q]`, :math:`q = S r`, with white
    Gaussian x, z an Ornstein-Uhlenbeck process of unit variance and [.] rounding to the nearest.
    The span is what the plant uses of an instrument: of a tank, the level from its lowest to its
    highest; of a pressure or flow, the largest value in a day without noise.

    Args:
        noise: n, standard deviation over span.
        resolution: r, step of the quantisation over span; 0 is none.
        drift: d, standard deviation of the calibration's error over span.
        drift_days: after which the correlation of that error has fallen to 1/e.
        dropout: chance that a drop-out begins, of a sensor and row.
        dropout_rows: mean number of rows of a drop-out (geometric), at least 1.
    """

    noise: Annotated[float, between(0, 1, "[)")] = 0.002
    resolution: Annotated[float, between(0, 1, "[)")] = 0.001
    drift: Annotated[float, between(0, 1, "[)")] = 0.002
    drift_days: NonNegative = 30.0
    dropout: Annotated[float, between(0, 1, "[)")] = 1e-4
    dropout_rows: Annotated[float, at_least(1), FINITE] = 3.0

    def faults(
        self, rows: int, spans: np.ndarray, seconds: float, seed: np.random.SeedSequence
    ) -> Faults:
        """Draw what befalls a run.

        Args:
            rows: T.
            spans: (C,).
            seconds: between rows.
            seed: of streams of its own; neither the other faults nor ``rows`` change any.
        """
        noise, drift, begins, lengths = map(np.random.default_rng, seed.spawn(4))
        shape = (rows, len(spans))
        slow = autoregression(drift, shape, self.drift, self.drift_days * 86400 / seconds)
        error = (slow + self.noise * noise.standard_normal(shape)) * spans
        missing = drop_outs(begins, lengths, shape, self.dropout, self.dropout_rows)
        return Faults(error, self.resolution * spans, missing)


def quantised(values: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Values (..., C) rounded to the nearest multiple of each step (C,); a step of 0 rounds none.

    NaN stays.
    """
    safe = np.where(step > 0, step, 1.0)
    return np.where(step > 0, np.round(values / safe) * safe, values)
