"""The worker of speed.py that runs tsgen, with the hyperparameters of the peers' harness."""

import _speed_lean  # noqa: F401, I001  (before pandas)
import functools
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
from _speed_serve import Answer, Series, Work, read_series, serve, synchronise, timed

from tsgen.diffusion import Ancestral, LinearSchedule
from tsgen.encoders.recurrent import GRUEncoder
from tsgen.estimators.tempflow import TempFlowEstimator
from tsgen.estimators.timegrad import TimeGradEstimator
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.models.flows import flows

BATCH = 64
BRIEFLY = {"batch_size": 1, "num_batches_per_epoch": 1, "lr_schedule": "constant"}


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
        schedule=LinearSchedule(100, beta_end=0.1), residual_layers=8, residual_channels=8,
        dilation_cycle=2, **common,
    )  # fmt: skip


def sampling(options: dict[str, Any], series: Series) -> Work:
    """Draw the paths of all windows; an almost untrained model takes as long as any."""
    entry = {"start": pd.Period(series.start, freq=series.freq), "item_id": "all"}
    estimator = build(options, series, prediction_length=options["steps"], **BRIEFLY)
    with tempfile.TemporaryDirectory() as folder:
        # in a process of its own, so that no memory of the training is counted
        child = multiprocessing.get_context("spawn").Process(target=_save, args=(options, folder))
        child.start()
        child.join()
        predictor = GenerativePredictor.deserialize(Path(folder), options["device"])
    predictor.batch_size = BATCH
    held = {parameter.device.type for parameter in predictor.prediction_net.parameters()}
    if held != {options["device"].partition(":")[0]}:
        raise AssertionError(f"the network is on {held}, not on {options['device']}")
    histories = [entry | {"target": target} for target in series.histories]
    shape = (options["samples"], options["steps"], len(series.train))

    def draw() -> None:
        for forecast in predictor.predict(histories, num_samples=options["samples"]):
            if forecast.samples.shape != shape:
                raise AssertionError(f"drew {forecast.samples.shape}, expected {shape}")

    def run() -> Answer:
        rows = len(histories) * options["samples"]
        return timed(draw, options["device"]) | {"steps": options["steps"], "rows": rows}

    about: Answer = {}
    if isinstance(estimator, TimeGradEstimator):
        sampler = estimator.sampler
        calls = sampler.evaluations(estimator.schedule)
        about = {"sampler": f"{type(sampler).__name__}, {calls} evaluations", "evaluations": calls}
    return Work(run, draw, about)


def _save(options: dict[str, Any], folder: str) -> None:
    """Train for a batch and save."""
    series = read_series(options["data"])
    entry = {"start": pd.Period(series.start, freq=series.freq), "item_id": "all"}
    estimator = build(options, series, prediction_length=options["steps"], **BRIEFLY)
    estimator.train([entry | {"target": series.train}], seed=0).serialize(Path(folder))


class _Watch(pl.Callback):
    """Times a training: the data are ready, nothing else is left out."""

    def __init__(self, device: str) -> None:
        self.device, self.found = device, {"wall": 0.0, "cpu": 0.0}
        self.begun: Answer = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        synchronise(self.device)
        self.begun = self._now()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        synchronise(self.device)
        now = self._now()
        self.found = {name: now[name] - self.begun[name] for name in now}

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
        return watch.found | {"steps": batches, "rows": BATCH}

    return Work(lambda: train(options["batches"]), lambda: train(2), {})


def set_up(options: dict[str, Any]) -> Work:
    """What is to be done."""
    series = read_series(options["data"])
    return (training if options["way"] == "train" else sampling)(options, series)


if __name__ == "__main__":
    serve(set_up)
