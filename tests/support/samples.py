"""Samples and truths, also in the forms that GluonTS's evaluators take."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from gluonts.model.forecast import SampleForecast

W, S, H, C = 4, 30, 5, 3
START = pd.Period("2021-01-01", freq="h")
HISTORY = 60


def made(seed=0, missing=False, shape=(W, S, H, C)):
    rng = np.random.default_rng(seed)
    samples = rng.normal(10, 3, shape)
    truth = rng.normal(10, 3, (shape[0], *shape[2:]))
    if missing:
        truth[rng.random(truth.shape) < 0.2] = np.nan
    return samples, truth


def histories(channels=C, windows=W):
    return np.random.default_rng(1).normal(10, 1, (windows, channels, HISTORY))


def as_forecasts(samples):
    return [SampleForecast(samples=s, start_date=START + HISTORY) for s in samples]


def as_frames(truth):
    """History and truth of each window as a frame (time, channels)."""
    index = pd.period_range(START, periods=HISTORY + truth.shape[1], freq="h")
    pasts = histories(truth.shape[2], len(truth))
    return [
        pd.DataFrame(np.concatenate([past.T, y]), index=index)
        for past, y in zip(pasts, truth, strict=True)
    ]


def as_test_data(truth):
    """What gluonts.model.evaluation wants."""
    pasts = histories(truth.shape[2], len(truth))
    inputs = [{"start": START, "target": past} for past in pasts]
    labels = [{"start": START + HISTORY, "target": y.T} for y in truth]
    return SimpleNamespace(input=inputs, label=labels)
