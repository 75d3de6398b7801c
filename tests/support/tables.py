"""Tables that several tests read."""

import numpy as np
import pandas as pd


def wide(length=48, columns=("north", "south"), freq="h"):
    rng = np.random.default_rng(0)
    index = pd.date_range("2024-01-01", periods=length, freq=freq)
    return pd.DataFrame(rng.normal(size=(length, len(columns))), index, list(columns))


def stamped(stamps):
    """Times as they are written, and a number in each row."""
    return pd.DataFrame({"time": list(stamps), "a": np.arange(float(len(stamps)))})


def long(length=30):
    frames = [
        wide(length + 5 * i, ["load"]).assign(
            store=name, size=1.5 + i, kind="big" if i else "small"
        )
        for i, name in enumerate(["x", "y", "z"])
    ]
    return pd.concat(frames).rename_axis("when").reset_index()


def table(length=24 * 60, columns=("north", "south")):
    """Hours with a daily wave and noise."""
    hours = pd.date_range("2024-01-01", periods=length, freq="h")
    noise = np.random.default_rng(0).normal(size=(length, len(columns)))
    day = np.sin(2 * np.pi * hours.hour / 24)
    values = {name: 20 + 5 * (i + 1) * day + noise[:, i] for i, name in enumerate(columns)}
    return pd.DataFrame(values, hours).rename_axis("time")
