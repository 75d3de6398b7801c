"""Known laws against closed forms, enumeration and SciPy. Bands as in test_laws.py."""

import itertools

import numpy as np
import pytest
from scipy import stats

from tests.support.known_laws import Z, estimates, held_out
from tsgen.data.synthetic import CIR, VAR, MarkovSwitching, SeasonalCounts, StudentTVAR, laws
from tsgen.data.synthetic.cir import log_noncentral_chi_square


@pytest.mark.parametrize("name", ["var", "heavy_tailed"])
def test_linear_densities_are_scipys(name):
    law, history, future = laws[name], *(part[0] for part in held_out(name))
    path = np.concatenate([history[:, -1:], future], 1).T - law.mean
    residuals, covariance = path[1:] - path[:-1] @ np.array(law.coefficients).T, law.covariance
    if name == "var":
        exact = stats.multivariate_normal(np.zeros(3), covariance).logpdf(residuals)
    else:
        scale = (law.df - 2) / law.df * np.array(covariance)
        exact = stats.multivariate_t(np.zeros(3), scale, df=law.df).logpdf(residuals)
    assert law.log_density(history, future) == pytest.approx(exact.sum(), abs=1e-9)


def test_heavy_tails_become_gaussian_and_strike_channels_together():
    history, future = (part[0] for part in held_out("var"))
    near = StudentTVAR(df=1e7).log_density(history, future)
    assert near == pytest.approx(VAR().log_density(history, future), abs=1e-4)
    diagonal = tuple(tuple(float(i == j) for j in range(2)) for i in range(2))
    law = StudentTVAR(
        coefficients=((0.0, 0.0), (0.0, 0.0)), covariance=diagonal, mean=(0.0, 0.0), df=6.0
    )
    drawn = law.exact_forecast(np.zeros((2, 1)), 1, 100_000, np.random.default_rng(8))[:, 0]
    far = np.abs(drawn) > 3
    assert far.all(1).mean() > 3 * far.mean() ** 2


def test_square_root_diffusion_is_the_equations():
    """Over a short time drift and diffusion are the equation's, and steps compose."""
    last, short = np.array([[4.0]]), CIR(dt=1e-5)
    mean, std = short.exact_moments(last, 1)
    assert (mean[0, 0] - 4) / 1e-5 == pytest.approx(0.2 * (10 - 4), rel=1e-4)
    assert std[0, 0] ** 2 / 1e-5 == pytest.approx(1.2**2 * 4, rel=1e-4)
    many, one = CIR(dt=0.5).exact_moments(last, 6), CIR(dt=3.0).exact_moments(last, 1)
    assert np.allclose([part[-1] for part in many], [part[0] for part in one], rtol=1e-12)
    first = CIR().simulate(20_000, 40, np.random.default_rng(9))[:, 0]
    gamma = stats.gamma(2 * 0.2 * 10 / 1.2**2, scale=1.2**2 / (2 * 0.2))
    for t in (0, 39):
        assert stats.kstest(first[:, t], gamma.cdf).pvalue > 0.001


def test_square_root_diffusion_has_scipys_density():
    for df, noncentrality, x in itertools.product((0.5, 2.0, 30.0), (1e-3, 5.0, 300.0), (0.1, 40)):
        ours = log_noncentral_chi_square(np.array([x]), df, np.array([noncentrality]))[0]
        exact = stats.ncx2.logpdf(x, df, noncentrality)
        assert ours == pytest.approx(exact, abs=1e-8, rel=1e-8)
    # where the Bessel function underflows, the law is Gaussian up to its skewness of 0.01
    df, noncentrality = 1e5, 1e5
    x = np.array([2.0e5, 2.01e5])
    ours = log_noncentral_chi_square(x, df, np.full(2, noncentrality))
    exact = stats.norm(df + noncentrality, (2 * df + 4 * noncentrality) ** 0.5).logpdf(x)
    assert np.allclose(ours, exact, atol=0.01)
    law, (history, future) = laws["cir"], (part[0] for part in held_out("cir"))
    path = np.concatenate([history[0, -1:], future[0]])
    scale = 1.2**2 * (1 - np.exp(-0.2)) / (4 * 0.2)
    exact = stats.ncx2.logpdf(
        path[1:], 4 * 0.2 * 10 / 1.2**2, path[:-1] * np.exp(-0.2) / scale, scale=scale
    )
    assert law.log_density(history, future) == pytest.approx(exact.sum(), abs=1e-9)


THREE = MarkovSwitching(
    transition=((0.7, 0.3, 0.0), (0.1, 0.6, 0.3), (0.5, 0.0, 0.5)),
    means=((10.0, 12.0), (14.0, 10.0), (11.0, 15.0)),
    persistence=(0.9, -0.5, 0.3),
    covariances=(((1.0, 0.5), (0.5, 2.0)), ((2.0, 0.0), (0.0, 1.0)), ((4.0, -1.0), (-1.0, 3.0))),
)


