"""Named families, one short file each."""

from tsgen.estimators.distribution import GaussianEstimator, StudentTEstimator
from tsgen.estimators.timegrad import TimeGradEstimator

__all__ = ["GaussianEstimator", "StudentTEstimator", "TimeGradEstimator"]
