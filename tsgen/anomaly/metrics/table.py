"""The table by which detectors are compared, never without what costs nothing."""

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsgen.anomaly.baselines import PCADetector
from tsgen.anomaly.budget import calibrate_threshold
from tsgen.anomaly.detector import Detector
from tsgen.anomaly.events import find_events, flags
from tsgen.anomaly.log import Data, read_runs
from tsgen.anomaly.metrics import affiliation, attribution, events, legacy, ranges, ranking
from tsgen.anomaly.metrics.segments import segments

Flagged = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""Scores (T,), flags (T,) and channels (T, C), if it has any."""


def measures(
    labels: np.ndarray,
    scores: np.ndarray,
    predicted: np.ndarray | None = None,
    *,
    rows_per_day: float | None = None,
    channels: np.ndarray | None = None,
    targets: Sequence[Collection[int]] | None = None,
    window: int = 100,
    boundaries: Iterable[int] = (),
    legacy_figures: bool = False,
) -> dict[str, float]:
    """All figures of one detector.

    Args:
        labels: 1 for anomalous rows, (T,).
        scores: (T,), higher is stranger; NaN where there is none.
        predicted: 1 for flagged rows, (T,), at a threshold that was not chosen by these labels;
            without it, only figures of the ranking are given.
        rows_per_day: for false alarms a day, and for the median delay in hours; without it, false
            alarms are left out and the delay is in rows.
        channels: scores (T, C), for attribution, such as those of ``Detector.attribution``.
        targets: of each event of the labels, the numbers of the channels that were attacked.
        window: of VUS-PR.
        boundaries: rows at which another run starts.
        legacy_figures: whether PA-F1 and PA%20-F1 are added.

    Returns:
        auc_pr, auc_roc, vus_pr; event_recall, event_precision, event_f1, range_f1 (flat, alpha 0),
        affiliation_f1, delay_h or delay_rows (median of the events found, NaN if none is),
        false_alarms_per_day; rc_top3, hit_rate; pa_f1, pa20_f1.
    """
    edges = list(boundaries)
    row = {
        "auc_pr": ranking.auc_pr(labels, scores),
        "auc_roc": ranking.auc_roc(labels, scores),
        "vus_pr": ranking.vus_pr(labels, scores, window=window, boundaries=edges),
    }
    if predicted is not None:
        row["event_recall"] = events.event_recall(labels, predicted, edges)
        row["event_precision"] = events.event_precision(labels, predicted, edges)
        row["event_f1"] = events.event_f1(labels, predicted, edges)
        row["range_f1"] = ranges.range_f1(labels, predicted, boundaries=edges)
        row["affiliation_f1"] = affiliation.affiliation_f1(labels, predicted, edges)
        delays = events.detection_delays(labels, predicted, edges)
        delay = (
            float(np.median(delays[~np.isnan(delays)])) if not np.isnan(delays).all() else np.nan
        )
        if rows_per_day is None:
            row["delay_rows"] = delay
        else:
            row["delay_h"] = delay * 24 / rows_per_day
            row["false_alarms_per_day"] = events.false_alarms_per_day(
                labels, predicted, rows_per_day=rows_per_day, boundaries=edges
            )
    if channels is not None and targets is not None:
        attacks = segments(labels, edges)
        row["rc_top3"] = attribution.rc_top_k(
            channels, attacks, targets, min(3, np.shape(channels)[1])
        )
        row["hit_rate"] = attribution.hit_rate(channels, attacks, targets)
    if legacy_figures and predicted is not None:
        row["pa_f1"] = legacy.pa_f1(labels, predicted, edges)
        row["pa20_f1"] = legacy.pa_k_f1(labels, predicted, 20, edges)
    return row


def plain_pca() -> PCADetector:
    """The detector that others are measured against.

    Components for 90 % of the variance of single rows, mean squared residual.
    """
    return PCADetector(window=1, components=0.9)


def metric_table(
    detectors: Mapping[str, Detector],
    test: Data,
    labels: np.ndarray,
    *,
    train: Data | None = None,
    pca: Detector | None = None,
    normal: Data | None = None,
    false_alarms_per_day: float | None = None,
    rows_per_day: float | None = None,
    targets: Sequence[Collection[str]] | None = None,
    window: int = 100,
    legacy_figures: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Figures of detectors on a labelled log, beside a random score, a flag on all rows, and PCA.

    Args:
        detectors: by name, fitted on ``train``.
        test: the log, or a list of runs.
        labels: 1 for anomalous rows, (T,), of all runs one after the other.
        train: what the detectors learnt from; the row "pca" learns from it too (:func:`plain_pca`).
        pca: that detector, if it has learnt already; then without ``train``.
        normal: normal data, not learnt from, on which the thresholds for this table are set;
            without it they are the detectors' own (a random score's is its .999 quantile).
        false_alarms_per_day: the budget for that; needed with ``normal``.
        rows_per_day: where the data have no times.
        targets: of each event, the names of the channels that were attacked.
        window: of VUS-PR.
        legacy_figures: whether PA-F1 and PA%20-F1 are added.
        seed: of the random score.

    Returns:
        A row per detector, the three references first; columns as in :func:`measures`.

    Raises:
        ValueError: for data that cannot be read, labels of other rows, unknown targets, or a budget
            without normal data or the other way round.
    """
    if (train is None) == (pca is None):
        raise ValueError("expected either train, for the row of PCA to learn from, or pca")
    if (normal is None) != (false_alarms_per_day is None):
        raise ValueError("normal and false_alarms_per_day belong together: give both or neither")
    taken = {"random", "everything flagged", "pca"} & set(detectors)
    if taken:
        raise ValueError(f"the name {sorted(taken)[0]!r} is that of a reference; choose another")
    pca = plain_pca().fit(train) if pca is None else pca
    runs = read_runs(test, pca.names_)
    length = sum(len(run.values) for run in runs)
    if np.shape(labels) != (length,):
        raise ValueError(f"labels have shape {np.shape(labels)}; expected ({length},)")
    if rows_per_day is None and pca.period_:
        rows_per_day = 86400 / pca.period_
    options: dict[str, Any] = {
        "rows_per_day": rows_per_day, "window": window, "legacy_figures": legacy_figures,
        "boundaries": np.cumsum([len(run.values) for run in runs])[:-1].tolist(),
        "targets": None if targets is None else [_numbers(names, pca.names_) for names in targets],
    }  # fmt: skip
    compared = {"pca": pca, **detectors}
    rng = np.random.default_rng(seed)
    random, threshold = rng.random(length), 0.999
    if normal is not None and false_alarms_per_day is not None:
        if rows_per_day is None:
            raise ValueError("rows_per_day is needed: the training data have no times")
        count = sum(len(run.values) for run in read_runs(normal, pca.names_))
        threshold = calibrate_threshold(
            rng.random(count), false_alarms_per_day=false_alarms_per_day, rows_per_day=rows_per_day
        ).threshold
        for name, detector in compared.items():
            compared[name] = copy.copy(detector)  # whose own threshold and stream stay as they are
            compared[name].calibrate(
                normal, false_alarms_per_day=false_alarms_per_day, rows_per_day=rows_per_day
            )
    noise = rng.random((length, len(pca.names_)))
    by_detector: dict[str, Flagged] = {"random": (random, random >= threshold, noise)}
    for name, detector in compared.items():
        channels = detector.score_channels(test)
        scores = detector.readout.total(channels)
        alarms = find_events(
            scores, detector.threshold_, detector.policy, boundaries=options["boundaries"]
        )
        relative = channels / detector.readout.usual(detector.moments_)
        by_detector[name] = (scores, flags(alarms, length), relative)
    return compare(labels, by_detector, **options)


def compare(labels: np.ndarray, by_detector: Mapping[str, Flagged], **options: Any) -> pd.DataFrame:
    """Figures of scores that are there already, beside a flag on all rows.

    Args:
        labels: 1 for anomalous rows, (T,).
        by_detector: by name, scores (T,), flags (T,), and channels (T, C) or ``None``.
        **options: of :func:`measures`.

    Returns:
        A row for each, "everything flagged" after the first.
    """
    length = len(labels)
    everything: Flagged = (np.zeros(length), np.ones(length, dtype=int), None)
    first, *others = by_detector.items()
    rows = {
        name: measures(labels, scores, flagged, channels=channels, **options)
        for name, (scores, flagged, channels) in (
            first, ("everything flagged", everything), *others
        )
    }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def _numbers(names: Collection[str], channels: Sequence[str]) -> list[int]:
    unknown = [name for name in names if name not in channels]
    if unknown:
        raise ValueError(f"target {unknown[0]!r} is no channel; expected some of {list(channels)}")
    return [channels.index(name) for name in names]