@pytest.mark.parametrize("law", [laws["regimes"], THREE])
def test_hamiltons_filter_is_the_sum_over_all_regime_paths(law):
    y = law.simulate(1, 5, np.random.default_rng(10))[0].T
    p, m, q = (np.array(v) for v in (law.transition, law.means, law.covariances))
    first, phi = law.stationary_moments, law.persistence
    joint = np.zeros((5, len(p)))  # p(y_0 .. y_t, s_t = k)
    for t in range(5):
        for path in itertools.product(range(len(p)), repeat=t + 1):
            s = path[0]
            term = first.weights[s] * stats.multivariate_normal.pdf(
                y[0], first.means[s], first.covariances[s]
            )
            for i in range(1, t + 1):
                before, s = s, path[i]
                centre = m[s] + phi[s] * (y[i - 1] - m[s])
                term *= p[before, s] * stats.multivariate_normal.pdf(y[i], centre, q[s])
            joint[t, s] += term
    exact = joint / joint.sum(1, keepdims=True)
    assert np.allclose(law.regime_probabilities(y.T), exact, atol=1e-12)
    ratio = np.log(joint[4].sum() / joint[2].sum())
    assert law.log_density(y[:3].T, y[3:].T) == pytest.approx(ratio, abs=1e-9)


@pytest.mark.parametrize("law", [laws["regimes"], THREE])
def test_regimes_have_stationary_moments_at_every_step(law):
    now = law.stationary_moments
    assert np.allclose(now.weights @ np.array(law.transition), now.weights)
    series = law.simulate(20_000, 20, np.random.default_rng(11))
    overall = now.weights @ now.means
    apart = now.means - overall
    spread = np.einsum("k,kcc->c", now.weights, now.covariances) + now.weights @ apart**2
    far = law.exact_moments(series[0], 300)  # where the history is forgotten
    assert np.allclose([part[-1] for part in far], [overall, np.sqrt(spread)], rtol=1e-9)
    for t in (0, 1, 19):
        mean, variance, mean_error, variance_error = estimates(series[..., t])
        assert (np.abs(mean - overall) < Z * mean_error).all()
        assert (np.abs(variance - spread) < Z * variance_error).all()


def test_regimes_are_hidden_and_make_the_next_value_bimodal():
    law, history = laws["regimes"], np.tile([[10.0], [12.0]], 10)
    grid = np.linspace(5, 25, 201)
    drawn = law.exact_forecast(history, 1, 50_000, np.random.default_rng(12))[:, 0, 0]
    low, valley, high = (((drawn > a) & (drawn < a + 1)).mean() for a in (9.5, 13.5, 17.5))
    assert low > 5 * valley and high > 2 * valley
    along = [np.exp(law.log_density(history, np.array([[v], [9.0]]))) for v in grid]
    assert (np.diff(np.sign(np.diff(along))) < 0).sum() == 2


def test_forecasts_mix_the_regimes_a_history_leaves_open():
    law, histories = laws["regimes"], held_out("regimes")[0][:200]
    filtered = np.stack([law.regime_probabilities(h)[-1] for h in histories])
    assert (filtered.min(1) > 0.1).mean() > 0.1
    open_one = filtered.min(1).argmax()
    weights = filtered[open_one] @ np.array(law.transition)
    m, phi = np.array(law.means), np.array(law.persistence)[:, None]
    centres = m + phi * (histories[open_one, :, -1] - m)
    drawn = law.exact_forecast(histories[open_one], 1, 10_000, np.random.default_rng(15))[:, 0]
    for c in (0, 1):
        stds = [q[c][c] ** 0.5 for q in law.covariances]
        pit = stats.norm.cdf(drawn[:, c, None], centres[:, c], stds) @ weights
        assert stats.kstest(pit, "uniform").pvalue > 0.001


def test_counts_are_poisson_with_the_intensity_of_the_formula():
    law = SeasonalCounts(levels=(2.0, 5.0, 9.0), alpha=0.3, beta=0.5)
    mu = law.stationary_mean
    assert np.allclose(mu, 0.2 * np.array(law.levels) + 0.8 * np.roll(mu, 1))
    y = [3.0, 0.0, 7.0, 4.0]
    rates = [mu[0]]
    for t in range(1, 6):
        rates.append(0.2 * law.levels[t % 3] + 0.3 * (y + [6.0])[t - 1] + 0.5 * rates[-1])
    assert np.allclose(law.intensities(np.array([y])), rates[:5])
    exact = stats.poisson.logpmf([6, 2], rates[4:]).sum()
    assert law.log_density(np.array([y]), np.array([[6.0, 2.0]])) == pytest.approx(exact, abs=1e-9)
    k = np.arange(100)  # two steps ahead: the mixture over the next count
    after = 0.2 * law.levels[2] + 0.3 * k + 0.5 * rates[4]
    weights = stats.poisson.pmf(k, rates[4])
    mean = weights @ after
    std = np.sqrt(weights @ (after + after**2) - mean**2)
    ours = law.exact_moments(np.array([y]), 2)
    assert np.allclose([part[1, 0] for part in ours], [mean, std])
    series = law.simulate(20_000, 3, np.random.default_rng(13))
    mean, _, error, _ = estimates(series[:, 0])
    assert (np.abs(mean - mu) < Z * error).all()
    assert (series == np.floor(series)).all() and series.min() == 0
