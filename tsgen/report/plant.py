"""The operator's report: what a detector found in a log."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsgen.anomaly import Detector, Scored
from tsgen.circumstances import circumstances
from tsgen.report.alarms import plot_alarm, plot_channels, plot_rates, plot_timeline
from tsgen.report.page import Page
from tsgen.report.plant_tables import quality, summary

CARRIERS = 3
"""Channels named for an alarm."""
_LISTED = 200  # alarms in the table
_NAMES = {
    "auc_pr": "AUC-PR",
    "vus_pr": "VUS-PR",
    "event_recall": "attacks found",
    "event_precision": "alarms that are right",
    "range_f1": "range F1",
    "affiliation_f1": "affiliation F1",
    "delay_h": "median delay, h",
    "delay_rows": "median delay, rows",
    "false_alarms_per_day": "false alarms a day",
    "rc_top3": "RC-top-3",
}


def write_plant_report(
    path: str | Path,
    detector: Detector,
    frame: pd.DataFrame,
    scored: Scored,
    *,
    title: str,
    about: str = "",
    labels: np.ndarray | None = None,
    targets: Sequence[Sequence[str]] | None = None,
    reference: Detector | None = None,
    drawn: int = 8,
    notes: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write one HTML page that needs nothing else.

    It has the score over time, the channels, alarms a day and floods, each alarm with the channels
    that carry it and where they were expected, and of a labelled log the figures by which detectors
    are compared, beside a random score and a flag on all rows.

    Args:
        path: of the page; folders are made as needed.
        detector: fitted.
        frame: the log, (T, C).
        scored: ``detector.scored(frame)``.
        title: heading.
        about: a sentence on the data.
        labels: 1 inside attacks, (T,).
        targets: of each attack, the channels that were attacked.
        reference: a simple detector, fitted on the same data, for the table of a labelled log.
        drawn: alarms that are drawn, those of the highest scores.
        notes: lines on how the log was read.
        settings: what else to tell about the detector.

    Returns:
        The path.

    Raises:
        ValueError: for labels of other rows.
    """
    if labels is not None and np.shape(labels) != (len(frame),):
        raise ValueError(f"labels have shape {np.shape(labels)}; expected ({len(frame)},)")
    page = Page(title, about)
    page.terms(summary(detector, frame, scored))
    page.figure(
        plot_timeline(scored, detector.threshold_, labels),
        "The score of each row; higher is stranger. Alarms begin at the threshold.",
        "score over time with threshold and alarms",
    )
    if labels is not None:
        _quality(page, detector, frame, scored, labels, targets, reference)
    page.heading("Channels")
    page.figure(
        plot_channels(scored, detector.names_),
        "How much stranger than usual each channel was: 1 is what it was in training.",
        "heat map of channels over time",
    )
    _alarms(page, detector, frame, scored, labels, drawn)
    page.heading("How this was made")
    lines = {"detector": repr(detector), **(settings or {})}
    lines |= {"log": "; ".join(notes)} if notes else {}
    page.terms({name: str(value) for name, value in (lines | circumstances()).items()})
    return page.write(path)


def _quality(
    page: Page,
    detector: Detector,
    frame: pd.DataFrame,
    scored: Scored,
    labels: np.ndarray,
    targets: Sequence[Sequence[str]] | None,
    reference: Detector | None,
) -> None:
    page.heading("Against the labels")
    if not labels.any() or labels.all():
        page.text("The labels are all alike: there is nothing to compare with.")
        return
    table = quality(detector, frame, scored, labels, targets, reference, type(detector).__name__)
    columns = [key for key in _NAMES if key in table]
    rows = [
        {"": str(name), **{_NAMES[key]: row[key] for key in columns}}
        for name, row in table.iterrows()
    ]
    page.table(rows)
    page.text(
        f"{labels.mean():.2%} of the rows are attacks: a score that knows nothing has that AUC-PR. "
        "No figure here adjusts points: an attack counts as found if a row of it lies in an alarm, "
        "and an alarm outside attacks is false."
    )


def _alarms(
    page: Page,
    detector: Detector,
    frame: pd.DataFrame,
    scored: Scored,
    labels: np.ndarray | None,
    drawn: int,
) -> None:
    page.heading("Alarms")
    alarms = scored.alarms
    if not len(alarms):
        page.text("No alarm was raised.")
        return
    if isinstance(scored.index, pd.DatetimeIndex):
        calibration = detector.calibration_
        page.figure(
            plot_rates(alarms, scored.index, None if calibration is None else calibration.asked),
            "Alarms raised on each day.",
        )
    rows = [
        {
            "raised": str(alarm["raised"]), "until": str(alarm["end"]), "score": alarm["score"],
            "by its threshold": alarm["score"] / detector.threshold_, "p": alarm["p_value"],
            "carried by": carriers(alarm["channels"]),
        }
        for _, alarm in alarms.head(_LISTED).iterrows()
    ]  # fmt: skip
    page.table(rows)
    if len(alarms) > _LISTED:
        page.text(f"The first {_LISTED} of {len(alarms):,} alarms are listed.")
    page.text(
        "p: probability that a stretch of normal rows has such an alarm. Shares: of how much "
        "stranger than usual the channels were, from the alarm's start to its end."
    )
    chosen = _chosen(alarms, drawn)
    if len(chosen) < len(alarms):
        page.text(
            f"Drawn are {len(chosen)} alarms of high scores, first one of each leading channel."
        )
    for number in chosen:
        _draw(page, detector, frame, scored, alarms.iloc[number], labels)


def _chosen(alarms: pd.DataFrame, count: int) -> list[int]:
    """Numbers of the alarms to draw: of each leading channel the strangest first."""
    table = pd.DataFrame(
        {
            "score": -alarms["score"].to_numpy(),
            "leader": [next(iter(shares)) for shares in alarms["channels"]],
        }
    ).sort_values("score", kind="stable")
    table["turn"] = table.groupby("leader").cumcount()
    return sorted(table.sort_values(["turn", "score"], kind="stable").index[:count].tolist())


def _draw(
    page: Page,
    detector: Detector,
    frame: pd.DataFrame,
    scored: Scored,
    alarm: Any,
    labels: np.ndarray | None,
) -> None:
    first, last = scored.index.get_indexer(pd.Index([alarm["start"], alarm["end"]])).tolist()
    length = last - first + 1
    margin = max(12, min(length, 200))
    stop = min(last + margin, first + 400, len(frame))
    start = max(0, first - margin)
    before = min(start, detector.reach + 1)
    low, high = detector.expected(frame.iloc[start - before : stop])
    shares = dict(list(alarm["channels"].items())[:CARRIERS])
    page.heading(f"{alarm['raised']}: {carriers(alarm['channels'])}", 3)
    page.figure(
        plot_alarm(
            frame.iloc[start:stop], (low[before:], high[before:]), alarm, shares,
            None if labels is None else labels[start:stop],
        ),
        f"Score {alarm['score']:.4g} at {alarm['peak']}, {length} rows.",
    )  # fmt: skip


def carriers(channels: Mapping[str, float]) -> str:
    """The leading channels of an alarm and their shares, as text."""
    return ", ".join(f"{name} {part:.0%}" for name, part in list(channels.items())[:CARRIERS])
