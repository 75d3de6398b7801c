"""How fast detectors learn, score and follow a stream, and how much memory they take.

    python benchmarks/detection_speed.py --rows 450000 --detectors windowed_pca,ar1
    python benchmarks/detection_speed.py --rows 50000 --detectors tfdpm --device cuda

On a simulated log of 51 channels (SWaT has as many), a row a second. Seconds of ``fit``, rows a
second of ``decision_function``, milliseconds of ``update`` (median and 99 %), and the most memory
that the process held; one detector a process for an honest figure of that. TFDPM trains one epoch:
its speed of scoring does not depend on the training.
"""

import argparse
import os
import resource
import time
import warnings

import numpy as np
import pandas as pd
import torch
from _record import append
from scipy.signal import lfilter

from tsgen import TFDPMEstimator
from tsgen.anomaly import Detector, TFDPMDetector
from tsgen.anomaly.registry import detectors

CHANNELS = 51


def simulated(rows: int) -> pd.DataFrame:
    """Channels that follow a few slow drivers, with noise."""
    rng = np.random.default_rng(0)
    drivers = lfilter([0.05], [1, -0.999], rng.normal(size=(rows, 6)), axis=0)
    values = drivers @ rng.normal(size=(6, CHANNELS)) + 0.1 * rng.normal(size=(rows, CHANNELS))
    times = pd.date_range("2026-01-01", periods=rows, freq="s")
    return pd.DataFrame(values, times, [f"tag_{i}" for i in range(CHANNELS)])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--detectors", default="windowed_pca,ar1,tfdpm")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--device", default="cpu", help="of networks: cpu, cuda or auto")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    log = simulated(args.rows)
    for name in args.detectors.split(","):
        append(
            "detection_speed.csv", {"detector": name, "rows": args.rows} | measure(name, log, args)
        )


def measure(name: str, log: pd.DataFrame, args: argparse.Namespace) -> dict[str, object]:
    """Fit, score and follow."""
    begun = time.perf_counter()
    detector = build(name, args.device).fit(log)
    fitted = time.perf_counter()
    detector.decision_function(log)
    scored = time.perf_counter()
    taken = []
    for i in range(args.updates):
        row = log.iloc[i].to_numpy()
        before = time.perf_counter()
        detector.update(row, log.index[i])
        taken.append(time.perf_counter() - before)
    return {
        "device": args.device, "fit_s": fitted - begun, "rows_per_s": len(log) / (scored - fitted),
        "update_ms": 1000 * float(np.median(taken)),
        "update_p99_ms": 1000 * float(np.quantile(taken, 0.99)),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }  # fmt: skip


def build(name: str, device: str) -> Detector:
    """A detector; networks on the device, and trained briefly."""
    if name != "tfdpm":
        return detectors.build(name)
    return TFDPMDetector(estimator=TFDPMEstimator(1, max_epochs=1, verbose=False, device=device))


if __name__ == "__main__":
    main()
