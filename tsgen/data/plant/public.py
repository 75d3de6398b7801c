"""Loaders of PUMP and PSM, which anyone can download."""

from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tsgen.data.plant.cards import log_card
from tsgen.data.plant.read import read_log
from tsgen.data.plant.sets import PlantData, find_file, folder_of, possible_file, read_frame


def load_pump(folder: str | Path | None = None, *, train_share: float = 0.35) -> PlantData:
    """PUMP: sensors of a water pump that broke seven times in five months.

    Either Kaggle's ``sensor.csv``, whose first rows are learnt from, without those that are not
    NORMAL, and whose others are the test (all but NORMAL are labelled); or NSIBF's ``PUMP_train``
    and ``PUMP_test``. The empty sensor is left out. As NSIBF does, the last quarter of the rows to
    learn from may serve to set thresholds.

    Args:
        folder: with one of them as ``.csv`` or ``.csv.gz``; ``TSGEN_DATA/anomaly/pump`` if not
            given.
        train_share: of the rows of ``sensor.csv``, to learn from; NSIBF has 0.35.

    Raises:
        MissingData: if it is not there.
        ValueError: if a file is not as expected.
    """
    if not 0 < train_share < 1:
        raise ValueError(f"train_share={train_share}; expected above 0 and below 1")
    card = log_card("pump")
    where = folder_of(card, folder)
    if possible_file(where, "PUMP_train.csv") is not None:
        path = find_file(card, where, "PUMP_train.csv")
        tags = [n for n in pd.read_csv(path, nrows=0).columns if n.strip().startswith("sensor")]
        timed = _has_times(path)
        train = read_log(path, like=[t.strip() for t in tags], label=False, time=timed)
        path = find_file(card, where, "PUMP_test.csv")
        test = read_log(path, like=train, label="label", time=_has_times(path))
        return PlantData("pump", [train], [test], card=card)
    path = find_file(card, where, "sensor.csv", "PUMP_train.csv")
    rows = read_frame(card, path.parent, path.name, "timestamp", "machine_status")
    cut = int(len(rows) * train_share)
    beginning = rows.iloc[:cut]
    normal = beginning["machine_status"] == "NORMAL"
    drop = [name for name in rows.columns if name.startswith("Unnamed")]
    written: dict[str, Any] = {"time": "timestamp", "label": "machine_status", "normal": "NORMAL"}
    train = read_log(beginning[normal], drop=drop, drop_empty=True, name="sensor", **written)
    test = read_log(rows.iloc[cut:], like=train, name="sensor_test", **written)
    return PlantData("pump", [train], [test], card=card)


def _has_times(path: Path) -> str | Literal[False]:
    """The column of times of a file of NSIBF's, or ``False``."""
    names = [name.strip() for name in pd.read_csv(path, nrows=0).columns]
    return "timestamp" if "timestamp" in names else False


def load_psm(folder: str | Path | None = None) -> PlantData:
    """PSM: pooled metrics of eBay's servers, 25 features a minute; rows are numbered.

    Args:
        folder: with ``train``, ``test`` and ``test_label`` (``.csv`` or ``.csv.gz``);
            ``TSGEN_DATA/anomaly/psm`` if not given.

    Raises:
        MissingData: if it is not there.
        ValueError: if a file is not as expected.
    """
    card = log_card("psm")
    where = folder_of(card, folder)
    minutes = ["timestamp_(min)"]
    train = read_log(find_file(card, where, "train.csv"), time=False, drop=minutes)
    truth = read_frame(card, where, "test_label.csv", "label")["label"].to_numpy()
    path = find_file(card, where, "test.csv")
    test = read_log(path, time=False, drop=minutes, like=train, labels=truth)
    return PlantData("psm", [train], [test], card=card)
