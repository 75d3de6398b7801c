"""Detectors on a water plant that is simulated and attacked.

    python benchmarks/plant.py --seeds 3

The plant is that of ``tsgen.plant`` (EPANET, and controllers that read what is reported). Of each
seed, one run without a break: 425 days, of which .7 are learnt from and .3 (the ends of five
pieces) set the threshold for ``--budget`` false alarms a day; a quiet year in which false alarms
are counted (a season has fewer or more); and 60 days with an attack a day, biases of .5 to 2
deviations of the channel, overrides of pumps, and so on (``random_attacks``). Alarms within three
hours of each other are one. Rows go to benchmarks/results/plant.csv; a random score comes first.
The interval of the quiet year's alarms is Poisson's, 95 %, about what was asked for.
"""

import argparse
import itertools
import os
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from _record import append, named_options
from scipy.stats import poisson

from tsgen.anomaly import AlarmPolicy, Detector, ForecastDetector, Readout, hold_out, metrics
from tsgen.anomaly.registry import detectors
from tsgen.estimators import TempFlowEstimator
from tsgen.plant import PlantRun, random_attacks, simulate_plant

NORMAL, QUIET, ATTACKED = 425, 365, 60
HELD = 0.3
MERGED = 18  # rows
DETECTORS = "tfdpm,windowed_pca,pca,ar1,mahalanobis,lowrank,realnvp"


class Parts(NamedTuple):
    """A run of the plant, divided in time."""

    normal: pd.DataFrame
    quiet: pd.DataFrame
    attacked: pd.DataFrame
    labels: np.ndarray
    """Of the rows of ``attacked``."""
    targets: list[list[int]]
    """Channels that carry each event."""
    run: PlantRun


def simulate(seed: int, step: str = "10min", network: str = "Net3", quiet: int = QUIET) -> Parts:
    """A plant that is left in peace and then attacked once a day."""
    days = NORMAL + quiet + ATTACKED
    normal = simulate_plant(days, network=network, seed=seed, step=step)
    attacks = random_attacks(normal, ATTACKED, seed=seed, lead_days=NORMAL + quiet)
    run = simulate_plant(days, network=network, seed=seed, step=step, attacks=attacks)
    starts = np.cumsum([0, NORMAL, quiet, ATTACKED])
    edges = run.frame.index.searchsorted(run.frame.index[0] + pd.to_timedelta(starts, unit="D"))
    before, quiet_days, attacked = (
        run.frame.iloc[a:b] for a, b in itertools.pairwise(edges.tolist())
    )
    labels = run.labels.loc[attacked.index].to_numpy()
    return Parts(before, quiet_days, attacked, labels, run.targets, run)


def build(
    name: str, seed: int, options: dict[str, Any] | None = None, epochs: int | None = None
) -> Detector:
    """A detector by name; alarms within three hours of each other are one."""
    if name == "realnvp":
        flow = TempFlowEstimator(1, flow="realnvp", context_length=24, verbose=False)
        detector: Detector = ForecastDetector(estimator=flow, readout=Readout(smooth=6))
    else:
        detector = detectors.build(name, **(options or {}))
    detector = detector.replace(policy=AlarmPolicy(merge_gap=MERGED))
    if isinstance(detector, ForecastDetector):
        detector = detector.replace(seed=seed)
        if epochs is not None:
            detector = detector.replace(
                estimator=detector.inner_estimator.replace(max_epochs=epochs)
            )
    return detector


def measure(detector: Detector, parts: Parts, budget: float) -> dict[str, float]:
    """Fit, set the threshold, and score."""
    learn, held = hold_out([parts.normal], HELD)
    detector.fit(learn)
    detector.calibrate(held, false_alarms_per_day=budget)
    scored = detector.scored(parts.attacked)
    row = metrics.measures(
        parts.labels, scored.scores, scored.flagged, rows_per_day=86400 / (detector.period_ or 1),
        channels=scored.attribution, targets=parts.targets,
    )  # fmt: skip
    alarms = len(detector.detect(parts.quiet))
    days = len(parts.quiet) * (detector.period_ or 1) / 86400
    low, high = poisson.interval(0.95, budget * days)
    return row | {"quiet_alarms": alarms, "quiet_low": low, "quiet_high": high}


def random_row(parts: Parts) -> dict[str, float]:
    """The mean of twenty scores that know nothing, which flag as many rows as are attacked."""
    rows = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores, noise = rng.random(len(parts.labels)), rng.random(parts.attacked.shape)
        rows.append(
            metrics.measures(parts.labels, scores, channels=noise, targets=parts.targets)
        )  # fmt: skip
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--detectors", default=DETECTORS, help="names, joined by commas")
    parser.add_argument("--seeds", type=int, default=3, help="plants, and trainings of detectors")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--budget", type=float, default=1.0, help="false alarms a day")
    parser.add_argument("--epochs", type=int, help="of networks; their own if not given")
    parser.add_argument("--network", default="Net3")
    parser.add_argument("--step", default="10min")
    parser.add_argument("--set", action="append", default=[], help="detector.option=value")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    options = named_options(args.set)
    for seed in range(args.first, args.first + args.seeds):
        parts = simulate(seed, args.step, args.network)
        about = {"network": args.network, "step": args.step, "seed": seed}
        append("plant.csv", about | {"detector": "random"} | random_row(parts))
        for name in args.detectors.split(","):
            chosen = options.get(name, {})
            detector = build(name, seed, chosen, args.epochs)
            text = " ".join(f"{k}={v}" for k, v in chosen.items())
            row = about | {"detector": name, "options": text, "budget": args.budget}
            row |= {} if args.epochs is None else {"epochs": args.epochs}
            append("plant.csv", row | measure(detector, parts, args.budget))


if __name__ == "__main__":
    main()
