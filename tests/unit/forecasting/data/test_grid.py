import numpy as np
import pandas as pd
import pytest
import torch
from gluonts.transform.sampler import InstanceSampler
from torch.utils import _pytree as pytree

from tsgen.forecasting.data.features import default_time_features
from tsgen.forecasting.data.fields import stack_windows
from tsgen.forecasting.data.grid import FixedWindows, GridWindows, RandomWindows
from tsgen.forecasting.data.spec import infer_spec
from tsgen.forecasting.data.stream import StreamedWindows, create_splitter
from tsgen.forecasting.data.transformation import create_transformation
from tsgen.forecasting.data.window import WindowShape
from tsgen.forecasting.target.links import Link

SHAPE = WindowShape(context_length=6, past_length=11, prediction_length=4)


def make(lengths=(40, 70), missing=True):
    rng = np.random.default_rng(0)
    data = []
    for i, length in enumerate(lengths):
        target = rng.normal(5, 1, (3, length))
        if missing:
            target[rng.random(target.shape) < 0.3] = np.nan
        data.append(
            {
                "start": pd.Period("2021-01-01", freq="h"),
                "item_id": i,
                "target": target,
                "feat_dynamic_real": rng.normal(size=(2, length)),
                "feat_static_cat": [i],
                "past_feat_dynamic_real": rng.normal(size=(1, length)),
                "feat_static_real": rng.normal(size=1),
            }  # fmt: skip
        )
    spec = infer_spec(data, 4)
    transformation = create_transformation(
        spec,
        link=Link(),
        scaling="standard",
        scaling_window=8,
        time_features=default_time_features("h"),
        prediction_length=4,
        past_length=11,
    )
    return data, transformation


class At(InstanceSampler):
    """GluonTS sampler of one given place."""

    place: int

    def __call__(self, ts):
        return np.array([self.place])


def leaves(window):
    """Tensors of a window by name."""
    sides = {"past": window.past, "future": window.future}
    fields = {f"{s}.{n}": v for s, side in sides.items() for n, v in side._asdict().items()}
    fields |= {name: getattr(window, name) for name in ("static", "categories", "center")}
    return {name: value for name, value in fields.items() if value is not None}


def assert_equal(one, two):
    one, two = leaves(one), leaves(two)
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert value.dtype == two[name].dtype, name
        assert torch.equal(value.nan_to_num(99.0), two[name].nan_to_num(99.0)), name


def test_gathered_windows_are_gluonts_windows():
    data, transformation = make()
    store = GridWindows(transformation.apply(data, is_train=True), SHAPE)
    number = 0
    for entry in data:
        length = entry["target"].shape[1]
        for start in range(SHAPE.earliest_start(length), length - 3):
            cut = (
                transformation + create_splitter(SHAPE, At(place=start + SHAPE.past_length))
            ).apply([entry], is_train=True)
            ours, theirs = store.gather(torch.tensor([number])), stack_windows(list(cut))
            assert_equal(ours, theirs)
            number += 1
    assert number == len(store)


def test_windows_hold_what_lies_there():
    data, transformation = make((40,), missing=False)
    store = GridWindows(transformation.apply(data, is_train=True), SHAPE)
    batch = store.gather(torch.tensor([0, 5]))
    first = SHAPE.earliest_start(40)
    for row, start in enumerate((first, first + 5)):
        target = data[0]["target"].T
        center = batch.center[row].numpy()
        assert np.allclose(
            batch.future.target[row].numpy() + center, target[start : start + 4], atol=1e-5
        )
        assert np.allclose(
            batch.past.target[row].numpy() + center, target[start - 11 : start], atol=1e-5
        )
        assert batch.past.features.shape == (2, 6, 14)
        assert batch.future.features.shape == (2, 4, 14)


def test_streams_give_windows_of_the_store():
    data, transformation = make()
    store = GridWindows(transformation.apply(data, is_train=True), SHAPE)
    every = store.gather(torch.arange(len(store)))
    torch.manual_seed(0)
    stream = StreamedWindows(
        data, transformation, SHAPE, batch_size=8, num_batches=5, num_instances=4
    )
    assert len(stream) == 5
    # a stream goes on in the next epoch
    batches = [batch for _ in range(2) for batch in stream]
    drawn = pytree.tree_map(
        lambda *values: None if values[0] is None else torch.cat(values), *batches
    )
    assert len(drawn.center) == 80
    key, pool = (torch.cat([b.past.features.flatten(1), b.center], 1) for b in (drawn, every))
    match = (key[:, None] == pool[None]).all(-1)
    assert (match.sum(1) == 1).all()
    index = match.float().argmax(1)
    assert len(index.unique()) > 20
    assert_equal(drawn, pytree.tree_map_only(torch.Tensor, lambda value: value[index], every))


