"""Logs of plants for benchmarks/detection.py, from the folder that TSGEN_DATA names."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass
class Plant:
    """A log to learn from and logs to find attacks in.

    Args:
        train: normal rows.
        test: rows to score.
        labels: 1 inside attacks, of ``test``.
        check: rows for choosing settings and the threshold, or ``None``.
        check_labels: of ``check``.
        events: start, end and target channels of the attacks in ``check`` and ``test``.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    labels: np.ndarray
    check: pd.DataFrame | None = None
    check_labels: np.ndarray | None = None
    events: list[tuple[pd.Timestamp, pd.Timestamp, list[str]]] = field(default_factory=list)


def batadal() -> list[Plant]:
    """C-Town: a year to learn from, dataset04 for settings, attacks 8 to 14 as test."""
    train, check, test = (
        pd.read_csv(_folder("batadal") / f"{name}.csv.gz", index_col=0, parse_dates=True)
        for name in ("train_dataset03", "dataset04", "test")
    )
    channels = [name for name in train if not str(name).startswith("label")]
    attacks = pd.read_csv(_folder("batadal") / "attacks.csv", parse_dates=["start", "end"])

    def tags(target: str) -> list[str]:
        """A level is one tag; of a pump status, flow and, by its pipe, no pressure are tagged."""
        return [target] if target.startswith("L_") else [f"S_{target}", f"F_{target}"]

    events = [(row["start"], row["end"], tags(row["target"])) for _, row in attacks.iterrows()]
    labels = [frame["label"].to_numpy() for frame in (test, check)]
    return [Plant(train[channels], test[channels], labels[0], check[channels], labels[1], events)]


def skab() -> list[Plant]:
    """Protocol (b): each of 34 runs learns from its first 400 rows; scores are pooled."""
    path = _folder("skab") / "test_experiments.csv.gz"
    rows = pd.read_csv(path, parse_dates=["datetime"])
    plants = []
    for _, run in rows.groupby("experiment", sort=False):
        log = run.set_index("datetime").drop(columns=["experiment", "label", "changepoint"])
        plants.append(Plant(log.iloc[:400], log.iloc[400:], run["label"].to_numpy()[400:]))
    return plants


def smd() -> list[Plant]:
    """Four server machines, each learns from its own training half."""
    plants = []
    for name in ("1-6", "1-7", "2-1", "2-2"):
        files = (_folder("smd") / f"machine-{name}_{part}.csv.gz" for part in ("train", "test"))
        train, test = map(pd.read_csv, files)
        channels = [c for c in train if c not in ("label", "timestamp", "row")]
        plants.append(Plant(train[channels], test[channels], test["label"].to_numpy()))
    return plants


def tep() -> list[Plant]:
    """Tennessee Eastman process: 500 normal rows, 22 faulty runs, scores pooled."""
    train = pd.read_csv(_folder("tep") / "train_normal.csv.gz")
    test = pd.read_csv(_folder("tep") / "test.csv.gz")
    channels = [c for c in train if str(c).startswith("XM")]
    return [Plant(train[channels], test[channels], test["label"].to_numpy())]


plants: dict[str, Callable[[], list[Plant]]] = {
    "batadal": batadal, "skab": skab, "smd": smd, "tep": tep
}  # fmt: skip


def _folder(name: str) -> Path:
    root = os.environ.get("TSGEN_DATA")
    if root is None:
        raise SystemExit("TSGEN_DATA names no folder with the data; see datasets/README.md")
    return Path(root) / "anomaly" / name
