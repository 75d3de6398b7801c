"""Every known law against itself: simulator, forecast, moments and density are one and the same.

Bands are Z standard errors wide (two-sided level 6e-7), estimated from the sample itself where they
have no closed form. Seeds are fixed. ``WRONG`` holds laws a little off, which
the same checks refuse.
"""

import numpy as np
import pytest
from gluonts.core.serde import decode, encode
from gluonts.model.predictor import Predictor
from scipy import stats
from scipy.integrate import cumulative_trapezoid

from tests.support.known_laws import HISTORY, HORIZON, Z, estimates, held_out
from tsgen.core import seeded
from tsgen.data.synthetic import (
    CIR,
    VAR,
    ExactPredictor,
    MarkovSwitching,
    SeasonalCounts,
    StudentTVAR,
    laws,
    ornstein_uhlenbeck,
)

SAMPLES = 99
HALF_COVARIANCE = tuple(tuple(q / 2 for q in row) for row in VAR().covariance)
WRONG = {
    "ou": ornstein_uhlenbeck(sigma=0.5 / 2**0.5),
    "cir": CIR(sigma=1.2 / 2**0.5),
    "var": VAR(covariance=HALF_COVARIANCE),
    "regimes": MarkovSwitching(transition=((0.6, 0.4), (0.4, 0.6))),
    "heavy_tailed": StudentTVAR(covariance=HALF_COVARIANCE),
    "seasonal_counts": SeasonalCounts(alpha=0.0, beta=0.0),
}
ONE_CHANNEL = {
    "ou": laws["ou"],
    "cir": laws["cir"],
    "regimes": MarkovSwitching(means=((10.0,), (20.0,)), covariances=(((1.0,),), ((2.0,),))),
    "heavy_tailed": StudentTVAR(coefficients=((0.7,),), covariance=((2.0,),), mean=(20.0,)),
}
every_law = pytest.mark.parametrize("name", laws)


def with_fourth_moment(name):
    """The law, or of its kind one whose sample variance has a finite variance itself."""
    return StudentTVAR(df=12.0) if name == "heavy_tailed" else laws[name]


def pit_levels(name, law):
    """Smallest p-value over channels that the PIT of the first and of the last step is uniform.

    Ranks among the samples, ties broken at random: exactly uniform for any number of samples.
    """
    rng = np.random.default_rng(2)
    histories, futures = held_out(name)
    samples = np.stack([law.exact_forecast(h, HORIZON, SAMPLES, rng) for h in histories])
    truth = futures.transpose(0, 2, 1)[:, None]
    below, equal = (samples < truth).sum(1), (samples == truth).sum(1)
    pit = (below + rng.random(below.shape) * (equal + 1)) / (SAMPLES + 1)
    return [
        min(stats.kstest(channel, "uniform").pvalue for channel in pit[:, step].T)
        for step in (0, -1)
    ]


@every_law
def test_the_simulator_follows_the_exact_forecast(name):
    assert min(pit_levels(name, laws[name])) > 0.001
    assert min(pit_levels(name, WRONG[name])) < 1e-6


@every_law
def test_exact_forecasts_have_the_exact_moments(name):
    law, rng = with_fourth_moment(name), np.random.default_rng(3)
    for history in law.simulate(3, HISTORY, rng):
        mean, std = law.exact_moments(history, 6)
        drawn = law.exact_forecast(history, 6, 20_000, rng)
        assert mean.shape == std.shape == (6, law.num_channels)
        assert drawn.shape == (20_000, 6, law.num_channels)
        sample_mean, variance, mean_error, variance_error = estimates(drawn)
        assert (np.abs(sample_mean - mean) < Z * mean_error).all()
        assert (np.abs(variance - std**2) < Z * variance_error).all()


@every_law
def test_series_are_stationary(name):
    """First and last step; of counts two whole seasons apart, after the first one."""
    law = with_fourth_moment(name)
    series = law.simulate(10_000, 73, np.random.default_rng(4))
    first = estimates(series[..., 24 if name == "seasonal_counts" else 0])
    last = estimates(series[..., 72])
    for i in (0, 1):
        error = np.hypot(first[i + 2], last[i + 2])
        assert (np.abs(first[i] - last[i]) < Z * error).all()


@every_law
def test_density_of_paths_is_the_product_of_those_of_its_steps(name):
    law, (histories, futures) = laws[name], held_out(name)
    for history, future in zip(histories[:5], futures[:5], strict=True):
        path = np.concatenate([history, future], 1)
        steps = [law.log_density(path[:, :t], path[:, t : t + 1]) for t in range(30, 34)]
        assert law.log_density(history, future) == pytest.approx(sum(steps), abs=1e-9)


