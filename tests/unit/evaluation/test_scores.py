import numpy as np
import pytest
import scoringrules
from gluonts.evaluation import MultivariateEvaluator
from scipy import stats

from tests.support.samples import C, H, S, W, as_forecasts, as_frames, made
from tsgen.evaluation import (
    coverage,
    crps_sum,
    dawid_sebastiani_score,
    energy_score,
    fair_crps,
    pit,
    quantile_crps,
    quantile_levels,
    variogram_score,
)
from tsgen.evaluation.vectors import partners


@pytest.mark.parametrize("levels", [9, 19, 99])
@pytest.mark.parametrize("missing", [False, True])
def test_quantile_scores_are_gluonts(levels, missing):
    samples, truth = made(missing=missing)
    evaluator = MultivariateEvaluator(
        quantiles=quantile_levels(levels), target_agg_funcs={"sum": np.sum}, num_workers=0
    )
    table, _ = evaluator(as_frames(truth), as_forecasts(samples), num_series=W)
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
    assert np.allclose(fair_crps(samples, truth), expected, rtol=0, atol=1e-9)
    # the score of N(0, 1) under itself is 1 / sqrt(pi), whatever the number of samples
    rng = np.random.default_rng(0)
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
    assert np.allclose(raw, with_self, rtol=0, atol=1e-9)


def test_vectors_of_a_step_and_of_a_channel():
    samples, truth = made()
    for score in (
        lambda x, y, over: energy_score(x, y, over=over),
        lambda x, y, over: variogram_score(x, y, over=over),
        lambda x, y, over: dawid_sebastiani_score(x, y, over=over),
    ):
        steps, channels = (score(samples, truth, over) for over in ("steps", "channels"))
        assert steps.shape == (W, H) and channels.shape == (W, C)
        for h in range(H):
            one = score(samples[:, :, h : h + 1], truth[:, h : h + 1], "path")
            assert np.allclose(steps[:, h], one, atol=1e-12)
        for c in range(C):
            one = score(samples[..., c : c + 1], truth[..., c : c + 1], "path")
            assert np.allclose(channels[:, c], one, atol=1e-12)
    with pytest.raises(ValueError, match="over='windows' must be 'path', 'steps' or 'channels'"):
        energy_score(samples, truth, over="windows")


@pytest.mark.parametrize("score", [energy_score, variogram_score])
def test_vector_scores_keep_their_digits_at_a_large_level(score):
    samples, truth = made()
    one, two = (score(samples + add, truth + add, normalise=False) for add in (0.0, 1e8))
    assert np.allclose(one, two, rtol=1e-6)
    # and far from the truth, where distances between samples are small beside those to it
    three = score(samples * 1e-4 + 1e4, truth, normalise=False)
    slow = {
        energy_score: scoringrules.es_ensemble,
        variogram_score: lambda y, x, estimator: (
            scoringrules.vs_ensemble(y, x, estimator=estimator) / 2
        ),
    }[score]
    x = (samples * 1e-4 + 1e4).reshape(W, S, -1)
    assert np.allclose(three, slow(truth.reshape(W, -1), x, estimator="fair"), rtol=1e-9)


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_variogram_score_is_scoringrules(p):
    samples, truth = made()
    x, y = samples.reshape(W, S, -1), truth.reshape(W, -1)
    # it counts each pair twice
    expected = scoringrules.vs_ensemble(y, x, p=p, estimator="fair") / 2
    assert np.allclose(
        variogram_score(samples, truth, p, normalise=False), expected, rtol=0, atol=1e-9
    )
    size = (np.abs(y[:, None] - y[..., None]) ** (2 * p)).sum((1, 2)) / 2
    assert np.allclose(variogram_score(samples, truth, p), expected / size, atol=1e-9)
    few = np.zeros((15, 15))
    offsets, _ = partners(15, 4)
    for offset in offsets:
        few[np.arange(15), (np.arange(15) + offset) % 15] = 1
    weighted = scoringrules.vs_ensemble(
        y, x, np.broadcast_to(few, (W, 15, 15)), p=p, estimator="fair"
    )
    thinned = variogram_score(samples, truth, p, normalise=False, partners=4)
    assert np.allclose(thinned, weighted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [2, 3, 15, 16, 256, 257, 370, 1000])
def test_partners_count_each_pair_once(size):
    met = np.zeros((size, size))
    for offset, weight in zip(*partners(size), strict=True):
        met[np.arange(size), (np.arange(size) + offset) % size] += weight
    met = met + met.T
    assert (np.diag(met) == 0).all() and met.max() == 1
    assert (met.sum(1) == (size - 1 if size <= 256 else 16)).all()


def test_variogram_score_sees_dependence_that_the_energy_score_hardly_sees():
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(np.full((20, 20), 0.9) + 0.1 * np.eye(20))
    truth = (rng.standard_normal((300, 1, 20)) @ root.T) + 5
    right = (rng.standard_normal((300, 100, 1, 20)) @ root.T) + 5
    wrong = rng.standard_normal((300, 100, 1, 20)) + 5
    seen, blind = (
        score(wrong, truth).mean() / score(right, truth).mean()
        for score in (variogram_score, energy_score)
    )
    assert seen > 1.5 and 1 < blind < 1.3


