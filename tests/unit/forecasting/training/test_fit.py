import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from tests.support.trainings import QUICK, data, make, weights
from tsgen import GaussianEstimator, Training, load
from tsgen.core import OptionError
from tsgen.forecasting.assemble import assemble
from tsgen.forecasting.data.grid import GridWindows, validation_windows
from tsgen.forecasting.data.spec import infer_spec


class Stop(pl.Callback):
    """Breaks a training off inside an epoch."""

    def __init__(self, epoch, error):
        self.epoch, self.error = epoch, error

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx == 2:
            raise self.error


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(tmp_path, error):
    handler = signal.getsignal(signal.SIGINT)
    whole = make().train(data(), validation_data=data(90), seed=3)
    with pytest.raises(type(error)) as caught:
        make(tmp_path / "run", Stop(3, error)).train(data(), validation_data=data(90), seed=3)
    assert any(
        "3 epochs are safe" in note and "same checkpoint_dir" in note
        for note in caught.value.__notes__
    )
    assert signal.getsignal(signal.SIGINT) is handler
    resumed = make(tmp_path / "run").train(data(), validation_data=data(90), seed=3)
    assert torch.equal(weights(whole), weights(resumed))
    same = [("train_loss", "val_loss", "epoch", "lr")] * 6
    for a, b, names in zip(whole.history, resumed.history, same, strict=True):
        assert all(a[n] == b[n] for n in names)


def test_a_killed_process_can_be_resumed(tmp_path):
    script = textwrap.dedent(
        """
        import sys, time
        import lightning.pytorch as pl
        import torch
        from tests.support.trainings import data, make
        torch.set_num_threads(1)
        class Slow(pl.Callback):
            def on_train_batch_end(self, *_): time.sleep(0.05)
        make(sys.argv[1], Slow()).train(data(), seed=3)
        """
    )
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stderr=subprocess.DEVNULL
    )
    record, waited = folder / "run.json", time.monotonic()
    while time.monotonic() - waited < 120:
        if record.exists() and len(json.loads(record.read_text())["history"]) >= 2:
            break
        assert process.poll() is None, "the training ended before it was killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(json.loads(record.read_text())["history"])
    assert 2 <= done < 6
    resumed = make(folder).train(data(), seed=3)
    assert torch.equal(weights(resumed), weights(make().train(data(), seed=3)))


def test_without_a_folder_an_interrupted_run_is_kept_and_a_finished_one_is_not(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make().train(data(), seed=3)
    assert not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError, match="broken") as caught:
        make(stop=Stop(3, RuntimeError("broken"))).train(data(), seed=3)
    (note,) = caught.value.__notes__
    path = note.split("'")[1]
    resumed = make().train(data(), seed=3, ckpt_path=path)
    assert torch.equal(weights(resumed), weights(make().train(data(), seed=3)))


def test_a_finished_run_is_returned_as_it_is(tmp_path):
    first = make(tmp_path / "run").train(data(), seed=3)
    before = (tmp_path / "run" / "last.ckpt").stat().st_mtime_ns
    again = make(tmp_path / "run").train(data(), seed=3)
    assert torch.equal(weights(first), weights(again)) and again.history == first.history
    assert (tmp_path / "run" / "last.ckpt").stat().st_mtime_ns == before


def test_another_run_is_refused(tmp_path):
    make(tmp_path / "run", max_epochs=1).train(data(), seed=3)
    with pytest.raises(
        ValueError, match="holds a run with lr=0.01, this one has 0.001; choose another folder"
    ):
        make(tmp_path / "run", max_epochs=1, lr=1e-3).train(data(), seed=3)
    with pytest.raises(ValueError, match="holds a run with seed=3, this one has 4"):
        make(tmp_path / "run", max_epochs=1).train(data(), seed=4)
    with pytest.raises(ValueError, match="holds a run with data="):
        make(tmp_path / "run", max_epochs=1).train(data(85), seed=3)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no run"):
        make(tmp_path / "other").train(data(), seed=3)
    with pytest.raises(ValueError, match="ckpt_path='nowhere.ckpt' is not a file"):
        make().train(data(), ckpt_path="nowhere.ckpt")


