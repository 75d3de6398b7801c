"""What both workers of speed.py share; it knows neither tsgen nor pytorch-ts.

A worker is a process that does one piece of work each time it is asked to: commands come as lines
on stdin, answers go as lines of JSON to stdout. So two environments can take turns.
"""

import contextlib
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

Answer = dict[str, Any]
SIDE, FILL = 1024, 2**25
"""Of the product whose rate is measured, and numbers in the array that is copied."""
BATCH = 64
"""Windows."""
ENOUGH, MOST = 0.5, 10
"""Shorter work is repeated for so many seconds, so many times at most; its median counts."""


class Work(NamedTuple):
    """What a worker can do."""

    run: Callable[[], Answer]
    """Do it once; the answer has wall, cpu, steps and rows."""
    warm: Callable[[], Any]
    """Do as little of it as makes the first run like the others."""
    about: Answer
    """Of the model and its environment."""


class Series(NamedTuple):
    """The data, as the parent wrote them."""

    freq: str
    horizon: int
    start: str
    train: np.ndarray
    """(C, T)."""
    histories: list[np.ndarray]
    """(C, T + k horizon): what each test window is forecast from."""


def read_series(path: str) -> Series:
    """The data of a file of :func:`_speed_data.write_series`."""
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
        histories = [file[f"history_{k}"] for k in range(about["windows"])]
        return Series(about["freq"], about["horizon"], about["start"], file["train"], histories)


def synchronise(device: str) -> None:
    """Wait until an accelerator is done."""
    if device != "cpu":
        torch.cuda.synchronize()


def timed(function: Callable[[], Any], device: str) -> Answer:
    """Wall and CPU seconds of this process."""
    synchronise(device)
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    synchronise(device)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def rates(device: str) -> Answer:
    """The best of a few: operations a second of a square product, bytes a second of a copy."""
    a, b = torch.randn(2, SIDE, SIDE, device=device)
    copies = 20 if device != "cpu" else 1
    source = torch.ones(FILL, device=device)
    target = torch.zeros_like(source)

    def multiply() -> None:
        for _ in range(copies):
            torch.mm(a, b)

    def copy() -> None:
        for _ in range(copies):
            target.copy_(source)

    speeds = {}
    for name, function, amount in (
        ("flop_rate", multiply, 2 * SIDE**3), ("byte_rate", copy, 2 * source.nbytes),
    ):  # fmt: skip
        function()
        spent = [timed(function, device) for _ in range(5)]
        # of one thread CPU seconds, which other work on the machine does not lengthen
        best = min(min(s.values()) if device == "cpu" else s["wall"] for s in spent)
        speeds[name] = copies * amount / best
    return speeds


def forget_peaks(device: str) -> None:
    """Start counting the most memory anew, as far as the system lets it be."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()


def peaks(device: str) -> Answer:
    """The most memory since, GiB: of the process, and of tensors on a GPU."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    held = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    # ru_maxrss is no less than what the parent held when it started this process
    kib = held[0] if held else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tensors = torch.cuda.max_memory_allocated() / 2**30 if device != "cpu" else None
    return {"rss_gib": kib / 2**20, "cuda_gib": tensors}


def serve(set_up: Callable[[dict[str, Any]], Work]) -> None:
    """Read commands until there are none: run, warm, rates."""
    options: dict[str, Any] = json.loads(sys.argv[1])
    device = options["device"]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed is no answer
    warnings.filterwarnings("ignore")

    def answer(make: Callable[[], Answer]) -> None:
        try:
            result = make()
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(result) + "\n")
        answers.flush()

    work: list[Work] = []

    def begin() -> Answer:
        torch.set_num_threads(options["threads"])
        if device != "cpu":
            torch.cuda.set_device(torch.device(device))  # whose end is waited for
        np.random.seed(0)
        torch.manual_seed(0)
        work.append(set_up(options))
        return {"torch": torch.__version__, "numpy": np.__version__, **work[0].about}

    def run() -> Answer:
        forget_peaks(device)
        runs = [work[0].run()]
        while len(runs) < MOST and sum(r["wall"] for r in runs) < ENOUGH:
            runs.append(work[0].run())
        middle = {name: float(np.median([r[name] for r in runs])) for name in ("wall", "cpu")}
        return runs[0] | middle | {"repeats": len(runs)} | peaks(device)

    def warm() -> Answer:
        work[0].warm()
        return {}

    answer(begin)
    commands = {"run": run, "warm": warm, "rates": lambda: rates(device)}
    for line in sys.stdin:
        answer(commands[line.strip()])


if __name__ == "__main__":  # a worker that only measures the machine's rates
    serve(lambda options: Work(dict, dict, {}))
