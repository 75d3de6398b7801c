"""Loaders of BATADAL, SKAB, TEP, SMD, SMAP and MSL, in the form in which they are kept.

Each set is a folder of ``csv.gz``; see its card.
"""

import json
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tsgen.data.plant.cards import log_card
from tsgen.data.plant.log import PlantLog
from tsgen.data.plant.read import read_log
from tsgen.data.plant.sets import (
    PlantData,
    attack_table,
    find_file,
    folder_of,
    numbered_files,
    read_frame,
)


def load_batadal(folder: str | Path | None = None) -> PlantData:
    """C-Town's water network: a year to learn from, dataset04 to check, attacks 8 to 14 as test.

    The targets of an attack on a level are its tag, of one on a pump its status and flow.

    Args:
        folder: with ``train_dataset03``, ``dataset04``, ``test`` (``.csv`` or ``.csv.gz``) and
            ``attacks.csv``; ``TSGEN_DATA/anomaly/batadal`` if not given.

    Raises:
        MissingData: if it is not there.
        ValueError: if a file is not as expected.
    """
    card = log_card("batadal")
    where = folder_of(card, folder)
    train = read_log(find_file(card, where, "train_dataset03.csv"), label=False)
    check = read_log(
        find_file(card, where, "dataset04.csv"), like=train, label="label", drop=["label_disclosed"]
    )
    test = read_log(find_file(card, where, "test.csv"), like=train, label="label")
    table = read_frame(card, where, "attacks.csv", "file", "target").astype(str).to_dict("records")
    rows = []
    for row in table:
        target = row["target"]
        tags = (target,) if target in train.tags else (f"S_{target}", f"F_{target}")
        start, end = pd.Timestamp(row["start"]), pd.Timestamp(row["end"])
        rows.append((row["file"], start, end, tags, row["description"]))
    return PlantData("batadal", [train], [test], [check], attack_table(rows), card)


def load_skab(folder: str | Path | None = None, *, first: int = 400) -> PlantData:
    """A loop of water with a pump: 34 runs with one fault each.

    Args:
        folder: with ``test_experiments`` and ``train_anomaly_free``; ``TSGEN_DATA/anomaly/skab`` if
            not given.
        first: rows of each run to learn from, the rest of it being its test; 0 to learn from the
            run without faults, for all.

    Raises:
        MissingData: if it is not there.
        ValueError: if a file is not as expected, or a run is not longer than ``first``.
    """
    card = log_card("skab")
    where = folder_of(card, folder)
    rows = read_frame(card, where, "test_experiments.csv", "experiment", "label")
    train: list[PlantLog] = []
    test: list[PlantLog] = []
    if first == 0:
        path = find_file(card, where, "train_anomaly_free.csv")
        train.append(read_log(path, name="anomaly_free"))
    for name, run in rows.groupby("experiment", sort=False):
        options: dict[str, Any] = {"drop": ["experiment", "changepoint"], "name": str(name)}
        if not first:
            test.append(read_log(run, label="label", like=train[0], **options))
            continue
        if len(run) <= first:
            raise ValueError(f"skab: run {name} has {len(run)} rows; expected more than {first}")
        train.append(read_log(run.iloc[:first], label="label", **options))
        rest = run.iloc[first:]
        test.append(read_log(rest, label="label", like=train[-1], **options))
    return PlantData("skab", train, test, card=card)


def load_tep(folder: str | Path | None = None) -> PlantData:
    """Tennessee Eastman process, simulated: 500 normal rows, and 22 runs of which 21 are faulty.

    Args:
        folder: with ``train_normal`` and ``test``; ``TSGEN_DATA/anomaly/tep`` if not given.

    Raises:
        MissingData: if it is not there.
        ValueError: if a file is not as expected.
    """
    card = log_card("tep")
    where = folder_of(card, folder)
    path = find_file(card, where, "train_normal.csv")
    train = read_log(path, time=False, drop=["run"], name="d00")
    rows = read_frame(card, where, "test.csv", "fault", "label")
    test = [
        read_log(run, time=False, drop=["fault"], like=train, name=f"d{fault:02d}_te")
        for fault, run in rows.groupby("fault", sort=False)
    ]
    return PlantData("tep", [train], test, card=card)


def load_smd(folder: str | Path | None = None) -> PlantData:
    """Server machines, each of which is learnt apart; see :meth:`PlantData.sites`.

    Args:
        folder: with ``machine-A-B_train`` and ``machine-A-B_test`` of each machine and
            ``interpretation.json``; ``TSGEN_DATA/anomaly/smd`` if not given.

    Raises:
        MissingData: if it is not there.
        ValueError: if a file is not as expected.
    """
    card = log_card("smd")
    where = folder_of(card, folder)
    parts = numbered_files(where, r"machine-(\d+)-\d+_train\.csv(?:\.gz)?")
    if not parts:
        raise card.missing(f"no file machine-1-1_train.csv or the like in {where}")
    causes = json.loads(find_file(card, where, "interpretation.json").read_text())
    train, test, attacks = [], [], []
    for path in parts:
        name = path.name.split("_")[0]
        train.append(read_log(path, time=False, name=name))
        other = find_file(card, where, f"{name}_test.csv")
        test.append(read_log(other, time=False, like=train[-1], label="label", name=name))
        for event in causes.get(name, []):
            targets = tuple(train[-1].tags[dim - 1] for dim in event["dims"])
            last = event["end"] - 1  # the file names the row after it, whatever is said of it
            attacks.append((name, event["start"], last, targets, ""))
    return PlantData("smd", train, test, attacks=attack_table(attacks), card=card)


def load_smap_msl(
    folder: str | Path | None = None, *, spacecraft: Literal["smap", "msl"] = "smap"
) -> PlantData:
    """Telemetry of a spacecraft with commands; each stream is learnt apart.

    Args:
        folder: with ``smap_train``, ``smap_test`` (or ``msl_...``) and ``labeled_anomalies.csv``;
            ``TSGEN_DATA/anomaly/smap_msl`` if not given.
        spacecraft: which one.

    Raises:
        MissingData: if it is not there.
        ValueError: if a file is not as expected.
    """
    if spacecraft not in ("smap", "msl"):
        raise ValueError(f"spacecraft={spacecraft!r}; expected 'smap' or 'msl'")
    card = log_card(spacecraft)
    where = folder_of(card, folder)
    parts = {
        part: dict(
            list(read_frame(card, where, f"{spacecraft}_{part}.csv", "channel").groupby("channel"))
        )
        for part in ("train", "test")
    }
    train, test = [], []
    for name, rows in parts["train"].items():
        train.append(read_log(rows, time=False, drop=["channel"], name=str(name)))
        rest, own = parts["test"][name], str(name)
        test.append(read_log(rest, time=False, drop=["channel"], like=train[-1], name=own))
    table = read_frame(card, where, "labeled_anomalies.csv").astype(str)
    attacks = []
    for row in table[table["spacecraft"].str.lower() == spacecraft].to_dict("records"):
        kinds = str(row["class"]).strip("[]").split(", ")
        edges = json.loads(str(row["anomaly_sequences"]))
        for (first, last), kind in zip(edges, kinds, strict=True):
            attacks.append((row["chan_id"], first, last, ("telemetry",), kind))
    return PlantData(spacecraft, train, test, attacks=attack_table(attacks), card=card)
