"""Loaders of SWaT and WADI, which iTrust gives on request."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tsgen.data.plant.cards import log_card
from tsgen.data.plant.kinds import Kind
from tsgen.data.plant.log import PlantLog
from tsgen.data.plant.read import read_log, with_kinds
from tsgen.data.plant.sets import PlantData, attack_table, find_file, folder_of, possible_file

_PREFIX = "\\\\WIN-25J4RO10SBF\\LOG_DATA\\SUTD_WADI\\LOG_DATA\\"
_ACTUATORS: Mapping[str, Kind] = {"MV": "discrete", "P": "binary", "UV": "binary"}


def load_swat(
    folder: str | Path | None = None,
    *,
    warm_up: int | str = 21_600,
    every: str | None = None,
    attacks: pd.DataFrame | None = None,
) -> PlantData:
    """SWaT (A1 and A2, December 2015): a water treatment plant, 7 normal days and 4 with attacks.

    Actuators have kinds by their names (MV discrete, P and UV binary), since many never move in the
    normal days. Label "A ttack" is an attack.

    Args:
        folder: with ``SWaT_Dataset_Normal_v1`` (else ``_v0``) and ``SWaT_Dataset_Attack_v0``, as
            ``.csv``, ``.csv.gz`` or ``.xlsx``; ``TSGEN_DATA/anomaly/swat`` if not given.
        warm_up: rows left out at the start of the normal days, while the plant fills (or a time).
        every: down-sample, as "10s".
        attacks: a table with ``start`` and ``end`` in place of the labels, whose edges are off by
            tens of seconds.

    Raises:
        MissingData: if it is not there.
        ValueError: if a file is not as expected.
    """
    card = log_card("swat")
    where = folder_of(card, folder)
    names = [f"SWaT_Dataset_Normal_{v}.{end}" for v in ("v1", "v0") for end in ("csv", "xlsx")]
    path = find_file(card, where, *names)
    train = read_log(path, time="Timestamp", warm_up=warm_up, every=every)
    matches = {tag: re.fullmatch(r"(MV|P|UV)\d+", tag) for tag in train.tags}
    train = with_kinds(
        train, {tag: _ACTUATORS[m[1]] for tag, m in matches.items() if m is not None}
    )
    path = find_file(card, where, "SWaT_Dataset_Attack_v0.csv", "SWaT_Dataset_Attack_v0.xlsx")
    test = read_log(path, time="Timestamp", every=every, like=train, labels=attacks)
    _require_labels(test, "Normal/Attack")
    return PlantData("swat", [train], [test], attacks=_table(test, attacks), card=card)


def load_wadi(
    folder: str | Path | None = None,
    *,
    version: Literal["a1", "a2"] | None = None,
    every: str | None = None,
    attacks: pd.DataFrame | None = None,
) -> PlantData:
    """WADI: a water distribution network, 14 normal days and 2 with attacks.

    Columns that are empty in the normal days (four) are left out. Of A2's labels 1 is normal and -1
    an attack; A1 has none, its test log has labels only with ``attacks``.

    Args:
        folder: with ``WADI_14days`` and ``WADI_attackdata`` of A1 (October 2017), or
            ``WADI_14days_new`` and ``WADI_attackdataLABLE`` of A2 (November 2019), as ``.csv`` or
            ``.csv.gz``; ``TSGEN_DATA/anomaly/wadi`` if not given.
        version: which one, needed if both are there.
        every: down-sample, as "10s".
        attacks: a table with ``start`` and ``end``, as iTrust's document has for A1.

    Raises:
        MissingData: if it is not there.
        ValueError: if a file is not as expected, or both versions are there.
    """
    if version not in (None, "a1", "a2"):
        raise ValueError(f"version={version!r}; expected 'a1' or 'a2'")
    card = log_card("wadi")
    where = folder_of(card, folder)
    names = {"a1": "WADI_14days.csv", "a2": "WADI_14days_new.csv"}
    if version is None:
        here = [v for v, name in names.items() if possible_file(where, name) is not None]
        if len(here) == 2:
            raise ValueError(f"{where}: A1 and A2 are both here; expected version='a1' or 'a2'")
        version = "a1" if here == ["a1"] else "a2"
    path = find_file(card, where, names[version])
    written: dict[str, Any] = {
        "time": ("Date", "Time"),
        "dayfirst": False,
        "prefix": _PREFIX,
        "every": every,
    }
    train = read_log(path, drop=["Row"], drop_empty=True, label=False, **written)
    other = "WADI_attackdata.csv" if version == "a1" else "WADI_attackdataLABLE.csv"
    path = find_file(card, where, other)
    test = read_log(path, like=train, normal=1, labels=attacks, **written)
    if version == "a2":
        _require_labels(test, "Attack LABLE (1:No Attack, -1:Attack)")
    return PlantData("wadi", [train], [test], attacks=_table(test, attacks), card=card)


def _require_labels(log: PlantLog, column: str) -> None:
    """A test log without labels is of no use.

    Raises:
        ValueError: naming the file and the column.
    """
    if log.labels is None:
        raise ValueError(f"{log.summary.source}: there is no column {column!r}; expected labels")


def _table(log: PlantLog, attacks: pd.DataFrame | None) -> pd.DataFrame | None:
    """A user's table of attacks in the form of :class:`PlantData`'s."""
    if attacks is None:
        return None
    start, end = pd.to_datetime(attacks["start"]), pd.to_datetime(attacks["end"])
    return attack_table([(log.name, a, b, (), "") for a, b in zip(start, end, strict=True)])
