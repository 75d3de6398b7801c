"""What speed.py trains with tsgen, with the hyperparameters of the peers' harness."""

import _speed_lean  # noqa: F401, I001  (before pandas)
import functools
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
from _speed_serve import BATCH, Answer, Series, Work, synchronise

from tsgen import Training
from tsgen.nets import Residual
from tsgen.diffusion import Ancestral, LinearSchedule
from tsgen.encoders.recurrent import GRUEncoder
from tsgen.estimators.tempflow import TempFlowEstimator
from tsgen.estimators.timegrad import TimeGradEstimator
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.models.flows import flows

BRIEFLY = {
    "batch_size": 1, "num_batches_per_epoch": 1, "training": Training(lr_schedule="constant"),
}  # fmt: skip


def build(options: dict[str, Any], series: Series, **further: Any) -> GenerativeEstimator:
    """The estimator; what the harness sets is set here, too, and not left to defaults."""
    common = {
        "context_length": series.horizon, "scaling": "mean", "device": options["device"],
        "encoder": functools.partial(
            GRUEncoder, hidden_size=40, num_layers=2, dropout=0.1, output_size=100
        ),
        "num_parallel_samples": options["samples"], "verbose": False, "max_epochs": 1,
    } | further  # fmt: skip
    if options["model"] != "timegrad":
        flow = functools.partial(flows[options["model"]], num_blocks=3, hidden=(100, 100))
        return TempFlowEstimator(flow=flow, **common)
    if options["way"] == "equal":
        common["sampler"] = Ancestral()
    return TimeGradEstimator(
        schedule=LinearSchedule(100, beta_end=0.1), network=Residual(8, 8, dilation_cycle=2),
        **common,
    )  # fmt: skip


def save(options: dict[str, Any], series: Series, folder: str) -> None:
    """Train for a batch and save; an almost untrained model takes as long as any."""
    entry = {"start": pd.Period(series.start, freq=series.freq), "item_id": "all"}
    estimator = build(options, series, prediction_length=options["steps"], **BRIEFLY)
    estimator.train([entry | {"target": series.train}], seed=0).serialize(Path(folder))


class _Watch(pl.Callback):
    """Times a training: the data are ready, nothing else is left out."""

    def __init__(self, device: str) -> None:
        self.device, self.spent = device, {"wall": 0.0, "cpu": 0.0}
        self.begun: Answer = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        synchronise(self.device)
        self.begun = self._now()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        synchronise(self.device)
        now = self._now()
        self.spent = {name: now[name] - self.begun[name] for name in now}

    @staticmethod
    def _now() -> Answer:
        return {"wall": time.perf_counter(), "cpu": time.process_time()}


def training(options: dict[str, Any], series: Series) -> Work:
    """Train for an epoch of some batches."""
    entry = {"start": pd.Period(series.start, freq=series.freq), "item_id": "all"}
    data = [entry | {"target": series.train}]

    def train(batches: int) -> Answer:
        watch = _Watch(options["device"])
        estimator = build(
            options, series, prediction_length=series.horizon, batch_size=BATCH,
            num_batches_per_epoch=batches, trainer_kwargs={"callbacks": [watch]},
        )  # fmt: skip
        estimator.train(data)
        return watch.spent | {"steps": batches, "rows": BATCH}

    return Work(lambda: train(options["batches"]), lambda: train(2), {})
