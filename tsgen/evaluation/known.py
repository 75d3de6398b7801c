"""Forecasts against a law that is known: scores as a ratio to the exact forecast's, and the PIT."""

from typing import Any, NamedTuple

import numpy as np
from gluonts.model.predictor import Predictor

from tsgen.data.synthetic import ExactPredictor, KnownLaw
from tsgen.evaluation.backtest import backtest


class Ratio(NamedTuple):
    """A ratio of two mean scores over the same windows."""

    value: float
    upper: float
    """One-sided 95 % bound."""


def paired_ratio(score: np.ndarray, reference: np.ndarray) -> Ratio:
    """Ratio of the means of two scores of the same W independent windows, by the delta method.

    Args:
        score: (W,).
        reference: (W,).
    """
    value = score.mean() / reference.mean()
    error = (score - value * reference).std(ddof=1) / np.sqrt(len(score)) / reference.mean()
    return Ratio(float(value), float(value + 1.645 * error))


class Comparison(NamedTuple):
    """A predictor against the exact law; steps are the first and the last."""

    crps: Ratio
    """Fair CRPS, mean over steps and channels."""
    crps_first: Ratio
    crps_last: Ratio
    energy: Ratio
    pit_first: np.ndarray
    """PIT values of the first step, (W, C); channels of a window are dependent."""
    pit_last: np.ndarray
    mean_error: float
    """Root mean square error of the forecasts' means, less that of sampling.

    In units of the exact standard deviation.
    """
    spread_ratio: float
    """Mean ratio of the forecasts' standard deviations to the exact ones."""


def compare(
    law: KnownLaw,
    predictor: Predictor,
    windows: int,
    history: int,
    num_samples: int = 100,
    seed: int = 0,
) -> Comparison:
    """Forecast independent series of a known law.

    Args:
        law: the law.
        predictor: trained on data of it.
        windows: W, number of series, one window each.
        history: steps of each series before the forecast.
        num_samples: S.
        seed: of the series and of the samples.
    """
    horizon = predictor.prediction_length
    tests: list[dict[str, Any]] = law.dataset(windows, history + horizon, seed)
    result = backtest(predictor, tests, num_samples=num_samples, seed=seed)
    exact = backtest(ExactPredictor(law, horizon), tests, num_samples=num_samples, seed=seed + 1)
    moments = [law.exact_moments(entry["target"][:, :history], horizon) for entry in tests]
    mean, std = (np.stack(part) for part in zip(*moments, strict=True))
    ours, best = (b.scores.cells["fair_crps"].mean(-1) for b in (result, exact))
    whole = [b.scores.vectors["path"]["energy_raw"] for b in (result, exact)]
    error = ((result.samples.mean(1) - mean) / std) ** 2 - 1 / num_samples
    positions = result.scores.cells["pit"]
    return Comparison(
        crps=paired_ratio(ours.mean(1), best.mean(1)),
        crps_first=paired_ratio(ours[:, 0], best[:, 0]),
        crps_last=paired_ratio(ours[:, -1], best[:, -1]),
        energy=paired_ratio(*whole),
        pit_first=positions[:, 0],
        pit_last=positions[:, -1],
        mean_error=float(np.sqrt(max(error.mean(), 0))),
        spread_ratio=float((result.samples.std(1, ddof=1) / std).mean()),
    )
