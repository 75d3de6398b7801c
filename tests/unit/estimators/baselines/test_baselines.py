import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from gluonts.model.predictor import Predictor
from gluonts.model.seasonal_naive import SeasonalNaivePredictor

from tests.support.baselines import EVERY, PACKAGES, SIMPLE, entry, needs, only, wave
from tsgen.data.registry import datasets
from tsgen.data.synthetic import VAR
from tsgen.estimators.baselines import (
    Baseline,
    ETSEstimator,
    FitWarning,
    GARCHEstimator,
    LastValueEstimator,
    RandomWalkEstimator,
    RidgeEstimator,
    SeasonalNaiveEstimator,
    VAREstimator,
)
from tsgen.estimators.baselines.histories import fill_gaps
from tsgen.estimators.registry import estimators
from tsgen.evaluation import backtest, coverage, fair_crps

# what is common to all


@pytest.mark.parametrize("name", EVERY)
def test_floor_seed_information_and_saving(name, tmp_path):
    y = np.abs(np.random.default_rng(0).standard_normal((2, 100)))
    predictor = estimators[name](6, low=0.0).train([entry(y)], validation_data=[entry(y)], seed=0)
    predictor.serialize(Path(tmp_path))
    loaded = Predictor.deserialize(Path(tmp_path))
    assert loaded == predictor
    one, two, three = (
        next(iter(p.predict([entry(y)], num_samples=7, seed=3)))
        for p in (predictor, predictor, loaded)
    )
    assert (one.samples >= 0).all() and one.samples.shape == (7, 6, 2)
    assert (one.samples == two.samples).all() and (one.samples == three.samples).all()
    assert one.item_id == "a" and one.info == {"of": 1}
    assert one.start_date == pd.Period("2021-01-05 04:00", freq="h")
    if name != "last_value":
        other = next(iter(predictor.predict([entry(y)], num_samples=7, seed=4)))
        assert (one.samples != other.samples).any()


@pytest.mark.parametrize("name", EVERY)
def test_channels_keep_their_order_and_gaps_do_not_matter(name):
    y = 5 + 0.1 * np.random.default_rng(0).standard_normal((3, 400))
    y[:, 200:210], y[1, -1] = np.nan, np.nan
    scales = np.array([1.0, 100.0, 1e4])
    forecast = only(estimators[name](4), y * scales[:, None], num_samples=50, seed=0)
    assert np.abs(forecast.samples.mean((0, 1)) / scales - 5).max() < 0.5


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("freq", ["h", "15min", "D", "W", "M", "Q", "Y"])
def test_every_frequency_and_one_dimension(name, freq):
    y = 5 + np.random.default_rng(0).standard_normal(150)
    forecast = only(estimators[name](10), y, freq, num_samples=3)
    assert forecast.samples.shape == (3, 10) and np.isfinite(forecast.samples).all()


@pytest.mark.parametrize("name", SIMPLE)
@pytest.mark.parametrize("length", [1, 2, 5, 23, 60])
def test_short_histories(name, length):
    forecast = only(estimators[name](4), np.arange(float(length)), num_samples=3)
    assert forecast.samples.shape == (3, 4) and np.isfinite(forecast.samples).all()


