"""Logs of plants for benchmarks/detection.py, from the folder that TSGEN_DATA names."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass
class Labelled:
    """Rows with the truth about them.

    Args:
        runs: logs, one after the other.
        labels: 1 inside attacks, of all runs.
        targets: of each attack, the numbers of the channels that carry it, where that is known.
    """

    runs: list[pd.DataFrame]
    labels: np.ndarray
    targets: list[list[int]] | None = None

    @property
    def boundaries(self) -> list[int]:
        """Rows at which another run starts."""
        return np.cumsum([len(run) for run in self.runs])[:-1].tolist()


@dataclass
class Plant:
    """A log to learn from and logs to find attacks in.

    Args:
        train: normal rows.
        test: rows to score.
        check: rows for choosing settings and the threshold, or ``None``.
    """

    train: pd.DataFrame
    test: Labelled
    check: Labelled | None = None


def batadal() -> list[Plant]:
    """C-Town: a year to learn from, dataset04 for settings, attacks 8 to 14 as test."""
    train, check, test = (
        pd.read_csv(_folder("batadal") / f"{name}.csv.gz", index_col=0, parse_dates=True)
        for name in ("train_dataset03", "dataset04", "test")
    )
    channels = [name for name in train if not str(name).startswith("label")]
    attacks = pd.read_csv(_folder("batadal") / "attacks.csv", parse_dates=["start", "end"])

    def tags(target: str) -> list[int]:
        """A level is one tag; of a pump status, flow and, by its pipe, no pressure are tagged."""
        names = [target] if target.startswith("L_") else [f"S_{target}", f"F_{target}"]
        return [channels.index(name) for name in names]

    def labelled(log: pd.DataFrame) -> Labelled:
        inside = attacks[(attacks["start"] >= log.index[0]) & (attacks["end"] <= log.index[-1])]
        targets = [tags(target) for target in inside.sort_values("start")["target"]]
        return Labelled([log[channels]], log["label"].to_numpy(), targets)

    return [Plant(train[channels], labelled(test), labelled(check))]


def skab() -> list[Plant]:
    """Protocol (b): each of 34 runs learns from its first 400 rows; scores are pooled."""
    path = _folder("skab") / "test_experiments.csv.gz"
    rows = pd.read_csv(path, parse_dates=["datetime"])
    plants = []
    for _, run in rows.groupby("experiment", sort=False):
        log = run.set_index("datetime").drop(columns=["experiment", "label", "changepoint"])
        test = Labelled([log.iloc[400:]], run["label"].to_numpy()[400:])
        plants.append(Plant(log.iloc[:400], test))
    return plants


def smd() -> list[Plant]:
    """Four server machines, each learns from its own training half."""
    causes = json.loads((_folder("smd") / "interpretation.json").read_text())
    plants = []
    for name in ("1-6", "1-7", "2-1", "2-2"):
        files = (_folder("smd") / f"machine-{name}_{part}.csv.gz" for part in ("train", "test"))
        train, test = map(pd.read_csv, files)
        channels = [c for c in train if c not in ("label", "timestamp", "row")]
        targets = [[dim - 1 for dim in event["dims"]] for event in causes[f"machine-{name}"]]
        labelled = Labelled([test[channels]], test["label"].to_numpy(), targets)
        plants.append(Plant(train[channels], labelled))
    return plants


def tep() -> list[Plant]:
    """Tennessee Eastman process: 500 normal rows, 22 runs of which 21 faulty, scores pooled."""
    train = pd.read_csv(_folder("tep") / "train_normal.csv.gz")
    test = pd.read_csv(_folder("tep") / "test.csv.gz")
    channels = [c for c in train if str(c).startswith("XM")]
    runs = [run[channels].reset_index(drop=True) for _, run in test.groupby("fault", sort=False)]
    return [Plant(train[channels], Labelled(runs, test["label"].to_numpy()))]


def smap() -> list[Plant]:
    """SMAP: 54 streams of telemetry with commands, each learns from its own part."""
    return _spacecraft("smap")


def msl() -> list[Plant]:
    """MSL: 27 streams of telemetry with commands, each learns from its own part."""
    return _spacecraft("msl")


plants: dict[str, Callable[[], list[Plant]]] = {
    "batadal": batadal, "skab": skab, "smd": smd, "tep": tep, "smap": smap, "msl": msl
}  # fmt: skip

AVERAGED = ("smd", "smap", "msl")
"""Whose sites are judged one by one; of others, scores are pooled."""


def _spacecraft(name: str) -> list[Plant]:
    folder = _folder("smap_msl")
    train, test = (pd.read_csv(folder / f"{name}_{part}.csv.gz") for part in ("train", "test"))
    tests = dict(list(test.groupby("channel", sort=False)))
    columns = [c for c in train if c not in ("channel", "label")]
    return [
        Plant(part[columns], Labelled([tests[name][columns]], tests[name]["label"].to_numpy()))
        for name, part in train.groupby("channel", sort=False)
        if tests[name]["label"].any()
    ]


def _folder(name: str) -> Path:
    root = os.environ.get("TSGEN_DATA")
    if root is None:
        raise SystemExit("TSGEN_DATA names no folder with the data; see datasets/README.md")
    return Path(root) / "anomaly" / name
