"""Trainings of seconds, alike wherever they run."""

import numpy as np
import pandas as pd
import torch

from tsgen import GaussianEstimator, TimeGradEstimator, Training
from tsgen.diffusion import LinearSchedule

QUICK = {
    "num_batches_per_epoch": 4, "batch_size": 8, "verbose": False, "lags_seq": (1, 2),
    "max_epochs": 6,
}  # fmt: skip
SHORT = QUICK | {"max_epochs": 3, "device": "cpu"}
RECIPE = Training(ema_decay=0.9, lr_inputs=4)  # not all weights have one learning rate


def data(length=80, dims=2, seed=0):
    y = np.random.default_rng(seed).normal(5, 1, (dims, length))
    return [{"start": pd.Period("2021-01-01", freq="h"), "target": y, "item_id": "a"}]


def weights(predictor):
    """All weights in one row."""
    return torch.cat([v.flatten().double() for v in predictor.prediction_net.state_dict().values()])


DATA, LONGER = data(), data(90)


def make(folder=None, stop=None, **options):
    """A small TimeGrad with a checkpoint folder and a callback."""
    callbacks = {"trainer_kwargs": {"callbacks": [stop]}} if stop else {}
    arguments = {
        "schedule": LinearSchedule(5, beta_end=0.5),
        "training": RECIPE,
        **QUICK,
        **options,
    }
    return TimeGradEstimator(2, checkpoint_dir=folder and str(folder), **callbacks, **arguments)


def train(given, validation=LONGER, **options):
    """Train a small Gaussian with arguments of Lightning's Trainer."""
    estimator = GaussianEstimator(2, trainer_kwargs=given, **{**SHORT, **options})
    return estimator.train(DATA, validation_data=validation, seed=3)
