"""The contract of estimators."""

import inspect
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from gluonts.core.serde import dump_json, load_json

from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.saving import load
from tsgen.testing.common import check_raises


def _entries(
    dims: int, lengths: tuple[int, ...], horizon: int, covariates: bool, missing: bool
) -> list[dict]:
    rng = np.random.default_rng(0)
    entries = []
    for i, length in enumerate(lengths):
        target = 10 + rng.normal(size=(dims, length)) + 3 * np.sin(np.arange(length) / 4)
        if missing:
            target[rng.random(target.shape) < 0.2] = np.nan
        entry = {"start": pd.Period("2021-03-01", freq="h"), "item_id": f"s{i}"}
        entry["target"] = target if dims > 1 else target[0]
        if covariates:
            entry["feat_dynamic_real"] = rng.normal(size=(2, length + horizon))
            entry["past_feat_dynamic_real"] = rng.normal(size=(1, length))
            entry["feat_static_real"] = rng.normal(size=2)
            entry["feat_static_cat"] = [i % 3]
        entries.append(entry)
    return entries


def check_estimator(estimator_class: Callable[..., GenerativeEstimator], **options: Any) -> None:
    """Check the contract of :class:`~tsgen.GenerativeEstimator` by training for a few batches.

    Data are 1-D and 2-D, whole and with gaps, with every kind of covariate and none, shorter than
    the context.

    Args:
        estimator_class: called with ``prediction_length`` and the options.
        **options: given to the estimator; training is made short unless they say otherwise.

    Raises:
        AssertionError: naming what is violated.
    """
    horizon = 4
    quick = {
        "context_length": 6, "max_epochs": 2, "num_batches_per_epoch": 3, "batch_size": 64,
        "verbose": False, "lags_seq": (1, 5), "num_parallel_samples": 7, "device": "cpu",
    }  # fmt: skip
    takes = inspect.signature(estimator_class).parameters  # some families set context and lags
    quick = {option: value for option, value in quick.items() if option in takes}
    estimator = estimator_class(horizon, **{**quick, **options})
    name = type(estimator).__name__
    assert load_json(dump_json(estimator)) == estimator, f"{name}: JSON does not restore it"
    check_raises(
        ValueError, lambda: estimator_class(horizon, no_such_option=1), f"{name}: an unknown option"
    )
    before = sorted(os.listdir("."))

    def samples(predictor: Any, data: list[dict], **kwargs: Any) -> np.ndarray:
        return np.stack([f.samples for f in predictor.predict(data, seed=5, **kwargs)])

    for dims in (1, 3):
        for covariates, missing in ((False, False), (True, True)):
            case = f"{name}: C={dims}, covariates={covariates}, missing={missing}"
            data = _entries(dims, (60, 50), horizon, covariates, missing)
            predictor = estimator.train(data, validation_data=data, seed=2)
            tail = (horizon,) if dims == 1 else (horizon, dims)
            short = _entries(dims, (2, 60), horizon, covariates, False)
            drawn = samples(predictor, short)
            assert drawn.shape == (2, 7, *tail), f"{case}: samples {drawn.shape}"
            assert np.isfinite(drawn).all(), f"{case}: samples are not finite"
            forecast = next(iter(predictor.predict(short)))
            assert forecast.start_date == short[0]["start"] + 2 and forecast.item_id == "s0", case
            for count in (3, 11):
                assert samples(predictor, short, num_samples=count).shape[1] == count, (
                    f"{case}: num_samples={count}"
                )
            with tempfile.TemporaryDirectory() as folder:
                predictor.serialize(Path(folder) / "model")
                again = load(Path(folder) / "model", device="cpu")
            assert again == predictor, f"{case}: loading gives another predictor"
            assert (samples(again, short) == drawn).all(), (
                f"{case}: a loaded predictor samples otherwise"
            )
            assert len(again.history) == 2 and "val_loss" in again.history[0], (
                f"{case}: history {again.history}"
            )
    state = torch.get_rng_state()
    repeated = estimator.train(data, validation_data=data, seed=2)
    assert (samples(repeated, short) == drawn).all(), (
        f"{name}: training twice under a seed gives two models"
    )
    onward = estimator.train_from(predictor, data, seed=3)
    assert not (samples(onward, short) == drawn).all(), f"{name}: train_from changes nothing"
    assert torch.equal(torch.get_rng_state(), state), (
        f"{name}: a seeded training moves the global generator"
    )
    assert sorted(os.listdir(".")) == before, (
        f"{name}: something was written to the working directory"
    )
