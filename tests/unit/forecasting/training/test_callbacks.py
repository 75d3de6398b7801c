"""Callbacks of the user's own."""

import threading
from collections import deque

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch import callbacks
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from tests.support.trainings import DATA, LONGER, SHORT, weights
from tsgen import GaussianEstimator, Training
from tsgen.evaluation import backtest
from tsgen.forecasting.training.callbacks import LOGGING, REFUSED

USABLE = {
    "Callback", "Checkpoint", "BaseFinetuning", "EarlyStopping", "LambdaCallback",
    "ModelCheckpoint", "ModelSummary", "OnExceptionCheckpoint", "ProgressBar",
    "RichModelSummary", "RichProgressBar", "TQDMProgressBar", "Timer",
}  # fmt: skip


def make(*given, **options):
    own = {"callbacks": list(given), **options.pop("trainer_kwargs", {})}
    return GaussianEstimator(2, trainer_kwargs=own, **{**SHORT, **options})


def test_every_callback_of_lightning_is_known():
    assert sorted({*REFUSED, *LOGGING} | USABLE) == sorted(callbacks.__all__)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (LearningRateMonitor(), "LearningRateMonitor needs a logger"),
        (ModelCheckpoint(), "ModelCheckpoint has no folder to write into; give it dirpath="),
        (callbacks.GradientAccumulationScheduler({0: 2}), "option batch_size"),
        (callbacks.StochasticWeightAveraging(1e-3), r"training=Training\(ema_decay=...\)"),
        (EarlyStopping, "is no callback; make one of the class"),
        ("early", "'early' is no callback"),
    ],
)
def test_what_cannot_work_is_refused_when_the_estimator_is_made(given, words):
    with pytest.raises(ValueError, match=words):
        make(given)


def test_what_is_not_logged_cannot_be_watched(tmp_path):
    for watching in (EarlyStopping("loss"), EarlyStopping("val_loss"),
                     ModelCheckpoint(tmp_path, monitor="val_loss")):  # fmt: skip
        with pytest.raises(ValueError, match="which (needs validation data|is not logged)"):
            make(watching).train(DATA)
    with pytest.raises(ValueError, match="needs validation data"):
        make(EarlyStopping("val_loss"), trainer_kwargs={"limit_val_batches": 0}).train(DATA, LONGER)
    with pytest.raises(ValueError, match="patience=3 is another; give one of them"):
        make(EarlyStopping("val_loss"), training=Training(patience=3))
    with pytest.raises(ValueError, match="Lightning refuses them: Found more than one stateful"):
        make(EarlyStopping("train_loss"), EarlyStopping("train_loss")).train(DATA)


def test_checkpoints_and_rates_are_written(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "mine", monitor="val_loss", save_top_k=-1)
    rates = LearningRateMonitor()
    logger = CSVLogger(tmp_path / "logs")
    estimator = make(checkpoint, rates, trainer_kwargs={"logger": logger})
    predictor = estimator.train(DATA, validation_data=LONGER, seed=3)
    losses = [h["val_loss"] for h in predictor.history]
    assert float(checkpoint.best_model_score) == pytest.approx(min(losses))
    assert len(list((tmp_path / "mine").iterdir())) == 3
    state = torch.load(checkpoint.best_model_path, weights_only=True)["state_dict"]
    best = torch.cat([v.flatten() for k, v in state.items() if k.startswith("forecaster.")])
    assert torch.equal(best, weights(predictor))
    assert rates.lrs
    inside = ModelCheckpoint(monitor="train_loss")
    make(inside, checkpoint_dir=str(tmp_path / "run")).train(DATA)
    assert str(tmp_path / "run") in inside.best_model_path


def test_ones_own_early_stopping_takes_the_place_of_patience():
    own = EarlyStopping("val_loss", patience=1, min_delta=100.0)
    history = make(own, max_epochs=6).train(DATA, LONGER, seed=3).history
    assert len(history) == 2 and own.stopped_epoch == 1


