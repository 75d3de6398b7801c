"""Classical models of econometrics, fitted by statsmodels and arch (the extra ``baselines``)."""

import importlib.util
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd

from tsgen.core import Count, OptionError, at_least
from tsgen.estimators.baselines.base import Baseline, FitWarning
from tsgen.estimators.baselines.histories import (
    covariance_root,
    draw,
    fill_gaps,
    hot_deck,
    normal,
    unseen_since,
)
from tsgen.forecasting.data.features import season_length


class ClassicalBaseline(Baseline):
    """A model with parameters, fitted to the end of each history.

    A channel that does not change in the steps used stays as it is.

    Args:
        window: how many of the last steps are fitted; all if not given.
        errors: "bootstrap" draws the fit's own errors, "gaussian" from a normal law with their
            covariance; those of all channels at one time belong together in both.
    """

    package: ClassVar[str] = "statsmodels"

    window: Annotated[int, at_least(2)] | None = None
    errors: Literal["bootstrap", "gaussian"] = "bootstrap"

    def __post_init__(self) -> None:
        """Check that the package is there.

        Raises:
            ImportError: if it is not.
        """
        super().__post_init__()
        if importlib.util.find_spec(self.package) is None:
            raise ImportError(
                f"{type(self).__name__} needs {self.package}: "
                "pip install 'tsgen-forecast[baselines]'"
            )

    def paths(self, history: np.ndarray, start: pd.Period, num_samples: int) -> np.ndarray:
        """Fit the channels that change and draw their paths."""
        filled = fill_gaps(history)
        recent = history[-self.window :] if self.window else history
        recent = np.where(np.isfinite(recent).any(0), recent, filled[-1])
        shape = (num_samples, self.prediction_length, history.shape[1])
        paths = np.broadcast_to(filled[-1], shape).copy()
        moving = np.flatnonzero(np.nanmax(recent, 0) > np.nanmin(recent, 0))
        if len(moving):
            season = season_length(start.freqstr)
            paths[..., moving] = self._simulate(recent[:, moving], season, num_samples, moving)
        return paths

    @abstractmethod
    def _simulate(
        self, values: np.ndarray, season: int, num_samples: int, channels: np.ndarray
    ) -> np.ndarray:
        """Paths (S, H, K) after values (T, K), NaN where missing, of the channels so numbered."""

    def _draw_errors(
        self, errors: np.ndarray, mask: np.ndarray, num_samples: int, ahead: int = 0
    ) -> np.ndarray:
        """Errors of the coming steps (S, ahead + H, K) from those of the fit (n, K)."""
        errors = hot_deck(errors, mask)
        shape = (num_samples, ahead + self.prediction_length)
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

    lags: Count | None = None
    max_lags: Count | None = None
    difference: Annotated[int, at_least(0)] = 0

    def __post_init__(self) -> None:
        """Check that the order is given once at most."""
        super().__post_init__()
        if self.lags is not None and self.max_lags is not None:
            none = f"None with lags={self.lags}"
            raise OptionError(type(self).__name__, "max_lags", self.max_lags, none)

    def _simulate(
        self, values: np.ndarray, season: int, num_samples: int, channels: np.ndarray
    ) -> np.ndarray:
        observed, values = np.isfinite(values), fill_gaps(values, max(self.difference, 1))
        size = values.std(0)
        x = values / size
        if self.difference:
            observed = observed[self.difference :] & observed[: -self.difference]
        x = x[self.difference :] - x[: len(x) - self.difference] if self.difference else x
        count = x.shape[1]
        most = self.lags or self.max_lags or max(1, min(24, len(x) // (20 * count)))
        needed = most * (count + 1) + 10 + self.difference
        self._need(len(values), needed, f"an order of {most} with {count} channels")
        with self._fitting("the fit"):
            constant, matrices, errors = self._fit(x, most)
        past = np.broadcast_to(x[-len(matrices) :], (num_samples, len(matrices), count))
        drawn = self._draw_errors(errors, observed[-len(errors) :], num_samples)
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

        try:
            fitted = VAR(x).fit(most, ic=None if self.lags else "aic")
            one = not fitted.k_ar  # AIC may prefer no past at all
        except np.linalg.LinAlgError:  # channels that determine each other have no AIC
            one = self.lags is None
            if not one:
                raise
        if one:
            fitted = VAR(x).fit(1)
        return fitted.intercept, fitted.coefs, fitted.resid


class ETSEstimator(ClassicalBaseline):
    """Exponential smoothing, each channel by itself: additive errors, trend and season.

    Hyndman, Koehler, Ord, Snyder 2008: ETS(A, N, A), ETS(A, A, A) or ETS(A, Ad, A), whose smoothing
    parameters have the greatest likelihood from heuristic initial states. Errors of all channels
    are drawn from one time. A channel needs 10 steps up to its last value, and is smoothed without
    a season if they are fewer than two seasons, or than a season and 10.

    Args:
        window: how many of the last steps are fitted.
        season: in steps, 1 for none; by the frequency if not given.
        trend: "none", "add" or "damped".
    """

    window: int | None = 2000
    season: Count | None = None
    trend: Literal["none", "add", "damped"] = "none"

    def _simulate(
        self, values: np.ndarray, season: int, num_samples: int, channels: np.ndarray
    ) -> np.ndarray:
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        season = self.season or season
        observed, since = np.isfinite(values), unseen_since(values)
        values = fill_gaps(values, season if 1 < season <= len(values) // 2 else 1)
        size, ahead = np.abs(values).max(0), int(since.max())
        fits, errors = [], np.zeros_like(values)
        for k, (channel, whole) in enumerate(zip(channels, (values / size).T, strict=True)):
            y = whole[: len(whole) - since[k]]
            self._need(len(y), 10, f"exponential smoothing of channel {channel}")
            seasonal = 1 < season and len(y) >= max(2 * season, season + 10)
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
                errors[: len(y), k] = fits[-1].resid
        drawn = self._draw_errors(errors, observed, num_samples, ahead)
        paths = []
        for k, fit in enumerate(fits):
            errors_ahead = drawn[:, ahead - since[k] :, k].T
            simulated = fit.simulate(
                len(errors_ahead), "end", num_samples, random_errors=errors_ahead
            )
            paths.append(simulated.reshape(errors_ahead.shape)[-self.prediction_length :])
        return np.stack(paths, -1).transpose(1, 0, 2) * size


def sum_up(changes: np.ndarray, history: np.ndarray, lag: int) -> np.ndarray:
    """Paths (S, H, C) from their changes over ``lag`` steps, after a history (T, C)."""
    paths = changes.copy()
    for h in range(changes.shape[1]):
        paths[:, h] += paths[:, h - lag] if h >= lag else history[len(history) - lag + h]
    return paths
