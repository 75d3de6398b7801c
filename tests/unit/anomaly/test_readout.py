import math

import numpy as np
import pytest
from scipy.stats import norm

from tsgen.anomaly.readout import Readout, channel_shares

ERRORS = np.random.default_rng(0).gamma(2.0, 1.0, (200, 3))
ERRORS[np.random.default_rng(1).random(ERRORS.shape) < 0.1] = np.nan


def trailing(values, rows):
    return np.array(
        [np.nanmean(values[max(0, t - rows + 1) : t + 1], 0) for t in range(len(values))]
    )


@pytest.mark.parametrize("rows", [1, 2, 7, 64, 70, 200, 300])
def test_smoothing_is_a_trailing_mean_of_what_is_known(rows):
    readout = Readout(smooth=rows)
    found = readout.channels(ERRORS, readout.fit(ERRORS))
    expected = np.where(np.isnan(ERRORS), np.nan, trailing(ERRORS, rows))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_mean_divides_by_the_training():
    readout = Readout("mean")
    found = readout.channels(ERRORS, readout.fit(ERRORS))
    np.testing.assert_allclose(found, ERRORS / np.nanmean(ERRORS, 0))


def test_gaussian_is_a_tail_probability():
    readout = Readout("gaussian")
    found = readout.channels(ERRORS, readout.fit(ERRORS))
    z = (ERRORS - np.nanmean(ERRORS, 0)) / (np.nanstd(ERRORS, 0) + 1e-4)
    np.testing.assert_allclose(found, -np.log(norm.sf(z)), rtol=1e-3)


def test_dynamic_sees_the_rows_before_only():
    """Once the history is full its moments are those of the rows before, without this one."""
    readout = Readout("dynamic", history=50)
    full = np.random.default_rng(2).gamma(2.0, 1.0, (120, 2))
    found = readout.channels(full, readout.fit(full))
    for t in (50, 75, 119):
        past = full[t - 50 : t]
        z = (full[t] - past.mean(0)) / past.std(0)
        np.testing.assert_allclose(found[t], -np.log(norm.sf(z)), rtol=1e-6)
    start = (full[0] - full.mean(0)) / full.std(0)  # nothing before it: the training's moments
    np.testing.assert_allclose(found[0], -np.log(norm.sf(start)), rtol=1e-6)


@pytest.mark.parametrize("rows", [5, 70])
def test_an_outlier_leaves_no_rounding_error(rows):
    errors = np.full((400, 1), 0.5)
    errors[100] = 1e15
    found = Readout(smooth=rows).channels(errors, np.ones((2, 1)))
    assert (found[100 + rows :] == found[0]).all()


@pytest.mark.parametrize("normalise", ["none", "mean", "gaussian", "dynamic"])
def test_memory_is_all_that_matters(normalise):
    readout = Readout(normalise, smooth=6, history=30)
    moments = readout.fit(ERRORS)
    whole = readout.channels(ERRORS, moments)
    recent = ERRORS[150 - readout.memory : 151]
    np.testing.assert_allclose(
        readout.channels(recent, moments, readout.memory)[0], whole[150], rtol=1e-9
    )


def test_joins():
    channels = np.array([[1.0, 5.0, 3.0, np.nan], [np.nan] * 4])
    assert Readout().total(channels)[0] == 3
    assert Readout(join="max").total(channels)[0] == 5
    assert Readout(join="top", top=2).total(channels)[0] == 4
    assert Readout(join="top", top=9).total(channels)[0] == 3
    for join in ("mean", "max", "top"):
        assert math.isnan(Readout(join=join).total(channels)[1])


@pytest.mark.parametrize("field", ["top", "smooth", "history"])
def test_numbers_out_of_range(field):
    with pytest.raises(ValueError, match=f"{field}=0 must be at least 1"):
        Readout(**{field: 0})


def test_shares_add_up():
    shares = channel_shares(np.array([[1.0, np.nan, 6.0], [1.0, 3.0, 6.0]]), ("a", "b", "c"))
    assert list(shares) == ["c", "b", "a"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["c"] == pytest.approx(0.6)


def test_what_is_usual_of_a_channel():
    moments = np.array([[2.0, 0.5, 0.0], [1.0, 1.0, 1.0]])
    assert Readout().usual(moments).tolist() == [2.0, 0.5, 1e-4]
    assert Readout("mean").usual(moments).tolist() == [1, 1, 1]
    assert Readout().usual(moments - 1).tolist() == [1, 1, 1]
