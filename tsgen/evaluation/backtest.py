"""Forecast the ends of series again and again, and compare with what happened."""

import inspect
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from gluonts.model.estimator import Estimator
from gluonts.model.forecast import Forecast, SampleForecast
from gluonts.model.predictor import Predictor
from gluonts.time_feature import get_seasonality

from tsgen.core import OptionError, seeded, seeded_everywhere
from tsgen.data.entries import Entry
from tsgen.data.paths import paths_of, with_paths
from tsgen.data.splits import length_of, rolling, until
from tsgen.evaluation.capabilities import HasLogProb, Resumable
from tsgen.evaluation.cells import seasonal_error
from tsgen.evaluation.series import series_of
from tsgen.evaluation.table import Scores, evaluate


class Backtest(NamedTuple):
    """Forecasts beside the truth."""

    forecasts: list[SampleForecast]
    """One for each window of each series."""
    entries: list[Entry]
    """The data set entries they belong to, which end with their window."""
    samples: np.ndarray
    """(W, S, H, C)."""
    truth: np.ndarray
    """(W, H, C); NaN where it is not known."""
    scores: Scores
    """See :class:`tsgen.evaluation.Scores`."""
    predictor: Predictor
    """The one that made the forecasts, the last one if it was refitted."""
    seconds: dict[str, float]
    """Spent on "train" and "forecast"."""
    series: list[list[int]]
    """Windows of each series in the order of time."""

    def __repr__(self) -> str:
        return (
            f"Backtest of {len(self.series)} series, (windows, paths, steps, channels) "
            f"{self.samples.shape}\n{self.scores!r}"
        )

    @property
    def starts(self) -> list[pd.Period]:
        """First step of each window."""
        return [forecast.start_date for forecast in self.forecasts]


def backtest(
    forecaster: Estimator | Predictor,
    dataset: Iterable[Entry],
    windows: int | None = None,
    *,
    stride: int | None = None,
    refit: bool | int = False,
    train: Iterable[Entry] | None = None,
    num_samples: int = 100,
    seed: int | None = None,
    levels: int = 19,
    season: int | None = None,
    channels: Sequence[str] | None = None,
) -> Backtest:
    """Forecast rolling windows at the end of each series and score the forecasts.

    Args:
        forecaster: any GluonTS predictor, or an estimator, which is trained first, on what comes
            before the first window only.
        dataset: whole series with ``windows``, else entries that each end with their window, as
            benchmark sets have them.
        windows: rolling windows of each series.
        stride: steps from a window to the next; a horizon if not given.
        refit: whether an estimator is trained anew before each window, or, a number, before every
            so many.
        train: what an estimator is trained on instead; needed where ``windows`` is not given.
        num_samples: paths per forecast.
        seed: of training and of the samples.
        levels: of the quantile grid.
        season: m of MASE; GluonTS' for the frequency if not given.
        channels: their names.

    Raises:
        ValueError: for windows that do not fit the series, or forecasts that do not fit the
            windows.
    """
    if num_samples < 2:
        raise OptionError("", "num_samples", num_samples, "at least 2 to be scored")
    if season is not None and season < 1:
        raise OptionError("", "season", season, "at least 1")
    horizon = forecaster.prediction_length
    entries = list(dataset) if windows is None else rolling(dataset, windows, horizon, stride)
    if not entries:
        raise ValueError("the data set is empty: there is nothing to forecast")
    for number, entry in enumerate(entries):
        if length_of(entry) <= horizon:
            raise ValueError(
                f"series {entry.get('item_id', number)!r} has {length_of(entry)} steps; a window "
                f"of {horizon} needs at least one step of history before it"
            )
    groups = _groups(forecaster, entries, windows, int(refit), train)
    forecasts: list[SampleForecast] = []
    seconds = {"train": 0.0, "forecast": 0.0}
    predictor: Predictor | None = None
    log_probs: list[np.ndarray] = []
    for number, (training, group) in enumerate(groups):
        begun = time.perf_counter()
        part = forecaster
        if len(groups) > 1 and isinstance(forecaster, Resumable) and forecaster.checkpoint_dir:
            folder = Path(forecaster.checkpoint_dir) / f"refit-{number}"
            part = forecaster.replace(checkpoint_dir=str(folder))
        predictor = fit(part, training, seed) if training is not None else part
        seconds["train"] += time.perf_counter() - begun if training is not None else 0.0
        begun = time.perf_counter()
        shifted = seed if seed is None or not number else seed + 1_000_003 * number
        forecasts += predict(predictor, group, horizon, num_samples, shifted)
        seconds["forecast"] += time.perf_counter() - begun
        if isinstance(predictor, HasLogProb) and predictor.has_log_prob in ("exact", "bound"):
            log_probs.append(predictor.log_prob(group))
    assert predictor is not None
    targets = [np.atleast_2d(np.asarray(entry["target"], dtype=float)) for entry in entries]
    truth = np.stack([target[:, -horizon:].T for target in targets])
    samples = np.stack([f.samples.reshape(*f.samples.shape[:2], -1) for f in forecasts])
    if samples.shape[2:] != truth.shape[1:]:
        raise ValueError(
            f"the forecasts have (steps, channels) {samples.shape[2:]}, the windows "
            f"{truth.shape[1:]}"
        )
    with warnings.catch_warnings():  # pandas renames its frequencies
        warnings.simplefilter("ignore", FutureWarning)
        season = season or get_seasonality(entries[0]["start"].freqstr)
    scores = evaluate(
        samples,
        truth,
        levels,
        channels=channels,
        seasonal_error=np.stack([seasonal_error(t[:, :-horizon], season) for t in targets]),
        log_prob=np.concatenate(log_probs) if len(log_probs) == len(groups) else None,
    )
    starts = [forecast.start_date for forecast in forecasts]
    count = len(entries) // windows if windows else 0
    series = [list(range(i, len(entries), count)) for i in range(count)]
    series = series or series_of(entries, starts, horizon)
    return Backtest(forecasts, entries, samples, truth, scores, predictor, seconds, series)


