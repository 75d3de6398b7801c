"""Small trainings for trials of which there are many, called by name in processes of their own."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tests.support.kills import command
from tsgen import GaussianEstimator, Training

CONSTANT = Training(lr_schedule="constant")
OPTIONS = {
    "context_length": 4, "lags_seq": (1,), "num_batches_per_epoch": 2, "batch_size": 8,
    "training": CONSTANT, "verbose": False, "device": "cpu",
}  # fmt: skip


def detect(*arguments: str) -> int:
    """A command that knows a small detector with a network by the name of "tiny"."""
    from tsgen.anomaly import ForecastDetector
    from tsgen.anomaly.registry import detectors

    estimator = GaussianEstimator(1, max_epochs=3, lr=0.05, **OPTIONS)
    detectors["tiny"] = lambda **options: ForecastDetector(estimator=estimator, **options)
    return command(*arguments)


def train(folder: str) -> None:
    """Train by hand, with checkpoints in a folder, until validation stops it; keep the weights.

    The validation data are of another law, so that the best epoch is not the last.
    """
    generator = np.random.default_rng(0)
    start = pd.Period("2021-01-01", freq="h")
    law = {"start": start, "target": generator.normal(5, 1, (2, 60)), "item_id": "a"}
    other = {"start": start, "target": np.linspace([5, 5], [9, 9], 60).T, "item_id": "b"}
    estimator = GaussianEstimator(
        2, max_epochs=9, lr=0.03, scaling="none",
        **{**OPTIONS, "training": CONSTANT.replace(patience=2)},
        checkpoint_dir=f"{folder}/run",
    )  # fmt: skip
    predictor = estimator.train([law], [other], seed=1)
    losses = [row["val_loss"] for row in predictor.history]
    assert len(losses) == int(np.argmin(losses)) + 1 + 2 < 9, losses
    weights = predictor.prediction_net.state_dict().values()
    np.save(Path(folder, "weights.npy"), torch.cat([w.flatten().double() for w in weights]))
    np.save(Path(folder, "losses.npy"), losses)
