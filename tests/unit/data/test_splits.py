import numpy as np
import pandas as pd
import pytest

from tsgen.data.splits import rolling, split, until


def entry(length=20, name="a", channels=None, horizon=0):
    shape = (length,) if channels is None else (channels, length)
    return {
        "start": pd.Period("2021-01-01", freq="h"),
        "target": np.arange(np.prod(shape), dtype=float).reshape(shape),
        "item_id": name,
        "feat_dynamic_real": np.arange(float(length + horizon))[None],
        "past_feat_dynamic_real": np.arange(float(length))[None],
        "feat_static_real": [1.0],
    }


def test_until_cuts_what_runs_along_time_and_nothing_else():
    whole = entry(channels=2, horizon=5)
    cut = until(whole, 6, ahead=4)
    assert cut["target"].shape == (2, 6) and cut["past_feat_dynamic_real"].shape == (1, 6)
    assert cut["feat_dynamic_real"].shape == (1, 10) and cut["feat_static_real"] == [1.0]
    assert cut["start"] == whole["start"] and whole["target"].shape == (2, 20)
    assert until(whole, 6)["feat_dynamic_real"].shape == (1, 6)


def test_rolling_windows_come_cut_by_cut():
    made = rolling([entry(20, "a"), entry(30, "b")], windows=3, horizon=4)
    assert [e["item_id"] for e in made] == ["a", "b"] * 3
    assert [len(e["target"]) for e in made] == [12, 22, 16, 26, 20, 30]
    dense = rolling([entry(20)], windows=3, horizon=4, stride=1)
    assert [len(e["target"]) for e in dense] == [18, 19, 20]


def test_split_parts_follow_each_other():
    parts = split([entry(40), entry(50, "b")], windows=2, horizon=5, validation=3)
    assert [len(e["target"]) for e in parts.train] == [15, 25]
    assert [len(e["target"]) for e in parts.validation] == [30, 40]
    assert [len(e["target"]) for e in parts.test] == [35, 45, 40, 50]
    none = split([entry(40)], windows=2, horizon=5, validation=0)
    assert len(none.train[0]["target"]) == len(none.validation[0]["target"]) == 30


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: rolling([entry(8, "x")], windows=2, horizon=4),
            "series 'x' has 8 steps; windows=2 of horizon=4 need more than 8",
        ),
        (lambda: rolling([entry()], windows=0, horizon=4), "windows=0 must be at least 1"),
        (lambda: rolling([entry()], windows=1, horizon=0), "horizon=0 must be at least 1"),
        (
            lambda: split([entry(20, "x")], windows=2, horizon=5),
            "2 test and 2 validation windows of horizon=5 leave 0 for training, which needs more",
        ),
        (
            lambda: split([entry()], windows=1, horizon=5, validation=-1),
            "validation=-1 must be at least 0",
        ),
    ],
)
def test_bad_requests(call, message):
    with pytest.raises(ValueError, match=message):
        call()
