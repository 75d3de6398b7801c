"""Two processes that train one model together."""

import os
import sys
import tempfile

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from lightning.pytorch.callbacks import Callback

from tsgen import GaussianEstimator, Training
from tsgen.core import current_rank, seeded
from tsgen.core.ranks import (
    average_gradients,
    from_every_rank,
    from_rank_zero,
    mean_over_ranks,
    part_random_numbers,
    share_weights,
)
from tsgen.forecasting.data.grid import RandomWindows

PROCESSES = 2
START = pd.Period("2024-01-01", freq="h")


def series(seed=0):
    target = np.random.default_rng(seed).normal(5, 1, (2, 80))
    return [{"start": START, "target": target, "item_id": "a"}]


def train(folder=None, epochs=3, **options):
    estimator = GaussianEstimator(
        3, context_length=4, lags_seq=(1,), max_epochs=epochs, num_batches_per_epoch=3,
        batch_size=8, verbose=False, device="cpu", checkpoint_dir=folder,
        training=Training(lr_schedule="constant"), **options,
    )  # fmt: skip
    return estimator.train(series(), series(1), seed=options.get("seed", 3))


def weights(predictor):
    return torch.cat([w.detach().flatten() for w in predictor.prediction_net.parameters()])


def alone_again():
    """What a process does without a group is to do nothing."""
    value, weight = torch.tensor(2.0), torch.nn.Parameter(torch.ones(2))
    assert current_rank() == (0, 1) and current_rank().writes
    assert from_rank_zero(lambda: 5) == 5 and from_every_rank(5) == [5]
    assert mean_over_ranks(value) is value
    average_gradients([weight])
    assert weight.grad is None


def check_messages(number):
    assert current_rank() == (number, PROCESSES)
    assert from_rank_zero(lambda: 10 + number) == 10
    assert from_every_rank(number) == [0, 1]
    assert mean_over_ranks(torch.tensor(float(number))) == 0.5
    with pytest.raises(ValueError, match="'rank 0'"):
        from_rank_zero(lambda: float(f"rank {number}"))
    both, one, none = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    both.grad = torch.tensor([1.0, 4.0]) * (1 + number)
    one.grad = torch.tensor([2.0, 0.0]) if number == 1 else None
    average_gradients([both, one, none])
    assert both.grad.tolist() == [1.5, 6.0] and one.grad.tolist() == [1.0, 0.0]
    assert none.grad is None
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.fill_(number)
    share_weights(layer)
    assert (layer.weight == 0).all()
    with seeded(7):
        part_random_numbers()
        draws = from_every_rank(torch.rand(4).tolist())
    assert draws[0] != draws[1]


def check_training(number, folder):
    """One network, other windows, one writer, and a run that goes on where it stopped."""
    drawn = []
    gather = RandomWindows.__iter__

    def noting(windows):
        for window in gather(windows):
            drawn.append(window.past.target.sum().item())
            yield window

    RandomWindows.__iter__ = noting
    alike = Alike()
    predictor = train(f"{folder}/whole", epochs=3, trainer_kwargs={"callbacks": [alike]})
    assert alike.epochs == [True, True, True]
    RandomWindows.__iter__ = gather
    sums = from_every_rank(drawn)
    assert len(sums[0]) == 9 and not set(sums[0]) & set(sums[1])
    mine, other = from_every_rank(weights(predictor))
    assert torch.equal(mine, other)
    assert [row["epoch"] for row in predictor.history] == [0, 1, 2]
    losses = from_every_rank([(row["train_loss"], row["val_loss"]) for row in predictor.history])
    assert losses[0] == losses[1]

    part = f"{folder}/part"
    with pytest.raises(RuntimeError, match="stop here"):
        train(part, epochs=3, trainer_kwargs={"callbacks": [Stop()]})
    resumed = train(part, epochs=3)
    assert torch.equal(weights(resumed), mine)
    tempfile.tempdir = f"{folder}/temporary"
    os.makedirs(tempfile.tempdir, exist_ok=True)
    mine, other = from_every_rank(weights(train(epochs=1)))  # without a folder
    assert torch.equal(mine, other) and not os.listdir(tempfile.tempdir)
    with pytest.raises(ValueError, match="must be left out; 2 processes"):
        train(trainer_kwargs={"max_time": {"hours": 1}})


class Alike(Callback):
    """Compares the weights of all processes after each epoch, before rank 0's are given to all."""

    def __init__(self):
        self.epochs = []

    def on_train_epoch_end(self, trainer, pl_module):
        here = torch.cat([w.detach().flatten() for w in pl_module.parameters()])
        mine, other = from_every_rank(here)
        self.epochs.append(torch.equal(mine, other))


class Stop(Callback):
    """Ends a training after its first epoch is saved."""

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise RuntimeError("stop here")


def process(number, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/group", rank=number, world_size=PROCESSES
    )
    check_messages(number)
    check_training(number, folder)
    dist.destroy_process_group()
    alone_again()


def test_a_process_without_a_group_is_alone(monkeypatch):
    alone_again()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.warns(UserWarning, match="2 processes were started and are in no group"):
        train(epochs=1)


@pytest.mark.skipif(sys.platform == "win32" or not dist.is_gloo_available(), reason="needs gloo")
def test_two_processes_train_one_network(tmp_path):
    mp.spawn(process, (str(tmp_path),), PROCESSES)
    assert sorted(os.listdir(tmp_path / "whole")) == ["best.ckpt", "last.ckpt", "run.json"]
    with pytest.raises(ValueError, match="ranks=2, this one has None"):
        train(str(tmp_path / "whole"), epochs=3)
