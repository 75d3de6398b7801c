"""Detectors on logs with known attacks.

    python benchmarks/detection.py --data batadal --detectors pca,tfdpm --seeds 3

Each learns from normal rows and scores the rest; rows go to benchmarks/results/detection.csv with
the figures of ``tsgen.anomaly.metrics.measures`` (VUS-PR: window of 100 rows, step integration). A
random score (mean of 20), a flag on all rows, and plain PCA always come first: the rest is read
against them. Scores of several sites are pooled; of smd's machines and the spacecrafts' streams,
figures are averaged. Alarms are those of the threshold for ``--budget`` false alarms a day,
calibrated on the normal rows of the log for choosing settings (``auc_pr_check``, batadal only);
without one, of the .999 quantile of the scores of normal rows that were not learnt from.
"""

import argparse
import os
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from _plants import AVERAGED, Labelled, Plant, plants
from _record import append, named_options

from tsgen.anomaly import Detector, ForecastDetector, IsolationForestDetector, metrics
from tsgen.anomaly.registry import detectors


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=list(plants), nargs="+", default=["batadal"])
    parser.add_argument("--detectors", default=",".join(detectors), help="names, joined by commas")
    parser.add_argument("--seeds", type=int, default=1, help="of detectors that are drawn")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--budget", type=float, default=0.1, help="false alarms a day")
    parser.add_argument("--epochs", type=int, help="of networks; the detectors' own if not given")
    parser.add_argument("--set", action="append", default=[], help="detector.option=value")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    options = named_options(args.set)
    wanted = ["pca", *(name for name in args.detectors.split(",") if name != "pca")]
    for data in args.data:
        sites = plants[data]()
        references(data, sites)
        for name in wanted:
            drawn = hasattr(detectors.build(name), "seed")
            for seed in range(args.first, args.first + args.seeds if drawn else args.first + 1):
                chosen = options.get(name, {}) | ({"seed": seed} if drawn else {})
                detector = detectors.build(name, **chosen)
                if args.epochs is not None and isinstance(detector, ForecastDetector):
                    detector = detector.replace(
                        estimator=detector.inner_estimator.replace(max_epochs=args.epochs)
                    )
                    chosen |= {"epochs": args.epochs}
                row = {
                    "dataset": data,
                    "detector": name,
                    "options": described(chosen),
                    "seed": seed,
                }
                append("detection.csv", row | measure(data, sites, detector, args.budget))


def references(data: str, sites: list[Plant]) -> None:
    """What costs nothing: a random score, a flag on everything, and how far channels are off."""
    random = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        random.append(figures(data, sites, [rng.random(len(s.test.labels)) for s in sites]))
    mean = {name: float(np.mean([row[name] for row in random])) for name in random[0]}
    append("detection.csv", {"dataset": data, "detector": "random"} | mean)
    flat = [np.zeros(len(site.test.labels)) for site in sites]
    ones = [np.ones(len(site.test.labels), dtype=int) for site in sites]
    row = figures(data, sites, flat, ones)
    append("detection.csv", {"dataset": data, "detector": "everything flagged"} | row)
    raw, checks = [], []
    for site in sites:
        raw.append(deviations(site, site.test))
        checks.append(None if site.check is None else deviations(site, site.check))
    row = figures(data, sites, [scores.mean(axis=1) for scores in raw])
    row |= attribution(sites, raw, checks)
    append("detection.csv", {"dataset": data, "detector": "mean |z|"} | row)


def deviations(site: Plant, log: Labelled) -> np.ndarray:
    """How many of the training's deviations each channel is off its mean, (T, C)."""
    scale = site.train.std().replace(0, 1)
    return ((pd.concat(log.runs) - site.train.mean()) / scale).abs().to_numpy()


def described(options: dict[str, Any]) -> str:
    """Options as text."""
    return " ".join(f"{k}={v}" for k, v in options.items() if k != "seed")


def measure(data: str, sites: list[Plant], detector: Detector, budget: float) -> dict[str, Any]:
    """Fit the detector on each site and score its test log."""
    scores, flagged, channels, checks = [], [], [], []
    checked: list[np.ndarray | None] = []
    fitting = scoring = 0.0
    period = None
    for site in sites:
        begun = time.perf_counter()
        detector.fit(site.train)
        fitted = time.perf_counter()
        scores.append(detector.decision_function(site.test.runs))
        scoring += time.perf_counter() - fitted
        fitting += fitted - begun
        channels.append(detector.attribution(site.test.runs))
        checked.append(None if site.check is None else detector.attribution(site.check.runs))
        if site.check is not None:
            check_scores = detector.decision_function(site.check.runs)
            checks.append(metrics.auc_pr(site.check.labels, check_scores))
            detector.calibrate(normal_parts(detector, site.check), false_alarms_per_day=budget)
        flagged.append(detector.predict(site.test.runs))
        period = detector.period_
    rows_per_day = None if period is None else 86400 / period
    row: dict[str, Any] = figures(data, sites, scores, flagged, rows_per_day)
    tells = not isinstance(detector, IsolationForestDetector) or detector.attribute
    row |= attribution(sites, channels, checked) if tells else {}
    row |= {"auc_pr_check": float(np.mean(checks)), "budget": budget} if checks else {}
    total = sum(len(score) for score in scores)
    return row | {"fit_s": fitting, "rows_per_s": total / scoring}


def figures(
    data: str,
    sites: list[Plant],
    scores: list[np.ndarray],
    flagged: list[np.ndarray] | None = None,
    rows_per_day: float | None = None,
) -> dict[str, float]:
    """Metrics of all sites together, or their mean."""
    predicted: list[Any] = [None] * len(sites) if flagged is None else flagged
    if data in AVERAGED:
        rows = [
            metrics.measures(site.test.labels, score, flags, rows_per_day=rows_per_day)
            for site, score, flags in zip(sites, scores, predicted, strict=True)
        ]
        return {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}
    runs = [run for site in sites for run in site.test.runs]
    return metrics.measures(
        np.concatenate([site.test.labels for site in sites]), np.concatenate(scores),
        None if flagged is None else np.concatenate(flagged), rows_per_day=rows_per_day,
        boundaries=np.cumsum([len(run) for run in runs])[:-1].tolist(),
    )  # fmt: skip


def attribution(
    sites: list[Plant], channels: list[np.ndarray], checked: list[Any]
) -> dict[str, float]:
    """Of all attacks with known targets, those of the check log included."""
    top, rates, counts = [], [], []
    for site, of_test, of_check in zip(sites, channels, checked, strict=True):
        for log, shares in ((site.test, of_test), (site.check, of_check)):
            if log is None or log.targets is None:
                continue
            events = metrics.segments(log.labels, log.boundaries)
            top.append(metrics.rc_top_k(shares, events, log.targets, 3))
            rates.append(metrics.hit_rate(shares, events, log.targets))
            counts.append(len(events))
    if not counts:
        return {}
    return {
        "rc_top3": float(np.average(top, weights=counts)),
        "hit_rate": float(np.average(rates, weights=counts)),
    }


def normal_parts(detector: Detector, check: Labelled) -> list[pd.DataFrame]:
    """The stretches of a log between attacks that are long enough to be scored."""
    edges = np.flatnonzero(np.diff(check.labels)) + 1
    log = check.runs[0]
    starts, stops = [0, *edges], [*edges, len(log)]
    parts = [log.iloc[a:b] for a, b in zip(starts, stops, strict=True) if not check.labels[a]]
    return [part for part in parts if len(part) > detector.reach + 1]


if __name__ == "__main__":
    main()
