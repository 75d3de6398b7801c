"""Loader of HAI, the HIL-based augmented ICS, in its four published forms."""

import re
from pathlib import Path

import numpy as np

from tsgen.data.plant.cards import log_card
from tsgen.data.plant.labels import find_label
from tsgen.data.plant.read import read_log, read_logs
from tsgen.data.plant.sets import PlantData, folder_of, numbered_files, possible_file
from tsgen.data.tables import read_table

_FILE = r"(?:hai-)?{}(\d+)\.csv(?:\.gz)?"


def load_hai(
    folder: str | Path | None = None, *, version: str | None = None, every: str | None = None
) -> PlantData:
    """HAI: a boiler (tags ``P1_``), turbine (``P2_``), water treatment (``P3_``) and simulator.

    Its runs are the files, train1, train2, ... and test1, test2, ... The form is told by what is
    there: labels in a column ``attack`` or ``Attack``, or in files of their own (23.05). Labels
    of single processes (20.07, 21.03) are left out.

    Args:
        folder: with the files of one version, or with a folder of it, as ``hai-22.04``;
            ``TSGEN_DATA/anomaly/hai`` if not given.
        version: "20.07", "21.03", "22.04" or "23.05"; needed if the folder holds several.
        every: down-sample, as "10s".

    Raises:
        MissingData: if it is not there.
        ValueError: if a file is not as expected, or there are several versions.
    """
    card = log_card("hai")
    where = _version(folder_of(card, folder), version)
    parts = {part: numbered_files(where, _FILE.format(part)) for part in ("train", "test")}
    for part, files in parts.items():
        if not files:
            raise card.missing(f"no file {part}1.csv or hai-{part}1.csv (or .csv.gz) in {where}")
    train = read_logs(parts["train"], every=every)
    test = []
    for path in parts["test"]:
        number = re.findall(r"\d+", path.name)[0]
        apart = possible_file(where, f"label-test{number}.csv")
        labels = None if apart is None else _labels(apart)
        test.append(read_log(path, like=train[0], every=every, labels=labels))
        if test[-1].labels is None:
            raise ValueError(
                f"{path}: it has no column attack, and there is no file label-test{number}.csv"
            )
    return PlantData("hai", train, test, card=card)


def _labels(path: Path) -> np.ndarray:
    """Labels in a file of their own, one a row."""
    frame, _ = read_table(path)
    label = find_label(list(frame.columns))
    if label is None:
        raise ValueError(f"{path}: there is no column label; it has {', '.join(frame.columns)}")
    return frame[label].to_numpy()


def _version(folder: Path, version: str | None) -> Path:
    """The folder with the files."""
    inner = sorted(p for p in folder.iterdir() if p.is_dir() and p.name.lower().startswith("hai-"))
    if version is not None:
        folders = [path for path in inner if path.name.lower() == f"hai-{version}"]
        if not folders:
            raise ValueError(f"version={version!r}: there is no folder hai-{version} in {folder}")
        return folders[0]
    if numbered_files(folder, _FILE.format("test")) or not inner:
        return folder
    if len(inner) > 1:
        names = ", ".join(path.name.lower().removeprefix("hai-") for path in inner)
        raise ValueError(f"{folder}: it holds several versions, {names}; expected version=")
    return inner[0]
