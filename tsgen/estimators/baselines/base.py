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
import torch
from gluonts.dataset import Dataset
from gluonts.model.estimator import Estimator
from gluonts.model.forecast import SampleForecast
from gluonts.model.predictor import RepresentablePredictor

from tsgen.core import Component, Options, seeded
from tsgen.forecasting.spec import read_entry


class FitWarning(UserWarning):
    """What a fit was unsure of; the predictor collects these into one warning."""


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
        """Check the options."""
        self.lead_time = 0
        self._at_least(1, "prediction_length", "num_parallel_samples")

    def _at_least(self, least: int, *names: str) -> None:
        """Raise unless each of these options is ``None`` or large enough."""
        for name in names:
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{type(self).__name__}: {name}={value} must be at least {least}")

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
        """Sample paths (S, H, C) after a history (T, C) without gaps.

        Args:
            history: (T, C), float64, T at least 1.
            start: period of the history's first step.
            num_samples: S.

        Raises:
            ValueError: for a history that the options do not suit; the predictor adds which series.
        """


class BaselinePredictor(Component, RepresentablePredictor):
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
            raise ValueError(f"num_samples={num_samples} must be at least 1")
        return self._predict(dataset, count, seed)

    def _predict(self, dataset: Dataset, count: int, seed: int | None) -> Iterator[SampleForecast]:
        doubts: list[str] = []
        try:
            for number, entry in enumerate(dataset):
                with seeded(seed, number):
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
                samples = baseline.paths(fill_gaps(target.T), start, count)
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
        return SampleForecast(
            samples if read["dim"] == 2 else samples[..., 0],
            start_date=start + target.shape[1],
            item_id=entry.get("item_id"),
            info=entry.get("info"),
        )


def fill_gaps(values: np.ndarray) -> np.ndarray:
    """Replace each NaN of (T, C) with the value before it, at the start with the first one seen.

    A channel without any value becomes 0.
    """
    seen = np.isfinite(values)
    last = np.maximum.accumulate(np.where(seen, np.arange(len(values))[:, None], -1), axis=0)
    return np.nan_to_num(np.take_along_axis(values, np.where(last >= 0, last, seen.argmax(0)), 0))


def logarithm(values: np.ndarray) -> np.ndarray:
    """Logarithm of (T, C).

    Raises:
        ValueError: naming the first channel that is not positive.
    """
    low = values.min(0)
    if low.min() <= 0:
        channel = int((low <= 0).argmax())
        raise ValueError(
            f"transform='log' needs positive values, channel {channel} has {low[channel]:g}"
        )
    return np.log(values)


def draw(count: int, *shape: int) -> np.ndarray:
    """Indices below ``count`` from torch's global generator, of the shape given."""
    return torch.randint(count, shape).numpy()


def normal(*shape: int) -> np.ndarray:
    """Standard normal numbers from torch's global generator."""
    return torch.randn(*shape, dtype=torch.float64).numpy()


def covariance_root(values: np.ndarray, joint: bool = True) -> np.ndarray:
    """A square root (C, C) of the covariance of values (n, C), which may be singular.

    Args:
        values: (n, C).
        joint: whether channels covary; else only their variances count.
    """
    centred = (values - values.mean(0)) / max(len(values) - 1, 1) ** 0.5
    if not joint:
        return np.diag(np.linalg.norm(centred, axis=0))
    variances, vectors = np.linalg.eigh(centred.T @ centred)
    return vectors * np.sqrt(np.maximum(variances, 0))


def earlier_origins(length: int, latest: int, least: int, step: int) -> np.ndarray:
    """Steps ``length - k * step`` from ``latest`` down to ``least``: of one phase with the end."""
    return np.arange(latest - (latest - length) % step, least - 1, -step)
