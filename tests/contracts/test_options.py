"""Options of all estimators: how many there are, what is refused, what is warned of."""

import functools
import inspect

import numpy as np
import pandas as pd
import pytest

from tsgen import GaussianEstimator, TimeGradEstimator, Training
from tsgen.core import OptionError
from tsgen.diffusion import AnnealedLangevin, NoiseLadder
from tsgen.estimators import Given, NoisePrediction
from tsgen.estimators.options import read_options
from tsgen.estimators.registry import estimators
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.forecasting.foreign import REPLACED
from tsgen.nets import Residual


def family(name):
    part = estimators[name]
    return part.func if isinstance(part, functools.partial) else part


@pytest.mark.parametrize("name", estimators)
def test_no_estimator_has_more_than_27_options(name):
    assert len(inspect.signature(family(name).__init__).parameters) - 1 <= 27


FAMILIES = [name for name in estimators if issubclass(family(name), GenerativeEstimator)]


@pytest.mark.parametrize("name", FAMILIES)
def test_names_of_gluonts_and_pytorch_ts_are_answered(name):
    options = inspect.signature(family(name).__init__).parameters
    for option, answer in REPLACED.items():
        if option in options:
            continue
        with pytest.raises(ValueError) as caught:
            estimators[name](6, **{option: 3})
        line = str(caught.value)
        assert f"has no option {option!r} (given 3)" in line and "did you mean" not in line
        assert answer in line or "write " in line or "patterns=" in line, line


def test_a_sampler_that_a_schedule_cannot_serve_is_refused_when_made():
    with pytest.raises(OptionError, match="whose signal decays") as caught:
        TimeGradEstimator(6, sampler=AnnealedLangevin())
    assert caught.value.option == "sampler" and caught.value.value == AnnealedLangevin()
    TimeGradEstimator(6, schedule=NoiseLadder(10), sampler=AnnealedLangevin())


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: GaussianEstimator(6, scaling="none", scaling_window=8), "scaling_window=8"),
        (lambda: GaussianEstimator(6, covariance="diagonal", rank=3), "rank=3"),
        (
            lambda: GaussianEstimator(6, encoder="transformer", training=Training(lr_inputs=9)),
            "lr_inputs=9",
        ),
    ],
)
def test_options_without_effect_are_warned_of_when_made(make, text):
    with pytest.warns(UserWarning, match=f"{text} has no effect"):
        make()


def data(freq):
    target = np.random.default_rng(0).normal(5, 1, (2, 60))
    return [{"start": pd.Period("2024-01-01", freq=freq), "target": target}]


QUICK = {"max_epochs": 1, "num_batches_per_epoch": 1, "batch_size": 4, "verbose": False}


def test_a_frequency_is_checked_against_the_data():
    GaussianEstimator(3, freq="h", **QUICK).train(data("h"))
    with pytest.raises(OptionError, match="freq='D' must be 'h', as the training data are"):
        GaussianEstimator(3, freq="D", **QUICK).train(data("h"))
    with pytest.raises(ValueError, match="fortnightly"):
        GaussianEstimator(3, freq="fortnightly")


def test_patience_without_validation_data_is_warned_of():
    estimator = GaussianEstimator(3, training=Training(patience=2), **QUICK)
    with pytest.warns(UserWarning, match="training.patience=2 has no effect without validation"):
        estimator.train(data("h"))


def test_a_recipe_loses_no_number_of_the_family():
    assert TimeGradEstimator(3, training=Training(patience=3)).recipe.lr_inputs == 100
    assert GaussianEstimator(3, training=Training(patience=3)).recipe.lr_inputs is None
    own = Training(lr_inputs=7, weight_decay=0.5)
    assert TimeGradEstimator(3, training=own).recipe == own


def test_option_objects_are_read_from_text():
    texts = ["network=Residual(layers=4)", "training=Training(patience=3)", "given=Given(0.5)"]
    assert read_options([*texts, "objective=NoisePrediction(target='v')"]) == {
        "network": Residual(layers=4),
        "training": Training(patience=3),
        "given": Given(0.5),
        "objective": NoisePrediction(target="v"),
    }
