"""Detectors on logs with known attacks.

    python benchmarks/detection.py --data batadal --detectors pca,tfdpm --seeds 3

Each learns from normal rows and scores the rest; rows go to benchmarks/results/detection.csv.
AUC-PR is scikit-learn's average precision of the pooled scores (of smd's machines, the mean),
``auc_pr_check`` that of the log for choosing settings. A random score and a score that is the same
for all rows (everything flagged) are printed first: an AUC-PR is read against them. On BATADAL,
``rc_top3`` is the share of the 14 attacks of which a target is among the three channels with the
largest scores over the attack; alarms are those of the threshold for ``--budget`` false alarms a
day, calibrated on the rows of dataset04 outside attacks, on the test log: how many of its attacks
have one, after how long (median), and how many alarms a day of normal time touch none.
"""

import argparse
import os
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from _plants import Plant, plants
from _record import append
from sklearn.metrics import average_precision_score, roc_auc_score

from tsgen.anomaly.detector import Detector
from tsgen.anomaly.registry import detectors
from tsgen.estimators.options import read_options


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=list(plants), nargs="+", default=["batadal"])
    parser.add_argument("--detectors", default=",".join(detectors), help="names, joined by commas")
    parser.add_argument("--seeds", type=int, default=1, help="of detectors that are drawn")
    parser.add_argument("--budget", type=float, default=0.1, help="false alarms a day")
    parser.add_argument("--set", action="append", default=[], help="detector.option=value")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    options: dict[str, dict[str, Any]] = {}
    for text in args.set:
        name, _, setting = text.partition(".")
        options.setdefault(name, {}).update(read_options([setting]))
    for data in args.data:
        sites = plants[data]()
        labels = np.concatenate([site.labels for site in sites])
        random = np.mean(
            [
                average_precision_score(labels, np.random.default_rng(i).random(len(labels)))
                for i in range(20)
            ]
        )
        for name, value in (("random", random), ("everything flagged", labels.mean())):
            append("detection.csv", {"dataset": data, "detector": name, "auc_pr": float(value)})
        if data == "batadal":
            score = ((sites[0].test - sites[0].train.mean()) / sites[0].train.std()).abs()
            raw = {"dataset": data, "detector": "raw signal |z|", "rc_top3": hits(sites[0], None)}
            append("detection.csv", raw | {"auc_pr": ranked(labels, score.mean(axis=1).to_numpy())})
        for name in args.detectors.split(","):
            drawn = hasattr(detectors.build(name), "seed")
            for seed in range(args.seeds if drawn else 1):
                given = options.get(name, {}) | ({"seed": seed} if drawn else {})
                append("detection.csv", measure(data, sites, name, seed, given, args.budget))


def measure(
    data: str, sites: list[Plant], name: str, seed: int, given: dict[str, Any], budget: float
) -> dict[str, Any]:
    """Fit a detector of each site and score its test log."""
    scores, checks, fitting, scoring = [], [], 0.0, 0.0
    row: dict[str, Any] = {}
    for site in sites:
        detector = detectors.build(name, **given)
        begun = time.perf_counter()
        detector.fit(site.train)
        fitted = time.perf_counter()
        scores.append(detector.decision_function(site.test))
        scoring += time.perf_counter() - fitted
        fitting += fitted - begun
        if site.check is not None and site.check_labels is not None:
            checks.append(ranked(site.check_labels, detector.decision_function(site.check)))
            row |= alarms(detector, site, budget) | {"rc_top3": hits(site, detector)}
    labels = np.concatenate([site.labels for site in sites])
    pooled = np.concatenate(scores)
    overall = together(sites, scores) if data == "smd" else ranked(labels, pooled)
    settings = " ".join(f"{k}={v}" for k, v in given.items() if k != "seed")
    return {
        "dataset": data, "detector": name, "options": settings, "seed": seed,
        "auc_pr": overall, "auc_pr_check": float(np.mean(checks)) if checks else "",
        "auc_roc": float(roc_auc_score(labels, np.nan_to_num(pooled))), **row,
        "fit_s": fitting, "rows_per_s": len(pooled) / scoring,
    }  # fmt: skip


def together(sites: list[Plant], scores: list[np.ndarray]) -> float:
    """Mean AUC-PR of sites that are machines of their own."""
    found = [ranked(site.labels, score) for site, score in zip(sites, scores, strict=True)]
    return float(np.mean(found))


def ranked(labels: np.ndarray, scores: np.ndarray) -> float:
    """AUC-PR; rows without a score come last."""
    lowest = float(np.nanmin(scores))
    return float(average_precision_score(labels, np.nan_to_num(scores, nan=lowest)))


def hits(site: Plant, detector: Detector | None) -> float:
    """Share of attacks of which a target is among the three channels with the largest scores."""
    assert site.check is not None
    found = []
    for log in (site.check, site.test):
        if detector is None:
            channels = ((log - site.train.mean()) / site.train.std().replace(0, 1)).abs().to_numpy()
        else:
            channels = detector.score_channels(log)
        for start, end, targets in site.events:
            inside = (log.index >= start) & (log.index <= end)
            if inside.any():
                mean = np.nanmean(channels[inside], axis=0)
                top = [log.columns[i] for i in np.argsort(-mean)[:3]]
                found.append(bool(set(top) & set(targets)))
    return float(np.mean(found))


def alarms(detector: Detector, site: Plant, budget: float) -> dict[str, float]:
    """What an operator hears of the test log at a threshold set on normal rows of the check log."""
    assert site.check is not None and site.check_labels is not None
    edges = np.flatnonzero(np.diff(site.check_labels)) + 1
    normal = [
        part for part, on in zip(
            np.split(site.check, edges), np.split(site.check_labels, edges), strict=True
        ) if not on.any() and len(part) > detector.reach + 1
    ]  # fmt: skip
    detector.calibrate(normal, false_alarms_per_day=budget)
    events = detector.detect(site.test)
    attacks = [e for e in site.events if e[0] >= site.test.index[0]]
    delays, false = [], 0
    for start, end, _ in attacks:
        touching = events[(events["end"] >= start) & (events["raised"] <= end)]
        if len(touching):
            first = max(touching["raised"].min(), start)
            delays.append((first - start) / pd.Timedelta("1h"))
    for alarm_start, alarm_end in zip(events["start"], events["end"], strict=True):
        false += not any(alarm_end >= start and alarm_start <= end for start, end, _ in attacks)
    days = float((site.labels == 0).sum()) * (detector.period_ or 0) / 86400
    return {
        "budget": budget, "event_recall": len(delays) / len(attacks),
        "delay_h": float(np.median(delays)) if delays else float("nan"),
        "false_alarms_per_day": false / days,
    }  # fmt: skip


if __name__ == "__main__":
    main()
