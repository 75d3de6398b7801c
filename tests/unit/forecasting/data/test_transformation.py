import numpy as np
import pandas as pd
import pytest

from tsgen import GaussianEstimator
from tsgen.forecasting.assemble import assemble
from tsgen.forecasting.data.spec import infer_spec
from tsgen.forecasting.data.transformation import create_transformation
from tsgen.forecasting.target.links import Link

H = 4


def entry(**changes):
    rng = np.random.default_rng(0)
    base = {
        "start": pd.Period("2021-01-01", freq="h"),
        "item_id": "a",
        "target": rng.normal(5, 1, (2, 30)),
        "feat_dynamic_real": rng.normal(3, 2, (1, 30 + H)),
        "past_feat_dynamic_real": rng.normal(size=(1, 30)),
        "feat_static_real": [1.0],
        "feat_static_cat": [1],
    }
    return {k: v for k, v in (base | changes).items() if v is not None}


def transformation(spec, scaling="mean", support="real"):
    return create_transformation(
        spec,
        link=Link(support, spec.tau),
        scaling=scaling,
        scaling_window=None,
        time_features=(),
        prediction_length=H,
        past_length=6,
    )


def test_spec_describes_the_data():
    second = entry(item_id="b", feat_static_cat=[4], feat_static_real=[3.0])
    second["target"] = second["target"].copy()
    second["target"][0, 3] = np.nan
    spec = infer_spec([entry(), second], H)
    assert (spec.freq, spec.num_channels, spec.one_dimensional, spec.missing) == (
        "h",
        2,
        False,
        True,
    )
    assert (spec.num_series, spec.shortest, spec.num_steps, spec.cardinality) == (2, 30, 60, (5,))
    assert spec.static_mean == (2.0,) and spec.static_std == (1.0,)
    assert spec.future_mean[0] == pytest.approx(entry()["feat_dynamic_real"][0, :30].mean())
    assert infer_spec([entry(target=np.ones(30))], H).one_dimensional


BAD = [
    (
        entry(target=np.ones((2, 3))),
        "series 'a': target has 3 steps; training with prediction_length=4 needs at least 5",
    ),
    (entry(target=np.ones((2, 3, 4))), "target has shape .2, 3, 4., expected"),
    (entry(target=["x"] * 30), "target is not numeric"),
    (entry(feat_static_cat=["red"]), "feat_static_cat is not numeric"),
    (entry(times=["a"] * 30), "times is not numeric"),
    (
        entry(target=np.full((2, 30), np.inf)),
        "target has infinite values; mark missing ones with NaN",
    ),
    (entry(start=pd.Timestamp("2021-01-01")), "must be a pandas.Period"),
    (entry(start=None), "needs the fields 'start' and 'target'"),
    (
        entry(feat_dynamic_real=np.full((1, 34), np.nan)),
        r"feat_dynamic_real has values that are not finite, first at \[0, 0\]",
    ),
    (entry(feat_dynamic_real=np.ones((1, 20))), "feat_dynamic_real has 20 steps, needs 30"),
    (
        entry(past_feat_dynamic_real=np.ones((1, 20))),
        "past_feat_dynamic_real has 20 steps, needs 30",
    ),
    (
        entry(feat_dynamic_real=np.ones(34)),
        r"feat_dynamic_real has shape \(34,\), expected \(features, time\)",
    ),
    (entry(feat_static_cat=[0.5]), r"feat_static_cat=\[0.5\] must be whole numbers from 0 up"),
    (entry(feat_static_real=[np.nan]), "feat_static_real has values that are not finite"),
    (entry(feat_dynamic_cat=np.ones((1, 34))), "field 'feat_dynamic_cat' is not supported"),
]


@pytest.mark.parametrize(("bad", "message"), BAD, ids=[m for _, m in BAD])
def test_bad_entries_are_named_before_any_work(bad, message):
    with pytest.raises(ValueError, match=message):
        infer_spec([bad], H)


ODD = [
    ({"start": pd.Period("2021-01-01", freq="D")}, "series 'b': frequency 'D', expected 'h'"),
    ({"target": np.ones(30)}, "target is 1-D, expected 2-D"),
    ({"target": np.ones((3, 30))}, "target has 3 channels, expected 2"),
    ({"feat_static_cat": None}, "feat_static_cat has 0 features, expected 1"),
    ({"feat_dynamic_real": np.ones((2, 34))}, "feat_dynamic_real has 2 features, expected 1"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), ODD, ids=[m for _, m in ODD])
def test_entries_must_be_alike_in_training_and_afterwards(changes, message):
    odd = entry(item_id="b", **changes)
    with pytest.raises(ValueError, match=message):
        infer_spec([entry(), odd], H)
    with pytest.raises(ValueError, match=message):
        list(transformation(infer_spec([entry()], H)).apply([odd], is_train=False))


def test_prediction_needs_its_covariates():
    t = transformation(infer_spec([entry()], H))
    with pytest.raises(
        ValueError,
        match="feat_dynamic_real has 32 steps, needs 34 to cover the 30 steps of the target "
        "and the 4",
    ):
        list(t.apply([entry(feat_dynamic_real=np.ones((1, 32)))], is_train=False))
    with pytest.raises(ValueError, match="has category 3, but training saw 2 categories"):
        list(t.apply([entry(feat_static_cat=[3])], is_train=False))
    with pytest.raises(ValueError, match="target is empty"):
        list(t.apply([entry(target=np.ones((2, 0)))], is_train=False))


