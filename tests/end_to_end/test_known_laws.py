"""Forecasts of processes whose conditional law is known.

CRPS against the exact forecast's, moments and PIT.
"""

import numpy as np
import pytest
from scipy import stats

from tsgen import (
    GaussianEstimator,
    StudentTEstimator,
    TempFlowEstimator,
    TimeGradEstimator,
)
from tsgen.data.synthetic import VAR, CovariateLaw, ornstein_uhlenbeck
from tsgen.diffusion import DPMSolverPP
from tsgen.evaluation import compare, fair_crps
from tsgen.nets import Residual

LAWS = {"var": VAR(), "ou": ornstein_uhlenbeck()}
COMMON = {
    "context_length": 12, "lags_seq": (1, 2), "time_features": (), "scaling": "standard",
    "scaling_window": "all", "max_epochs": 10, "verbose": False, "device": "cpu",
}  # fmt: skip
WINDOWS, HISTORY, HORIZON = 400, 60, 8
SERIES = 400  # the PIT of 400 windows sees the difference between a law and a sample of 100 series


def gaussian(horizon=HORIZON, **options):
    return GaussianEstimator(horizon, **{**COMMON, "covariance": "full", **options})


def student(horizon=HORIZON, **options):
    return StudentTEstimator(horizon, **{**COMMON, "covariance": "full", **options})


def timegrad(horizon=HORIZON, **options):
    return TimeGradEstimator(
        horizon,
        **{**COMMON, "sampler": DPMSolverPP(20), "network": Residual(cond_channels=8), **options},
    )


def assert_exact(result, pit_level=0.001):
    """CRPS at most 5 % above the exact forecast's (95 % confidence), PIT uniform.

    PIT is looked at in the first and the last step.
    """
    assert (
        result.crps.upper < 1.05
        and result.crps_first.upper < 1.05
        and result.crps_last.upper < 1.05
    ), result[:4]
    assert result.energy.upper < 1.05, result.energy
    for positions in (result.pit_first, result.pit_last):
        for channel in positions.T:  # windows are independent, channels are not: one test each
            assert stats.kstest(channel, "uniform").pvalue > pit_level
    assert abs(result.spread_ratio - 1) < 0.06, result.spread_ratio
    assert result.mean_error < 0.25, result.mean_error


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_gaussian_learns_the_law(law):
    """The quick tests learn the VAR from less, see below: data with holes."""
    predictor = gaussian().train(LAWS[law].dataset(SERIES, 200, seed=1), seed=0)
    assert_exact(compare(LAWS[law], predictor, WINDOWS, HISTORY, seed=100))


def tempflow(horizon=HORIZON, **options):
    return TempFlowEstimator(horizon, **{**COMMON, **options})


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("make", [timegrad, student, tempflow])
def test_every_family_learns_the_law(make, law):
    predictor = make().train(LAWS[law].dataset(SERIES, 200, seed=1), seed=0)
    assert_exact(compare(LAWS[law], predictor, WINDOWS, HISTORY, seed=100))


@pytest.mark.parametrize("make", [gaussian, pytest.param(timegrad, marks=pytest.mark.slow)])
def test_the_law_is_learnt_from_data_with_holes(make):
    """30 % of the cells are removed from training.

    The forecasts start from whole histories, whose law is known.
    """
    law, rng = VAR(), np.random.default_rng(3)
    data = law.dataset(SERIES, 200, seed=1)
    for entry in data:
        entry["target"][rng.random(entry["target"].shape) < 0.3] = np.nan
    assert_exact(compare(law, make().train(data, seed=0), WINDOWS, HISTORY, seed=100))


@pytest.mark.parametrize("kind", ["known", "past", "static", "category"])
@pytest.mark.parametrize("make", [gaussian, pytest.param(timegrad, marks=pytest.mark.slow)])
def test_covariates_carry_what_they_explain(make, kind):
    """80 % of the variance is the covariate's: CRPS within 10 % of that of the law knowing it."""
    horizon = 1 if kind == "past" else 4
    law = CovariateLaw(kind)
    estimator = make(horizon, context_length=1, lags_seq=(1,), scaling="none", max_epochs=6)
    predictor = estimator.train(law.dataset(400, 40, horizon, seed=1), seed=0)
    tests = law.dataset(300, 20 + horizon, 0, seed=2)
    cut = [{**e, "target": e["target"][:-horizon]} for e in tests]
    for entry in cut:
        if kind == "past":
            entry["past_feat_dynamic_real"] = entry["past_feat_dynamic_real"][:, :-horizon]
    samples = np.stack([f.samples for f in predictor.predict(cut, num_samples=100, seed=0)])
    truth = np.stack([e["target"][-horizon:] for e in tests])
    mean = np.stack([e["mean"][-horizon:] for e in tests])
    exact = mean[:, None] + np.sqrt(0.2) * np.random.default_rng(5).standard_normal(samples.shape)
    blind = np.random.default_rng(6).standard_normal(samples.shape)
    ours, best, worst = (
        fair_crps(s[..., None], truth[..., None]).mean() for s in (samples, exact, blind)
    )
    assert worst > 1.8 * best
    assert ours < 1.1 * best
