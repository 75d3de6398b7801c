"""TempFlow: its options, whole numbers, and what it learns of them."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from tsgen import TempFlowEstimator, load
from tsgen.data import rolling
from tsgen.encoders import GRUEncoder, LSTMEncoder
from tsgen.estimators.options import read_value
from tsgen.estimators.registry import estimators
from tsgen.evaluation import backtest
from tsgen.models.flows import flows
from tsgen.testing import check_estimator

QUICK = {
    "num_batches_per_epoch": 2, "batch_size": 8, "max_epochs": 1, "verbose": False,
    "lags_seq": (1, 2), "context_length": 4,
}  # fmt: skip


def data(values):
    """One series of one or more channels."""
    return [{"start": pd.Period("2024-01-01", freq="h"), "target": values}]


def counts(length=200, channels=2, seed=0):
    return np.random.default_rng(seed).poisson(3, (channels, length)).astype(float)


@pytest.mark.parametrize("flow", flows)
def test_every_flow_is_a_forecaster(flow, tmp_path):
    estimator = TempFlowEstimator(3, flow=flow, **QUICK)
    values = np.random.default_rng(0).normal(5, 1, (2, 60))
    predictor = estimator.train(data(values), seed=0)
    (forecast,) = predictor.predict(data(values), num_samples=5, seed=1)
    assert forecast.samples.shape == (5, 3, 2) and np.isfinite(forecast.samples).all()
    assert predictor.has_log_prob == "exact" and np.isfinite(predictor.log_prob(data(values))).all()
    predictor.serialize(tmp_path)
    (again,) = load(tmp_path).predict(data(values), num_samples=5, seed=1)
    assert np.array_equal(forecast.samples, again.samples)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
@pytest.mark.parametrize("encoder", [partial(LSTMEncoder, hidden_size=8), "transformer"])
def test_conforms(encoder, decoding):
    check_estimator(TempFlowEstimator, encoder=encoder, decoding=decoding, flow="realnvp")


def test_names_and_parts():
    assert estimators["transformer_maf"](3).encoder == "transformer"
    assert estimators["nsf"](3).flow == "nsf"
    part = read_value("maf(num_blocks=5)")
    assert part.func is flows["maf"] and part.keywords == {"num_blocks": 5}
    estimator = TempFlowEstimator(3, flow=part)
    assert len(estimator.build_model((4,), (3,)).transform.transforms) == 5 + 4
    with pytest.raises(ValueError, match="unknown flow 'mfa'; known are bnaf, bpf.*realnvp"):
        TempFlowEstimator(3, flow="mfa")
    with pytest.raises(ValueError, match="must be a name, a Flow class or a partial"):
        TempFlowEstimator(3, flow=dict)
    with pytest.raises(ValueError, match="at most 512.*'realnvp'"):
        TempFlowEstimator(30, decoding="horizon", **QUICK).train(data(np.ones((20, 99)) * 0.5))


def test_whole_numbers_are_refused_without_dequantisation():
    estimator = TempFlowEstimator(3, dequantisation=None, **QUICK)
    with pytest.raises(ValueError, match="dequantisation=None must be .*whole numbers only"):
        estimator.train(data(counts()))
    with pytest.raises(ValueError, match="dequantisation=None must be .*whole numbers only"):
        estimator.replace(support="count").train(data(counts()))
    estimator.train(data(counts() + 0.25), seed=0)


@pytest.mark.parametrize("dequantisation", ["uniform", "variational"])
@pytest.mark.parametrize("support", ["real", "positive", "count", (0.0, 50.0)])
@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_whole_numbers_stay_whole(support, dequantisation, decoding, tmp_path):
    values = counts() + (support == "positive")
    estimator = TempFlowEstimator(
        3, support=support, dequantisation=dequantisation, decoding=decoding, **QUICK
    )
    predictor = estimator.train(data(values), seed=0)
    (forecast,) = predictor.predict(data(values), num_samples=20, seed=1)
    assert np.array_equal(forecast.samples, forecast.samples.round())
    assert predictor.has_log_prob == "bound" and np.isfinite(predictor.log_prob(data(values))).all()
    predictor.serialize(tmp_path)
    (again,) = load(tmp_path).predict(data(values), num_samples=20, seed=1)
    assert np.array_equal(forecast.samples, again.samples)


def test_backtests_report_the_bound():
    predictor = TempFlowEstimator(3, **QUICK).train(data(counts()), seed=0)
    scores = backtest(predictor, data(counts()), windows=2, seed=0).scores
    windows = rolling(data(counts()), 2, 3)
    assert scores["log_score"] == pytest.approx(-predictor.log_prob(windows).mean() / 6)


def test_missing_values_do_not_make_numbers_fractions():
    values = counts()
    values[0, 5] = np.nan
    with pytest.raises(ValueError, match="whole numbers only"):
        TempFlowEstimator(3, dequantisation=None, **QUICK).train(data(values))


def test_a_target_that_is_nowhere_complete_is_refused():
    values = counts() + 0.25
    values[0, ::2], values[1, 1::2] = np.nan, np.nan
    with pytest.raises(ValueError, match="at no step are all 2 channels observed"):
        TempFlowEstimator(3, **QUICK).train(data(values))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_bounds_of_the_probability_of_counts(seed):
    """Both kinds of noise reach the best bound that a Gaussian has for a coin's log probability.

    With uniform noise that is the Gaussian's own best, -log(2 pi e (1/4 + 1/12)) / 2 = -.870. With
    noise whose logit is Gaussian, given the value, the maximum over both laws of E[log p(y + u) -
    log q(u | y)] is -.722 (found by quadrature), with means of the logit of +-1.28 and a standard
    deviation of 1.30. The coin's own is -log 2 = -.693.
    """
    rng = np.random.default_rng(0)

    def toss(length):
        return data(rng.integers(0, 2, (1, length)).astype(float))[0]

    train, test = [toss(20_000)], [toss(40) for _ in range(1000)]
    best = {"uniform": -0.5 * math.log(2 * math.pi * math.e / 3), "variational": -0.7216}
    for kind, bound in best.items():
        estimator = TempFlowEstimator(
            1, flow=partial(flows["maf"], num_blocks=1), dequantisation=kind, context_length=24,
            encoder=partial(GRUEncoder, hidden_size=4, output_size=4), lags_seq=(1,),
            scaling="none", max_epochs=6, verbose=False, time_features=(),
        )  # fmt: skip
        found = estimator.train(train, seed=seed).log_prob(test)
        noise = 3 * found.std() / math.sqrt(len(test))
        assert noise < 0.05
        assert abs(found.mean() - bound) < noise, kind