def _groups(
    forecaster: Estimator | Predictor,
    entries: list[Entry],
    windows: int | None,
    refit: int,
    train: Iterable[Entry] | None,
) -> list[tuple[list[Entry] | None, list[Entry]]]:
    """Training data (or None for a predictor) and the windows forecast with it."""
    if isinstance(forecaster, Predictor):
        if refit or train is not None:
            raise ValueError("refit and train are for estimators; a predictor is tested as it is")
        return [(None, entries)]
    if train is not None and refit:
        raise ValueError("refit trains on what comes before each window: give no train data")
    if train is not None:
        return [(list(train), entries)]
    if windows is None:
        raise ValueError("an estimator needs windows=, or train= beside entries cut already")
    if refit < 0:
        raise OptionError("", "refit", refit, "a number of windows from 1 up")
    series, every = len(entries) // windows, refit or windows
    horizon = forecaster.prediction_length
    groups: list[tuple[list[Entry] | None, list[Entry]]] = []
    for cut in range(0, windows, every):
        group = entries[cut * series : (cut + every) * series]
        past = [until(e, length_of(e) - horizon) for e in group[:series]]
        groups.append((past, group))
    return groups


def fit(estimator: Estimator, training: Iterable[Entry], seed: int | None) -> Predictor:
    """Train an estimator repeatably, whether or not it takes a seed."""
    if _takes_seed(estimator.train):
        return estimator.train(training, seed=seed)
    with seeded_everywhere(seed):
        return estimator.train(training)


def predict(
    predictor: Predictor,
    entries: Sequence[Entry],
    horizon: int,
    num_samples: int,
    seed: int | None,
) -> list[SampleForecast]:
    """Forecast the last ``horizon`` steps of each entry from what comes before.

    Raises:
        ValueError: if there is not one forecast of sample paths for each entry.
    """
    pasts = [until(entry, length_of(entry) - horizon, horizon) for entry in entries]
    predicted = forecast_after(predictor, pasts, num_samples, seed)
    with seeded(seed, "samples"):
        forecasts = [as_samples(forecast, num_samples) for forecast in predicted]
    if len(forecasts) != len(entries):
        raise ValueError(f"the predictor made {len(forecasts)} forecasts of {len(entries)} series")
    return forecasts


def forecast_after(
    predictor: Predictor, dataset: Iterable[Entry], num_samples: int | None, seed: int | None
) -> list[Forecast]:
    """Forecast what follows each series, repeatably, whether or not the predictor takes a seed.

    One that takes none keeps other threads from drawing until it is done, so it must not wait for
    threads of its own that forecast with this library; one that takes a seed may.
    """
    if _takes_seed(predictor.predict):
        return list(predictor.predict(dataset, num_samples=num_samples, seed=seed))
    with seeded_everywhere(seed):
        return list(predictor.predict(dataset, num_samples=num_samples))


def as_samples(forecast: Forecast, num_samples: int) -> SampleForecast:
    """A forecast as so many sample paths, see :func:`tsgen.data.paths.paths_of`."""
    if isinstance(forecast, SampleForecast) and len(forecast.samples) == num_samples:
        return forecast
    return with_paths(forecast, paths_of(forecast, num_samples))


def _takes_seed(method: Callable) -> bool:
    return "seed" in inspect.signature(method).parameters