class Counting(pl.Callback):
    """Stops after three epochs; keeps what it met in all kinds of places."""

    def __init__(self, rows=None):
        self.count, self.rows, self.recent = 0, [] if rows is None else rows, deque(maxlen=2)
        self.best, self.nested = torch.tensor(np.inf), {"a": {"losses": []}}
        self.lock = threading.Lock()  # cannot be copied
        self.wrapped = iter([])
        self.nested["self"] = self.nested

    def on_train_epoch_end(self, trainer, module):
        loss = trainer.callback_metrics["train_loss"]
        self.count += 1
        self.rows.append(float(loss))
        self.recent.append(self.count)
        self.best.fill_(min(float(self.best), float(loss)))
        self.nested["a"]["losses"].append(float(loss))
        self.epoch = trainer.current_epoch
        trainer.should_stop = self.count >= 3


def test_each_training_begins_with_the_callbacks_as_given():
    rows = []
    counting = Counting(rows)
    stop = EarlyStopping("train_loss", patience=1, mode="max", check_finite=False)
    first = make(counting, max_epochs=6).train(DATA, seed=3)
    told = list(rows)
    assert len(first.history) == 3 == counting.count and counting.epoch == 2
    second = make(counting, max_epochs=6).train(DATA, seed=3)
    assert torch.equal(weights(first), weights(second))
    assert rows is counting.rows and rows == told == counting.nested["a"]["losses"]
    assert float(counting.best) == min(told) and list(counting.recent) == [2, 3]
    assert counting.__dict__.keys().isdisjoint(("log", "log_dict"))
    stopping = make(stop, max_epochs=6)
    lengths = [len(stopping.train(DATA, seed=seed).history) for seed in (3, 3)]
    assert lengths[0] == lengths[1] > 1 and stop.stopped_epoch == lengths[0] - 1
    stop.patience = 3  # what the user changes stays
    assert len(stopping.train(DATA, seed=3).history) > lengths[0] and stop.patience == 3


def test_a_training_that_broke_leaves_nothing_behind():
    class Broken(pl.Callback):
        on = True

        def on_train_epoch_end(self, trainer, module):
            if self.on and trainer.current_epoch == 1:
                raise RuntimeError("broken")

    counting, broken = Counting(), Broken()
    with pytest.raises(RuntimeError, match="broken"):
        make(counting, broken, max_epochs=6).train(DATA)
    assert counting.count == 2
    Broken.on = False
    assert len(make(counting, broken, max_epochs=6).train(DATA).history) == 3


def test_a_resumed_run_goes_on_with_their_state(tmp_path):
    class Broken(pl.Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.current_epoch == 2:
                raise RuntimeError("broken")

    def saving(folder):
        return ModelCheckpoint(tmp_path / folder, monitor="train_loss", save_top_k=-1)

    whole = saving("whole")
    make(whole).train(DATA, seed=3)
    with pytest.raises(RuntimeError, match="broken"):
        make(saving("part"), Broken(), checkpoint_dir=str(tmp_path / "run")).train(DATA, seed=3)
    resumed = saving("part")
    make(resumed, checkpoint_dir=str(tmp_path / "run")).train(DATA, seed=3)
    assert len(resumed.best_k_models) == len(whole.best_k_models) == 3
    assert resumed.best_model_score == whole.best_model_score


def test_a_refitting_backtest_trains_each_time_alike():
    stop = EarlyStopping("train_loss", patience=2, mode="max", check_finite=False)
    lengths = []

    class Watch(pl.Callback):
        def on_train_end(self, trainer, module):
            lengths.append(trainer.current_epoch)

    estimator = make(stop, Watch(), max_epochs=6, num_parallel_samples=5)
    backtest(estimator, DATA, windows=3, refit=True, seed=0, num_samples=5)
    assert len(lengths) == 3 and min(lengths) >= 3
