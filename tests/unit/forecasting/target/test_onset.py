"""Series that begin late, and the size that scales are held to."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from tsgen import GaussianEstimator
from tsgen.data.running import carry_forward
from tsgen.forecasting.assemble import assemble, build
from tsgen.forecasting.data.grid import GridWindows
from tsgen.forecasting.data.spec import infer_spec, with_target_statistics
from tsgen.forecasting.data.stream import StreamedWindows
from tsgen.forecasting.data.window import WindowShape
from tsgen.forecasting.target.onset import (
    has_begun,
    least_scale,
    own_size,
    training_sizes,
    usual_size,
)
from tsgen.forecasting.target.statistics import running_statistics

RUNNING = ["mean", "standard", "robust", "anchored"]
H, L = 4, 8


@pytest.mark.parametrize(
    ("values", "begins"),
    [
        ([0, 0, 0, 5, 6, 7], 3),
        ([np.nan, np.nan, 5, 6], 2),
        ([np.nan, 0, 0, 5, 6], 3),
        ([0, 0, np.nan, 0, 5, 6], 4),
        ([0, 0, 0, 5, 0, 6], 3),  # three zeros against one: not yet sold
        ([0, 0, 5, 0, 6], 0),  # two against one: zeros are what the series has now and then
        ([0, 0, 0, 5, 0, 0, 0, 0, 6], 0),
        ([0, 0, 0, 5, 0, 0], 0),  # the run at the end counts, too
        ([0, 0, 0, 0], 0),  # it never begins: zeros are all it has
        ([np.nan, 0, 0], 1),
        ([np.nan, np.nan], 2),
        ([1, 0, 0, 0], 0),
        ([-0.0, 0, 0, -3, 2], 3),
    ],
)
def test_when_a_series_begins(values, begins):
    (found,) = has_begun(np.array([values], dtype=float))
    assert np.array_equal(found, np.arange(len(values)) >= begins)


def test_intermittent_demand_loses_next_to_nothing():
    """Of 400 series of mostly zeros at most one step in a hundred is taken for "not yet sold"."""
    demand = np.random.default_rng(0).poisson(0.15, (400, 200)).astype(float)
    assert (~has_begun(demand)).mean() < 0.01


@pytest.mark.parametrize("kind", RUNNING)
def test_own_size_is_that_of_what_comes_later(kind):
    """A tiny beginning does not lower it; one spike in a thousand steps hardly raises it."""
    rng = np.random.default_rng(0)
    whole = 10 + 3 * rng.standard_normal((1, 1000))
    all_seen = np.ones_like(whole, dtype=bool)
    plain = own_size(whole, all_seen, kind, 1000)
    late = whole.copy()
    late[:, :900] *= 1e-9
    found = own_size(late, all_seen, kind, 1000)
    assert np.allclose(found[:, 910:], plain[:, 910:], rtol=0.3)
    spiked = whole.copy()
    spiked[0, 500] = 1e6
    assert (own_size(spiked, all_seen, kind, 1000)[:, :480] < 2 * plain[:, :480]).all()
    for factor in (1e-12, 1e12):
        scaled = own_size(factor * whole, all_seen, kind, 1000)
        assert np.allclose(scaled, factor * plain, rtol=1e-6)
    assert np.array_equal(own_size(whole, all_seen, kind, 7), plain[:, -7:])


@pytest.mark.parametrize("kind", RUNNING)
def test_what_is_not_observed_has_no_size(kind):
    rng = np.random.default_rng(1)
    values = rng.normal(5, 1, (2, 100))
    values[0, :40], values[1] = np.nan, np.nan
    observed = np.isfinite(values)
    found = own_size(carry_forward(values, observed), observed, kind, 100)
    assert (found[0] > 0).all() and np.isnan(found[1]).all()
    assert np.isnan(own_size(np.zeros((1, 50)), np.ones((1, 50), bool), kind, 50)).all()


def test_few_values_tell_little_of_a_scale():
    size, observed = np.full((1, 200), 6.0), np.ones((1, 200), dtype=bool)
    found = least_scale(size, observed)[0]
    assert np.allclose(found[[0, 1, 2, 9, 150]], [6, 6 / 4, 6 / 9, 0.06, 0.06])
    assert np.array_equal(least_scale(size[:, :50], observed)[0], found[-50:])


def test_a_series_without_a_size_has_the_usual_one_of_its_level():
    z = np.array([np.full(9, 100.0), np.zeros(9), np.full(9, 5.0), np.full(9, 1e-12)])
    found = usual_size(
        z, np.ones_like(z, bool), np.array([2.0, 2, 0, 0]), np.array([0.1, 0.1, 0, 0])
    )
    assert np.allclose(found, [10.0, 2.0, 1.0, 1e-12])
    series = [(np.random.default_rng(0).normal(0, s, (1, 3200)), None) for s in (1.0, 100.0)]
    absolute, relative = training_sizes(
        ((z, np.ones_like(z, dtype=bool)) for z, _ in series), "standard"
    )
    assert absolute[0] == pytest.approx(10, rel=0.05)  # the geometric mean
    assert relative[0] == pytest.approx(np.sqrt(np.pi / 2), rel=0.05)


def panel(lead):
    """Six series, of which two begin at step 150, at four different levels."""
    rng, data = np.random.default_rng(0), []
    for number in range(6):
        level = 10.0 ** (number % 4)
        y = level * (2 + np.sin(np.arange(300) / 4)) * np.exp(0.1 * rng.standard_normal(300))
        start = pd.Period("2024-01-01", freq="h")
        if number < 2 and lead == "cut":
            y, start = y[150:], start + 150
        elif number < 2 and lead is not None:
            y[:150] = lead
        data.append({"start": start, "target": y, "item_id": str(number)})
    return data


def windows(data, scaling, **options):
    """All windows of a data set, as training sees them, and an untrained forecaster."""
    estimator = GaussianEstimator(
        H, context_length=L, lags_seq=(1, 2), scaling=scaling, verbose=False, **options
    )
    spec = infer_spec(data, H, estimator.support)
    spec = with_target_statistics(spec, data, estimator.link(spec), scaling)
    assembly = assemble(spec, estimator)
    shape, transformation = assembly.shape, assembly.transformation
    store = GridWindows(list(transformation.apply(data, is_train=True)), shape)
    width = {"mean": 1, "anchored": 1, "none": 0, "global": 0}.get(scaling, 2)
    width *= spec.num_channels * spec.is_panel
    layout = assembly.layout.replace(statistics_mean=(0.0,) * width, statistics_std=(1.0,) * width)
    network = build(dataclasses.replace(assembly, layout=layout), estimator)
    return store, network, transformation, shape


@pytest.mark.parametrize("scaling", [*RUNNING, "global"])
@pytest.mark.parametrize("lead", [0.0, np.nan])
def test_windows_of_a_late_series_are_those_of_the_series_cut(lead, scaling):
    """What is before the beginning counts nowhere: same windows, same scaled values, same mask."""
    pairs = []
    for data in (panel(lead), panel("cut")):
        store, forecaster, _, _ = windows(data, scaling)
        batch = store.gather(torch.arange(len(store)))
        torch.manual_seed(0)
        with torch.no_grad():
            pairs.append(forecaster.pairs(batch))
    late, cut = pairs
    assert late.x.shape == cut.x.shape
    assert torch.equal(late.weight, cut.weight)
    assert torch.allclose(late.x, cut.x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scaling", RUNNING)
@pytest.mark.parametrize("lead", [0.0, np.nan, 1e-6, -1e-9])
@pytest.mark.parametrize("unit", [1.0, 1e-12, 1e9])
def test_no_launch_is_a_thousand_scales_away(lead, scaling, unit):
    data = [{**e, "target": unit * e["target"]} for e in panel(lead)]
    store, forecaster, _, _ = windows(data, scaling)
    with torch.no_grad():
        pairs = forecaster.pairs(store.gather(torch.arange(len(store))))
    assert pairs.x.isfinite().all()
    # a hundredth of the later size is what the scale may be; the size itself is uncertain by a few
    assert (pairs.x * pairs.observed).abs().max() < 500


def test_counts_and_positive_values_begin_late_too():
    for support in ("count", (0.0, np.inf)):
        data = [{**e, "target": np.round(10 * e["target"])} for e in panel(0.0)]
        store, forecaster, _, _ = windows(data, "mean", support=support)
        with torch.no_grad():
            pairs = forecaster.pairs(store.gather(torch.arange(len(store))))
        assert pairs.x.isfinite().all() and (pairs.x * pairs.observed).abs().max() < 100
    spec = infer_spec([{**e, "target": np.round(10 * e["target"])} for e in panel(0.0)], H, "count")
    cut = infer_spec(
        [{**e, "target": np.round(10 * e["target"])} for e in panel("cut")], H, "count"
    )
    assert spec.tau == cut.tau  # zeros of a product not yet sold make no typical size


def test_channels_of_one_series_may_begin_at_different_times():
    rng = np.random.default_rng(0)
    target = rng.normal(5, 1, (3, 120))
    target[1, :60] = 0
    target[2, :90] = np.nan
    data = [{"start": pd.Period("2024-01-01", freq="h"), "target": target}]
    store, forecaster, _, _ = windows(data, "standard")
    with torch.no_grad():
        pairs = forecaster.pairs(store.gather(torch.tensor([0, len(store) - 1])))
    assert pairs.observed[0, :, 0].all() and not pairs.observed[0, :, 1:].any()
    assert pairs.observed[1].all()


def test_a_stream_draws_windows_of_what_has_begun():
    data = panel(0.0)[:1]
    _, _, transformation, shape = windows(data, "mean")
    stream = StreamedWindows(data, transformation, shape, 16, 4, 16)
    for batch in stream:
        assert np.isfinite(np.asarray(batch.past.target[:, -L:])).all()
    assert WindowShape(8, 10, 4).earliest_start(300, 150) == 160
    assert (
        WindowShape(8, 10, 4).earliest_start(300, 299) == 296
    )  # a window is left, whatever it holds


@pytest.mark.parametrize("scaling", RUNNING)
def test_a_log_density_does_not_see_the_truth_in_its_statistics(scaling):
    """Right after a launch, too: over the truth the log density is one Gaussian's parabola."""
    start = pd.Period("2024-01-01", freq="h")
    launched = np.r_[np.zeros(60), 3.0, 4.0]
    train = [{"start": start, "target": np.random.default_rng(0).normal(3, 1, 100)}]
    predictor = GaussianEstimator(
        1, context_length=L, lags_seq=(1, 2), scaling=scaling, max_epochs=1,
        num_batches_per_epoch=2, verbose=False, device="cpu",
    ).train(train, seed=0)  # fmt: skip
    truths = 1e3 * np.arange(-2, 2)
    entries = [{"start": start, "target": np.append(launched, truth)} for truth in truths]
    values = predictor.log_prob(entries)
    assert np.diff(values, 2).max() < 0
    assert abs(np.diff(values, 3)[0]) < 1e-3 * np.abs(np.diff(values, 2)).max()


def test_old_statistics_have_no_bound():
    z = np.r_[np.zeros(5), 1e-9, 5.0][None]
    location, scale = running_statistics(z, np.ones_like(z, bool), "mean", 3)
    assert (location == 0).all() and (scale[0, :5] == 1).all() and scale[0, 5] < 1e-9