@pytest.mark.parametrize("name", ONE_CHANNEL)
def test_density_integrates_to_one_and_is_that_of_the_draws(name):
    """Trapezoids; a t law with 4 degrees of freedom leaves 1e-6 outside 40 standard deviations."""
    law, rng = ONE_CHANNEL[name], np.random.default_rng(5)
    history = law.simulate(1, HISTORY, rng)[0]
    mean, std = (float(m[0, 0]) for m in law.exact_moments(history, 1))
    grid = np.linspace(mean - 40 * std, mean + 40 * std, 2001)
    density = np.exp([law.log_density(history, np.array([[v]])) for v in grid])
    below = cumulative_trapezoid(density, grid, initial=0)
    assert below[-1] == pytest.approx(1, abs=1e-5)
    assert np.trapezoid(density * grid, grid) == pytest.approx(mean, abs=1e-3 * std)
    drawn = law.exact_forecast(history, 1, 20_000, rng)[:, 0, 0]
    assert stats.kstest(np.interp(drawn, grid, below), "uniform").pvalue > 0.001


@pytest.mark.parametrize("name", [name for name in laws if name != "seasonal_counts"])
def test_density_integrates_to_one_over_all_channels(name):
    """Importance sampling from a t law about the exact moments; its entropy is that of draws."""
    law, history, count = laws[name], held_out(name)[0][0], 2000
    mean, std = (m[0] for m in law.exact_moments(history, 1))
    proposal = stats.multivariate_t(mean, 1.5 * np.diag(std**2), df=3, seed=6)
    proposed = proposal.rvs(count).reshape(count, -1)
    drawn = law.exact_forecast(history, 1, count, np.random.default_rng(6))[:, 0]
    there, here = (
        np.array([law.log_density(history, v[:, None]) for v in values])
        for values in (proposed, drawn)
    )
    ratio = np.exp(there - proposal.logpdf(proposed).reshape(-1))
    error = ratio.std() / count**0.5
    assert error < 0.05 and abs(ratio.mean() - 1) < Z * error
    weighted = ratio * np.where(ratio > 0, there, 0)
    error = np.hypot(weighted.std(), here.std()) / count**0.5
    assert abs(weighted.mean() - here.mean()) < Z * error


def test_mass_of_counts_sums_to_one_and_is_that_of_the_draws():
    law, history = laws["seasonal_counts"], held_out("seasonal_counts")[0][0, :, :4]
    mass = np.exp([law.log_density(history, np.array([[float(k)]])) for k in range(150)])
    assert mass.sum() == pytest.approx(1, abs=1e-12)
    drawn = law.exact_forecast(history, 1, 20_000, np.random.default_rng(16))
    frequency = np.bincount(drawn.astype(int).reshape(-1), minlength=150) / 20_000
    assert (np.abs(frequency - mass) < Z * np.sqrt(mass / 20_000) + Z / 20_000).all()
    assert law.log_density(history, np.array([[1.5]])) == -np.inf
    assert laws["cir"].log_density(np.array([[1.0]]), np.array([[-1.0]])) == -np.inf


@every_law
def test_density_is_a_proper_score_whose_mean_is_the_entropy(name):
    """Paired over windows: the truth beats the wrong law, and equals the score of draws from it."""
    law, rng = laws[name], np.random.default_rng(7)
    gain, excess = [], []
    for history, future in zip(*(part[:600] for part in held_out(name)), strict=True):
        score = law.log_density(history, future)
        gain.append(score - WRONG[name].log_density(history, future))
        drawn = law.exact_forecast(history, HORIZON, 3, rng).transpose(0, 2, 1)
        excess.append(score - np.mean([law.log_density(history, path) for path in drawn]))
    assert np.mean(gain) > Z * np.std(gain) / 600**0.5
    assert abs(np.mean(excess)) < Z * np.std(excess) / 600**0.5


