"""Linear regression on a channel's own past and the calendar, one for all steps ahead at once."""

import warnings
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd

from tsgen.core import Count, Positive
from tsgen.estimators.baselines.base import Baseline, FitWarning
from tsgen.estimators.baselines.histories import draw, earlier_origins, fill_gaps, hot_deck
from tsgen.estimators.baselines.naive import SeasonalNaiveEstimator
from tsgen.forecasting.data.features import season_length

_ORIGINS = 100
"""Origins that are enough to keep to those of the forecast's own phase."""
_FEWEST = 20
"""Fewer origins are no ground for a regression."""
_ALPHAS = tuple(10 ** (k / 2) for k in range(-4, 5))
_BLOCKS = 10
_CHUNK = 2**24
"""Numbers in the features that are held at once."""


class RidgeEstimator(Baseline):
    r"""For each channel a ridge regression of the next H values on features of the origin t.

    .. math:: \min_{W, b} \sum_t \lVert y_{t:t+H} - W x_t - b \rVert^2 + \alpha \lVert W \rVert^2

    The features :math:`x_t` are the channel's last values, the same H steps one and two long
    seasons ago, and which phase of the day and of the week (of the year, for coarser frequencies)
    the origin is; values are divided by the channel's mean size. A path is the regression's
    forecast plus its errors at one earlier origin, all steps and all channels together.

    The origins that it learns from go back from the end in steps of a season, as long as these are
    at least 100, else in steps of the largest divisor of a season that gives 100, else one by one.
    Where they do not reach over twice the longest lag and four horizons, or are fewer than 20, the
    longest lags are left out: first the second long season, then the first, then values beyond a
    season, then all but the last value; below that the forecast is that of
    :class:`SeasonalNaiveEstimator`. A channel does not learn from origins of which less than half
    of its lags or of its horizon was observed; with fewer than 20 others it is repeated likewise.

    Args:
        alpha: weight of the penalty; if not given, for each channel the one of 0.01, 0.03, ..., 100
            with the least held-out error.
        own_lags: how many of the last values are features; two seasons, but 8 to 96 if not given.
        long_season: steps; a week for hours and minutes, 52 for weeks, else the season.
        first_origin: the earliest origin, in steps from the first value; origins are then counted
            from here upwards.
        origin_step: steps between origins.
        fit_until: coefficients, errors and sizes are those of the first so many steps of the
            series; of all if not given.
        residuals: the errors of a path: "in_sample", or "held_out", those of a regression that has
            not seen them. If horizons do not overlap it is the one without the origin, whose error
            is :math:`e_t / (1 - h_t)` with the leverage h (Allen 1974); if they do, the one without
            a tenth of the origins in a row and those whose horizon overlaps with these.
    """

    alpha: Positive | None = None
    own_lags: Count | None = None
    long_season: Count | None = None
    first_origin: Count | None = None
    origin_step: Count | None = None
    fit_until: Count | None = None
    residuals: Literal["held_out", "in_sample"] = "held_out"

    def paths(self, history: np.ndarray, start: pd.Period, num_samples: int) -> np.ndarray:
        """Regress, and add errors drawn for whole paths, all channels together."""
        simple = SeasonalNaiveEstimator(self.prediction_length, fit_until=self.fit_until)
        chosen = self._choose(len(history), start)
        if chosen is None:
            warnings.warn(
                f"{len(history)} steps are too few for a regression: seasonal naive instead",
                FitWarning,
                stacklevel=2,
            )
            return simple.paths(history, start, num_samples)
        lags, origins = chosen
        observed = np.isfinite(history)
        ahead = observed[origins[:, None] + np.arange(self.prediction_length)]
        use = (ahead.mean(1) >= 0.5) & (observed[origins[:, None] - lags].mean(1) >= 0.5)
        mask = ahead & use[:, None]
        filled = fill_gaps(history, min(season_length(start.freqstr), len(history)))
        size = np.abs(np.where(observed, filled, 0.0)[: self.fit_until]).sum(0)
        size /= np.maximum(observed[: self.fit_until].sum(0), 1)
        size[size == 0] = 1.0
        scaled = filled / size
        calendar = one_hot_calendar(start, len(history) + 1)
        chunk = max(1, _CHUNK // (len(origins) * (len(lags) + calendar.shape[1])))
        parts = [
            self._forecast(scaled[:, p], calendar, lags, origins, mask[..., p])
            for p in (slice(i, i + chunk) for i in range(0, history.shape[1], chunk))
        ]
        mean, errors = (np.concatenate(part, -1) for part in zip(*parts, strict=True))
        paths = (mean + hot_deck(errors, mask)[draw(len(origins), num_samples)]) * size
        rare = np.flatnonzero(use.sum(0) < _FEWEST)
        if len(rare):
            warnings.warn(
                f"channels {rare.tolist()} were observed at too few origins: seasonal naive for "
                "them",
                FitWarning,
                stacklevel=2,
            )
            paths[..., rare] = simple.paths(history[:, rare], start, num_samples)
        return paths

    def _choose(self, length: int, start: pd.Period) -> tuple[np.ndarray, np.ndarray] | None:
        """Lags and origins that a history of this length allows."""
        season = season_length(start.freqstr)
        last = min(self.fit_until or length, length) - self.prediction_length
        for lags in self._lag_sets(season, start):
            if self.first_origin is not None:
                origins = np.arange(self.first_origin, last + 1, self.origin_step or season)
                if self.first_origin < lags[-1] or len(origins) < _FEWEST:
                    raise ValueError(
                        f"{type(self).__name__}: first_origin={self.first_origin} must leave the "
                        f"longest lag of {lags[-1]} steps before it and at least {_FEWEST} "
                        f"origins with prediction_length={self.prediction_length} steps after, of "
                        f"{max(last, 0) + self.prediction_length} steps"
                    )
                return lags, origins
            steps = [s for s in range(season, 0, -1) if season % s == 0]
            enough = (s for s in steps if (last - lags[-1]) // s >= _ORIGINS)
            step = self.origin_step or next(enough, 1)
            origins = earlier_origins(length, last, lags[-1], step)
            fewest = max(_FEWEST, 4 * -(-self.prediction_length // step))
            if len(origins) >= fewest and last - lags[-1] >= 2 * lags[-1]:
                return lags, origins
        return None

    def _lag_sets(self, season: int, start: pd.Period) -> Iterator[np.ndarray]:
        """The lags, from all of them to the last value only, each in ascending order."""
        own = np.arange(1, (self.own_lags or min(max(2 * season, 8), 96)) + 1)
        long = self.long_season or _long_season(season, start)
        again = long - np.arange(min(self.prediction_length, long))
        yield np.unique(np.concatenate([own, again, again + long]))
        yield np.unique(np.concatenate([own, again]))
        yield own
        yield own[:season]
        yield own[:1]

    def _forecast(
        self,
        scaled: np.ndarray,
        calendar: np.ndarray,
        lags: np.ndarray,
        origins: np.ndarray,
        mask: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Forecast (H, C) at the end and errors (n, H, C) at the origins, of values (T, C).

        ``mask`` (n, H, C) tells which errors count.
        """
        rows = np.append(origins, len(scaled))
        own = scaled[rows[:, None] - lags].transpose(2, 0, 1)
        shared = np.broadcast_to(calendar[rows], (len(own), len(rows), calendar.shape[1]))
        x = np.concatenate([own, shared], -1)
        x, now = x[:, :-1], x[:, -1:]
        y = scaled[origins[:, None] + np.arange(self.prediction_length)].transpose(2, 0, 1)
        weight = mask.transpose(2, 0, 1)
        use = np.asarray(weight.any(2))
        whole = _Fit(x, y, use)
        alphas = _ALPHAS if self.alpha is None else (self.alpha,)
        chosen = np.full((len(x), 1, 1), alphas[0])
        errors = np.empty_like(y)
        if self.residuals == "held_out" or len(alphas) > 1:
            least = np.full(len(x), np.inf)
            overlap = -(-self.prediction_length // abs(origins[1] - origins[0])) - 1
            for alpha, residuals in zip(
                alphas, _held_out(whole, x, y, use, overlap, alphas), strict=True
            ):
                loss = (residuals**2 * weight).sum((1, 2))
                better = loss < least
                least[better], chosen[better], errors[better] = (
                    loss[better],
                    alpha,
                    residuals[better],
                )
        if self.residuals == "in_sample":
            errors = y - whole.predict(whole.turn(x), chosen)
        return whole.predict(whole.turn(now), chosen)[:, 0].T, errors.transpose(1, 2, 0)


class _Fit:
    """Ridge regressions of y (C, n, H) on x (C, n, p), each with an intercept, for every alpha.

    Of the rows ``use`` (C, n) says which count. In the eigenvectors of the Gram matrix alpha only
    adds to the eigenvalues.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, use: np.ndarray) -> None:
        self.count = np.maximum(use.sum(1, keepdims=True), 1)
        rows = use[..., None].astype(float)
        self.x_mean = (x * rows).sum(1, keepdims=True) / self.count[..., None]
        self.y_mean = (y * rows).sum(1) / self.count
        x = (x - self.x_mean) * rows
        values, self.vectors = np.linalg.eigh(x.swapaxes(1, 2) @ x)
        self.values = np.maximum(values, 0)[:, None]
        self.product = (x @ self.vectors).swapaxes(1, 2) @ (y - self.y_mean[:, None])

    def turn(self, x: np.ndarray) -> np.ndarray:
        """Turn x (C, m, p) into the eigenvectors, the same for every alpha."""
        return (x - self.x_mean) @ self.vectors

    def predict(self, turned: np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
        """At turned x (C, m, p), with one alpha or one for each channel, (C, 1, 1)."""
        return turned / (self.values + alpha) @ self.product + self.y_mean[:, None]

    def leverage(self, turned: np.ndarray, alpha: float) -> np.ndarray:
        """Diagonal of the hat matrix at the turned x of the fit, (C, n)."""
        weights = 1 / (self.values[:, 0] + alpha)
        return 1 / self.count + np.einsum("cnp,cp->cn", turned**2, weights)


def _held_out(
    whole: _Fit,
    x: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    overlap: int,
    alphas: tuple[float, ...],
) -> Iterator[np.ndarray]:
    """For each alpha the errors (C, n, H) at origins that the regression has not seen.

    Args:
        whole: the regression on all of them.
        x: (C, n, p).
        y: (C, n, H).
        use: origins that count, (C, n).
        overlap: how many origins on either side have a part of the horizon in common.
        alphas: weights of the penalty.
    """
    if not overlap:
        turned = whole.turn(x)
        for alpha in alphas:
            left = np.where(use, 1 - whole.leverage(turned, alpha), 1.0)
            yield (y - whole.predict(turned, alpha)) / left[..., None]
        return
    parts = []
    for block in np.array_split(np.arange(x.shape[1]), _BLOCKS):
        rest = np.r_[: max(block[0] - overlap, 0), block[-1] + 1 + overlap : x.shape[1]]
        fit = _Fit(x[:, rest], y[:, rest], use[:, rest])
        parts.append((fit, fit.turn(x[:, block])))
    for alpha in alphas:
        yield y - np.concatenate([fit.predict(turned, alpha) for fit, turned in parts], axis=1)


def _long_season(season: int, start: pd.Period) -> int:
    name = start.freq.name.split("-")[0]
    return {"h": 7 * season, "min": 7 * season, "W": 52}.get(name, season)


def one_hot_calendar(start: pd.Period, length: int) -> np.ndarray:
    """Phases of each period from ``start`` on, (length, K).

    Of the day (at most 96 of them, else hours) and the week for hours and minutes, of the week for
    days, the month for weeks and months, the quarter for quarters; none for other frequencies.
    """
    name = start.freq.name.split("-")[0]
    with warnings.catch_warnings():  # pandas will give up business days as periods
        warnings.simplefilter("ignore", FutureWarning)
        index = pd.period_range(start, periods=length, freq=start.freq)
        phases: list[tuple[np.ndarray, int]] = []
        if name in ("h", "min", "s"):
            season = season_length(start.freqstr)
            slots = season if name != "s" and season <= 96 else 24
            minute = np.asarray(index.hour) * 60 + np.asarray(index.minute)
            phases.append((minute * slots // 1440, slots))
        if name in ("h", "min", "s", "D", "B"):
            phases.append((np.asarray(index.dayofweek), 7))
        elif name in ("W", "M", "ME"):
            phases.append((np.asarray(index.month) - 1, 12))
        elif name in ("Q", "QE"):
            phases.append((np.asarray(index.quarter) - 1, 4))
    columns = [np.eye(count)[phase] for phase, count in phases]
    return np.concatenate([np.zeros((length, 0)), *columns], axis=1)
