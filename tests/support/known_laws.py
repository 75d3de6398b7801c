"""Draws of the known laws, and how exactly they tell a law's moments."""

from functools import lru_cache

import numpy as np

from tsgen.data.synthetic import laws

HISTORY, HORIZON, SERIES = 30, 4, 2000
Z = 5


def estimates(sample):
    """Mean and variance of each column of (N, ...) and their standard errors."""
    mean, variance = sample.mean(0), sample.var(0, ddof=1)
    fourth = ((sample - mean) ** 4).mean(0)
    errors = np.sqrt(variance / len(sample)), np.sqrt((fourth - variance**2) / len(sample))
    return mean, variance, *errors


@lru_cache
def held_out(name):
    """Independent histories (N, C, T) and what followed, (N, C, H)."""
    series = laws[name].simulate(SERIES, HISTORY + HORIZON, np.random.default_rng(1))
    return series[..., :HISTORY], series[..., HISTORY:]
