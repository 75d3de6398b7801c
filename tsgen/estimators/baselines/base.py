"""What all baselines share.

They fit on the history that they are given, at the moment a forecast is asked for: ``train`` learns
nothing, and a rolling test refits them for each window.
"""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
from gluonts.dataset import Dataset
from gluonts.model.estimator import Estimator
from gluonts.model.forecast import SampleForecast

from tsgen.core import Component, Count, OptionError, Options, seeded, single_precision
from tsgen.data.paths import sample_forecast
from tsgen.forecasting.data.entry import read_entry
from tsgen.storage import SavedPredictor


class FitWarning(UserWarning):
    """What a fit was unsure of; the predictor collects these into one warning."""


class Baseline(Options, Estimator):
    """A forecaster that looks at nothing but the history it is given.

    Steps without any value at the start of a history are left out; those at its end are forecast
    too. Other gaps are filled, but what a forecast is unsure by is learnt from values that were
    observed only: an error that was not observed is replaced by one of the same channel that was.

    Args:
        prediction_length: H.
        num_parallel_samples: paths per forecast unless ``predict`` is told otherwise.
        low: samples are clipped from below here (0 for counts), ``None`` for nowhere.
    """

    prediction_length: Count
    num_parallel_samples: Count = 100
    low: float | None = None

    def __post_init__(self) -> None:
        """Say, as GluonTS asks, that a forecast begins right after the history."""
        self.lead_time = 0

    def train(
        self,
        training_data: Dataset,
        validation_data: Dataset | None = None,
        shuffle_buffer_length: int | None = None,
        cache_data: bool = False,
        ckpt_path: str | None = None,
        seed: int | None = None,
    ) -> "BaselinePredictor":
        """Nothing to train, and so nothing random; the arguments are those of every estimator."""
        return BaselinePredictor(self)

    @abstractmethod
    def paths(self, history: np.ndarray, start: pd.Period, num_samples: int) -> np.ndarray:
        """Sample paths (S, H, C) after a history (T, C).

        Args:
            history: (T, C), float64, T at least 1; NaN where missing, which no channel is
                throughout, nor all of them in the first or last step.
            start: period of the history's first step.
            num_samples: S.

        Raises:
            ValueError: for a history that the options do not suit; the predictor adds which series.
        """


class BaselinePredictor(Component, SavedPredictor):
    """Predictor of a :class:`Baseline`."""

    def __init__(self, baseline: Baseline) -> None:
        super().__init__(prediction_length=baseline.prediction_length)
        self.baseline = baseline

    @property
    def support(self) -> Literal["real"] | tuple[float, float]:
        """Where samples can be."""
        low = self.baseline.low
        return "real" if low is None else (low, float("inf"))

    def predict(
        self, dataset: Dataset, num_samples: int | None = None, seed: int | None = None
    ) -> Iterator[SampleForecast]:
        """Forecast after the end of each series.

        Args:
            dataset: entries with ``start`` and ``target`` (T,) or (C, T).
            num_samples: paths per series.
            seed: makes the samples repeatable; ``None`` goes on with torch's global generator.

        Yields:
            Forecasts with ``samples`` (S, H, C), or (S, H) for 1-D targets.

        Raises:
            ValueError: naming the series that cannot be forecast.

        Warns:
            FitWarning: once, at the end, with all that the fits were unsure of.
        """
        count = self.baseline.num_parallel_samples if num_samples is None else num_samples
        if count < 1:
            raise OptionError("", "num_samples", num_samples, "at least 1")
        return self._predict(dataset, count, seed)

    def _predict(self, dataset: Dataset, count: int, seed: int | None) -> Iterator[SampleForecast]:
        doubts: list[str] = []
        try:
            for number, entry in enumerate(dataset):
                with seeded(seed, number), single_precision():
                    forecast = self._forecast(entry, number, count, doubts)
                yield forecast
        finally:
            if doubts:
                shown = "; ".join(doubts[:5]) + (" ..." if len(doubts) > 5 else "")
                warnings.warn(
                    f"{type(self.baseline).__name__}: {len(doubts)} fits to be doubted: {shown}",
                    FitWarning,
                    stacklevel=2,
                )

    def _paths(self, history: np.ndarray, start: pd.Period, count: int) -> np.ndarray:
        """Paths after a history (T, C) with gaps; a channel without any value stays 0."""
        channels = np.flatnonzero(np.isfinite(history).any(0))
        if len(channels) < history.shape[1]:
            silent = sorted({*range(history.shape[1])} - {*channels.tolist()})
            warnings.warn(
                f"channels {silent} have no value, their forecast is 0", FitWarning, stacklevel=2
            )
        horizon = self.prediction_length
        samples = np.zeros((count, horizon, history.shape[1]))
        if not len(channels):
            return samples
        history = history[:, channels]
        begin, last = np.flatnonzero(np.isfinite(history).any(1))[[0, -1]]
        ahead = len(history) - 1 - last
        baseline = self.baseline
        if ahead:
            baseline = baseline.replace(prediction_length=horizon + int(ahead))
        paths = baseline.paths(history[begin : last + 1], start + int(begin), count)
        samples[..., channels] = paths[:, ahead:]
        return samples

    def _forecast(
        self, entry: dict[str, Any], number: int, count: int, doubts: list[str]
    ) -> SampleForecast:
        baseline, read = self.baseline, read_entry(entry, number)
        where, start, target = read["where"], read["start"], read["target"]
        if not target.shape[1]:
            raise ValueError(f"{where}: target has 0 steps; a forecast needs at least 1")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FitWarning)
            try:
                samples = self._paths(target.T, start, count)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error
        for warning in caught:
            if issubclass(warning.category, FitWarning):
                doubts.append(f"{where}, {warning.message}")
            else:
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        if not np.isfinite(samples).all():
            channels = np.flatnonzero(~np.isfinite(samples).all((0, 1))).tolist()
            raise ValueError(
                f"{where}: {type(baseline).__name__} gave sample values that are not finite in "
                f"channels {channels}"
            )
        if baseline.low is not None:
            samples = np.maximum(samples, baseline.low)
        return sample_forecast(samples, start + target.shape[1], entry, read["dim"] == 1)
