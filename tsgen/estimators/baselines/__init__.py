"""Forecasts to be beaten first: they fit on the history that they are given."""

from tsgen.estimators.baselines.base import Baseline, BaselinePredictor, FitWarning
from tsgen.estimators.baselines.naive import (
    LastValueEstimator,
    RandomWalkEstimator,
    SeasonalNaiveEstimator,
)

__all__ = [
    "Baseline",
    "BaselinePredictor",
    "FitWarning",
    "LastValueEstimator",
    "RandomWalkEstimator",
    "SeasonalNaiveEstimator",
]
