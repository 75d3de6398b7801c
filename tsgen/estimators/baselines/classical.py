"""Classical models of econometrics, fitted by statsmodels and arch (the extra ``baselines``)."""

import importlib.util
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from tsgen.estimators.baselines.base import (
    Baseline,
    FitWarning,
    covariance_root,
    draw,
    logarithm,
    normal,
)
from tsgen.forecasting.features import season_length


class ClassicalBaseline(Baseline):
    """A model with parameters, fitted to the end of each history.

    A channel that does not change in the steps used stays as it is.

    Args:
        window: how many of the last steps are fitted; all if not given.
        errors: "bootstrap" draws the fit's own errors, "gaussian" from a normal law with their
            covariance; those of all channels at one time belong together in both.
    """

    package: ClassVar[str] = "statsmodels"

    window: int | None = None
    errors: Literal["bootstrap", "gaussian"] = "bootstrap"

    def __post_init__(self) -> None:
        """Check the options and that the package is there.

        Raises:
            ImportError: if it is not.
        """
        super().__post_init__()
        self._at_least(2, "window")
        if importlib.util.find_spec(self.package) is None:
            raise ImportError(
                f"{type(self).__name__} needs {self.package}: "
                "pip install 'tsgen-forecast[baselines]'"
            )

    def paths(self, history: np.ndarray, start: pd.Period, num_samples: int) -> np.ndarray:
        """Fit the channels that change and draw their paths."""
        recent = history[-self.window :] if self.window else history
        shape = (num_samples, self.prediction_length, history.shape[1])
        paths = np.broadcast_to(history[-1], shape).copy()
        moving = np.flatnonzero(recent.max(0) > recent.min(0))
        if len(moving):
            season = season_length(start.freqstr)
            paths[..., moving] = self._simulate(recent[:, moving], season, num_samples, moving)
        return paths

    @abstractmethod
    def _simulate(
        self, values: np.ndarray, season: int, num_samples: int, channels: np.ndarray
    ) -> np.ndarray:
        """Paths (S, H, K) after values (T, K), of the channels with these numbers."""

    def _draw_errors(self, errors: np.ndarray, num_samples: int) -> np.ndarray:
        """Errors of the coming steps (S, H, K) from those of the fit (n, K)."""
        shape = (num_samples, self.prediction_length)
        if self.errors == "bootstrap":
            return errors[draw(len(errors), *shape)]
        return normal(*shape, errors.shape[1]) @ covariance_root(errors).T

    def _need(self, steps: int, needed: int, reason: str) -> None:
        if steps < needed:
            raise ValueError(
                f"{type(self).__name__}: {steps} steps are too few, {reason} needs at least "
                f"{needed}"
            )

    @contextmanager
    def _fitting(self, what: str) -> Iterator[None]:
        """Turn a library's warnings into one :class:`FitWarning`, and name the part that fails."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            except (ValueError, ArithmeticError) as error:
                raise ValueError(f"{type(self).__name__}: {what}: {error}") from error
        if caught:
            said = sorted({" ".join(str(w.message).split())[:120] for w in caught})
            warnings.warn(f"{what}: {'; '.join(said)}", FitWarning, stacklevel=3)


class VAREstimator(ClassicalBaseline):
    r"""Vector autoregression by least squares: :math:`x_t = c + \sum_i A_i x_{t-i} + e_t`.

    Luetkepohl 2005, chapters 3 and 4. A single channel is an autoregression.

    Args:
        lags: the order; the one with the least AIC up to ``max_lags`` if not given.
        max_lags: if not given, as many as leave 20 steps for each coefficient of an equation, but 1
            to 24.
        difference: x is the target's change over so many steps; 0 for the target itself.
    """

    lags: int | None = None
    max_lags: int | None = None
    difference: int = 0

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self._at_least(1, "lags", "max_lags")
        self._at_least(0, "difference")
        if self.lags is not None and self.max_lags is not None:
            raise ValueError(
                f"{type(self).__name__}: lags={self.lags} and max_lags={self.max_lags}; give one "
                "of them"
            )

    def _simulate(
        self, values: np.ndarray, season: int, num_samples: int, channels: np.ndarray
    ) -> np.ndarray:
        size = values.std(0)
        x = values / size
        x = x[self.difference :] - x[: len(x) - self.difference] if self.difference else x
        count = x.shape[1]
        most = self.lags or self.max_lags or max(1, min(24, len(x) // (20 * count)))
        needed = most * (count + 1) + 10 + self.difference
        self._need(len(values), needed, f"an order of {most} with {count} channels")
        with self._fitting("the fit"):
            constant, matrices, errors = self._fit(x, most)
        past = np.broadcast_to(x[-len(matrices) :], (num_samples, len(matrices), count))
        drawn = self._draw_errors(errors, num_samples)
        steps = np.concatenate([past, drawn], axis=1)
        for h in range(len(matrices), steps.shape[1]):
            steps[:, h] += constant
            for i, matrix in enumerate(matrices, start=1):
                steps[:, h] += steps[:, h - i] @ matrix.T
        paths = steps[:, len(matrices) :] * size
        return sum_up(paths, values, self.difference) if self.difference else paths

    def _fit(self, x: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The constant (K,), the matrices (p, K, K) and the errors (n, K)."""
        if x.shape[1] == 1:
            from statsmodels.tsa.ar_model import AutoReg, ar_select_order

            order = self.lags or max(ar_select_order(x[:, 0], most, ic="aic").ar_lags or [1])
            single = AutoReg(x[:, 0], order).fit()
            matrices = single.params[1:, None, None]
            return single.params[:1], matrices, single.resid[:, None]
        from statsmodels.tsa.api import VAR

        fitted = VAR(x).fit(most, ic=None if self.lags else "aic")
        if not fitted.k_ar:  # AIC may prefer no past at all
            fitted = VAR(x).fit(1)
        return fitted.intercept, fitted.coefs, fitted.resid


