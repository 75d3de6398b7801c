import functools
import random
import tempfile
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from gluonts.core.serde import dump_json, load_json
from gluonts.model.forecast import QuantileForecast, SampleForecast
from gluonts.model.predictor import Predictor
from gluonts.torch.distributions import NormalOutput
from gluonts.torch.model.deepar import DeepAREstimator
from gluonts.torch.model.forecast import DistributionForecast
from gluonts.torch.model.i_transformer import ITransformerEstimator
from gluonts.torch.model.simple_feedforward import SimpleFeedForwardEstimator

from tsgen.core import seeded_everywhere
from tsgen.data.paths import paths_of
from tsgen.estimators.peers import PeerEstimator
from tsgen.estimators.peers.parts import split_channels
from tsgen.estimators.registry import estimators, peers
from tsgen.evaluation import backtest

H = 4
SHORT = {"max_epochs": 1, "device": "cpu"}
FEW = {"num_batches_per_epoch": 2}
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
START = pd.Period("2021-01-01", freq="h")


def series(channels=3, length=80, seed=0, **fields):
    rng = np.random.default_rng(seed)
    target = 10 + np.arange(channels)[:, None] * 100 + rng.standard_normal((channels, length))
    return {"start": START, "target": target, "item_id": f"s{seed}", "info": {"n": seed}, **fields}


MODELS = {
    "deepar": {"model": "deepar"},
    "patchtst": {"model": "patchtst"},
    "tft": {"model": "tft"},
    "feed-forward": {"model": SimpleFeedForwardEstimator},
    "partial": {"model": functools.partial(DeepAREstimator, hidden_size=8)},
    "together": {"model": ITransformerEstimator, "channelwise": False},
}


def small(name, **options):
    return PeerEstimator(H, options=FEW, **{**SHORT, **MODELS[name], **options})


@pytest.mark.parametrize("name", MODELS)
def test_shapes_seed_saving_and_silence(name, tmp_path, monkeypatch, capfd, recwarn):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    data = [series(seed=0), series(seed=1)]
    data[0]["target"][1, 20:30] = np.nan
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    before = torch.rand(1).item(), np.random.rand(), random.random()
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    recwarn.clear()
    predictor, again, other = (small(name).train(data, seed=s) for s in (0, 0, 1))
    predictor.serialize(tmp_path / "saved")
    loaded = Predictor.deserialize(tmp_path / "saved")
    one, two, three, four = (
        list(p.predict(data, num_samples=7, seed=1)) for p in (predictor, again, other, loaded)
    )
    assert (
        not [str(w.message) for w in recwarn.list]
        and capfd.readouterr() == ("", "")
        and not list(Path().iterdir())
    )
    assert before == (torch.rand(1).item(), np.random.rand(), random.random())
    assert torch.is_grad_enabled()
    for a, b, c, d, entry in zip(one, two, three, four, data, strict=True):
        assert a.samples.shape == (7, H, 3) and np.isfinite(a.samples).all()
        assert (a.samples == b.samples).all() and (a.samples == d.samples).all()
        assert (a.samples != c.samples).any()
        assert (a.item_id, a.info) == (entry["item_id"], entry["info"])
        assert a.start_date == START + 80
    assert (next(iter(predictor.predict(data, 7, seed=2))).samples != one[0].samples).any()
    assert next(iter(predictor.predict(data, 130))).samples.shape[0] == 130
    assert next(iter(predictor.predict(data))).samples.shape[0] == 100
    scored = backtest(predictor, data, num_samples=20, seed=0)
    assert scored.samples.shape == (2, 20, H, 3)


@pytest.mark.parametrize("name", ["deepar", "patchtst"])
def test_one_dimension(name):
    data = [{**series(seed=i), "target": series(seed=i)["target"][0]} for i in range(5)]
    forecasts = list(small(name).train(data, validation_data=data, seed=0).predict(data, seed=0))
    assert [f.samples.shape for f in forecasts] == [(100, H)] * 5
    assert [f.item_id for f in forecasts] == [e["item_id"] for e in data]


