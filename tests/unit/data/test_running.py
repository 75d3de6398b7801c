import numpy as np
import pandas as pd
import pytest

from tsgen.data.running import Moments, carry_forward, trailing_sums


def test_gaps_are_carried_forward():
    values = np.array([[np.nan, 1], [2, np.nan], [np.nan, 3]])
    observed = np.isfinite(values)
    assert carry_forward(values, observed, 0, before=0.0).tolist() == [[0, 1], [2, 1], [2, 3]]
    before = np.array([7.0, 8.0])
    assert carry_forward(values, observed, 0, before=before).tolist() == [[7, 1], [2, 1], [2, 3]]
    across = carry_forward(values.T, observed.T)
    np.testing.assert_array_equal(across, [[np.nan, 2, 2], [1, 1, 3]])


@pytest.mark.parametrize("window", [1, 2, 5, 16, 17, 40, None])
def test_trailing_sums_are_those_of_pandas_and_keep_their_digits(window):
    values = np.random.default_rng(0).normal(size=(3, 33))
    values[0, 4] = 1e18
    series = pd.DataFrame(values.T)
    rolling = series.expanding(1) if window is None else series.rolling(window, min_periods=1)
    expected = rolling.apply(np.sum, raw=True).to_numpy().T
    found = trailing_sums(values, window)
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-12, atol=1e-12)
    after = len(values[0]) if window is None else 4 + window  # the wild value is out of sight
    np.testing.assert_allclose(found[0, after:], expected[0, after:], atol=1e-12)


def test_moments_of_parts_are_those_of_the_whole_at_a_large_level():
    values = 1e9 + np.random.default_rng(1).normal(size=(2, 500))
    observed = np.random.default_rng(2).random(values.shape) < 0.7
    moments = Moments()
    for part in (slice(0, 7), slice(7, 300), slice(300, 500)):
        moments.add(values[:, part], observed[:, part])
    for channel in range(2):
        whole = values[channel, observed[channel]]
        assert moments.count[channel] == len(whole)
        assert moments.mean[channel] == pytest.approx(whole.mean(), rel=1e-15)
        assert moments.variance[channel] == pytest.approx(whole.var(), rel=1e-6)
    np.testing.assert_array_equal(moments.scale(1e-24), np.sqrt(moments.variance))
    np.testing.assert_array_equal(moments.scale(0.0, 10.0), [1.0, 1.0])
    constant = Moments()
    constant.add(np.full((1, 9), 0.1), np.ones((1, 9), dtype=bool))
    assert constant.scale(1e-24) == [1.0]