def test_support_is_checked_in_training_and_afterwards():
    counts = entry(target=np.arange(60.0).reshape(2, 30))
    spec = infer_spec([counts], H, "count")
    with pytest.raises(ValueError, match="support='count' expects whole numbers"):
        infer_spec([entry()], H, "count")
    with pytest.raises(ValueError, match="support='count' expects whole numbers"):
        list(transformation(spec, support="count").apply([entry()], is_train=False))


def test_empty_data():
    with pytest.raises(ValueError, match="the training data are empty"):
        infer_spec([], H)
    nothing = entry()
    nothing["target"] = np.full_like(np.asarray(nothing["target"], dtype=float), np.nan)
    with pytest.raises(ValueError, match="every value of the 2 series is missing"):
        infer_spec([nothing, nothing], H)


def test_a_frame_is_no_data_set():
    frame = pd.DataFrame({"load": [1.0, 2.0]})
    with pytest.raises(ValueError, match="entry 0 is 'load', expected a mapping .*PandasDataset"):
        infer_spec(frame, H)


def test_gaps_are_carried_forward_and_levels_keep_their_digits():
    noise = np.random.default_rng(0).normal(size=(2, 30))
    target = 1e9 + noise
    target[0, :3] = target[0, 10:13] = target[1] = np.nan
    (row,) = transformation(infer_spec([entry(target=target)], H), "standard").apply(
        [entry(target=target)], is_train=True
    )
    values, pad = row["target"], 6
    assert (
        row["start"] == entry()["start"] - pad
        and values.shape == (2, 36)
        and values.dtype == np.float32
    )
    assert np.isnan(values[0, : pad + 3]).all() and np.isnan(values[1]).all()
    assert (values[0, pad + 10 : pad + 13] == values[0, pad + 9]).all()
    assert (
        not row["observed"][:, :pad].any()
        and (row["observed"][:, pad:] == np.isfinite(target)).all()
    )
    seen = [*range(3, 10), *range(13, 30)]
    assert np.allclose(values[0, pad:][seen] + row["center"][0] - 1e9, noise[0, seen], atol=1e-6)
    assert np.allclose(
        row["center"], -row["location"][:, 0]
    )  # before anything is seen: the data's own zero
    assert (row["scale"][1] == 1).all()


def test_covariates_are_standardised_like_in_training():
    data = entry()
    (row,) = transformation(infer_spec([data], H)).apply([data], is_train=True)
    features = row["features"][0, 6:]
    assert features.mean() == pytest.approx(0, abs=1e-6) and features.std() == pytest.approx(
        1, abs=1e-6
    )
    (later,) = transformation(infer_spec([data], H)).apply([data], is_train=False)
    assert later["features"].shape == (1, 6 + 6 + H)  # of the past what a window sees
    assert np.allclose(later["features"][0, 6:12], features[24:30])


def test_age_and_level_are_told_where_there_are_several_series():
    one, two = entry(), entry(item_id="b")
    (row,) = transformation(infer_spec([one], H)).apply([one], is_train=True)
    assert len(row["features"]) == 1
    row = next(iter(transformation(infer_spec([one, two], H)).apply([one], is_train=True)))
    assert len(row["features"]) == 2 and np.allclose(
        row["features"][0, 6:], np.log10(2 + np.arange(30))
    )


@pytest.mark.parametrize("scaling", ["mean", "standard", "robust", "anchored", "global", "none"])
@pytest.mark.parametrize("window", [5, None])
@pytest.mark.parametrize("length", [6, 40, 300])
def test_a_forecast_sees_the_end_of_what_training_sees(
    scaling: str, window: int | None, length: int
) -> None:
    """Only that is kept for it; its statistics are those of the whole series, gaps and all."""
    rng = np.random.default_rng(length)
    target = rng.normal(3, 1, (4, length))
    target[1] *= rng.random(length) > 0.5  # half of it zero
    target[2, rng.random(length) < 0.3] = np.nan
    target[3, -30:] = 0  # a stretch that is longer than what is kept
    entry = {"start": pd.Period("2020-01-01", freq="D"), "target": target, "item_id": "a"}
    entry["feat_dynamic_real"] = rng.normal(size=(2, length + 3))
    entry["past_feat_dynamic_real"] = rng.normal(size=(1, length))
    estimator = GaussianEstimator(
        3, context_length=8, lags_seq=(11 if scaling == "anchored" else 12,), scaling=scaling,
        scaling_window=window or "all", verbose=False,
    )  # fmt: skip
    spec = infer_spec([entry], 3, "real").replace(target_mean=(1.0,) * 4, target_std=(2.0,) * 4)
    assembly = assemble(spec, estimator)
    assert assembly.shape.past_length == 20
    made = assembly.transformation
    (whole,) = made.apply([entry], is_train=True)
    (kept,) = made.apply([entry], is_train=False)
    size = min(length, 20) + 20
    assert kept["target"].shape == (4, size)
    assert kept["start"] + size == whole["start"] + whole["target"].shape[1]
    np.testing.assert_array_equal(kept["center"], whole["center"])
    for name in ("target", "observed", "location", "scale"):
        np.testing.assert_allclose(
            kept[name][:, -20:], whole[name][:, -20:], rtol=1e-6, atol=1e-6, err_msg=name
        )
    np.testing.assert_array_equal(kept["features"][-2:, -23:-3], whole["features"][-2:, -20:])
    np.testing.assert_array_equal(kept["covariates"][:, -20:], whole["covariates"][:, -20:])