def test_training_is_that_of_gluonts():
    data, options = [series(length=200)], {**FEW, "lr": 0.01}
    ours = PeerEstimator(H, options=options, max_epochs=3, device="cpu").train(data, seed=4)
    made = DeepAREstimator("h", H, trainer_kwargs={"max_epochs": 3, **QUIET}, **options)
    apart = [
        {"start": START, "target": row, "item_id": str(i)}
        for i, row in enumerate(data[0]["target"])
    ]
    with tempfile.TemporaryDirectory() as folder, seeded_everywhere(4):
        made.trainer_kwargs["default_root_dir"] = folder
        theirs = made.train(apart)
    with seeded_everywhere(5, 0):
        expected = np.stack([f.samples for f in theirs.predict(apart, num_samples=9)], -1)
    assert np.allclose(next(iter(ours.predict(data, 9, seed=5))).samples, expected, atol=1e-6)


def test_channels_come_back_in_order():
    """200 batches teach DeepAR the level of each channel."""
    data = [series(channels=4, length=200)]
    made = PeerEstimator(H, max_epochs=4, options={"num_batches_per_epoch": 50, "lr": 0.01})
    samples = next(iter(made.train(data, seed=0).predict(data, seed=0))).samples
    level = np.median(samples, axis=(0, 1))
    assert np.abs(level / [10, 110, 210, 310] - 1).max() < 0.3


def test_covariates_reach_a_model_that_can_take_them():
    rng = np.random.default_rng(0)
    known = rng.standard_normal((1, 1000 + H))
    target = 5 + 3 * known[:, :1000] + 0.1 * rng.standard_normal((2, 1000))
    entry = {"start": START, "target": target, "feat_dynamic_real": known}
    made = PeerEstimator(
        H, max_epochs=6, options={"lr": 0.01, "lags_seq": [1], "time_features": []}
    )
    mean = next(iter(made.train([entry], seed=0).predict([entry], seed=0))).samples.mean(0)
    assert np.abs(mean - (5 + 3 * known[0, -H:])[:, None]).max() < 2
    with pytest.raises(ValueError, match="feat_dynamic_real has 1000 steps, needs 1004"):
        short = {**entry, "feat_dynamic_real": known[:, :1000]}
        list(small("deepar").train([entry]).predict([short]))


def test_categories_and_static_features_are_counted():
    data = [
        series(seed=i, feat_static_cat=[i % 2, 3], feat_static_real=[0.5 * i]) for i in range(4)
    ]
    predictor = small("deepar").train(data, seed=0)
    network = predictor.predictor.prediction_net.model
    embeddings = [m for m in network.embedder.modules() if isinstance(m, torch.nn.Embedding)]
    assert [embedding.num_embeddings for embedding in embeddings] == [2, 4]
    assert next(iter(predictor.predict(data, 3))).samples.shape == (3, H, 3)


def test_a_made_estimator_is_used_as_it_is_and_can_be_used_again():
    kept = {"max_epochs": 1, "callbacks": [pl.Callback()]}
    made = SimpleFeedForwardEstimator(H, trainer_kwargs=kept, **FEW)
    for _ in range(2):
        predictor = PeerEstimator(H, model=made, device="cpu").train([series()], seed=0)
        assert next(iter(predictor.predict([series()], 3))).samples.shape == (3, H, 3)
    assert len(made.trainer_kwargs["callbacks"]) == 1 and "logger" not in made.trainer_kwargs


@pytest.mark.parametrize("name", MODELS)
def test_options_can_be_written_to_json(name):
    assert load_json(dump_json(small(name))) == small(name)


def test_by_name():
    assert set(peers) == {"deepar", "patchtst"}
    for name in peers:
        assert estimators[name](H, max_epochs=1).model == name


