"""A learnt schedule of few steps against the usual samplers, as a detector sees them.

    python benchmarks/detection_steps.py

TFDPM on BATADAL scores a row by the CRPS of samples. The schedule network and its search see the
training log only. AUC-PR on dataset04 and on the test log with 20 steps of DPM-Solver++ and of
DDIM, and at the number of steps that was found (at most a third) with all three.
"""

import argparse
import os
import time
import warnings

import torch
from _plants import batadal
from _record import append

from tsgen import TFDPMEstimator
from tsgen.anomaly import Readout, SampleScore, TFDPMDetector, metrics
from tsgen.diffusion import DDIM, DPMSolverPP


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--samples", type=int, default=32)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    (site,) = batadal()
    assert site.check is not None
    for seed in range(args.seeds):
        estimator = TFDPMEstimator(1, max_epochs=args.epochs, verbose=False)
        detector = TFDPMDetector(
            estimator=estimator, seed=seed, scorer=SampleScore("crps", args.samples),
            readout=Readout(smooth=8),
        ).fit(site.train)  # fmt: skip
        learnt = detector.learn_steps(site.train, most=6)
        few = len(learnt.levels)
        for name, sampler in {
            "DPM-Solver++": DPMSolverPP(20), "DDIM": DDIM(20), "learnt": learnt,
            "DDIM, few": DDIM(few), "DPM-Solver++, few": DPMSolverPP(few),
        }.items():  # fmt: skip
            detector.model_.use_sampler(sampler)
            begun = time.perf_counter()
            check, test = (
                metrics.auc_pr(log.labels, detector.decision_function(log.runs))
                for log in (site.check, site.test)
            )
            row = {"sampler": name, "steps": few if sampler.num_steps != 20 else 20, "seed": seed}
            row |= {"auc_pr_check": check, "auc_pr": test, "score_s": time.perf_counter() - begun}
            append("detection_steps.csv", row)


if __name__ == "__main__":
    main()
