"""Forecasts to be beaten first: they fit on the history that they are given."""

from tsgen.estimators.baselines.base import Baseline, BaselinePredictor, FitWarning
from tsgen.estimators.baselines.classical import (
    ClassicalBaseline,
    ETSEstimator,
    VAREstimator,
)
from tsgen.estimators.baselines.garch import GARCHEstimator
from tsgen.estimators.baselines.naive import (
    LastValueEstimator,
    RandomWalkEstimator,
    SeasonalNaiveEstimator,
)
from tsgen.estimators.baselines.ridge import RidgeEstimator

__all__ = [
    "Baseline",
    "BaselinePredictor",
    "ClassicalBaseline",
    "ETSEstimator",
    "FitWarning",
    "GARCHEstimator",
    "LastValueEstimator",
    "RandomWalkEstimator",
    "RidgeEstimator",
    "SeasonalNaiveEstimator",
    "VAREstimator",
]
