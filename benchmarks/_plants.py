"""Logs of plants for benchmarks/detection.py, from the folder that TSGEN_DATA names."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsgen.data.plant import PlantData, PlantLog, load_plant


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
    return _plants("batadal")


def skab() -> list[Plant]:
    """Protocol (b): each of 34 runs learns from its first 400 rows; scores are pooled."""
    return _plants("skab")


def smd() -> list[Plant]:
    """Four server machines, each learns from its own training half."""
    return _plants("smd")


def tep() -> list[Plant]:
    """Tennessee Eastman process: 500 normal rows, 22 runs of which 21 faulty, scores pooled."""
    return _plants("tep")


def smap() -> list[Plant]:
    """SMAP: 54 streams of telemetry with commands, each learns from its own part."""
    return [plant for plant in _plants("smap", targets=False) if plant.test.labels.any()]


def msl() -> list[Plant]:
    """MSL: 27 streams of telemetry with commands, each learns from its own part."""
    return [plant for plant in _plants("msl", targets=False) if plant.test.labels.any()]


plants: dict[str, Callable[[], list[Plant]]] = {
    "batadal": batadal, "skab": skab, "smd": smd, "tep": tep, "smap": smap, "msl": msl
}  # fmt: skip

AVERAGED = ("smd", "smap", "msl")
"""Whose sites are judged one by one; of others, scores are pooled."""


def _plants(name: str, targets: bool = True) -> list[Plant]:
    if os.environ.get("TSGEN_DATA") is None:
        raise SystemExit("TSGEN_DATA names no folder with the data; see datasets/README.md")
    plants = []
    for site in load_plant(name).sites():
        (train,) = site.train
        check = _labelled(site, site.check, targets) if site.check else None
        plants.append(Plant(train.frame, _labelled(site, site.test, targets), check))
    return plants


def _labelled(site: PlantData, logs: list[PlantLog], targets: bool) -> Labelled:
    labels = [log.labels for log in logs if log.labels is not None]
    targets_of_events = None
    if targets and site.attacks is not None:
        tags = list(logs[0].tags)
        events = pd.concat([site.attacks_in(log.name) for log in logs])
        targets_of_events = [[tags.index(tag) for tag in event] for event in events["targets"]]
    return Labelled([log.frame for log in logs], np.concatenate(labels), targets_of_events)