class Broken(pl.Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise RuntimeError("the disk is full")


def test_a_training_that_fails_is_not_passed_over():
    options = {**FEW, "trainer_kwargs": {"callbacks": [Broken()]}}
    with pytest.raises(RuntimeError, match="the disk is full"):
        PeerEstimator(H, options=options, max_epochs=3, device="cpu").train([series()])


def test_bad_options_and_data():
    with pytest.raises(ValueError, match="PeerEstimator: prediction_length=0 must be at least 1"):
        PeerEstimator(0)
    with pytest.raises(ValueError, match="model='deepstate' must be one of deepar, patchtst, tft"):
        PeerEstimator(H, model="deepstate")
    with pytest.raises(ValueError, match=r"options\['layers'\]=3 is no option of DeepAREstimator"):
        PeerEstimator(H, options={"layers": 3})
    with pytest.raises(ValueError, match=r"model=3 must be a name, an estimator class"):
        PeerEstimator(H, model=3)
    with pytest.raises(ValueError, match=r"prediction_length=4\) is made already; .*length=6"):
        PeerEstimator(6, model=SimpleFeedForwardEstimator(H))
    with pytest.raises(ValueError, match="series 's0': target has 3 steps"):
        small("deepar").train([series(length=3)])
    with pytest.raises(ValueError, match="device='tpu:9' is not a device"):
        small("deepar", device="tpu:9")
    predictor = small("deepar").train([series()], seed=0)
    with pytest.raises(ValueError, match="series 's0': target has 2 channels, .* trained on 3"):
        list(predictor.predict([series(channels=2)]))
    with pytest.raises(ValueError, match="num_samples=0 must be at least 1"):
        predictor.predict([series()], num_samples=0)


def test_entries_are_split_with_their_covariates():
    entry = series(
        feat_dynamic_real=np.ones((2, 90)),
        feat_static_cat=[3],
        past_feat_dynamic_real=np.ones((1, 80)),
    )
    parts = list(split_channels([entry], H))
    assert [p["item_id"] for p in parts] == ["s0/0", "s0/1", "s0/2"]
    for channel, part in enumerate(parts):
        assert np.allclose(part["target"], entry["target"][channel]) and part["target"].ndim == 1
        assert part["feat_dynamic_real"].shape == (2, 84)
        assert part["feat_static_cat"].tolist() == [3]
        assert part["past_feat_dynamic_real"].shape == (1, 80)


def test_a_distribution_becomes_its_samples():
    law = NormalOutput().distribution((torch.tensor([1.0, -1.0]), torch.tensor([1.0, 2.0])))
    torch.manual_seed(0)
    samples = paths_of(DistributionForecast(law, START), 20_000)
    assert samples.shape == (20_000, 2)
    assert np.abs(samples.mean(0) - [1, -1]).max() < 0.05
    assert np.abs(samples.std(0) - [1, 2]).max() < 0.05


def test_quantiles_become_samples_with_these_quantiles():
    law = torch.distributions.Normal(torch.tensor([3.0, -3.0]), torch.tensor([1.0, 2.0]))
    levels = ["0.1", "0.5", "0.9", "0.25"]
    rows = torch.stack([law.icdf(torch.tensor(float(k))) for k in levels]).numpy()
    forecast = QuantileForecast(np.concatenate([rows, rows[1:2]]), START, [*levels, "mean"])
    torch.manual_seed(0)
    samples = paths_of(forecast, 40_000)
    # exact for a normal law, in the tails, too; three standard errors
    for level in (0.01, 0.25, 0.5, 0.9, 0.99):
        exact = law.icdf(torch.tensor(level)).numpy()
        density = np.exp(law.log_prob(torch.as_tensor(exact)).numpy())
        allowed = 3 * np.sqrt(level * (1 - level) / 40_000) / density
        assert (np.abs(np.quantile(samples, level, axis=0) - exact) < allowed).all()
    assert abs(np.corrcoef(samples.T)[0, 1]) < 0.02
    with pytest.raises(ValueError, match="at least two levels are needed"):
        paths_of(QuantileForecast(rows[:1], START, ["0.5"]), 3)


def test_sample_forecasts_keep_their_paths():
    forecast = SampleForecast(np.arange(6.0).reshape(3, 2), START)
    assert (paths_of(forecast, 2) == forecast.samples[:2]).all()
    assert paths_of(forecast, 9).shape == (9, 2)
