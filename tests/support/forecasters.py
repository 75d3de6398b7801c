"""Untrained forecasters and the windows of their data."""

import dataclasses

import numpy as np
import pandas as pd
import torch

from tsgen import GaussianEstimator
from tsgen.core import seeded
from tsgen.forecasting.assemble import assemble
from tsgen.forecasting.assemble import build as build_network
from tsgen.forecasting.data.grid import GridWindows
from tsgen.forecasting.data.spec import infer_spec

H, L = 4, 6


def series(count=2, length=60, missing=0.2, dims=3, positive=False):
    rng = np.random.default_rng(0)
    data = []
    for i in range(count):
        target = 10 + rng.normal(size=(dims, length))
        target = np.abs(target) if positive else target
        target[rng.random(target.shape) < missing] = np.nan
        data.append(
            {
                "start": pd.Period("2021-03-01", freq="h"),
                "item_id": i,
                "target": target,
                "feat_dynamic_real": rng.normal(size=(2, length + H)),
                "feat_static_cat": [i],
                "past_feat_dynamic_real": rng.normal(size=(1, length)),
                "feat_static_real": rng.normal(size=1),
            }  # fmt: skip
        )
    return data


def build(data, estimator=GaussianEstimator, **options):
    """An untrained forecaster and the windows of its data."""
    estimator = estimator(
        H, **{"context_length": L, "lags_seq": (1, 3), "verbose": False, **options}
    )
    spec = infer_spec(data, H, estimator.support)
    assembly = assemble(spec, estimator)
    entries = list(assembly.transformation.apply(data, is_train=True))
    with seeded(0):
        width = len(spec.tau) * (
            1
            if estimator.scaling in ("mean", "anchored")
            else 2
            if estimator.scaling != "none"
            else 0
        )
        statistics = ((0.0,) * width, (1.0,) * width) if spec.is_panel else ((), ())
        layout = assembly.layout.replace(
            statistics_mean=statistics[0], statistics_std=statistics[1]
        )
        forecaster = build_network(dataclasses.replace(assembly, layout=layout), estimator)
        for name, p in forecaster.named_parameters():
            if "output" in name:  # so that the denoiser does not start at zero
                torch.nn.init.normal_(p, std=0.1)
    return forecaster.eval(), GridWindows(entries, assembly.shape)