def test_random_windows_reach_every_window_and_follow_the_seed():
    data, transformation = make((40,))
    store = GridWindows(transformation.apply(data, is_train=True), SHAPE)
    loader = RandomWindows(store, 16, 20)
    torch.manual_seed(0)
    one = [b.future.target for b in loader]
    torch.manual_seed(0)
    two = [b.future.target for b in loader]
    assert len(one) == len(loader) == 20 and all(
        torch.equal(a, b) for a, b in zip(one, two, strict=True)
    )
    features = torch.cat([b.future.features.flatten(1) for b in loader])
    assert len(features.unique(dim=0)) == len(store)


def test_fixed_windows_are_many_and_the_same():
    data, transformation = make((40,))
    store = GridWindows(transformation.apply(data, is_train=True), SHAPE)
    few = FixedWindows(store, 32)
    assert sum(len(b.center) for b in few) >= 256
    assert all(
        torch.equal(a.future.features, b.future.features) for a, b in zip(few, few, strict=True)
    )
    data, transformation = make((2000,))
    store = GridWindows(transformation.apply(data, is_train=True), SHAPE)
    assert sum(len(b.center) for b in FixedWindows(store, 32)) == 512


def test_long_series_give_windows_with_a_whole_past():
    assert SHAPE.earliest_start(100) == 11
    assert 1 <= SHAPE.earliest_start(12) <= 6 and SHAPE.earliest_start(5) == 1


def test_a_short_series_in_a_stream_is_named():
    data, transformation = make()
    data[0]["target"] = data[0]["target"][:, :3]
    stream = StreamedWindows(data, transformation, SHAPE, 4, 1, 1)
    with pytest.raises(
        ValueError, match="a series of the stream has 3 steps; prediction_length=4 needs at least 5"
    ):
        list(stream)


def irregular(lengths=(40, 70)):
    """Series whose observations have times of their own, three of their units apart in the mean."""
    rng = np.random.default_rng(1)
    data, _ = make(lengths)
    for entry in data:
        entry["feat_dynamic_real"] = np.pad(entry["feat_dynamic_real"], [(0, 0), (0, 4)])
        entry["times"] = 1e6 + np.cumsum(rng.gamma(3.0, 1.0, entry["target"].shape[1] + 4))
    spec = infer_spec(data, 4)
    made = create_transformation(
        spec,
        link=Link(),
        scaling="standard",
        scaling_window=8,
        time_features=(),
        prediction_length=4,
        past_length=11,
    )
    return data, spec, made


def test_windows_have_times_in_units_of_the_median_gap():
    data, spec, transformation = irregular()
    gaps = np.concatenate([np.diff(e["times"][: e["target"].shape[1]]) for e in data])
    assert spec.median_gap == pytest.approx(np.median(gaps))
    store = GridWindows(transformation.apply(data, is_train=True), SHAPE)
    window = store.gather(torch.tensor([0, 5]))
    for row, start in enumerate((11, 16)):
        times = (data[0]["times"] - data[0]["times"][start - 1]) / np.median(gaps)
        np.testing.assert_allclose(window.past.times[row], times[start - 11 : start], atol=1e-4)
        np.testing.assert_allclose(window.future.times[row], times[start : start + 4], atol=1e-4)
    splitter = create_splitter(SHAPE, At(place=5 + 11 + 11), has_times=True)
    cut = (transformation + splitter).apply(data[:1], is_train=True)
    assert_equal(store.gather(torch.tensor([5])), stack_windows(list(cut)))
    (end,) = (transformation + create_splitter(SHAPE, has_times=True)).apply(
        data[:1], is_train=False
    )
    last = stack_windows([end])
    times = (data[0]["times"] - data[0]["times"][39]) / np.median(gaps)
    np.testing.assert_allclose(last.past.times[0], times[29:40], atol=1e-4)
    np.testing.assert_allclose(last.future.times[0], times[40:44], atol=1e-4)
    assert last.future.target.isnan().all() and not last.future.observed.any()
    assert make()[1] is not None and infer_spec(make()[0], 4).median_gap is None


def test_times_that_cannot_be_are_refused():
    data, _, transformation = irregular()
    for times, message in (
        (data[0]["times"][::-1], "times must increase, has .* at step 1"),
        (data[0]["times"][:30], "times has 30 steps, needs 40"),
        (np.full(44, np.nan), "times has values that are not finite"),
        (np.ones((2, 44)), r"times has shape \(2, 44\), expected \(time,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            infer_spec([{**data[0], "times": times}, data[1]], 4)
    bare = {name: value for name, value in data[1].items() if name != "times"}
    with pytest.raises(ValueError, match="has no times, other series have some"):
        infer_spec([data[0], bare], 4)
    with pytest.raises(ValueError, match="times has 40 steps, needs 44 .* and the 4 steps to pred"):
        list(transformation.apply([{**data[0], "times": data[0]["times"][:40]}], is_train=False))
