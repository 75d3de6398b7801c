"""Baselines by name, and series for them."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from tsgen.estimators.registry import baselines

PACKAGES = {"var": "statsmodels", "ets": "statsmodels", "garch": "arch"}
SIMPLE = [name for name in baselines if name not in PACKAGES]


def needs(package):
    absent = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(absent, reason=f"needs {package}, of the extra baselines")


EVERY = [pytest.param(n, marks=needs(PACKAGES[n])) if n in PACKAGES else n for n in baselines]


def entry(y, freq="h", start="2021-01-01"):
    return {"start": pd.Period(start, freq=freq), "target": y, "item_id": "a", "info": {"of": 1}}


def only(estimator, y, freq="h", **kwargs):
    (forecast,) = estimator.train([entry(y, freq)]).predict([entry(y, freq)], **kwargs)
    return forecast


def wave(length, channels=1, noise=0.1, seed=0):
    """A daily and a weekly wave with noise, (C, T)."""
    t, rng = np.arange(length), np.random.default_rng(seed)
    day, week = np.sin(t / 24 * 2 * np.pi), np.sin(t / 168 * 2 * np.pi)
    return 5 + day + 0.5 * week + noise * rng.standard_normal((channels, length))
