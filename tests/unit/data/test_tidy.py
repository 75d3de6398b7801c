import numpy as np
import pandas as pd
import pytest
from gluonts.model.forecast import SampleForecast

from tsgen.data.tidy import channel_sum, quantile_frame, sample_frame


def forecast(shape=(99, 4, 2), freq="h", item="a"):
    samples = np.random.default_rng(0).normal(size=shape)
    return SampleForecast(samples, pd.Period("2024-01-31", freq=freq), item_id=item)


def test_paths_keep_what_belongs_together():
    one = forecast()
    table = sample_frame([one, forecast(item="b")], ["north", "south"])
    assert list(table) == ["item_id", "start", "sample_id", "time", "channel", "value"]
    assert len(table) == 2 * 99 * 4 * 2
    paths = table.query("item_id == 'a'").pivot(
        index=["sample_id", "time"], columns="channel", values="value"
    )
    assert np.array_equal(paths.to_numpy().reshape(99, 4, 2), one.samples)
    assert table["time"].iloc[2] == pd.Timestamp("2024-01-31 01:00")


def test_quantiles_and_sums():
    one = forecast()
    table = quantile_frame(one, [0.05, 0.5])
    assert list(table) == ["item_id", "start", "time", "channel", "mean", "0.05", "0.5"]
    ordered = np.sort(one.samples, axis=0)
    assert np.allclose(table["0.05"], ordered[4].reshape(-1))  # rank 5 of 99
    assert np.allclose(table["mean"], one.samples.mean(0).reshape(-1))
    (total,) = channel_sum(one)
    assert np.allclose(total.samples, one.samples.sum(-1)) and total.item_id == "a"
    assert len(quantile_frame(total, [0.5])) == 4


def test_univariate_forecasts_and_stamps_at_period_ends():
    monthly = forecast((10, 3), "M")
    assert list(quantile_frame(monthly)["time"])[:2] == list(
        pd.to_datetime(["2024-01-01", "2024-02-01"])
    )
    ends = quantile_frame(monthly, stamp="end")["time"]
    assert list(ends) == list(pd.to_datetime(["2024-01-31", "2024-02-29", "2024-03-31"]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: quantile_frame(forecast(), [0.0]),
            r"quantiles=\[0.0\] must be one or more levels in",
        ),
        (lambda: quantile_frame(forecast(), []), r"must be one or more levels in \(0, 1\)"),
        (lambda: sample_frame([]), "there are no forecasts"),
        (lambda: sample_frame(forecast(), ["a"]), "channels has 1 names for 2 channels"),
    ],
)
def test_bad_requests(call, message):
    with pytest.raises(ValueError, match=message):
        call()
