"""What GluonTS' users do with any estimator and predictor: every family, peer and baseline."""

import itertools
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from gluonts.dataset.common import FileDataset, ListDataset
from gluonts.dataset.jsonl import JsonLinesFile
from gluonts.dataset.pandas import PandasDataset
from gluonts.dataset.split import split
from gluonts.ev.metrics import MSE, MeanWeightedSumQuantileLoss
from gluonts.evaluation import Evaluator, MultivariateEvaluator, make_evaluation_predictions
from gluonts.model.evaluation import evaluate_forecasts, evaluate_model
from gluonts.model.predictor import Predictor

from tsgen.estimators.registry import baselines, estimators, peers

H = 2
NEEDED = {"ets": "statsmodels", "var": "statsmodels", "garch": "arch"}
ALIKE = {  # one or two of each kind are enough for `make test`
    "transformer_maf", "nice", "glow", "flowpp", "iaf", "nsf", "quadratic_spline", "naf", "umnn",
    "sospf", "bpf", "bnaf", "residual", "planar", "radial", "sylvester", "cnf", "ffjord", "maf",
    "realnvp", "scoregrad_subvp", "scoregrad_ve", "scoregrad", "csdi", "student_t", "lowrank",
    "random_walk_gaussian", "random_walk_independent", "random_walk_independent_gaussian",
}  # fmt: skip
DIMS = (1, 2)


def series(dims, count=2, length=60):
    rng = np.random.default_rng(dims)
    for i in range(count):
        y = 10 + np.sin(np.arange(length) / 4) + 0.3 * rng.normal(size=(dims, length))
        start = pd.Period("2021-01-01", freq="D")
        yield {"start": start, "target": y[0] if dims == 1 else y, "item_id": f"s{i}"}


def make(name):
    if name in baselines:
        pytest.importorskip(NEEDED.get(name, "numpy"))
        return baselines[name](H)
    if name in peers:
        few = {"num_batches_per_epoch": 1, "batch_size": 4, "context_length": 16}
        return peers[name](H, max_epochs=1, options=few, device="cpu")
    options = {"context_length": 4, "lags_seq": (1, 2)}
    if name == "tfdpm":
        options = {"window": 3}
    return estimators[name](
        H, batch_size=4, device="cpu", **options,
        trainer_kwargs={"max_epochs": 1, "limit_train_batches": 1, "enable_progress_bar": False},
    )  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.slow if name in ALIKE else ()) for name in estimators
    ],
)
def trained(request):
    """An estimator and, for one channel and two, the predictor of a generator's entries."""
    estimator = make(request.param)
    return estimator, {dims: estimator.train(series(dims), seed=0) for dims in DIMS}


def drawn(predictor, data, count=3):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.stack([f.samples for f in predictor.predict(data, num_samples=count, seed=1)])


@pytest.mark.parametrize("dims", DIMS)
def test_a_generator_gives_what_a_list_gives(trained, dims):
    estimator, predictors = trained
    data = list(series(dims))
    expected = drawn(predictors[dims], data)
    assert expected.shape == ((2, 3, H) if dims == 1 else (2, 3, H, dims))
    assert np.array_equal(drawn(predictors[dims], series(dims)), expected)
    lists = [{**e, "target": e["target"].tolist()} for e in data]
    assert np.array_equal(drawn(predictors[dims], lists), expected)
    if dims == 2:
        again = estimator.train(lists, seed=0)
        assert np.array_equal(drawn(again, data), expected)


