"""On real data where TSGEN_DATA names them: as good as the baseline that few models beat."""

import numpy as np
import pytest

from tsgen import StudentTEstimator, TimeGradEstimator
from tsgen.data.registry import datasets
from tsgen.diffusion import DPMSolverPP
from tsgen.estimators import RandomWalkEstimator
from tsgen.evaluation import backtest

ANCHORED = {"scaling": "anchored", "scaling_window": "past", "verbose": False, "device": "cpu"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        StudentTEstimator(30, max_epochs=5, **ANCHORED),
        TimeGradEstimator(30, max_epochs=5, sampler=DPMSolverPP(20), **ANCHORED),
    ],
    ids=["student_t", "timegrad"],
)
def test_exchange_rates_within_five_percent_of_the_random_walk(real_data, estimator):
    data = datasets["exchange_rate_nips"]()
    walk = backtest(RandomWalkEstimator(30).train(data.train), data.test, seed=0).scores
    predictor = estimator.train(data.train, seed=1)
    ours = backtest(predictor, data.test, seed=0).scores
    assert ours["crps"] < 1.05 * walk["crps"] and ours["energy"] < 1.05 * walk["energy"], (
        ours,
        walk,
    )
    # 5 windows of 8 dependent series: 3 standard errors of 40 independent values
    band = 3 * np.sqrt(0.9 * 0.1 / 40)
    coverage = ours.per_step["coverage_90"]
    assert (abs(coverage.loc[[1, 15, 30]] - 0.9) <= band).all(), coverage
