"""Every estimator by name, for the command line and the benchmarks."""

from gluonts.model.estimator import Estimator

from tsgen.core import Registry
from tsgen.estimators.baselines import (
    LastValueEstimator,
    RandomWalkEstimator,
    SeasonalNaiveEstimator,
)
from tsgen.estimators.distribution import GaussianEstimator, StudentTEstimator
from tsgen.estimators.timegrad import TimeGradEstimator

baselines: Registry[Estimator] = Registry(
    "baseline",
    {
        "last_value": LastValueEstimator,
        "random_walk": RandomWalkEstimator,
        "seasonal_naive": SeasonalNaiveEstimator,
    },
)

estimators: Registry[Estimator] = Registry(
    "estimator",
    {
        "gaussian": GaussianEstimator,
        "student_t": StudentTEstimator,
        "timegrad": TimeGradEstimator,
        **baselines,
    },
)