@pytest.mark.parametrize("dims", DIMS)
def test_gluonts_own_data_sets(trained, dims, tmp_path):
    predictor = trained[1][dims]
    data = list(series(dims))
    expected = drawn(predictor, data)
    kept = [{**e, "start": str(e["start"]), "target": e["target"].tolist()} for e in data]
    path = tmp_path / "data.json"
    path.write_text("\n".join(map(json.dumps, kept)))
    sets = {"list": ListDataset(kept, freq="D", one_dim_target=dims == 1)}
    sets["file"] = FileDataset(tmp_path, freq="D", one_dim_target=dims == 1)
    names = ["y", "z"][:dims]
    frames = {
        e["item_id"]: pd.DataFrame(
            np.atleast_2d(e["target"]).T, columns=names,
            index=pd.period_range(e["start"], periods=60),
        )
        for e in data
    }  # fmt: skip
    sets["pandas"] = PandasDataset(frames, target=names[0] if dims == 1 else names)
    for name, made in sets.items():
        assert np.allclose(drawn(predictor, made), expected, rtol=1e-4), name
    lines = [
        {**e, "start": pd.Period(e["start"], "D")} for e in JsonLinesFile(path)
    ]  # JSON holds no frequency
    assert np.array_equal(drawn(predictor, lines), expected)


@pytest.mark.parametrize("dims", DIMS)
def test_evaluation_of_gluonts(trained, dims):
    predictor = trained[1][dims]
    data = list(series(dims))
    forecasts, truth = make_evaluation_predictions(data, predictor, num_samples=5)
    forecasts, truth = list(forecasts), list(truth)
    assert [f.samples.shape[:2] for f in forecasts] == [(5, H)] * 2
    assert [f.item_id for f in forecasts] == ["s0", "s1"]
    assert forecasts[0].start_date == data[0]["start"] + 58
    levels = {"quantiles": (0.1, 0.5, 0.9), "num_workers": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dims == 1:
            scores, items = Evaluator(**levels)(truth, forecasts)
        else:
            sums = {"target_agg_funcs": {"sum": np.sum}}
            scores, items = MultivariateEvaluator(**levels, **sums)(truth, forecasts)
            assert np.isfinite(scores["m_sum_mean_wQuantileLoss"])
    assert np.isfinite(scores["mean_wQuantileLoss"]) and np.isfinite(scores["MSE"]) and len(items)
    _, template = split(data, offset=-2 * H)
    tests = template.generate_instances(H, windows=2)
    metrics = [MSE(), MeanWeightedSumQuantileLoss([0.1, 0.5, 0.9])]
    table = evaluate_model(predictor, test_data=tests, metrics=metrics)
    again = evaluate_forecasts(predictor.predict(tests.input), test_data=tests, metrics=metrics)
    assert len(table) == len(again) == 1
    assert np.isfinite(table.to_numpy()).all() and np.isfinite(again.to_numpy()).all()


@pytest.mark.parametrize("dims", DIMS)
def test_gluonts_reads_what_was_saved(trained, dims, tmp_path):
    predictor = trained[1][dims]
    predictor.serialize(tmp_path)
    again = Predictor.deserialize(tmp_path)
    data = list(series(dims))
    assert type(again) is type(predictor)
    assert np.array_equal(drawn(again, data), drawn(predictor, data))


@pytest.mark.parametrize("name", ["gaussian", "deepar"])
def test_a_generator_without_end_is_refused(name):
    """Its entries are counted by their values, which here take no memory."""
    entry = {**next(series(2)), "target": np.broadcast_to(0.0, (2, 2**26))}
    with pytest.raises(ValueError, match="is a generator, which can be read only once"):
        make(name).train(itertools.cycle([entry]))


@pytest.mark.parametrize("freq", ["min", "h", "B", "W", "M", "Q", "Y"])
def test_frequencies(freq):
    y = np.random.default_rng(0).normal(size=60)
    data = [{"start": pd.Period("2001-01-01", freq=freq), "target": y}]
    estimator = estimators["gaussian"](
        H, lags_seq=(1, 2), trainer_kwargs={"max_epochs": 1, "limit_train_batches": 1},
        verbose=False,
    )  # fmt: skip
    forecast = next(iter(estimator.train(data).predict(data)))
    assert forecast.start_date == data[0]["start"] + 60
    for start in ("2001-01-01", pd.Timestamp("2001-01-01")):
        with pytest.raises(ValueError, match="start=.* must be a pandas.Period"):
            estimator.train([{**data[0], "start": start}])
