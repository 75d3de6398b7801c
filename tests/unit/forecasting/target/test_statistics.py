import math

import numpy as np
import pytest
import torch

from tsgen.forecasting.target.links import Link
from tsgen.forecasting.target.statistics import running_statistics

KINDS = ["mean", "standard", "robust", "anchored", "none"]


def series(rng, channels=3, length=90, gaps=True):
    y = rng.normal(2, 1, (channels, length))
    if gaps:
        y[rng.random(y.shape) < 0.3] = np.nan
        y[0, :10] = np.nan
    observed = np.isfinite(y)
    carried = y.copy()
    for t in range(1, length):
        carried[:, t] = np.where(observed[:, t], y[:, t], carried[:, t - 1])
    return y, carried, observed


def direct(kind, values, before):
    """Statistics of the values seen in the window, by definition."""
    seen = values[~np.isnan(values)]
    if kind == "mean":
        return 0.0, np.abs(seen).mean()
    if kind == "standard":
        return seen.mean(), seen.std()
    if kind == "robust":
        low, middle, high = np.quantile(seen, [0.25, 0.5, 0.75])
        return middle, (high - low) / 1.349
    steps = before[~np.isnan(before)]
    return np.nan, np.sqrt((steps**2).mean()) if len(steps) else np.nan


@pytest.mark.parametrize("window", [7, 30, 1000, None])
@pytest.mark.parametrize("kind", ["mean", "standard", "robust", "anchored"])
def test_running_statistics_are_those_of_the_window(kind, window):
    y, carried, observed = series(np.random.default_rng(0))
    location, scale = running_statistics(carried, observed, kind, window)
    change = np.full_like(y, np.nan)
    change[:, 1:] = y[:, 1:] - carried[:, :-1]
    checked = 0
    for c in range(3):
        for t in range(20, 90, 7):
            part = slice(max(0, t + 1 - (window or 90)), t + 1)
            if observed[c, part].sum() < 3:
                continue
            m, s = direct(kind, y[c, part], change[c, part])
            assert location[c, t] == pytest.approx(carried[c, t] if kind == "anchored" else m)
            assert scale[c, t] == pytest.approx(s)
            checked += 1
    assert checked > 15


@pytest.mark.parametrize("window", [10, None])
@pytest.mark.parametrize("kind", KINDS)
def test_statistics_never_look_ahead(kind, window):
    y, carried, observed = series(np.random.default_rng(1), gaps=False)
    later = carried.copy()
    later[:, 50:] += 100
    one = running_statistics(carried, observed, kind, window)
    two = running_statistics(later, observed, kind, window)
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a[:, :50], b[:, :50])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "values",
    [
        np.zeros(50),
        np.full(50, 7.0),
        np.full(50, 1e9),
        1e9 + np.random.default_rng(0).normal(size=50),
        np.r_[np.zeros(25), 1e9, np.zeros(24)],
        np.r_[np.zeros(49), 5.0],
        np.full(50, np.nan),
    ],
)
def test_scales_are_positive_and_finite(kind, values):
    observed = np.isfinite(values)[None]
    location, scale = running_statistics(values[None], observed, kind, 12)
    assert np.isfinite(location).all() and np.isfinite(scale).all() and (scale > 0).all()


def test_a_constant_stretch_keeps_the_scale_before_it():
    values = np.r_[np.random.default_rng(0).normal(size=30), np.full(30, 4.0)][None]
    _, scale = running_statistics(values, np.ones_like(values, bool), "standard", 10)
    assert scale[0, -1] > 1e-3  # not the 1e-15 of rounding, and not one either
    small = 1e-6 * np.random.default_rng(0).normal(size=(1, 30))
    _, scale = running_statistics(small, np.ones_like(small, bool), "standard", 10)
    assert 1e-7 < scale[0, -1] < 1e-5


def test_a_large_level_costs_no_digits():
    noise = np.random.default_rng(0).normal(size=(1, 400))
    for window in (30, None):
        _, small = running_statistics(noise, np.ones_like(noise, bool), "standard", window)
        _, large = running_statistics(1e9 + noise, np.ones_like(noise, bool), "standard", window)
        assert np.allclose(small[:, 1:], large[:, 1:], rtol=1e-6)


SUPPORTS = ["positive", "count", (0.0, 1.0), (-5.0, 300.0), (0.0, math.inf), (-math.inf, 50.0)]


def inside(support, rng, count=200):
    if support == "positive":
        return rng.gamma(2, 3, count) + 1e-3
    if support == "count":
        return rng.poisson(rng.gamma(1, 10, count)).astype(float)
    low, high = support
    if math.isinf(high):
        return np.r_[low, low + rng.gamma(2, 3, count)]
    if math.isinf(low):
        return np.r_[high, high - rng.gamma(2, 3, count)]
    return np.r_[low, high, rng.uniform(low, high, count)]


