"""Named families, one short file each, and the baselines they are compared with."""

from tsgen.estimators.baselines import (
    LastValueEstimator,
    RandomWalkEstimator,
    SeasonalNaiveEstimator,
)
from tsgen.estimators.composed import ComposedEstimator
from tsgen.estimators.distribution import GaussianEstimator, StudentTEstimator
from tsgen.estimators.timegrad import TimeGradEstimator

__all__ = [
    "ComposedEstimator",
    "GaussianEstimator",
    "LastValueEstimator",
    "RandomWalkEstimator",
    "SeasonalNaiveEstimator",
    "StudentTEstimator",
    "TimeGradEstimator",
]