@pytest.mark.parametrize("name", EVERY)
def test_hostile_values(name):
    rng = np.random.default_rng(0)
    flat, spike = np.full(120, 7.0), np.zeros(120)
    spike[60] = 1e6
    y = np.stack([flat, spike, np.full(120, np.nan), 1e9 + rng.standard_normal(120)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        samples = only(estimators[name](4), y, num_samples=20, seed=0).samples
    assert (samples[..., 0] == 7).all() and (samples[..., 2] == 0).all()
    assert np.abs(samples[..., 3] - 1e9).max() < 100


def test_bad_options_and_data():
    with pytest.raises(
        ValueError, match="LastValueEstimator: prediction_length=0 must be at least 1"
    ):
        LastValueEstimator(0)
    with pytest.raises(ValueError, match="num_samples=0 must be at least 1"):
        only(LastValueEstimator(3), np.ones(5), num_samples=0)
    with pytest.raises(ValueError, match="series 'a': target has 0 steps"):
        only(LastValueEstimator(3), np.ones(0))
    with pytest.raises(ValueError, match="RandomWalkEstimator: window=0 must be at least 1"):
        RandomWalkEstimator(3, window=0)
    with pytest.raises(ValueError, match="RandomWalkEstimator: increments"):
        RandomWalkEstimator(3, increments="cauchy")
    with pytest.raises(ValueError, match="RidgeEstimator: alpha=0.0 must be above 0"):
        RidgeEstimator(3, alpha=0.0)


class Doubtful(Baseline):
    value: float = 0.0

    def paths(self, history, start, num_samples):
        warnings.warn("channel 1: did not converge", FitWarning, stacklevel=2)
        samples = np.zeros((num_samples, self.prediction_length, history.shape[1]))
        samples[..., 1] = self.value
        return samples


def test_doubts_come_as_one_warning_that_names_the_series():
    entries = [{**entry(np.ones((2, 5))), "item_id": name} for name in "abc"]
    with pytest.warns(FitWarning) as caught:
        list(Doubtful(2).train(entries).predict(entries))
    (message,) = [str(w.message) for w in caught]
    assert "Doubtful: 3 fits to be doubted: series 'a', channel 1: did not converge; " in message
    with (
        pytest.warns(FitWarning),
        pytest.raises(ValueError, match=r"series 'a': Doubtful .* not finite in channels \[1\]"),
    ):
        only(Doubtful(2, value=float("nan")), np.ones((2, 5)))


# the naive ones


def test_last_value_repeats():
    forecast = only(LastValueEstimator(3), np.array([[1.0, 2.0], [5.0, np.nan]]), num_samples=4)
    assert forecast.samples.shape == (4, 3, 2) and (forecast.samples == [2.0, 5.0]).all()
    assert forecast.start_date == pd.Period("2021-01-01 02:00", freq="h")


@pytest.mark.parametrize("increments", ["bootstrap", "gaussian"])
@pytest.mark.parametrize("joint", [True, False])
def test_random_walk_is_calibrated_on_a_random_walk(joint, increments):
    rng = np.random.default_rng(0)
    root = np.array([[1.0, 0.0], [0.9, 0.3]])
    walk = (rng.standard_normal((400, 600, 2)) @ root.T).cumsum(1)
    tests = [entry(w.T) for w in walk]
    estimator = RandomWalkEstimator(5, joint=joint, increments=increments)
    result = backtest(estimator.train(tests), tests, num_samples=200, seed=0)
    assert np.abs(coverage(result.samples, result.truth) - 0.9).max() < 4 * np.sqrt(0.09 / 400)
    steps = np.diff(result.samples, axis=2) - 0.0
    correlation = np.corrcoef(steps[:, :, 1].reshape(-1, 2).T)[0, 1]
    exact = 0.9 / np.sqrt(0.9) if joint else 0.0
    assert abs(correlation - exact) < 0.02


@pytest.mark.parametrize("increments", ["bootstrap", "gaussian"])
def test_random_walk_of_logarithms(increments):
    walk = 0.1 * np.random.default_rng(0).standard_normal((2, 4000)).cumsum(1)
    made = RandomWalkEstimator(9, transform="log", increments=increments)
    samples = only(made, np.exp(walk), num_samples=4000, seed=0).samples
    spread = (np.log(samples) - walk[:, -1]).std(0)
    assert np.abs(spread / (0.1 * np.sqrt(np.arange(1, 10)))[:, None] - 1).max() < 0.06
    with pytest.raises(ValueError, match="series 'a': transform='log' needs positive values, chan"):
        only(made, walk)


def test_random_walk_looks_back_as_far_as_it_is_told():
    steps = np.random.default_rng(0).standard_normal(1000) * np.repeat([1.0, 5.0], [900, 100])
    for increments in ("bootstrap", "gaussian"):
        made = RandomWalkEstimator(1, window=100, increments=increments)
        spread = only(made, steps.cumsum(), num_samples=4000, seed=0).samples.std()
        assert abs(spread / steps[-100:].std() - 1) < 0.05


def test_seasonal_naive_finds_the_season_and_its_errors():
    t = np.arange(24 * 60)
    pure = np.sin(t / 24 * 2 * np.pi)
    exact = only(SeasonalNaiveEstimator(48), pure, num_samples=10)
    assert exact.samples.shape == (10, 48)
    assert np.allclose(
        exact.samples, np.sin(np.arange(len(t), len(t) + 48) / 24 * 2 * np.pi), atol=1e-9
    )
    noisy = pure + 0.1 * np.random.default_rng(0).standard_normal(len(t))
    spread = only(SeasonalNaiveEstimator(24), noisy, num_samples=500, seed=0).samples.std(0)
    assert np.abs(spread - 0.1 * np.sqrt(2)).max() < 0.06  # the errors of y_t - y_{t - 24}
    weekly = only(
        SeasonalNaiveEstimator(24, season=168), np.tile(np.arange(168.0), 9), num_samples=5
    )
    assert np.allclose(weekly.samples, np.arange(24.0))


def test_seasonal_naive_without_errors_is_that_of_gluonts():
    y = np.random.default_rng(0).standard_normal(100)
    ours = only(SeasonalNaiveEstimator(30, residuals=False), y, num_samples=2).samples
    (theirs,) = SeasonalNaivePredictor(prediction_length=30, season_length=24).predict([entry(y)])
    assert np.allclose(ours, theirs.samples, rtol=1e-6)


@pytest.mark.parametrize("made", [SeasonalNaiveEstimator(4), RidgeEstimator(4, origin_step=24)])
def test_errors_are_of_the_forecasts_own_phase(made):
    loud = np.where(np.arange(24 * 60) % 24 < 6, 1.0, 0.01)  # six noisy hours after midnight
    y = 10 + loud * np.random.default_rng(0).standard_normal(24 * 60)
    for end, scale in ((24 * 59, 1.0), (24 * 59 + 6, 0.01), (24 * 59 + 20, 0.01)):
        spread = only(made, y[:end], num_samples=400, seed=0).samples.std(0)
        assert (spread > 0.5 * scale).all() and (spread < 5 * scale).all()


def test_seasonal_naive_takes_its_errors_from_the_origins_asked_for():
    y = np.random.default_rng(0).standard_normal((2, 400)).cumsum(1)
    made = SeasonalNaiveEstimator(6, first_origin=50, origin_step=24, fit_until=301)
    samples = only(made, y, num_samples=500, seed=0).samples
    x, origins = y.T, range(50, 301 - 6 + 1, 24)
    expected = [x[376:382] + x[t : t + 6] - x[t - 24 : t - 18] for t in origins]
    apart = np.abs(samples[:, None] - np.stack(expected)).max((2, 3))
    assert apart.min(1).max() < 1e-9 and set(apart.argmin(1)) == set(range(len(origins)))
    with pytest.raises(ValueError, match="series 'a': SeasonalNaiveEstimator: first_origin=20 "):
        only(SeasonalNaiveEstimator(6, first_origin=20), y)
    with pytest.raises(ValueError, match="first_origin=399 must leave"):
        only(SeasonalNaiveEstimator(6, first_origin=399), y)


# the ridge


def ridge_by_hand(y, horizon, origins, alpha, folds=None, scale=None):
    """The recipe of the reference script: forecast (H, C) and errors (n, H, C).

    A fold is a pair: origins to judge, and those to learn from.
    """
    scale = y.mean(0) if scale is None else scale
    z = y / scale

    def features(t, j):
        again = [z[t - k : t - k + horizon, j] for k in (168, 336)]
        phase = [np.eye(24)[t % 24], np.eye(7)[(t // 24) % 7]]
        return np.concatenate([z[t - 48 : t, j], *again, *phase])

    def fit(x, target, now):
        centre, middle = x.mean(0), target.mean(0)
        gram = (x - centre).T @ (x - centre) + alpha * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, (x - centre).T @ (target - middle))
        return (now - centre) @ weights + middle

    mean, errors = [], []
    for j in range(y.shape[1]):
        x = np.stack([features(t, j) for t in origins])
        target = np.stack([z[t : t + horizon, j] for t in origins])
        mean.append(fit(x, target, features(len(y), j)))
        everything = np.arange(len(x))
        errors.append(
            np.concatenate(
                [
                    target[judge] - fit(x[learn], target[learn], x[judge])
                    for judge, learn in folds or [(everything, everything)]
                ]
            )
        )
    return np.stack(mean, -1) * scale, np.stack(errors, -1) * scale


@pytest.mark.parametrize("kind", ["in sample", "leave one out", "leave blocks out"])
def test_ridge_reproduces_the_recipe(kind):
    y, step = wave(1300, channels=2, noise=0.5), 24 if kind == "leave one out" else 7
    made = RidgeEstimator(24, alpha=3.0, first_origin=700, origin_step=step)
    if kind == "in sample":
        made = made.replace(residuals="in_sample")
    samples = only(made, y, num_samples=800, seed=0).samples
    origins = np.arange(700, 1300 - 24 + 1, step)
    n = np.arange(len(origins))
    folds = {
        "in sample": None,
        "leave one out": [([i], n != i) for i in n],
        "leave blocks out": [
            (b, (n < b[0] - 3) | (n > b[-1] + 3)) for b in np.array_split(n, 10)
        ],  # origins 3 x 7 steps apart share a part of 24 steps
    }
    mean, errors = ridge_by_hand(y.T, 24, origins, 3.0, folds[kind])
    apart = np.abs(samples[:, None] - (mean + errors)).max((2, 3))
    assert apart.min(1).max() < 1e-8 and set(apart.argmin(1)) == set(n)


@pytest.mark.parametrize("step", [24, 12])
def test_ridge_does_not_learn_from_origins_left_out(step):
    """Days without a value; origins of which at least half a day was observed count."""
    y = wave(1300, noise=0.5)
    origins = np.arange(700, 1300 - 24 + 1, step)
    for day in (820, 1108):
        y[0, day : day + 24] = np.nan
    observed = np.isfinite(y[0])
    origins = np.array([t for t in origins if observed[t : t + 24].mean() >= 0.5])
    ridge = RidgeEstimator(24, alpha=3.0, first_origin=700, origin_step=step, residuals="in_sample")
    samples = only(ridge, y, num_samples=800, seed=0).samples
    filled = fill_gaps(y.T, 24)
    mean, errors = ridge_by_hand(filled, 24, origins, 3.0, scale=np.nanmean(y, 1))
    at_origins = (mean + errors)[..., 0].T[None]
    assert np.abs(samples - at_origins).min(2).max() < 1e-8


def test_ridge_chooses_its_penalty():
    noise = np.random.default_rng(0).standard_normal(3000)
    y = np.stack([10 + 0.01 * noise, 5 + 3 * np.sin(np.arange(3000) / 17)])
    chosen, small, large = (
        only(RidgeEstimator(24, alpha=alpha), y, num_samples=300, seed=0).samples.std(0).mean(0)
        for alpha in (None, 0.01, 100.0)
    )
    assert chosen[1] < 1.01 * small[1] and small[1] < 0.1 * large[1]  # nothing to shrink
    assert chosen[0] < 1.01 * large[0] and large[0] < small[0]  # nothing to learn


def test_ridge_does_not_look_beyond_fit_until():
    y = wave(900)
    changed = y.copy()
    changed[:, 850:852] += 3  # within the lags of the forecast, after the coefficients' part
    made = RidgeEstimator(3, fit_until=800, own_lags=4, alpha=1.0)
    one, two = (only(made, values, num_samples=5, seed=0).samples for values in (y, changed))
    assert np.allclose(one, two, atol=1e-9)


def test_ridge_is_near_the_exact_law_of_a_seasonal_autoregression():
    rng, horizon, series, length = np.random.default_rng(0), 12, 100, 1500
    t = np.arange(length)
    season = 10 + 3 * np.sin(t / 24 * 2 * np.pi)
    x = np.zeros((series, length))
    shocks = rng.standard_normal((series, length))
    for i in range(1, length):
        x[:, i] = 0.8 * x[:, i - 1] + shocks[:, i]
    tests = [entry(season + row) for row in x]
    result = backtest(RidgeEstimator(horizon).train(tests), tests, num_samples=200, seed=0)
    h = np.arange(1, horizon + 1)
    mean = season[-horizon:] + 0.8**h * x[:, -horizon - 1, None]
    std = np.sqrt((1 - 0.8 ** (2 * h)) / (1 - 0.8**2))
    exact = mean[:, None] + std * rng.standard_normal((series, 200, horizon))
    naive = backtest(SeasonalNaiveEstimator(horizon).train(tests), tests, num_samples=200, seed=0)
    best, ridge, season_again = (
        fair_crps(samples, result.truth).mean()
        for samples in (exact[..., None], result.samples, naive.samples)
    )
    # 1.12 is measured with 200 series of other seeds; paired standard error with 100: 0.03
    assert ridge < 1.21 * best and season_again > 1.3 * best
    inside = coverage(result.samples, result.truth).mean()
    assert abs(inside - 0.9) < 0.05  # 1200 values, dependent within a window


def test_ridge_takes_the_phase_from_the_calendar():
    y = np.tile(np.where(np.arange(168) < 24, 50.0, 0.0), 20)  # high on the first day of a week
    made = RidgeEstimator(24, own_lags=1, long_season=1, origin_step=24)
    for end, level in ((19 * 168, 50.0), (19 * 168 + 24, 0.0)):
        for shift in (0, 5, 24):
            history = {**entry(y[shift:end]), "start": pd.Period("2021-01-01", freq="h") + shift}
            samples = next(iter(made.train([history]).predict([history]))).samples
            assert np.abs(samples - level).max() < 10


def test_ridge_keeps_channels_of_one_error_together():
    rng = np.random.default_rng(0)
    common = rng.standard_normal(1200)
    y = 10 + np.stack([common, common + 0.1 * rng.standard_normal(1200)])
    samples = only(RidgeEstimator(4), y, num_samples=400, seed=0).samples
    assert np.corrcoef(samples[:, 2].T)[0, 1] > 0.95


def test_ridge_says_which_origins_are_impossible():
    with pytest.raises(ValueError, match="RidgeEstimator: first_origin=100 must leave the longest"):
        only(RidgeEstimator(24, first_origin=100), wave(1000))
    with pytest.raises(ValueError, match="series 'a': RidgeEstimator: first_origin=700"):
        only(RidgeEstimator(24, first_origin=700), wave(500))


# the classical ones


@needs("statsmodels")
@pytest.mark.parametrize("errors", ["bootstrap", "gaussian"])
@pytest.mark.parametrize("lags", [1, None])
def test_var_meets_the_moments_of_its_law(errors, lags):
    law = VAR(mean=(1.0, 20.0, 3.0))
    y = law.simulate(1, 6000, np.random.default_rng(0))[0]
    made = VAREstimator(6, errors=errors, lags=lags, max_lags=None if lags else 4)
    samples = only(made, y, num_samples=4000, seed=0).samples
    mean, std = law.exact_moments(y, 6)
    # 4000 samples, and coefficients off by about 1 / sqrt(6000)
    assert np.abs((samples.mean(0) - mean) / std).max() < 5 / np.sqrt(4000) + 4 / np.sqrt(6000)
    assert np.abs(samples.std(0) / std - 1).max() < 0.05
    first = np.corrcoef(samples[:, 0].T)
    exact = np.array(law.covariance)
    exact = exact / np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert np.abs(first - exact).max() < 0.06


@needs("statsmodels")
def test_var_of_one_channel_is_an_autoregression():
    law = VAR(coefficients=((0.7,),), covariance=((1.0,),), mean=(5.0,))
    y = law.simulate(1, 4000, np.random.default_rng(0))[0]
    samples = only(VAREstimator(5), y[0], num_samples=4000, seed=0).samples
    mean, std = law.exact_moments(y, 5)
    assert np.abs(samples.mean(0) - mean[:, 0]).max() < 0.2
    assert np.abs(samples.std(0) / std[:, 0] - 1).max() < 0.06


@needs("statsmodels")
def test_var_of_differences():
    rng = np.random.default_rng(0)
    walk = rng.standard_normal((2, 3000)).cumsum(1)
    samples = only(VAREstimator(9, difference=1, lags=1), walk, num_samples=4000, seed=0).samples
    assert np.abs(samples.std(0) / np.sqrt(np.arange(1, 10))[:, None] - 1).max() < 0.15
    y = wave(24 * 60, channels=2, noise=0.0)[:, : 24 * 59] + 0.01 * rng.standard_normal(
        (2, 24 * 59)
    )
    seasonal = only(VAREstimator(48, difference=168, lags=1), y, num_samples=20, seed=0).samples
    assert np.abs(seasonal - wave(24 * 61, noise=0.0)[:, 24 * 59 : 24 * 61].T).max() < 0.15


@needs("statsmodels")
def test_ets_follows_a_season_and_a_trend():
    rng = np.random.default_rng(0)
    t = np.arange(240)
    y = 100 + 0.5 * t + 10 * np.sin(t / 12 * 2 * np.pi) + 0.5 * rng.standard_normal((2, 240))
    ahead = np.arange(240, 264)
    truth = 100 + 0.5 * ahead + 10 * np.sin(ahead / 12 * 2 * np.pi)
    samples = only(ETSEstimator(24, trend="add"), y, "M", num_samples=500, seed=0).samples
    assert np.abs(samples.mean(0) - truth[:, None]).max() < 2
    assert 0.3 < samples[:, 0].std() < 1.2
    flat = ETSEstimator(24, season=1, errors="gaussian")  # no season, no trend
    assert np.ptp(only(flat, y, "M", num_samples=500, seed=0).samples.mean(0)[:, 0]) < 5


@needs("statsmodels")
def test_ets_draws_the_channels_of_one_time_together():
    rng = np.random.default_rng(0)
    common = rng.standard_normal(400)
    y = 10 + np.stack([common, common + 0.1 * rng.standard_normal(400)])
    for errors in ("bootstrap", "gaussian"):
        samples = only(ETSEstimator(3, season=1, errors=errors), y, num_samples=500, seed=0).samples
        assert np.corrcoef(samples[:, 0].T)[0, 1] > 0.95


def garch(length, seed, omega=0.05, alpha=0.15, beta=0.8):
    """Log prices and the standard deviation of the next change, (T,)."""
    rng = np.random.default_rng(seed)
    variance, r, std = omega / (1 - alpha - beta), 0.0, []
    changes = np.empty(length)
    for i in range(length):
        variance = omega + alpha * r**2 + beta * variance
        std.append(np.sqrt(variance))
        r = changes[i] = std[-1] * rng.standard_normal()
    std.append(np.sqrt(omega + alpha * r**2 + beta * variance))
    return changes.cumsum(), np.array(std[1:])


@needs("arch")
@pytest.mark.parametrize("errors", ["bootstrap", "gaussian"])
def test_garch_widens_after_turbulence(errors):
    walk, std = garch(6000, 0)
    calm, wild = 3000 + std[3000:].argmin(), 3000 + std[3000:].argmax()
    assert std[wild] > 3 * std[calm]
    for end in (calm, wild):
        samples = only(
            GARCHEstimator(1, errors=errors), walk[: end + 1], num_samples=4000, seed=0
        ).samples
        assert abs(samples.std() / std[end] - 1) < 0.15
        assert abs(samples.mean() - walk[end]) < 0.2 * std[end]


@needs("arch")
def test_garch_of_logarithms_and_its_dependence():
    walk, _ = garch(1500, 1)
    price = np.exp(
        0.02 * np.stack([walk, walk + 0.1 * np.random.default_rng(0).standard_normal(1500)])
    )
    for errors in ("bootstrap", "gaussian"):
        made = GARCHEstimator(10, transform="log", errors=errors, lags=1)
        samples = only(made, price, num_samples=500, seed=0).samples
        assert (samples > 0).all() and np.corrcoef(samples[:, 0].T)[0, 1] > 0.9
    price[1, 7] = -1
    with pytest.raises(ValueError, match="series 'a': .*positive values, channel 1 has -1"):
        only(made, price)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_is_named_before_any_work(name, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    with pytest.raises(
        ImportError, match=rf"needs {PACKAGES[name]}: pip install 'tsgen-forecast\[baselines\]'$"
    ):
        estimators[name](6)


@pytest.mark.parametrize("name", EVERY[-3:])
def test_classical_models_say_when_a_history_is_too_short(name):
    with pytest.raises(ValueError, match=r"series 'a': \w+: 5 steps are too few"):
        only(estimators[name](4), np.arange(5.0) ** 2)
    recent = only(estimators[name](4, window=60), wave(500)[0] ** 2, num_samples=2)
    assert np.isfinite(recent.samples).all()


@needs("statsmodels")
def test_var_options():
    with pytest.raises(ValueError, match="VAREstimator: max_lags=3 must be None with lags=2"):
        VAREstimator(6, lags=2, max_lags=3)
    with pytest.raises(ValueError, match="VAREstimator: difference=-1 must be at least 0"):
        VAREstimator(6, difference=-1)
    with pytest.raises(ValueError, match="ETSEstimator: trend"):
        ETSEstimator(6, trend="steep")


# on real data


def mean_scores(estimator, data, seeds=5, levels=19, names=("crps", "crps_sum", "energy")):
    """Means of scores over seeds."""
    predictor = estimator.train(data.train)
    scores = [
        backtest(predictor, data.test, num_samples=100, seed=s, levels=levels).scores
        for s in range(seeds)
    ]
    return np.array([[s[name] for name in names] for s in scores]).mean(0)


@pytest.mark.slow
def test_recipes_of_the_reference_script(real_data):
    """It prints .0405, .0249, .0434 and .0316, .0154, .0359; means of its 20 seeds are below."""
    data = datasets["eia_demand_hourly"]()
    again = SeasonalNaiveEstimator(24, first_origin=1000, origin_step=24, fit_until=5833)
    ridge = RidgeEstimator(
        24, alpha=3.0, first_origin=700, origin_step=7, fit_until=5833, residuals="in_sample"
    )
    for made, script in ((again, (0.0409, 0.0258, 0.0440)), (ridge, (0.0315, 0.0155, 0.0358))):
        assert np.abs(mean_scores(made, data) / script - 1).max() < 0.02
    # the defaults: origins of one phase, a penalty for each area
    assert (mean_scores(RidgeEstimator(24), data) < (0.0262, 0.0085, 0.0314)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, crps_sum, crps",
    [
        ({"increments": "gaussian"}, 0.00563, 0.00796),
        ({}, 0.00538, 0.00757),
        ({"joint": False, "increments": "gaussian"}, 0.00471, 0.00803),
        ({"joint": False}, 0.00469, 0.00762),
    ],
)
def test_random_walks_of_the_exchange_rates(real_data, options, crps_sum, crps):
    """The figures of another program, whose walks are of the logarithms."""
    data = datasets["exchange_rate_nips"]()
    found = mean_scores(RandomWalkEstimator(30, transform="log", **options), data, seeds=10)
    assert abs(found[1] - crps_sum) < 3 * 0.0002  # its spread over seeds, for a mean of ten each
    assert abs(found[0] / crps - 1) < 0.03


@pytest.mark.slow
def test_seasonal_naive_of_the_m4_competition(real_data):
    """Published .048."""
    data = datasets["m4_hourly"]()
    made = SeasonalNaiveEstimator(48, residuals=False)
    (found,) = mean_scores(made, data, seeds=1, levels=9, names=("crps",))
    assert round(found, 3) == 0.048
