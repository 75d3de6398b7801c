"""Forecasts that need no training: whoever does not beat them has not learnt anything."""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from gluonts.dataset import Dataset
from gluonts.model.estimator import Estimator
from gluonts.model.forecast import SampleForecast
from gluonts.model.predictor import RepresentablePredictor

from tsgen.core import Component, Options, seeded
from tsgen.forecasting.features import season_length
from tsgen.forecasting.spec import read_entry


class Baseline(Options, Estimator):
    """A forecaster that looks at nothing but the history it is given.

    Gaps in the history are filled with the last value before them.

    Args:
        prediction_length: H.
        num_parallel_samples: paths per forecast unless ``predict`` is told otherwise.
        low: samples are clipped from below here (0 for counts), ``None`` for nowhere.
    """

    prediction_length: int
    num_parallel_samples: int = 100
    low: float | None = None

    def __post_init__(self) -> None:
        """Check the horizon."""
        self.lead_time = 0
        if self.prediction_length < 1:
            raise ValueError(
                f"{type(self).__name__}: prediction_length={self.prediction_length} must be at "
                "least 1"
            )

    def train(
        self,
        training_data: Dataset,
        validation_data: Dataset | None = None,
        seed: int | None = None,
    ) -> "BaselinePredictor":
        """Nothing to train, and so nothing random."""
        return BaselinePredictor(self)

    @abstractmethod
    def paths(self, history: np.ndarray, freq: str, num_samples: int) -> np.ndarray:
        """Sample paths (S, H, C) after a history (T, C) without gaps."""


class BaselinePredictor(Component, RepresentablePredictor):
    """Predictor of a :class:`Baseline`."""

    def __init__(self, baseline: Baseline) -> None:
        super().__init__(prediction_length=baseline.prediction_length)
        self.baseline = baseline

    def predict(
        self, dataset: Dataset, num_samples: int | None = None, seed: int | None = None
    ) -> Iterator[SampleForecast]:
        """Forecast after the end of each series."""
        baseline = self.baseline
        count = baseline.num_parallel_samples if num_samples is None else num_samples
        if count < 1:
            raise ValueError(f"num_samples={num_samples} must be at least 1")
        for number, entry in enumerate(dataset):
            read = read_entry(entry, number)
            target = read["target"]
            seen = np.maximum.accumulate(
                np.where(np.isfinite(target), np.arange(target.shape[1]), -1), axis=1
            )
            filled = np.take_along_axis(
                target, np.where(seen >= 0, seen, np.isfinite(target).argmax(1)[:, None]), 1
            )
            with seeded(seed, number):
                history = np.nan_to_num(filled.T)
                samples = baseline.paths(history, entry["start"].freqstr, count)
            if baseline.low is not None:
                samples = np.maximum(samples, baseline.low)
            yield SampleForecast(
                samples if read["dim"] == 2 else samples[..., 0],
                start_date=entry["start"] + target.shape[1],
                item_id=entry.get("item_id"),
                info=entry.get("info"),
            )


class LastValueEstimator(Baseline):
    """The last value, for ever and without doubt."""

    def paths(self, history: np.ndarray, freq: str, num_samples: int) -> np.ndarray:
        """Repeat the last row."""
        return np.broadcast_to(
            history[-1], (num_samples, self.prediction_length, history.shape[1])
        ).copy()


class RandomWalkEstimator(Baseline):
    """The last value plus steps drawn from the history's.

    All channels of a step are drawn together (joint bootstrap).
    """

    def paths(self, history: np.ndarray, freq: str, num_samples: int) -> np.ndarray:
        """Add up drawn steps."""
        steps = np.diff(history, axis=0) if len(history) > 1 else np.zeros_like(history)
        drawn = torch.randint(len(steps), (num_samples, self.prediction_length)).numpy()
        return history[-1] + steps[drawn].cumsum(1)


class SeasonalRepeatEstimator(Baseline):
    """The last season again, plus the error this made over a whole horizon at some earlier time.

    The earlier time is of the same phase.

    Args:
        season: steps of a season; by the frequency if not given.
    """

    season: int | None = None

    def paths(self, history: np.ndarray, freq: str, num_samples: int) -> np.ndarray:
        """Repeat, and add errors drawn for whole paths, all channels together."""
        season, horizon = self.season or season_length(freq), self.prediction_length
        length = len(history)
        season = min(season, length)
        index = np.arange(horizon) % season
        stride = season if (length - horizon) // season >= 30 else 1
        origins = np.arange(length - horizon, season - 1, -stride)
        if not len(origins):
            return np.broadcast_to(
                history[length - season + index], (num_samples, horizon, history.shape[1])
            ).copy()
        errors = np.stack([history[t : t + horizon] - history[t - season + index] for t in origins])
        drawn = torch.randint(len(errors), (num_samples,)).numpy()
        return history[length - season + index] + errors[drawn]