class ETSEstimator(ClassicalBaseline):
    """Exponential smoothing, each channel by itself: additive errors, trend and season.

    Hyndman, Koehler, Ord, Snyder 2008: ETS(A, N, A), ETS(A, A, A) or ETS(A, Ad, A), whose smoothing
    parameters have the greatest likelihood from heuristic initial states. Errors of all channels
    are drawn from one time.

    Args:
        window: how many of the last steps are fitted.
        season: in steps, 1 for none; by the frequency if not given. A history shorter than two
            seasons is smoothed without one.
        trend: "none", "add" or "damped".
    """

    window: int | None = 2000
    season: int | None = None
    trend: Literal["none", "add", "damped"] = "none"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self._at_least(1, "season")

    def _simulate(
        self, values: np.ndarray, season: int, num_samples: int, channels: np.ndarray
    ) -> np.ndarray:
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        self._need(len(values), 10, "exponential smoothing")
        season = self.season or season
        seasonal = 1 < season <= len(values) // 2
        size = np.abs(values).max(0)
        fits = []
        for channel, y in zip(channels, (values / size).T, strict=True):
            with self._fitting(f"channel {channel}"):
                model = ETSModel(
                    y,
                    trend=None if self.trend == "none" else "add",
                    damped_trend=self.trend == "damped",
                    seasonal="add" if seasonal else None,
                    seasonal_periods=season if seasonal else None,
                    initialization_method="heuristic",
                )
                fits.append(model.fit(disp=False))
        drawn = self._draw_errors(np.stack([fit.resid for fit in fits], 1), num_samples)
        paths = [
            fit.simulate(
                self.prediction_length, "end", num_samples, random_errors=drawn[..., k].T
            ).reshape(self.prediction_length, num_samples)
            for k, fit in enumerate(fits)
        ]
        return np.stack(paths, -1).transpose(1, 0, 2) * size


class GARCHEstimator(ClassicalBaseline):
    r"""Changes whose variance moves: GARCH(1, 1) of each channel (Bollerslev 1986).

    .. math:: r_t = \mu + \sum_i \phi_i r_{t-i} + \sigma_t z_t, \quad
              \sigma_t^2 = \omega + \alpha (\sigma_{t-1} z_{t-1})^2 + \beta \sigma_{t-1}^2

    with the changes :math:`r_t` of the target or of its logarithm, by the normal quasi-likelihood.
    The standardised errors z of all channels belong together: of one time, or of a normal law with
    a constant correlation (Bollerslev 1990).

    Args:
        transform: "difference" of the target, or "log": of its logarithm, for positive targets.
        lags: order of the mean's autoregression; 0 for a constant mean.
    """

    package: ClassVar[str] = "arch"

    transform: Literal["difference", "log"] = "difference"
    lags: int = 0

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self._at_least(0, "lags")

    def paths(self, history: np.ndarray, start: pd.Period, num_samples: int) -> np.ndarray:
        """Fit the changes of each channel and add up drawn ones."""
        if self.transform == "difference":
            return super().paths(history, start, num_samples)
        return np.exp(super().paths(logarithm(history), start, num_samples))

    def _simulate(
        self, values: np.ndarray, season: int, num_samples: int, channels: np.ndarray
    ) -> np.ndarray:
        self._need(len(values), 50 + self.lags, "a GARCH(1, 1)")
        steps = np.diff(values, axis=0)
        size = np.maximum(steps.std(0), np.finfo(float).tiny)
        fits = []
        for channel, r in zip(channels, (steps / size).T, strict=True):
            with self._fitting(f"channel {channel}"):
                fits.append(self._fit(r))
        errors = np.stack([fit.std_resid[self.lags :] for fit in fits], 1)
        drawn = self._draw_errors(errors, num_samples)
        changes = [
            fit.forecast(
                horizon=self.prediction_length,
                method="simulation",
                simulations=num_samples,
                rng=_given(drawn[..., k]),
            ).simulations.values[-1]
            for k, fit in enumerate(fits)
        ]
        return values[-1] + (np.stack(changes, -1) * size).cumsum(1)

    def _fit(self, r: np.ndarray) -> Any:
        from arch import arch_model

        mean: dict[str, Any] = {"mean": "AR", "lags": self.lags} if self.lags else {}
        model = arch_model(r, **mean, vol="GARCH", p=1, q=1, rescale=False)
        return model.fit(disp="off", show_warning=True)


def _given(drawn: np.ndarray) -> Callable[[Any], np.ndarray]:
    return lambda size: drawn.reshape(size)


def sum_up(changes: np.ndarray, history: np.ndarray, lag: int) -> np.ndarray:
    """Paths (S, H, C) from their changes over ``lag`` steps, after a history (T, C)."""
    paths = changes.copy()
    for h in range(changes.shape[1]):
        paths[:, h] += paths[:, h - lag] if h >= lag else history[len(history) - lag + h]
    return paths
