import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import tsgen
from tests.support.folders import rehash
from tsgen import GaussianEstimator, TempFlowEstimator, TimeGradEstimator, load
from tsgen.diffusion import DDIM, DPMSolverPP, LinearSchedule

QUICK = {
    "num_batches_per_epoch": 2,
    "batch_size": 8,
    "verbose": False,
    "lags_seq": (1, 2),
    "max_epochs": 1,
}


def data(count=3, length=60):
    rng = np.random.default_rng(0)
    return [
        {
            "start": pd.Period("2021-01-01", freq="h"),
            "target": rng.normal(5, 1, (2, length + i)),
            "item_id": f"s{i}",
        }
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def timegrad():
    return TimeGradEstimator(3, schedule=LinearSchedule(20), **QUICK).train(data(), seed=0)


def draw(predictor, entries=None, **kwargs):
    return np.stack(
        [
            f.samples
            for f in predictor.predict(entries or data(), **{"num_samples": 5, "seed": 1, **kwargs})
        ]
    )


def test_forecasts_come_in_order_with_dates_and_names(timegrad):
    forecasts = list(timegrad.predict(data(), num_samples=4))
    assert [f.item_id for f in forecasts] == ["s0", "s1", "s2"]
    assert [f.start_date for f in forecasts] == [
        pd.Period("2021-01-01", freq="h") + 60 + i for i in range(3)
    ]
    assert all(f.samples.shape == (4, 3, 2) for f in forecasts)


def test_series_are_forecast_alike_in_any_company(timegrad):
    """A forecast's law does not depend on what else is in the batch."""
    alone = draw(timegrad, data()[:1], num_samples=400)[0].mean(0)
    together = draw(timegrad, num_samples=400)[0].mean(0)
    spread = draw(timegrad, num_samples=400)[0].std(0)
    assert (np.abs(alone - together) < 6 * spread * np.sqrt(2 / 400)).all()


def test_seeds_repeat_and_gradients_stay_on(timegrad):
    assert (draw(timegrad) == draw(timegrad)).all()
    assert (draw(timegrad) != draw(timegrad, seed=2)).any()
    state = torch.get_rng_state()
    draw(timegrad)
    assert torch.equal(state, torch.get_rng_state())
    forecasts = timegrad.predict(data())
    next(forecasts)
    assert torch.is_grad_enabled()  # also between two forecasts
    batches = GaussianEstimator(3, **{**QUICK, "batch_size": 1}).train(data(), seed=0)
    first, second, _ = draw(batches, [data()[0]] * 3)
    assert (first != second).any()  # each batch has noise of its own


def test_with_sampler_is_a_copy_that_is_saved(timegrad, tmp_path):
    fast = timegrad.with_sampler(DPMSolverPP(4))
    assert (draw(fast) != draw(timegrad)).any()
    fast.serialize(tmp_path / "fast")
    again = load(tmp_path / "fast")
    assert again.prediction_net.model.sampler == DPMSolverPP(4)
    assert (draw(again) == draw(fast)).all() and again == fast and again != timegrad
    with pytest.raises(ValueError, match="num_steps=50 must be at most 20, the steps of"):
        timegrad.with_sampler(DDIM(num_steps=50))
    with pytest.raises(ValueError, match="Gaussian has no sampler"):
        GaussianEstimator(3, **QUICK).train(data(), seed=0).with_sampler(DDIM())


def test_a_saved_model_holds_no_pickled_code(timegrad, tmp_path):
    timegrad.serialize(tmp_path / "deep" / "model")
    files = sorted(p.name for p in (tmp_path / "deep" / "model").iterdir())
    assert files == [
        "gluonts-config.json",
        "manifest.json",
        "predictor.json",
        "tsgen.json",
        "weights.safetensors",
    ]
    weights = load_file(tmp_path / "deep" / "model" / "weights.safetensors")
    assert weights.keys() == timegrad.prediction_net.state_dict().keys()
    from gluonts.model.predictor import Predictor

    assert (draw(Predictor.deserialize(tmp_path / "deep" / "model")) == draw(timegrad)).all()


def test_other_folders_and_versions_are_refused(timegrad, tmp_path):
    with pytest.raises(ValueError, match="holds no model saved by tsgen"):
        load(tmp_path)
    timegrad.serialize(tmp_path)
    about = json.loads((tmp_path / "tsgen.json").read_text())
    assert about["tsgen"] == tsgen.__version__
    (tmp_path / "tsgen.json").write_text(json.dumps(about | {"format": 99, "tsgen": "9.0"}))
    rehash(tmp_path)
    with pytest.raises(
        ValueError, match=r"was saved by tsgen 9.0 in format 99; this is tsgen .* reads format \d"
    ):
        load(tmp_path)


def test_a_model_trained_elsewhere_loads_here(timegrad, tmp_path):
    timegrad.serialize(tmp_path)
    path = tmp_path / "predictor.json"
    described = json.loads(path.read_text())
    described["kwargs"]["device"] = "cuda:7"
    path.write_text(json.dumps(described))
    rehash(tmp_path)
    if not torch.cuda.is_available():
        assert (draw(load(tmp_path)) == draw(timegrad)).all()
        with pytest.raises(ValueError, match="device='cuda:7': torch can use 0 GPUs"):
            load(tmp_path, device="cuda:7")
    moved = load(tmp_path, device="cpu").to("cpu")
    assert (draw(moved) == draw(timegrad)).all()
    with pytest.raises(ValueError, match="device='gpu' is not a device of torch"):
        moved.to("gpu")


@pytest.mark.parametrize("estimator", [TimeGradEstimator, TempFlowEstimator])
def test_forecasting_imports_nothing_of_training(estimator, tmp_path):
    """Lightning, and scipy with it, are half of a process's memory and of its start."""
    estimator(3, **QUICK).train(data(), seed=0).serialize(tmp_path)
    code = """
import sys
import numpy as np, pandas as pd
import tsgen
predictor = tsgen.load(sys.argv[1])
entry = {"start": pd.Period("2021-01-01", freq="h"), "target": np.arange(120.0).reshape(2, 60)}
(forecast,) = predictor.predict([entry], num_samples=4, seed=0)
assert forecast.samples.shape == (4, 3, 2) and np.isfinite(forecast.samples).all()
heavy = {"lightning", "gluonts.torch", "torch._dynamo", "scipy", "sklearn", "matplotlib"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], check=True)


def test_bad_requests(timegrad):
    with pytest.raises(ValueError, match="num_samples=0 must be at least 1"):
        timegrad.predict(data(), num_samples=0)
    with pytest.raises(ValueError, match="frequency 'D', expected 'h'"):
        list(timegrad.predict([{**data()[0], "start": pd.Period("2021-01-01", freq="D")}]))
    with pytest.raises(ValueError, match="target has 3 channels, expected 2"):
        list(timegrad.predict([{**data()[0], "target": np.ones((3, 50))}]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_models_move_between_devices(timegrad, tmp_path):
    timegrad.serialize(tmp_path)
    there = load(tmp_path, device="cuda")
    assert next(there.prediction_net.parameters()).is_cuda
    assert np.isfinite(draw(there)).all()
    assert (draw(load(tmp_path, device="cpu").to("cuda")) == draw(there)).all()
    there.serialize(tmp_path / "again")
    assert (draw(load(tmp_path / "again", device="cpu")) == draw(timegrad)).all()