def test_early_stopping_keeps_the_best_weights():
    """Validation data of another law: every epoch of training makes it worse."""
    other = data(80, seed=1)
    other[0] = {
        **other[0],
        "item_id": "b",
        "target": other[0]["target"] * 0 + np.linspace(5, 9, 80),
    }
    options = {
        **QUICK,
        "max_epochs": 60,
        "lr": 3e-2,
        "training": Training(patience=3, lr_schedule="constant"),
        "scaling": "none",
    }
    predictor = GaussianEstimator(2, **options).train(data(), validation_data=other, seed=0)
    losses = [h["val_loss"] for h in predictor.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 60
    constant = Training(lr_schedule="constant")
    again = GaussianEstimator(2, **{**options, "max_epochs": best + 1, "training": constant}).train(
        data(), seed=0
    )
    assert torch.equal(weights(predictor), weights(again))


def test_a_predictor_does_not_keep_the_training_data():
    """Lightning's trainer would, as long as the predictor lives."""

    def stores():
        gc.collect()
        return sum(isinstance(thing, GridWindows) for thing in gc.get_objects())

    before = stores()
    predictor = make().train(data(), seed=0)
    assert stores() == before
    assert list(predictor.predict(data()))


def test_validation_has_many_windows_and_fixed_noise():
    predictor = make(
        lr=1e-12, training=Training(lr_inputs=4), max_epochs=3, num_batches_per_epoch=1
    ).train(data(), validation_data=data(90), seed=0)
    losses = [h["val_loss"] for h in predictor.history]
    assert max(losses) - min(losses) < 1e-6 < losses[0]


def test_validation_uses_only_what_training_has_not_seen():
    estimator = make()
    spec_data, longer = data(80), data(100)
    assembly = assemble(infer_spec(spec_data, 2), estimator)
    shape, transformation = assembly.shape, assembly.transformation
    training = list(transformation.apply(spec_data, is_train=True))

    def starts(validation):
        windows = validation_windows(
            validation, transformation, shape, training, torch.device("cpu"), 32
        )
        return sorted(set(windows.windows.first_row.tolist()))

    assert starts(longer) == list(range(80, 99))
    assert starts(data(81)) == [79]  # one step is new: the one window that reaches it
    foreign = [{**longer[0], "item_id": "other"}]
    assert min(starts(foreign)) < 20
    with pytest.raises(ValueError, match="validation series 'a' has 2 steps"):
        starts(data(2))
    with pytest.raises(ValueError, match="validation_data must have a length"):
        starts(iter(longer))


def test_training_options_are_not_lost():
    """A second train() has the same callbacks as the first."""

    class Count(pl.Callback):
        calls = 0

        def on_train_start(self, *_):
            Count.calls += 1

    estimator = GaussianEstimator(
        2, trainer_kwargs={"callbacks": [Count()]}, **{**QUICK, "max_epochs": 1}
    )
    estimator.train(data(), seed=0)
    estimator.train(data(), seed=0)
    assert Count.calls == 2


def test_quiet_is_silent_and_loud_tells_the_time_left(capfd):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        GaussianEstimator(2, **QUICK).train(data(), validation_data=data(90), seed=0)
    assert capfd.readouterr() == ("", "")
    assert not [w for w in caught if "lightning" in w.filename]
    GaussianEstimator(2, **{**QUICK, "verbose": True}).train(data(), seed=0)
    out, err = capfd.readouterr()
    assert (
        out == ""
        and "GaussianEstimator on cpu: 100%" in err
        and "train_loss=" in err
        and "epoch=6/6" in err
    )


def test_bad_options_are_refused_before_any_work():
    for bad, message in (
        ({"prediction_length": 0}, "prediction_length=0 must be at least 1"),
        ({"lr_inputs": 3}, r"has no option .* write training=Training\(lr_inputs=3\)"),
        ({"context_length": 0}, "context_length=0 must be at least 1"),
        ({"lr": 0.0}, "lr=0.0 must be above 0"),
        ({"lags_seq": (0, 1)}, r"lags_seq=\(0, 1\) must be at least 1 and not empty"),
        ({"encoder": "gruu"}, "unknown encoder 'gruu'; known are gru, lstm"),
        ({"scaling": "meen"}, "scaling='meen' must be 'mean', 'standard'"),
        ({"scaling_window": 0}, "scaling_window=0 must be at least 1"),
        ({"decoding": "both"}, "decoding='both'"),
        ({"support": (1.0, 0.0)}, r"support=\(1.0, 0.0\) must be \(lo, hi\)"),
        ({"device": "gpu0"}, "device='gpu0' is not a device"),
        ({"device": "cuda:99"}, "device='cuda:99': torch can use . GPUs on this machine"),
        ({"epochs": 3}, "has no option 'epochs'"),
    ):
        with pytest.raises(ValueError, match=message):
            GaussianEstimator(**{"prediction_length": 2, "verbose": False, **bad}).train(data())


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("lr_inputs", 0, "at least 1"),
        ("weight_decay", -1.0, "at least 0 and finite"),
        ("gradient_clip", 0.0, "above 0 and finite"),
        ("ema_decay", 2.0, r"in \(0, 1\)"),
        ("patience", 0, "at least 1"),
    ],
)
def test_recipes_that_cannot_train_are_refused(option, value, expected):
    with pytest.raises(OptionError, match=f"Training: {option}={value} must be {expected}"):
        Training(**{option: value})


def test_train_from_needs_the_same_make(tmp_path):
    predictor = GaussianEstimator(2, **QUICK).train(data(), seed=0)
    predictor.serialize(tmp_path)
    onward = GaussianEstimator(2, **{**QUICK, "lr": 1e-3}).train_from(
        load(tmp_path), data(seed=5), seed=1
    )
    assert not torch.equal(weights(onward), weights(predictor))
    assert onward.spec == predictor.spec
    with pytest.raises(ValueError, match="train_from: the predictor was made with"):
        GaussianEstimator(2, scaling="standard", **QUICK).train_from(predictor, data())
    with pytest.raises(ValueError, match="target has 3 channels, expected 2"):
        GaussianEstimator(2, **QUICK).train_from(predictor, data(dims=3))


def test_streams_train():
    class Stream:
        def __iter__(self):
            return iter(data() * 3)

    one = GaussianEstimator(2, **QUICK).train(Stream(), seed=0)
    two = GaussianEstimator(2, memory_limit=1, **QUICK).train(data() * 3, seed=0)
    for predictor in (one, two):
        assert np.isfinite(next(iter(predictor.predict(data()))).samples).all()
