"""Stays in intensive care, irregularly measured, as hourly means (PhysioNet challenge 2012)."""

import numpy as np
import pandas as pd

from tsgen.data.benchmarks import Benchmark
from tsgen.data.card import Card
from tsgen.data.entries import Entry
from tsgen.data.files import needed_file, reading

_HOURS = 48
_STATIC = ("Age", "Gender", "Height", "ICUType")


def load(card: Card) -> Benchmark:
    """One series a stay, (C, 48) hours from admission, NaN where nothing was measured in an hour.

    Several values of an hour are averaged. Of the stays in order of their number every fifth is a
    test series, whose second day is to be forecast from its first. Static numbers are age and
    height, a height unknown being the training stays' median; static classes are gender (0 unknown,
    1 female, 2 male), type of unit (0 to 3) and whether the height is known.

    Raises:
        MissingData: if the file is not here.
        ValueError: if it cannot be read.
    """
    assert card.physionet is not None
    path = needed_file(card, card.physionet.file)
    with reading(card, path):
        frame = pd.read_csv(path, dtype={"parameter": "category"})
        stays, stay = np.unique(frame["record_id"].to_numpy(), return_inverse=True)
        value, hour = frame["value"].to_numpy(float), frame["minute"].to_numpy() // 60
        kinds, kind = list(frame["parameter"].cat.categories), frame["parameter"].cat.codes
        static = {name: np.full(len(stays), -1.0) for name in _STATIC}
        for name in _STATIC:
            rows = (kind == kinds.index(name)).to_numpy()
            static[name][stay[rows]] = value[rows]
        if (static["Age"] < 0).any() or (static["ICUType"] < 1).any():
            raise ValueError("a stay lacks Age or ICUType")
    names = [name for name in kinds if name not in (*_STATIC, "RecordID")]
    place = np.array([names.index(k) if k in names else -1 for k in kinds])[kind]
    # a weight of 0 or less says that it is not known
    used = (place >= 0) & ~((kind == kinds.index("Weight")).to_numpy() & (value <= 0))
    # minute 2880, the very end, belongs to the last hour
    cell = (stay * len(names) + place) * _HOURS + np.minimum(hour, _HOURS - 1)
    size = len(stays) * len(names) * _HOURS
    number = np.bincount(cell[used], minlength=size)
    with np.errstate(invalid="ignore"):
        means = np.bincount(cell[used], value[used], minlength=size) / number
    target = means.reshape(len(stays), len(names), _HOURS)

    held_out = np.arange(len(stays)) % 5 == 4
    tall = static["Height"] > 0
    height = np.where(tall, static["Height"], np.median(static["Height"][tall & ~held_out]))
    start = pd.Period("2000-01-01 00:00", freq=card.freq)
    entries: list[Entry] = [
        {
            "start": start,
            "item_id": str(stays[i]),
            "target": target[i],
            "feat_static_real": np.array([static["Age"][i], height[i]]),
            "feat_static_cat": np.array(
                [static["Gender"][i] + 1, static["ICUType"][i] - 1, tall[i]], dtype=np.int64
            ),
        }
        for i in range(len(stays))
    ]
    return Benchmark(
        card.name,
        card.freq,
        card.prediction_length,
        [entry for entry, test in zip(entries, held_out, strict=True) if not test],
        [entry for entry, test in zip(entries, held_out, strict=True) if test],
        names,
    )
