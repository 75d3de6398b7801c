"""Logs of a small plant, and the fastest detector of them."""

import numpy as np
import pandas as pd

FAST = ["--detector", "var"]


def plant(start, rows, seed, attacks=()):
    """Two levels that follow a pump, a flow that is their sum, every ten minutes."""
    rng = np.random.default_rng(seed)
    times = pd.date_range(start, periods=rows, freq="10min")
    pump = (np.arange(rows) // 18 % 2).astype(float)
    level = np.zeros((rows, 2))
    for i in range(1, rows):
        level[i] = (
            0.9 * level[i - 1] + pump[i - 1] * np.array([0.4, 0.2]) + 0.05 * rng.normal(size=2)
        )
    frame = pd.DataFrame(level, times, columns=["L1", "L2"]).rename_axis("time")
    frame["F"] = frame["L1"] + frame["L2"] + 0.05 * rng.normal(size=rows)
    frame["P"] = pump
    for first, last in attacks:
        frame.loc[first:last, "L2"] += 1.5
    return frame
