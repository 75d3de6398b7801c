import numpy as np
import pandas as pd
import pytest
import torch
from gluonts.dataset.loader import as_stacked_batches
from gluonts.transform.sampler import InstanceSampler

from tsgen.forecasting.data.features import default_time_features
from tsgen.forecasting.data.grid import FixedWindows, RandomWindows, WindowStore
from tsgen.forecasting.data.spec import infer_spec
from tsgen.forecasting.data.stream import StreamedWindows, create_splitter
from tsgen.forecasting.data.transformation import create_transformation
from tsgen.forecasting.data.window import TRAINING_FIELDS, WindowShape
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


def test_gathered_windows_are_gluonts_windows():
    data, transformation = make()
    store = WindowStore(transformation.apply(data, is_train=True), SHAPE)
    number = 0
    for entry in data:
        length = entry["target"].shape[1]
        for start in range(SHAPE.first(length), length - 3):
            cut = (
                transformation + create_splitter(SHAPE, At(place=start + SHAPE.past_length))
            ).apply([entry], is_train=True)
            (batch,) = as_stacked_batches(
                cut, batch_size=1, field_names=list(TRAINING_FIELDS), output_type=torch.tensor
            )
            ours = store.gather(torch.tensor([number]))
            assert set(ours) == set(TRAINING_FIELDS) == set(batch)
            for name in TRAINING_FIELDS:
                assert ours[name].dtype == batch[name].dtype, name
                assert torch.equal(ours[name].nan_to_num(99.0), batch[name].nan_to_num(99.0)), name
            number += 1
    assert number == len(store)


def test_windows_hold_what_lies_there():
    data, transformation = make((40,), missing=False)
    store = WindowStore(transformation.apply(data, is_train=True), SHAPE)
    batch = store.gather(torch.tensor([0, 5]))
    first = SHAPE.first(40)
    for row, start in enumerate((first, first + 5)):
        target = data[0]["target"].T
        center = batch["center"][row].numpy()
        assert np.allclose(
            batch["future_target"][row].numpy() + center, target[start : start + 4], atol=1e-5
        )
        assert np.allclose(
            batch["past_target"][row].numpy() + center, target[start - 11 : start], atol=1e-5
        )
        assert batch["past_known"].shape == (2, 6, 14) and batch["future_known"].shape == (2, 4, 14)


def test_streams_give_windows_of_the_store():
    data, transformation = make()
    store = WindowStore(transformation.apply(data, is_train=True), SHAPE)
    every = store.gather(torch.arange(len(store)))
    torch.manual_seed(0)
    stream = StreamedWindows(
        data, transformation, SHAPE, batch_size=8, num_batches=5, num_instances=4
    )
    assert len(stream) == 5
    drawn = {name: [] for name in TRAINING_FIELDS}
    for _ in range(2):  # a stream goes on in the next epoch
        for batch in stream:
            for name, value in batch.items():
                drawn[name].append(value)
    drawn = {name: torch.cat(values) for name, values in drawn.items()}
    assert len(drawn["center"]) == 80
    key, pool = (torch.cat([b["past_known"].flatten(1), b["center"]], 1) for b in (drawn, every))
    match = (key[:, None] == pool[None]).all(-1)
    assert (match.sum(1) == 1).all()
    index = match.float().argmax(1)
    assert len(index.unique()) > 20
    for name in TRAINING_FIELDS:
        assert torch.equal(drawn[name].nan_to_num(99.0), every[name][index].nan_to_num(99.0)), name


def test_random_windows_reach_every_window_and_follow_the_seed():
    data, transformation = make((40,))
    store = WindowStore(transformation.apply(data, is_train=True), SHAPE)
    loader = RandomWindows(store, 16, 20)
    torch.manual_seed(0)
    one = [b["future_target"] for b in loader]
    torch.manual_seed(0)
    two = [b["future_target"] for b in loader]
    assert len(one) == len(loader) == 20 and all(
        torch.equal(a, b) for a, b in zip(one, two, strict=True)
    )
    known = torch.cat([b["future_known"].flatten(1) for b in loader])
    assert len(known.unique(dim=0)) == len(store)


def test_fixed_windows_are_many_and_the_same():
    data, transformation = make((40,))
    store = WindowStore(transformation.apply(data, is_train=True), SHAPE)
    few = FixedWindows(store, 32)
    assert sum(len(b["center"]) for b in few) >= 256
    assert all(
        torch.equal(a["future_known"], b["future_known"]) for a, b in zip(few, few, strict=True)
    )
    data, transformation = make((2000,))
    store = WindowStore(transformation.apply(data, is_train=True), SHAPE)
    assert sum(len(b["center"]) for b in FixedWindows(store, 32)) == 512


def test_long_series_give_windows_with_a_whole_past():
    assert SHAPE.first(100) == 11
    assert 1 <= SHAPE.first(12) <= 6 and SHAPE.first(5) == 1


def test_a_short_series_in_a_stream_is_named():
    data, transformation = make()
    data[0]["target"] = data[0]["target"][:, :3]
    stream = StreamedWindows(data, transformation, SHAPE, 4, 1, 1)
    with pytest.raises(
        ValueError, match="a series of the stream has 3 steps; prediction_length=4 needs at least 5"
    ):
        list(stream)
