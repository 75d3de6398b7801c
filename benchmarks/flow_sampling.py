"""Seconds to draw one step of many series from flows, and what their density costs.

    python benchmarks/flow_sampling.py

A forecast unrolls one draw a step. MAF finds the channels one by one: *steps* is how tsgen does it
(each hidden unit once, what is known before a block of channels in one product), *passes* the
textbook way, one pass of the whole network for each channel, as zuko and pytorch-ts do. Both give
the same samples; they and the other flows take turns, ratios are of neighbours in time. IAF and the
coupling flows draw in one pass. CPU seconds of one thread, medians over rounds with their range.
Rows go to benchmarks/results/flow_sampling.csv.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from _record import append
from torch import Tensor
from torch.distributions import Transform
from zuko.transforms import AutoregressiveTransform, ComposedTransform

from tsgen.core import seeded
from tsgen.models.flows import Flow, flows

NAMES = ("maf", "iaf", "realnvp", "glow", "nsf", "flowpp")


def by_passes(flow: Flow, cond: Tensor, z: Tensor) -> Tensor:
    """Samples of a masked flow from noise, one pass of each network for each channel."""

    def undo(part: Transform, z: Tensor) -> Tensor:
        if isinstance(part, ComposedTransform):
            for inner in reversed(part.transforms):
                z = undo(inner, z)
            return z
        plain = isinstance(part, AutoregressiveTransform)
        return AutoregressiveTransform._inverse(part, z) if plain else part.inv(z)

    return undo(flow.to_noise(cond), z)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--channels", type=int, nargs="+", default=[8, 118, 321])
    parser.add_argument("--rows", type=int, default=100, help="samples x series")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    device = torch.device(args.device)
    for channels in args.channels:
        with seeded(0):
            cond = torch.randn(args.rows, 100, device=device)
            x = torch.randn(args.rows, channels, device=device)
            models = {name: flows[name]((channels,), (100,)).to(device).eval() for name in NAMES}
        work: dict[str, Callable[[], Any]] = {}
        for name, model in models.items():
            work[f"{name}_sample"] = partial(model.sample, cond)
            work[f"{name}_density"] = partial(model.log_prob, x, cond)
        work["maf_passes"] = partial(by_passes, models["maf"], cond, x)
        measure(work, models["maf"], cond, x, channels, args)


def measure(
    work: dict[str, Callable[[], Any]],
    maf: Flow,
    cond: Tensor,
    x: Tensor,
    channels: int,
    args: argparse.Namespace,
) -> None:
    """Run everything in turns and write a row for each."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    with torch.no_grad():
        difference = (maf.to_noise(cond).inv(x) - by_passes(maf, cond, x)).abs().max().item()
        assert difference < 1e-4, difference
        for function in work.values():
            function()
        for _ in range(args.rounds):
            for name, function in work.items():
                begun = now(args.device)
                function()
                seconds[name].append(now(args.device) - begun)
    unit = np.array(seconds["maf_sample"])
    for name, values in seconds.items():
        ratios = np.array(values) / unit
        row: dict[str, Any] = {
            "channels": channels, "rows": args.rows, "what": name,
            "ms": 1e3 * float(np.median(values)), "of_maf_sample": float(np.median(ratios)),
            "of_maf_sample_min": ratios.min(), "of_maf_sample_max": ratios.max(),
        }  # fmt: skip
        append("flow_sampling.csv", row)


def now(device: str) -> float:
    """CPU seconds, or wall seconds once an accelerator is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
