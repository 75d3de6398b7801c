"""Named families, one short file each, and the baselines they are compared with."""

from tsgen.estimators.baselines import (
    LastValueEstimator,
    RandomWalkEstimator,
    SeasonalRepeatEstimator,
)
from tsgen.estimators.composed import ComposedEstimator
from tsgen.estimators.distribution import GaussianEstimator, StudentTEstimator
from tsgen.estimators.timegrad import TimeGradEstimator

__all__ = [
    "ComposedEstimator",
    "GaussianEstimator",
    "LastValueEstimator",
    "RandomWalkEstimator",
    "SeasonalRepeatEstimator",
    "StudentTEstimator",
    "TimeGradEstimator",
]
