import numpy as np
import pandas as pd
import pytest

from tsgen import TimeGradEstimator
from tsgen.forecasting.assemble import assemble
from tsgen.forecasting.data.features import (
    CalendarWave,
    calendar_features,
    default_lags,
    default_time_features,
    season_length,
)
from tsgen.forecasting.data.spec import infer_spec


def test_waves_have_the_period_of_their_cycle():
    index = pd.period_range("2021-03-01 00:00", periods=24 * 14, freq="h")
    day = CalendarWave("day")(index)
    assert np.allclose(day[:24], np.sin(2 * np.pi * np.arange(24) / 24))
    assert np.allclose(day[:-24], day[24:])
    week = CalendarWave("week", 2, "cos")(index)  # 1 March 2021 is a Monday
    assert np.allclose(week[: 24 * 7], np.cos(4 * np.pi * np.arange(24 * 7) / (24 * 7)))
    hour = CalendarWave("hour")(pd.period_range("2021-03-01", periods=60, freq="min"))
    assert np.allclose(hour, np.sin(2 * np.pi * np.arange(60) / 60))
    year = CalendarWave("year")(pd.period_range("2021-01-01", periods=1, freq="D"))
    assert year[0] == 0


@pytest.mark.parametrize(
    "freq", ["h", "2h", "30min", "5min", "s", "10s", "250ms", "D", "B", "W", "W-WED", "M", "Q", "Y"]
)
@pytest.mark.parametrize("channels", [1, 5])
def test_every_frequency_has_features_and_lags(freq, channels):
    index = pd.period_range("2021-03-01", periods=300, freq=freq)
    waves = [wave(index) for wave in default_time_features(freq)]
    assert all(w.shape == (300,) and np.isfinite(w).all() and np.abs(w).max() <= 1 for w in waves)
    lags = default_lags(freq, channels, 200)
    assert lags[0] == 1 and list(lags) == sorted(set(lags)) and lags[-1] <= 200


def test_lags_of_the_papers():
    assert default_lags("h", 5, 5000) == (1, 24, 168)
    assert default_lags("h", 5, 100) == (1, 24)
    assert default_lags("D", 5, 5000) == (1, 7, 14)
    assert default_lags("B", 5, 5000) == (1, 2)
    assert default_lags("30min", 5, 5000) == (1, 48)
    assert max(default_lags("h", 1, 5000)) == 721
    assert (season_length("h"), season_length("30min"), season_length("D"), season_length("M")) == (
        24,
        48,
        7,
        12,
    )


def test_a_forecast_computes_the_part_of_the_calendar_that_it_sees() -> None:
    """There it is that of training; features of other kinds get the whole index."""
    index = pd.period_range("2021-03-01", periods=90, freq="h")
    features = (*default_time_features("h"), lambda i: np.arange(len(i)) / 10)
    whole, part = calendar_features(features, index), calendar_features(features, index, 70)
    np.testing.assert_array_equal(whole, np.vstack([f(index) for f in features]))
    np.testing.assert_array_equal(part[:, 70:], whole[:, 70:])
    assert not part[:-1, :70].any()
    np.testing.assert_array_equal(part[-1], whole[-1])


def test_a_forecast_from_a_long_history_is_that_of_its_end_in_training() -> None:
    """All that a window sees is the same, whichever part of the calendar was computed."""
    target = np.random.default_rng(0).gamma(2, size=(2, 400))
    entry = {"start": pd.Period("2021-03-01", freq="h"), "target": target, "item_id": "a"}
    estimator = TimeGradEstimator(6, verbose=False)
    spec = infer_spec([entry], 6, "real")
    made = assemble(spec, estimator).transformation
    (known,) = (e["features"] for e in made.apply([entry], is_train=True))
    cut = {**entry, "target": target[:, :394]}
    (forecast,) = (e["features"] for e in made.apply([cut], is_train=False))
    np.testing.assert_array_equal(forecast[:, -46:], known[:, -46:])
