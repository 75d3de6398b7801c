import numpy as np
import pandas as pd
import pytest
import scoringrules
from gluonts.evaluation import MultivariateEvaluator
from gluonts.model.forecast import SampleForecast

from tsgen.evaluation import (
    coverage,
    crps_sum,
    energy_score,
    fair_crps,
    quantile_crps,
    quantile_levels,
    score,
)

W, S, H, C = 4, 30, 5, 3


def made(seed=0, missing=False):
    rng = np.random.default_rng(seed)
    samples = rng.normal(10, 3, (W, S, H, C))
    truth = rng.normal(10, 3, (W, H, C))
    if missing:
        truth[rng.random(truth.shape) < 0.2] = np.nan
    return samples, truth


@pytest.mark.parametrize("levels", [9, 19, 99])
@pytest.mark.parametrize("missing", [False, True])
def test_quantile_scores_are_gluonts(levels, missing):
    samples, truth = made(missing=missing)
    start = pd.Period("2021-01-01", freq="h")
    forecasts = [SampleForecast(samples=s, start_date=start + 6) for s in samples]
    history = np.random.default_rng(1).normal(10, 1, (6, C))
    index = pd.period_range(start, periods=6 + H, freq="h")
    targets = [pd.DataFrame(np.concatenate([history, y]), index=index) for y in truth]
    evaluator = MultivariateEvaluator(
        quantiles=quantile_levels(levels), target_agg_funcs={"sum": np.sum}, num_workers=0
    )
    table, _ = evaluator(targets, forecasts, num_series=W)
    assert quantile_crps(samples, truth, levels) == pytest.approx(
        table["mean_wQuantileLoss"], abs=1e-9
    )
    if not missing:  # pandas sums over what is missing; here a sum with a missing part is missing
        assert crps_sum(samples, truth, levels) == pytest.approx(
            table["m_sum_mean_wQuantileLoss"], abs=1e-9
        )


def test_a_sum_with_a_missing_part_is_left_out():
    samples, truth = made()
    truth[:, 2, 1] = np.nan
    kept = [0, 1, 3, 4]
    assert crps_sum(samples, truth) == pytest.approx(crps_sum(samples[:, :, kept], truth[:, kept]))


def test_fair_crps_is_scoringrules_and_unbiased():
    samples, truth = made()
    expected = scoringrules.crps_ensemble(truth, np.moveaxis(samples, 1, -1), estimator="fair")
    assert np.allclose(fair_crps(samples, truth), expected, atol=1e-12)
    rng = np.random.default_rng(
        0
    )  # the score of N(0, 1) under itself is 1 / sqrt(pi), whatever the number of samples
    drawn, actual = rng.standard_normal((1, 3, 200_000, 1)), rng.standard_normal((1, 200_000, 1))
    values = fair_crps(drawn, actual)
    assert abs(values.mean() - 1 / np.sqrt(np.pi)) < 4 * values.std() / np.sqrt(values.size)


def test_energy_score_is_the_sum_over_pairs_and_scoringrules():
    samples, truth = made()
    pairs = []
    for x, y in zip(samples.reshape(W, S, -1), truth.reshape(W, -1), strict=True):
        near = np.linalg.norm(x - y, axis=1).mean()
        spread = sum(np.linalg.norm(a - b) for a in x for b in x) / (S * (S - 1))
        pairs.append((near - spread / 2) / np.linalg.norm(y))
    assert np.allclose(energy_score(samples, truth), pairs)
    raw = energy_score(samples, truth, normalise=False)
    with_self = scoringrules.es_ensemble(
        truth.reshape(W, -1), samples.reshape(W, S, -1), estimator="fair"
    )
    assert np.allclose(raw, with_self)


def test_energy_score_keeps_its_digits_at_a_large_level():
    samples, truth = made()
    one, two = (energy_score(samples + add, truth + add, normalise=False) for add in (0.0, 1e8))
    assert np.allclose(one, two, rtol=1e-6)


def test_missing_values_are_left_out():
    samples, truth = made()
    spoilt = truth.copy()
    spoilt[0, 1, 2] = np.nan
    assert np.isnan(fair_crps(samples, spoilt)).sum() == 1
    kept = np.ones((H, C), bool)
    kept[1, 2] = False
    by_hand = samples[0][:, kept][:, None, :], truth[0][kept][None]
    assert energy_score(samples, spoilt)[0] == pytest.approx(
        energy_score(by_hand[0][None], by_hand[1][None])[0]
    )
    assert np.isfinite(list(score(samples, spoilt).values())).all()


def test_coverage_of_a_calibrated_forecast_is_nominal():
    rng = np.random.default_rng(0)
    samples, truth = rng.standard_normal((20_000, 19, 2, 1)), rng.standard_normal((20_000, 2, 1))
    for level in (0.5, 0.9):
        band = 4 * np.sqrt(level * (1 - level) / 20_000)
        assert np.abs(coverage(samples, truth, level) - level).max() < band
    wide = coverage(samples * 3, truth)
    assert wide.min() > 0.99


def test_levels_are_the_papers():
    assert np.allclose(quantile_levels(19), (np.arange(20) / 20.0)[1:])
    assert np.allclose(quantile_levels(9), np.arange(1, 10) / 10)
    with pytest.raises(ValueError, match="levels=0"):
        quantile_levels(0)


def test_bad_shapes_and_values():
    samples, truth = made()
    with pytest.raises(ValueError, match=r"samples \(4, 30, 5, 3\) and truth \(4, 5\) must be"):
        fair_crps(samples, truth[..., 0])
    with pytest.raises(ValueError, match=r"truth \(4, 4, 3\)"):
        energy_score(samples, truth[:, :4])
    samples[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="1 sample values are not finite"):
        quantile_crps(samples, truth)
    with pytest.raises(ValueError, match="needs at least 2 samples, got 1"):
        fair_crps(made()[0][:, :1], truth)
