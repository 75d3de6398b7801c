"""Baselines by name: they learn nothing in ``train``.

"var", "ets" and "garch" need the extra ``baselines``.
"""

from functools import partial

from gluonts.model.estimator import Estimator

from tsgen.core import Registry
from tsgen.estimators.baselines import (
    ETSEstimator,
    GARCHEstimator,
    LastValueEstimator,
    RandomWalkEstimator,
    RidgeEstimator,
    SeasonalNaiveEstimator,
    VAREstimator,
)

baselines: Registry[Estimator] = Registry(
    "baseline",
    {
        "last_value": LastValueEstimator,
        "random_walk": RandomWalkEstimator,
        "random_walk_gaussian": partial(RandomWalkEstimator, increments="gaussian"),
        "random_walk_independent": partial(RandomWalkEstimator, joint=False),
        "random_walk_independent_gaussian": partial(
            RandomWalkEstimator, joint=False, increments="gaussian"
        ),
        "seasonal_naive": SeasonalNaiveEstimator,
        "ridge": RidgeEstimator,
        "var": VAREstimator,
        "ets": ETSEstimator,
        "garch": GARCHEstimator,
    },
)
