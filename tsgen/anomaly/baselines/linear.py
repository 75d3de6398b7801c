"""Linear prediction of a row from the row before it."""

import numpy as np
from sklearn.linear_model import Ridge
from typing_extensions import override

from tsgen.anomaly.detector import Detector
from tsgen.anomaly.readout import Readout
from tsgen.anomaly.runs import Run
from tsgen.core import NonNegative


class AR1Detector(Detector):
    r"""Each channel from its own last value: :math:`e_t = (x_t - a - b x_{t-1})^2`.

    Least squares by channel.

    Args:
        readout: squared errors by the channel's mean in training, mean over the channels.
        threshold: where alarms begin.
        policy: how scores become alarms.
    """

    readout: Readout = Readout("mean")  # noqa: RUF009

    learned = ("intercept_", "slope_")

    @property
    @override
    def memory(self) -> int:
        return 1

    @override
    def _learn(self, runs: list[Run]) -> None:
        before, after = _steps(runs)
        mean, then = before.mean(0), after.mean(0)
        spread = ((before - mean) ** 2).sum(0)
        together = ((before - mean) * (after - then)).sum(0)
        self.slope_ = np.where(spread > 0, together / np.maximum(spread, 1e-300), 0.0)
        self.intercept_ = then - self.slope_ * mean

    @override
    def errors(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        return (values[1:] - self._usual(values)) ** 2

    @override
    def _usual(self, values: np.ndarray) -> np.ndarray:
        return self.intercept_ + self.slope_ * values[:-1]


class VARDetector(Detector):
    r"""All channels from all channels' last values, by ridge regression (scikit-learn).

    Args:
        readout: squared errors by the channel's mean in training, mean over the channels.
        threshold: where alarms begin.
        policy: how scores become alarms.
        penalty: of the squared coefficients.
    """

    readout: Readout = Readout("mean")  # noqa: RUF009
    penalty: NonNegative = 10.0

    learned = ("intercept_", "coefficients_")

    @property
    @override
    def memory(self) -> int:
        return 1

    @override
    def _learn(self, runs: list[Run]) -> None:
        fitted = Ridge(self.penalty).fit(*_steps(runs))
        self.intercept_, self.coefficients_ = fitted.intercept_, fitted.coef_

    @override
    def errors(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        return (values[1:] - self._usual(values)) ** 2

    @override
    def _usual(self, values: np.ndarray) -> np.ndarray:
        return self.intercept_ + values[:-1] @ self.coefficients_.T


def _steps(runs: list[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and the rows after them."""
    before = np.concatenate([run.values[:-1] for run in runs])
    return before, np.concatenate([run.values[1:] for run in runs])