def test_variogram_score_is_unbiased_in_the_number_of_samples():
    rng = np.random.default_rng(0)
    few, many = rng.standard_normal((2000, 5, 1, 4)), rng.standard_normal((2000, 200, 1, 4))
    truth = rng.standard_normal((2000, 1, 4))
    a, b = (variogram_score(x, truth, normalise=False) for x in (few, many))
    assert abs((a - b).mean()) < 4 * (a - b).std() / np.sqrt(2000)
    biased = scoringrules.vs_ensemble(truth[:, 0], few[:, :, 0]) / 2
    assert (biased - b).mean() > 8 * (biased - b).std() / np.sqrt(2000)


def test_dawid_sebastiani_score_is_scoringrules_and_minus_twice_a_log_density():
    samples, truth = made()
    steps = dawid_sebastiani_score(samples, truth, over="steps")
    expected = scoringrules.dssmv_ensemble(truth, samples.swapaxes(1, 2))
    assert np.allclose(steps, expected, rtol=0, atol=1e-9)
    x, y = samples[0].reshape(S, -1), truth[0].reshape(-1)
    density = stats.multivariate_normal(x.mean(0), np.cov(x.T)).logpdf(y)
    value = dawid_sebastiani_score(samples, truth)[0]
    assert value == pytest.approx(-2 * density - H * C * np.log(2 * np.pi))
    same = np.repeat(samples[:, :1], S, axis=1)
    assert np.isposinf(dawid_sebastiani_score(same, truth)).all()
    with pytest.raises(ValueError, match="of 15 values needs more than 15 samples, got 10"):
        dawid_sebastiani_score(samples[:, :10], truth)


def test_missing_values_are_left_out():
    samples, truth = made()
    spoilt = truth.copy()
    spoilt[0, 1, 2] = np.nan
    assert np.isnan(fair_crps(samples, spoilt)).sum() == 1
    kept = np.ones((H, C), bool)
    kept[1, 2] = False
    x, y = samples[:1][:, :, kept][:, :, None], truth[:1][:, kept][:, None]
    for score in (energy_score, dawid_sebastiani_score):
        assert score(samples, spoilt)[0] == pytest.approx(score(x, y)[0])
    whole = variogram_score(samples, spoilt, partners=14)[0]
    assert whole == pytest.approx(variogram_score(x, y, partners=14)[0])
    other = samples.copy()
    other[0, :, 1, 2] += 100
    for score in (energy_score, variogram_score, dawid_sebastiani_score, quantile_crps, crps_sum):
        assert np.array_equal(score(samples, spoilt), score(other, spoilt), equal_nan=True)


def test_coverage_of_a_calibrated_forecast_is_nominal():
    rng = np.random.default_rng(0)
    samples, truth = rng.standard_normal((20_000, 19, 2, 1)), rng.standard_normal((20_000, 2, 1))
    for level in (0.5, 0.9):
        band = 4 * np.sqrt(level * (1 - level) / 20_000)
        assert np.abs(coverage(samples, truth, level) - level).max() < band
    wide = coverage(samples * 3, truth)
    assert wide.min() > 0.99


@pytest.mark.parametrize("count", [9, 19, 100])
def test_interval_ends_are_numpys_weibull_quantiles(count):
    samples, truth = made(shape=(200, count, 2, 1))
    low, high = np.quantile(samples, [0.1, 0.9], axis=1, method="weibull")
    inside = ((low <= truth) & (truth <= high)).mean((0, 2))
    assert np.allclose(coverage(samples, truth, 0.8), inside)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_an_interval_that_samples_do_not_reach_has_no_coverage(count):
    assert np.isnan(coverage(*made(shape=(200, count, 2, 1)), 0.8)).all()


def test_pit_is_the_rank():
    samples, truth = made(missing=True)
    values = pit(samples, truth)
    ranks = (samples < truth[:, None]).sum(1)
    seen = np.isfinite(truth)
    assert (np.floor(values[seen] * (S + 1)) == ranks[seen]).all() and np.isnan(values[~seen]).all()


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
    with pytest.raises(ValueError, match="partners=3 must be an even number"):
        variogram_score(samples, truth, partners=3)
    with pytest.raises(ValueError, match=r"level=1.5 must be in \(0, 1\)"):
        coverage(samples, truth, 1.5)
    with pytest.raises(ValueError, match="1 true values are infinite; mark missing with NaN"):
        quantile_crps(samples, np.where(truth == truth[0, 0, 0], np.inf, truth))
    for score, name in (
        (fair_crps, "fair CRPS values"),
        (energy_score, "fair energy scores"),
        (variogram_score, "fair variogram scores"),
    ):
        with pytest.raises(ValueError, match=f"{name} need at least 2 samples, got 1"):
            score(samples[:, :1], truth)
    samples[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="1 sample values are not finite"):
        quantile_crps(samples, truth)