@pytest.mark.parametrize("support", SUPPORTS)
def test_links_invert_and_stay_inside(support):
    rng = np.random.default_rng(0)
    link = Link(support, (5.0,))
    y = torch.from_numpy(inside(support, rng))[:, None]
    z, _ = link.forward(y)
    assert z.isfinite().all()
    assert torch.allclose(link.inverse(z), y, atol=1e-6, rtol=1e-6)
    for wild in (torch.randn(500, 1) * 1e3, torch.randn(500, 1).double() * 1e3):
        back = link.inverse(wild)
        assert back.isfinite().all()
        link.check(back.numpy().T.astype(float), "sample")  # raises if one lies outside


@pytest.mark.parametrize("support", SUPPORTS)
def test_log_slope_is_the_derivative(support):
    link = Link(support, (5.0,))
    y = torch.from_numpy(inside(support, np.random.default_rng(1)))[:, None].requires_grad_()
    z, log_slope = link.forward(y)
    (slope,) = torch.autograd.grad(z.sum(), y)
    assert torch.allclose(log_slope, slope.abs().log(), atol=1e-6)


def test_counts_are_dequantised_uniformly():
    link = Link("count", (5.0,))
    y = torch.full((100_000, 1), 3.0).double()
    torch.manual_seed(0)
    z, _ = link.forward(y, torch.rand_like(y))
    u = 5 * torch.nn.functional.softplus(z / 5) - 3
    assert (
        u.min() >= 0
        and u.max() <= 1
        and abs(u.mean() - 0.5) < 0.005
        and abs(u.var() - 1 / 12) < 0.002
    )
    assert torch.equal(link.inverse(z), y)


WHOLE = ["real", "positive", "count", (0.0, 24.0), (1.0, math.inf), (-math.inf, 9.0)]


@pytest.mark.parametrize("support", WHOLE)
def test_dequantised_whole_numbers_come_back(support):
    """Whatever the noise, a value is found again, and samples are whole and inside."""
    link = Link(support, (5.0,), whole=support != "count")
    y = torch.arange(-30.0, 30.0).double()
    low, high = support if isinstance(support, tuple) else (-30, 30)
    low = {"positive": 1, "count": 0}.get(support, low)
    y = y[(y >= low) & (y <= high)][:, None]
    with torch.no_grad():
        for noise in (0.001, 0.5, 0.999):
            z, _ = link.forward(y, torch.full_like(y, noise))
            assert torch.equal(link.inverse(z), y)
        drawn = link.inverse(1e3 * torch.randn(500, 1))
    assert torch.equal(drawn, drawn.round())
    link.check(drawn.numpy().T.astype(float), "sample")


@pytest.mark.parametrize("support", WHOLE)
def test_the_slope_of_dequantised_numbers_is_the_derivative(support):
    """At the support's ends, too, from which values reach half a unit further."""
    link = Link(support, (5.0,), whole=support != "count")
    low, high = support if isinstance(support, tuple) else (1.0 if support == "positive" else 0, 9)
    y = [4.0, 4.0, *(end for end in (low, high) if math.isfinite(end))]
    y = torch.tensor([v for v in y for _ in range(5)]).double()[:, None]
    u = torch.linspace(0.02, 0.98, 5).repeat(len(y) // 5)[:, None].double().requires_grad_()
    z, log_slope = link.forward(y, u)
    (slope,) = torch.autograd.grad(z.sum(), u)
    assert torch.allclose(log_slope, slope.abs().log(), atol=1e-6)


@pytest.mark.parametrize(
    ("support", "values", "message"),
    [
        (
            "positive",
            [1.0, 0.0],
            r"target is 0 at channel 0, step 1, but support='positive' expects values above 0",
        ),
        ("count", [1.0, 2.5], "target is 2.5 .* expects whole numbers from 0 up"),
        ("count", [1.0, -1.0], "target is -1"),
        ((0.0, 1.0), [0.5, 1.2], r"target is 1.2 .* expects values in \(0.0, 1.0\)"),
    ],
)
def test_values_outside_the_support_are_named(support, values, message):
    with pytest.raises(ValueError, match=message):
        Link(support).check(np.array([values]), "series 'a'")
    Link(support).check(np.array([[np.nan, 1.0]]), "series 'a'")  # what is missing is nowhere


@pytest.mark.parametrize(
    "support", [(1.0, 0.0), (0.0, 0.0), (-math.inf, math.inf), (math.nan, 1.0)]
)
def test_impossible_intervals(support):
    with pytest.raises(ValueError, match="must be .lo, hi. with lo < hi, at most one infinite"):
        Link(support)


@pytest.mark.parametrize("kind", ["mean", "anchored"])
@pytest.mark.parametrize("window", [5, None])
@pytest.mark.parametrize("gaps", [False, True])
def test_statistics_of_the_last_times_know_all_before_them(kind, window, gaps):
    rng = np.random.default_rng(0)
    z = rng.normal(5, 1, (2, 200))
    z[1, :100] *= 1e7  # so that the floor by the whole past holds at the end
    observed = rng.random(z.shape) > 0.3 if gaps else np.ones(z.shape, dtype=bool)
    whole = running_statistics(z, observed, kind, window)
    last = running_statistics(z, observed, kind, window, last=20)
    for one, other in zip(last, whole, strict=True):
        np.testing.assert_allclose(one, other[:, -20:], rtol=1e-12)
    assert (whole[1][1, -1] > 100) and whole[1][0, -1] < 10
