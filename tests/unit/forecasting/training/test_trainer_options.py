"""Every argument of Lightning's Trainer: followed, or refused by name before any training."""

import datetime
import inspect

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.loggers import CSVLogger

from tests.support.trainings import DATA, LONGER, SHORT, train, weights
from tsgen import GaussianEstimator, TimeGradEstimator, Training, load
from tsgen.forecasting.training.trainer_options import ONE_VALUE, PASSED, SAME_OPTION


def test_every_parameter_of_lightning_is_in_one_table():
    parameters = {*inspect.signature(pl.Trainer).parameters}
    once = [*SAME_OPTION, *ONE_VALUE, *(name for name in PASSED if name not in ONE_VALUE)]
    assert sorted(once) == sorted(parameters), "classify what Lightning has added or dropped"


@pytest.mark.parametrize(
    ("given", "option", "value"),
    [
        ({"max_epochs": 5}, "max_epochs", 5),
        ({"limit_train_batches": 7}, "num_batches_per_epoch", 7),
        ({"gradient_clip_val": 0.5}, "training", Training(gradient_clip=0.5)),
        ({"gradient_clip_val": 0}, "training", Training(gradient_clip=None)),
        ({"gradient_clip_val": None}, "training", Training(gradient_clip=None)),
        ({"enable_progress_bar": False}, "verbose", False),
        ({"accelerator": "cpu"}, "device", "cpu"),
        ({"accelerator": CPUAccelerator(), "devices": 1}, "device", "cpu"),
        ({"accelerator": "gpu", "devices": [1]}, "device", "cuda:1"),
        ({"accelerator": "auto", "devices": "auto"}, "device", "auto"),
    ],
)
def test_what_gluonts_users_write_is_an_option(given, option, value):
    estimator = GaussianEstimator(2, trainer_kwargs=given)
    assert getattr(estimator, option) == value
    assert estimator == GaussianEstimator(2, **{option: value})
    assert estimator.replace(**{option: value}) == estimator
    if option not in ("device", "training", "verbose"):
        with pytest.raises(ValueError, match="contradict each other; give one of them"):
            GaussianEstimator(2, trainer_kwargs=given, **{option: value + 1})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"max_epoch": 5}, "no argument 'max_epoch' .given 5.; did you mean 'max_epochs'"),
        ({"max_epochs": 5.0}, "must be a whole number"),
        ({"max_epochs": -1}, "max_epochs=-1 must be at least 1"),
        ({"limit_train_batches": 0.5}, "must be a whole number: it is the estimator's option num_"),
        ({"devices": 2}, "several devices are not supported"),
        ({"accelerator": "tpu"}, "'tpu' must be one of 'auto', 'cpu'"),
        ({"accumulate_grad_batches": 2}, "must be 1: use the estimator's option batch_size"),
        ({"strategy": "ddp"}, "several devices are not supported"),
        ({"fast_dev_run": True}, "num_batches_per_epoch=1"),
        ({"max_steps": 100}, "options max_epochs and num_batches_per_epoch"),
        ({"min_steps": 1}, "use min_epochs"),
        ({"val_check_interval": 1}, "must be 1.0"),
        ({"check_val_every_n_epoch": 2}, "must be 1"),
        ({"overfit_batches": 1}, "data set of few series"),
        ({"barebones": True}, "best epoch"),
        ({"plugins": [object()]}, "precision is an argument"),
        ({"gradient_clip_algorithm": "value"}, "by their norm"),
        ({"reload_dataloaders_every_n_epochs": 1}, "drawn anew"),
        ({"precision": "bf16-true"}, "'bf16-true' must be 32 or .* float32"),
        ({"precision": "16-mixed"}, "'16-mixed' must be 32"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_line(given, words):
    with pytest.raises(ValueError, match=words) as caught:
        GaussianEstimator(2, trainer_kwargs=given)
    assert "\n" not in str(caught.value)


def test_arguments_that_change_nothing_change_nothing(tmp_path):
    plain = weights(train(None))
    for given in (
        {"num_sanity_val_steps": 2, "inference_mode": False},
        {"logger": CSVLogger(tmp_path / "logs"), "log_every_n_steps": 1, "benchmark": True},
        {"enable_checkpointing": True, "precision": 32, "limit_val_batches": 1.0},
        {"logger": True, "default_root_dir": str(tmp_path / "root"), "deterministic": True},
    ):
        assert torch.equal(weights(train(given)), plain)
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert list((tmp_path / "logs").rglob("metrics.csv"))


def test_without_validation_batches_there_is_no_validation(tmp_path):
    predictor = train({"limit_val_batches": 0}, checkpoint_dir=str(tmp_path / "run"))
    alone = train(None, None, checkpoint_dir=str(tmp_path / "run"))
    assert torch.equal(weights(predictor), weights(alone)) and len(alone.history) == 3
    assert "val_loss" not in predictor.history[0]


def test_a_run_knows_what_changes_it(tmp_path):
    folder = str(tmp_path / "run")
    train({"max_epochs": 2}, max_epochs=20, checkpoint_dir=folder)
    assert len(train(None, max_epochs=2, checkpoint_dir=folder).history) == 2
    with pytest.raises(ValueError, match="holds a run with trainer_kwargs=.*precision.*64-true"):
        train({"precision": "64-true"}, max_epochs=2, checkpoint_dir=folder)


def test_time_ends_with_an_epoch_and_min_epochs_hold():
    none = train({"max_time": datetime.timedelta(microseconds=1)})
    assert len(none.history) == 1 and "val_loss" in none.history[0]
    stop = pl.callbacks.EarlyStopping("train_loss", patience=0, mode="max")
    assert len(train({"min_epochs": 3, "callbacks": stop}).history) == 3


@pytest.mark.parametrize("make", [GaussianEstimator, TimeGradEstimator])
def test_double_precision_trains_and_forecasts(make, tmp_path):
    estimator = make(2, trainer_kwargs={"precision": "64-true"}, **SHORT)
    predictor = estimator.train(DATA, validation_data=LONGER, seed=3)
    single = make(2, **SHORT).train(DATA, validation_data=LONGER, seed=3)
    assert {v.dtype for v in predictor.prediction_net.parameters()} == {torch.float32}
    assert predictor.history[0]["train_loss"] != single.history[0]["train_loss"]
    predictor.serialize(tmp_path)
    one, two = (next(iter(p.predict(DATA, seed=1))).samples for p in (predictor, load(tmp_path)))
    assert np.array_equal(one, two) and np.isfinite(one).all()


def test_a_mixed_precision_that_a_model_cannot_is_refused():
    from tsgen import TempFlowEstimator

    assert np.isfinite(train({"precision": "bf16-mixed"}).history[-1]["val_loss"])
    flow = TempFlowEstimator(2, flow="realnvp", trainer_kwargs={"precision": "bf16-mixed"}, **SHORT)
    with pytest.raises(ValueError, match="'bf16-mixed' does not suit this model"):
        flow.train(DATA)


def test_torchs_default_type_of_numbers_does_not_matter(tmp_path):
    predictor = train(None)
    drawn = next(iter(predictor.predict(DATA, seed=1))).samples
    torch.set_default_dtype(torch.float64)
    try:
        double = train(None)
        double.serialize(tmp_path)
        again = [next(iter(p.predict(DATA, seed=1))).samples for p in (double, load(tmp_path))]
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(np.array_equal(samples, drawn) for samples in again)
