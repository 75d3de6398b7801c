"""Forecast the end of every test series and compare with what happened."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from gluonts.evaluation import make_evaluation_predictions
from gluonts.model.forecast import SampleForecast
from gluonts.model.predictor import Predictor

from tsgen.core import seeded
from tsgen.evaluation.scores import score


class Backtest(NamedTuple):
    """Forecasts beside the truth."""

    forecasts: list[SampleForecast]
    """One for each test series (in a rolling test: for each window)."""
    samples: np.ndarray
    """(W, S, H, C)."""
    truth: np.ndarray
    """(W, H, C)."""
    scores: dict[str, float]
    """See :func:`tsgen.evaluation.score`."""


def backtest(
    predictor: Predictor,
    test: Iterable[dict[str, Any]],
    num_samples: int = 100,
    seed: int | None = None,
    levels: int = 19,
) -> Backtest:
    """Cut the last ``prediction_length`` steps off each test series, forecast and score them.

    Args:
        predictor: any GluonTS predictor of sample forecasts.
        test: entries that hold history and truth.
        num_samples: paths per forecast.
        seed: of the samples.
        levels: of the quantile grid.
    """
    entries = list(test)
    with seeded(seed):
        made, _ = make_evaluation_predictions(entries, predictor, num_samples=num_samples)
        forecasts = list(made)
    horizon = predictor.prediction_length
    truth = np.stack(
        [np.atleast_2d(np.asarray(e["target"], dtype=float))[:, -horizon:].T for e in entries]
    )
    samples = np.stack([f.samples.reshape(*f.samples.shape[:2], -1) for f in forecasts])
    return Backtest(forecasts, samples, truth, score(samples, truth, levels))
