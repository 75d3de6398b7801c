"""Where alarms begin, by quantiles or deviations of scores."""

from abc import ABC, abstractmethod
from typing import Annotated

import numpy as np
from typing_extensions import override

from tsgen.core import Options, Positive, between


class Threshold(Options, ABC):
    """Learns a threshold from scores of normal data."""

    @abstractmethod
    def fit(self, scores: np.ndarray) -> float:
        """The threshold for scores (T,); higher scores are stranger."""


class QuantileThreshold(Threshold):
    """A quantile of the scores, so that a share ``1 - q`` of rows lies above it.

    Args:
        q: in (0, 1).
    """

    q: Annotated[float, between(0, 1, "()")] = 0.999

    @override
    def fit(self, scores: np.ndarray) -> float:
        return float(np.quantile(without_gaps(scores), self.q))


class MADThreshold(Threshold):
    """The median plus k median absolute deviations, scaled to a normal law's deviation.

    Args:
        k: deviations.
    """

    k: Positive = 6.0

    @override
    def fit(self, scores: np.ndarray) -> float:
        values = without_gaps(scores)
        middle = np.median(values)
        return float(middle + self.k * 1.4826 * np.median(np.abs(values - middle)))


def without_gaps(scores: np.ndarray) -> np.ndarray:
    """The scores that are not NaN.

    Raises:
        ValueError: if there is none, or one is infinite.
    """
    values = np.asarray(scores, dtype=float)
    values = values[~np.isnan(values)]
    if not len(values):
        raise ValueError("scores are all missing: there is nothing to learn a threshold from")
    if np.isinf(values).any():
        raise ValueError("scores hold infinite values; expected numbers, NaN where there is none")
    return values
