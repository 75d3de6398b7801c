"""The worker of speed.py that runs tsgen.

What forecasts does as its users do: it loads a saved model and imports nothing else.
"""

import _speed_lean  # noqa: F401, I001  (before pandas)
import importlib
import multiprocessing
import tempfile
from contextlib import ExitStack
from typing import Any

import pandas as pd
from _speed_serve import BATCH, Answer, Series, Work, read_series, serve, timed

import tsgen
from tsgen.nets import backend, cuda_graphs


def sampling(options: dict[str, Any], series: Series) -> Work:
    """Draw the paths of all windows."""
    with tempfile.TemporaryDirectory() as folder:
        # in a process of its own, so that no memory of the training is counted
        child = multiprocessing.get_context("spawn").Process(target=_save, args=(options, folder))
        child.start()
        child.join()
        predictor = tsgen.load(folder, options["device"])
    predictor.batch_size = BATCH
    held = {parameter.device.type for parameter in predictor.prediction_net.parameters()}
    if held != {options["device"].partition(":")[0]}:
        raise AssertionError(f"the network is on {held}, not on {options['device']}")
    entry = {"start": pd.Period(series.start, freq=series.freq), "item_id": "all"}
    histories = [entry | {"target": target} for target in series.histories]
    shape = (options["samples"], options["steps"], len(series.train))

    fast = options["device"].startswith("cuda") and not options["plain"]

    def draw() -> None:
        with ExitStack() as switches:
            if fast:  # off by default: no GPU has measured them
                switches.enter_context(backend("triton"))
                switches.enter_context(cuda_graphs())
            draw_all()

    def draw_all() -> None:
        for forecast in predictor.predict(histories, num_samples=options["samples"]):
            if forecast.samples.shape != shape:
                raise AssertionError(f"drew {forecast.samples.shape}, expected {shape}")

    def run() -> Answer:
        rows = len(histories) * options["samples"]
        answer = timed(draw, options["device"])
        return answer | {"steps": options["steps"], "rows": rows, "fused": fast}

    about: Answer = {}
    model = predictor.prediction_net.model
    if options["model"] == "timegrad":
        calls = model.sampler.evaluations(model.schedule)
        name = type(model.sampler).__name__
        about = {"sampler": f"{name}, {calls} evaluations", "evaluations": calls}
    return Work(run, draw, about)


def _save(options: dict[str, Any], folder: str) -> None:
    _training().save(options, read_series(options["data"]), folder)


def _training() -> Any:
    """What trains; its imports are no memory of a forecast."""
    return importlib.import_module("_speed_training")


def set_up(options: dict[str, Any]) -> Work:
    """What is to be done."""
    series = read_series(options["data"])
    if options["way"] == "train":
        return _training().training(options, series)
    return sampling(options, series)


if __name__ == "__main__":
    serve(set_up)
