"""The exact law as a GluonTS predictor, to be backtested beside models."""

from collections.abc import Iterator

import numpy as np
import torch
from gluonts.dataset import Dataset
from gluonts.model.forecast import SampleForecast

from tsgen.core import Component, Count, OptionError, seeded
from tsgen.data.entries import Entry
from tsgen.data.paths import sample_forecast
from tsgen.data.splits import length_of
from tsgen.data.synthetic.base import KnownLaw
from tsgen.storage import SavedPredictor


class ExactPredictor(Component, SavedPredictor):
    """Draws the future of every series from the exact law given its target.

    No forecast has a lower expected proper score on data of the law. Targets must be whole series
    of it, from their first step on: a seasonal law takes the season's phase from their length.

    Args:
        law: the law.
        prediction_length: H.
    """

    def __init__(self, law: KnownLaw, prediction_length: Count) -> None:
        super().__init__(prediction_length=prediction_length)
        self.law = law

    def predict(
        self, dataset: Dataset, num_samples: int = 100, seed: int | None = None
    ) -> Iterator[SampleForecast]:
        """Forecast the steps after the end of each series.

        Args:
            dataset: entries with targets (C, T), or (T,) for a law of one channel.
            num_samples: S, paths per series.
            seed: makes the samples repeatable; ``None`` goes on with torch's global generator.

        Yields:
            Forecasts with ``samples`` (S, H, C), or (S, H) for 1-D targets.

        Raises:
            ValueError: if ``num_samples`` is below 1 or, naming it, a series is not one of the law.
        """
        if num_samples < 1:
            raise OptionError("", "num_samples", num_samples, "at least 1")
        return self._predict(dataset, num_samples, seed)

    def _predict(self, dataset: Dataset, count: int, seed: int | None) -> Iterator[SampleForecast]:
        for number, entry in enumerate(dataset):
            paths = self._sample(entry, number, count, seed)
            start = entry["start"] + length_of(entry)
            yield sample_forecast(paths, start, entry, np.ndim(entry["target"]) == 1)

    def _sample(self, entry: Entry, number: int, count: int, seed: int | None) -> np.ndarray:
        """(S, H, C)."""
        history = np.atleast_2d(np.asarray(entry["target"], dtype=float))
        with seeded(seed, number):
            rng = np.random.default_rng(int(torch.randint(2**62, ())))
        try:
            return self.law.exact_forecast(history, self.prediction_length, count, rng)
        except ValueError as error:
            raise ValueError(f"series {entry.get('item_id', number)!r}: {error}") from error
