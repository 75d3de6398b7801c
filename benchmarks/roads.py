"""How far the road is from a call of the library to its product of matrices.

For one forecast of TimeGrad and for one batch of its training, the script counts the library's own
functions and files that run, and the library's own frames on the stack at the deepest product of
matrices:

* functions: different code objects of files under ``tsgen/``. Methods, closures and lambdas count,
  comprehensions and generator expressions do not. What torch, Lightning, GluonTS and the standard
  library run is not counted, also where it lies between two functions of the library:
  ``Module.__call__``, ``torch.no_grad``'s wrapper, the autograd engine.
* frames: of a forecast from the iteration over ``predictor.predict(...)``, of a batch from
  ``ForecastModule.training_step``, each end included. "with torch" counts every frame between.

Run it for the revision at hand, or with ``PYTHONPATH`` for another::

    python benchmarks/roads.py
"""

import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch

import tsgen

PACKAGE = str(Path(tsgen.__file__).parent)
PRODUCTS = {"mm", "addmm", "addmm_", "matmul", "bmm", "linear", "baddbmm", "__matmul__"}
"""Names of torch's compiled products of matrices."""


class Road:
    """What runs while it is profiled.

    Args:
        start: name of the function from which frames are counted; ``None`` counts from the first
            frame of the library on.
    """

    def __init__(self, start: str | None = None) -> None:
        self.start, self.codes = start, set[CodeType]()
        self.deepest: list[str] = []
        self.with_torch = 0

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        """Take note of a call; the signature is that of ``sys.setprofile``."""
        if event == "call" and is_own(frame):
            self.codes.add(frame.f_code)
        elif event == "c_call" and getattr(argument, "__name__", "") in PRODUCTS:
            self.measure(frame)

    def measure(self, frame: FrameType) -> None:
        """Compare the stack of a product of matrices with the deepest one so far."""
        stack: list[FrameType] = []
        step: FrameType | None = frame
        while step is not None:
            stack.append(step)
            step = step.f_back
        stack.reverse()
        own = [number for number, part in enumerate(stack) if is_own(part)]
        if self.start is not None:
            own = own[next((i for i, n in enumerate(own) if self.is_start(stack[n])), len(own)) :]
        if len(own) > len(self.deepest):
            self.deepest = [where(stack[number]) for number in own]
            self.with_torch = len(stack) - own[0]

    def is_start(self, frame: FrameType) -> bool:
        """Whether frames are counted from this one on."""
        return frame.f_code.co_name == self.start

    @contextmanager
    def profiled(self) -> Iterator[None]:
        """Profile what is done within."""
        sys.setprofile(self.profile)
        try:
            yield
        finally:
            sys.setprofile(None)

    def report(self, name: str) -> None:
        """Print the counts and the deepest stack."""
        files = {code.co_filename for code in self.codes}
        print(
            f"{name}: {len(self.codes)} functions, {len(files)} files, "
            f"{len(self.deepest)} frames ({self.with_torch} with torch)"
        )
        for line in self.deepest:
            print(f"    {line}")


def is_own(frame: FrameType) -> bool:
    """Whether a frame is a function of the library."""
    code = frame.f_code
    return code.co_filename.startswith(PACKAGE) and (
        not code.co_name.startswith("<") or code.co_name == "<lambda>"
    )


def where(frame: FrameType) -> str:
    """File and function of a frame."""
    name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
    return f"{Path(frame.f_code.co_filename).relative_to(PACKAGE)} {name}"


def entries() -> list[dict[str, Any]]:
    """Three series of three channels."""
    values = np.random.default_rng(0).normal(5, 1, (3, 3, 80))
    start = pd.Period("2024-01-01", freq="h")
    return [{"start": start, "target": v, "item_id": str(i)} for i, v in enumerate(values)]


def training_road(train: Callable[[], Any]) -> tuple[Road, Any]:
    """The road of the second batch of a training, and the predictor."""
    import_module("tsgen.forecasting.estimator")  # defines the module, in whatever file
    (kind,) = (k for k in pl.LightningModule.__subclasses__() if k.__name__ == "ForecastModule")
    module_class: Any = kind
    step = module_class.training_step
    road, batches = Road("training_step"), itertools.count(1)

    def training_step(module: Any, *arguments: Any) -> None:
        with road.profiled() if next(batches) == 2 else nullcontext():
            step(module, *arguments)

    module_class.training_step = training_step
    try:
        predictor = train()
    finally:
        module_class.training_step = step
    return road, predictor


def main() -> None:
    """Print both roads."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    estimator = tsgen.TimeGradEstimator(
        2, max_epochs=1, num_batches_per_epoch=3, batch_size=8, verbose=False, device="cpu"
    )
    batch, predictor = training_road(lambda: estimator.train(entries(), seed=0))
    training = Road()
    with training.profiled():
        estimator.train(entries(), seed=0)
    forecast = Road()
    with forecast.profiled():
        next(predictor.predict(entries(), num_samples=10, seed=0))
    forecast.report("one forecast of TimeGrad")
    batch.report("one batch of its training")
    training.report("its whole training")


if __name__ == "__main__":
    main()
