"""The worker of speed.py that runs pytorch-ts, in an environment of its own.

It goes through the harness of the folder ``--peers``, which makes pytorch-ts run on today's stack
and builds its estimators, and copies nothing of either. The harness means a CPU; for a GPU the
device is set on the estimator's trainer, which is where pytorch-ts takes it from.
"""

import importlib
import itertools
import sys
from types import SimpleNamespace
from typing import Any

import pandas as pd
import torch
from _speed_serve import Answer, Series, Work, read_series, serve, synchronise, timed

OLD_NAMES = {"h": "H"}
"""Of frequencies, as pytorch-ts knows them."""


def data_of(series: Series) -> Any:
    """The data as the harness has them."""
    freq = OLD_NAMES.get(series.freq, series.freq)
    start = pd.Period(series.start, freq=freq)
    data_set = importlib.import_module("data_sets").MultiSet
    return data_set(
        "speed", freq, series.horizon, len(series.train),
        [{"target": series.train, "start": start}],
        [{"target": target, "start": start} for target in series.histories],
    )  # fmt: skip


def build(options: dict[str, Any], data: Any, batches: int) -> Any:
    """The harness's estimator, for one epoch on the device asked for."""
    wanted = SimpleNamespace(model=options["model"], samples=options["samples"], diff_steps=100)
    estimator = importlib.import_module("peer_bench").build(wanted, data, 1, batches)
    estimator.trainer.device = torch.device(options["device"])
    return estimator


def sampling(options: dict[str, Any], data: Any) -> Work:
    """Draw the paths of all windows with an untrained network."""
    estimator = build(options, data, 1)
    estimator.prediction_length = options["steps"]  # the context stays that of the whole horizon
    device = estimator.trainer.device
    network = estimator.create_training_network(device)
    predictor = estimator.create_predictor(estimator.create_transformation(), network, device)
    shape = (options["samples"], options["steps"], data.dim)
    held = {parameter.device.type for parameter in predictor.prediction_net.parameters()}
    if held != {device.type}:
        raise AssertionError(f"the network is on {held}, not on {device}")

    def draw() -> None:
        for forecast in predictor.predict(data.test, num_samples=options["samples"]):
            if forecast.samples.shape != shape:
                raise AssertionError(f"drew {forecast.samples.shape}, expected {shape}")

    def warm() -> None:
        if device.type != "cpu":
            draw()
            return
        predictor.prediction_net.num_parallel_samples = 1
        for _ in predictor.predict(data.test[:1], num_samples=1):
            pass
        predictor.prediction_net.num_parallel_samples = options["samples"]

    def run() -> Answer:
        rows = len(data.test) * options["samples"]
        return timed(draw, options["device"]) | {"steps": options["steps"], "rows": rows}

    about = {"evaluations": 100} if options["model"] == "timegrad" else {}
    return Work(run, warm, about)


def training(options: dict[str, Any], data: Any) -> Work:
    """Train for an epoch of some batches: by its own ``train``, or on batches made beforehand."""
    bench = importlib.import_module("peer_bench")
    device = options["device"]
    cached: list[Any] = []
    if options["way"] == "cached":
        estimator = build(options, data, 1)
        network = estimator.create_training_network(torch.device(device))
        loader = bench.window_loader(estimator, network, data)
        cached = list(itertools.islice(iter(loader), min(10, options["batches"])))

    def train(batches: int) -> Answer:
        estimator, clock = build(options, data, batches), bench.Clock()
        if cached:
            network = estimator.create_training_network(estimator.trainer.device)
            estimator.trainer(net=network, train_iter=clock.wrap(bench._Cycle(cached)))
        else:
            bench.own_train(estimator, data, clock, 0)
        synchronise(device)
        wall, cpu, _ = clock.report(skip=0)
        return {"wall": wall[0], "cpu": cpu[0], "steps": batches, "rows": 64}

    return Work(lambda: train(options["batches"]), lambda: train(2), {})


def set_up(options: dict[str, Any]) -> Work:
    """What is to be done."""
    sys.path.append(options["peers"])
    importlib.import_module("peer_compat").install(options["pts_root"])
    data = data_of(read_series(options["data"]))
    return (sampling if options["way"] == "sample" else training)(options, data)


if __name__ == "__main__":
    serve(set_up)
