"""Forecasts that need no model: whoever does not beat them has not learnt anything."""

import warnings
from typing import Literal

import numpy as np
import pandas as pd

from tsgen.core import Count
from tsgen.estimators.baselines.base import Baseline, FitWarning
from tsgen.estimators.baselines.histories import (
    covariance_root,
    draw,
    earlier_origins,
    fill_gaps,
    hot_deck,
    logarithm,
    normal,
    unseen_since,
)
from tsgen.forecasting.data.features import season_length


class LastValueEstimator(Baseline):
    """The last value, for ever and without doubt."""

    def paths(self, history: np.ndarray, start: pd.Period, num_samples: int) -> np.ndarray:
        """Repeat the last row."""
        return np.broadcast_to(
            fill_gaps(history)[-1], (num_samples, self.prediction_length, history.shape[1])
        ).copy()


class RandomWalkEstimator(Baseline):
    r"""The last value plus the sum of random steps: :math:`y_{T+h} = y_T + \sum_{i \le h} e_i`.

    Args:
        joint: whether the channels of a step belong together; else they are drawn independently.
        increments: "bootstrap" draws e from the steps of the history (their mean, the drift, is
            kept), "gaussian" from a normal law of mean 0 with their covariance, which is diagonal
            unless joint.
        transform: what walks: the target, "difference", or its logarithm, "log", which makes a
            geometric walk of a positive target.
        window: how many of the last steps count; all if not given.
    """

    joint: bool = True
    increments: Literal["bootstrap", "gaussian"] = "bootstrap"
    transform: Literal["difference", "log"] = "difference"
    window: Count | None = None

    def paths(self, history: np.ndarray, start: pd.Period, num_samples: int) -> np.ndarray:
        """Add up drawn steps, from each channel's last value on."""
        observed, since = np.isfinite(history), unseen_since(history)
        history = fill_gaps(history)
        history = logarithm(history) if self.transform == "log" else history
        if len(history) > 1:
            steps, mask = np.diff(history, axis=0), observed[1:] & observed[:-1]
        else:
            steps, mask = np.zeros_like(history), observed
        if self.window:
            steps, mask = steps[-self.window :], mask[-self.window :]
        steps, ahead = hot_deck(steps, mask), int(since.max())
        shape = (num_samples, ahead + self.prediction_length)
        if self.increments == "gaussian":
            drawn = normal(*shape, steps.shape[1]) @ covariance_root(steps, self.joint).T
        elif self.joint:
            drawn = steps[draw(len(steps), *shape)]
        else:
            index = draw(len(steps), *shape, steps.shape[1])
            drawn = np.take_along_axis(steps, index.reshape(-1, steps.shape[1]), 0)
            drawn = drawn.reshape(index.shape)
        drawn = drawn * (np.arange(shape[1])[:, None] >= ahead - since)
        paths = history[-1] + drawn.cumsum(1)[:, ahead:]
        return np.exp(paths) if self.transform == "log" else paths


class SeasonalNaiveEstimator(Baseline):
    r"""The last season again, plus the error that this made over a horizon at an earlier time.

    :math:`y_{T+h} = y_{T+h-ms} + (y_{t+h} - y_{t+h-ms})` with the season s, the smallest m that
    makes the right-hand side known, and an earlier origin t, drawn once for a path and all its
    channels.

    By default origins go back from the end in steps of a season, and so are of the forecast's own
    phase; in fewer than 30 seasons every step is an origin. Without any, the season is
    repeated without errors, and a history shorter than a season is repeated whole.

    Args:
        season: s, in steps; by the frequency if not given.
        residuals: whether errors are added; without them every path is GluonTS'
            ``SeasonalNaivePredictor``, if the history is not shorter than a season.
        first_origin: the earliest origin, in steps from the first value; origins are then counted
            from here upwards.
        origin_step: steps between origins.
        fit_until: errors are only those of the first so many steps of the series; of all if not
            given.
    """

    season: Count | None = None
    residuals: bool = True
    first_origin: Count | None = None
    origin_step: Count | None = None
    fit_until: Count | None = None

    def paths(self, history: np.ndarray, start: pd.Period, num_samples: int) -> np.ndarray:
        """Repeat, and add errors drawn for whole paths, all channels together."""
        horizon, length = self.prediction_length, len(history)
        season = min(self.season or season_length(start.freqstr), length)
        filled = fill_gaps(history, season)
        ahead, index = np.arange(horizon), np.arange(horizon) % season - season
        paths = np.repeat(filled[None, length + index], num_samples, axis=0)
        origins = self._origins(length, season) if self.residuals else np.empty(0, int)
        if self.residuals and not len(origins):
            warnings.warn(
                f"{length} steps are too few for errors of {horizon} steps a season of {season} "
                "later: paths have no spread",
                FitWarning,
                stacklevel=2,
            )
        if not len(origins):
            return paths
        observed, rows = np.isfinite(history), draw(len(origins), num_samples)
        if observed.all():
            drawn = origins[rows][:, None]
            return paths + filled[drawn + ahead] - filled[drawn + index]
        for channel, (y, mask) in enumerate(zip(filled.T, observed.T, strict=True)):
            now, before = origins[:, None] + ahead, origins[:, None] + index
            errors = hot_deck(y[now] - y[before], mask[now] & mask[before])
            paths[..., channel] += errors[rows]
        return paths

    def _origins(self, length: int, season: int) -> np.ndarray:
        """Steps t at which [t, t + H) is known and a season lies before."""
        last = min(self.fit_until or length, length) - self.prediction_length
        if self.first_origin is not None:
            origins = np.arange(self.first_origin, last + 1, self.origin_step or season)
            if self.first_origin < season or not len(origins):
                raise ValueError(
                    f"{type(self).__name__}: first_origin={self.first_origin} must leave a season "
                    f"of {season} steps before it and prediction_length={self.prediction_length} "
                    f"after it, of {last + self.prediction_length} steps"
                )
            return origins
        enough = last // season >= 30
        step = self.origin_step or (season if enough else 1)
        return earlier_origins(length, last, season, step)