@every_law
def test_laws_are_their_options_and_seeds_repeat(name):
    law = laws[name]
    again = decode(encode(law))
    assert again == law and law != WRONG[name]
    one, same, other = (
        which.dataset(2, 30, seed) for which, seed in ((law, 0), (again, 0), (law, 1))
    )
    assert one[0]["target"].shape == (law.num_channels, 30) and one[0]["start"].freqstr == "h"
    for a, b, c in zip(one, same, other, strict=True):
        assert np.array_equal(a["target"], b["target"])
        assert not np.array_equal(a["target"], c["target"])
    values = np.stack([entry["target"] for entry in one])
    assert np.isfinite(values).all() and np.abs(values).max() < 100
    if law.support != "real":
        assert values.min() > (0 if law.support == "positive" else -1)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: VAR(freq="parsec"), "VAR: freq='parsec' must be a frequency"),
        (lambda: VAR(mean=()), r"VAR: mean=\(\) must be finite and not empty"),
        (lambda: VAR(covariance=((1.0,),)), "VAR: covariance=.* must be a symmetric, positive"),
        (lambda: StudentTVAR(df=2.0), "StudentTVAR: df=2.0 must be above 2 and finite"),
        (lambda: StudentTVAR(coefficients=((1.0,), (0.0,))), "must be a stable"),
        (lambda: CIR(kappa=-1.0), "CIR: kappa=-1.0 must be above 0 and finite"),
        (lambda: CIR(dt=float("nan")), "CIR: dt=nan must be above 0 and finite"),
        (lambda: CIR(sigma=3.0), "CIR: sigma=3.0 must be at most .* = 2 .Feller"),
        (
            lambda: MarkovSwitching(transition=((0.5, 0.6), (0.5, 0.5))),
            "MarkovSwitching: transition=.* rows sum to 1, K=2",
        ),
        (
            lambda: MarkovSwitching(transition=((1.0, 0.0), (0.5, 0.5))),
            "MarkovSwitching: transition=.* every regime leads to every other",
        ),
        (lambda: MarkovSwitching(persistence=(0.5, 1.0)), r"persistence=.* must be in \(-1, 1\)"),
        (lambda: MarkovSwitching(means=((1.0,), (1.0, 2.0))), r"means=.* \(K, C\), K=2"),
        (
            lambda: MarkovSwitching(covariances=(((1.0, 2.0), (2.0, 1.0)),) * 2),
            "covariances=.* positive definite",
        ),
        (lambda: SeasonalCounts(levels=(1.0, 0.0)), "SeasonalCounts: levels=.* above 0"),
        (lambda: SeasonalCounts(alpha=-0.1), r"SeasonalCounts: alpha=-0.1 must be in \[0, 1\)"),
        (lambda: SeasonalCounts(alpha=0.5, beta=0.5), "beta=0.5 must be below 1 - alpha, alpha="),
        (lambda: laws["cir"].exact_moments(np.array([[-1.0]]), 1), "CIR: history holds -1"),
        (lambda: laws["var"].exact_moments(np.ones((2, 5)), 1), r"history has shape \(2, 5\)"),
        (lambda: laws["ou"].log_density(np.ones((1, 5)), np.full((1, 1), np.nan)), "future must"),
        (lambda: laws["regimes"].exact_moments(np.ones((2, 5)), 0), "horizon=0 must be at least"),
        (lambda: laws["ou"].simulate(0, 5, np.random.default_rng(0)), "num_series=0 must be"),
        (lambda: ExactPredictor(laws["ou"], 0), "prediction_length=0 must be at least 1"),
        (lambda: ExactPredictor(laws["ou"], 1).predict([], num_samples=0), "num_samples=0 must be"),
    ],
)  # fmt: skip
def test_bad_options_and_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@every_law
def test_predictor_draws_the_exact_law(name, tmp_path):
    law = laws[name]
    predictor = ExactPredictor(law, HORIZON)
    data = law.dataset(3, HISTORY, seed=14)
    forecasts = list(predictor.predict(data, num_samples=50, seed=0))
    for forecast, entry in zip(forecasts, data, strict=True):
        assert forecast.samples.shape == (50, HORIZON, law.num_channels)
        assert forecast.start_date == entry["start"] + HISTORY
        assert forecast.item_id == entry["item_id"]
    if law.num_channels == 1:
        flat = [{**entry, "target": entry["target"][0]} for entry in data]
        for forecast, two in zip(predictor.predict(flat, 50, seed=0), forecasts, strict=True):
            assert np.array_equal(forecast.samples, two.samples[..., 0])
    predictor.serialize(tmp_path)
    again = Predictor.deserialize(tmp_path)
    assert again == predictor
    repeated = next(iter(again.predict(data, num_samples=50, seed=0)))
    assert np.array_equal(repeated.samples, forecasts[0].samples)
    drawn = []
    for seed in (1, 1, 2):  # without a seed of its own it goes on with torch's generator
        with seeded(seed):
            drawn.append(next(iter(predictor.predict(data))).samples)
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])
    twice = [f.samples for f in predictor.predict(data[:1] * 2, num_samples=50, seed=0)]
    assert not np.array_equal(*twice)
    many = next(iter(predictor.predict(data, num_samples=20_000, seed=3)))
    mean, std = law.exact_moments(data[0]["target"], HORIZON)
    assert (np.abs(many.samples.mean(0) - mean) < Z * std / 20_000**0.5).all()


def test_predictor_names_the_series_that_cannot_be():
    data = laws["regimes"].dataset(2, HISTORY, seed=0)
    data[1]["target"][0, 3] = np.nan
    with pytest.raises(ValueError, match="series '1': MarkovSwitching: history must have no miss"):
        list(ExactPredictor(laws["regimes"], 2).predict(data))
