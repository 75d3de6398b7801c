"""Panels of series that several tests forecast."""

import numpy as np
import pandas as pd


def counted(count=30, length=120):
    """Series of whole numbers from 1 up, that have nothing to do with each other."""
    rng = np.random.default_rng(0)
    start = pd.Period("2021-01-01", freq="h")
    return [
        {"start": start, "target": 1 + rng.poisson(3, length).astype(float), "item_id": str(i)}
        for i in range(count)
    ]
