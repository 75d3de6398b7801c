"""Every option of every estimator changes a forecast, or is refused, or is warned of."""

import functools
import inspect
import warnings

import numpy as np
import pandas as pd
import pytest

from tests.support.options import others
from tsgen import Training
from tsgen.diffusion import DDIM, SSCS, LinearSchedule
from tsgen.estimators import Patterns
from tsgen.estimators.registry import estimators
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.nets import Axial, Dense, Residual

HORIZON = 4
SHORT = {
    "context_length": 6, "max_epochs": 1, "num_batches_per_epoch": 2, "batch_size": 8,
    "verbose": False, "lags_seq": (1, 5), "num_parallel_samples": 3, "device": "cpu",
    "network": Residual(layers=3, channels=4), "sampler": DDIM(3),
    "schedule": LinearSchedule(4, beta_end=0.5), "training": Training(patience=2),
}  # fmt: skip
"""Values that keep a trial short, for every estimator that has such an option."""
OWN = {
    "csdi": {"network": Axial(1, 8, 2)},
    "scoregrad_cld": {"sampler": SSCS(2)},
    "scoregrad_ve": {"sampler": None},
    "tfdpm": {
        "window": 3, "network": Dense(1, 8),
        "patterns": Patterns(hidden_size=8, features=4, neighbours=2),
    },
    "deepar": {"options": {"context_length": 16, "num_batches_per_epoch": 2}},
    "ets": {"window": 40}, "var": {"max_lags": 5}, "ridge": {"own_lags": 2},
    "seasonal_naive": {"season": 6},
}  # fmt: skip
NOT_IN_FORECASTS = {
    "verbose": "shows a line of progress",
    "checkpoint_dir": "is where checkpoints lie",
    "trainer_kwargs": "are Lightning's, of which each is tested in test_trainer_options",
    "training.patience": "ends a training that is longer than these",
}
"""Options that change no forecast by what they are for."""
WHOLE = {"dequantisation", "support"}
"""Options that matter for whole numbers only."""


def family(name):
    part = estimators[name]
    return part.func if isinstance(part, functools.partial) else part


def series(whole=False):
    """Two series of three positive channels with a daily wave, gaps and covariates."""
    rng, time = np.random.default_rng(0), np.arange(90)
    entries = []
    for number in range(2):
        target = 5 + 2 * np.sin(time / 4) + rng.normal(0, 0.2, (3, 90))
        target = np.where(rng.random(target.shape) < 0.1, np.nan, np.abs(target) + 0.1)
        entries.append(
            {
                "start": pd.Period("2021-03-01", freq="h"),
                "item_id": f"s{number}",
                "target": np.round(target) if whole else target,
                "feat_dynamic_real": rng.normal(size=(2, 90 + HORIZON)),
                "feat_static_cat": [number],
            }
        )
    return entries


DATA = {whole: series(whole) for whole in (False, True)}


def make(name, **options):
    takes = inspect.signature(family(name).__init__).parameters
    short = {option: value for option, value in SHORT.items() if option in takes}
    return estimators[name](HORIZON, **{**short, **OWN.get(name, {}), **options})


def samples(estimator, whole):
    data = DATA[whole]
    predictor = estimator.train(data, seed=1)
    return np.stack([forecast.samples for forecast in predictor.predict(data, seed=2)])


@functools.cache
def usual_samples(name, whole, fixed):
    return samples(make(name, **dict(fixed)), whole)


def effect(name, other, whole, decoding):
    """Whether an option's other value is "refused", "warned" of, "changes" samples, or is none."""
    fixed = () if decoding is None else (("decoding", decoding),)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = samples(make(name, **dict(fixed) | {other.option: other.build()}), whole)
        except ValueError:
            return "refused"
    if any(f"{other.path}=" in str(w.message) and "no effect" in str(w.message) for w in caught):
        return "warned"
    return None if np.array_equal(result, usual_samples(name, whole, fixed)) else "changes"


def effects(name, options, decoding=None):
    """What the options do: of each, whether a value changes forecasts, or what else it does."""
    results = {}
    for other in options:
        if other.path not in NOT_IN_FORECASTS and results.get(other.path) != "changes":
            outcome = effect(name, other, other.option in WHOLE, decoding)
            results[other.path] = outcome or results.get(other.path)
    return results


def declarations():
    """For names of the registry, the options that no name before has from the same class."""
    tried, names = set(), {}
    for name in estimators:
        for option in list(inspect.signature(family(name).__init__).parameters)[1:]:
            owner = next(
                k for k in family(name).__mro__ if option in vars(k).get("__annotations__", {})
            )
            if (owner, option) not in tried:
                tried.add((owner, option))
                names.setdefault(name, set()).add(option)
    return names | {"csdi": {"network"}}


@pytest.mark.parametrize(("name", "options"), declarations().items())
def test_each_option_changes_forecasts_or_is_refused_or_warned_of(name, options):
    results = effects(name, [other for other in others(make(name)) if other.option in options])
    assert all(results.values()), results


@pytest.mark.slow
@pytest.mark.parametrize("decoding", ["step", "horizon"])
@pytest.mark.parametrize("name", estimators)
def test_each_option_of_each_name_changes_forecasts_or_is_refused_or_warned_of(name, decoding):
    if not issubclass(family(name), GenerativeEstimator):
        decoding = None
    elif name == "csdi":
        decoding = "horizon"
    results = effects(name, others(make(name)), decoding)
    assert all(results.values()), results


def test_options_that_are_not_tried_exist():
    options = make("gaussian")
    for path in NOT_IN_FORECASTS:
        assert functools.reduce(getattr, path.split("."), options) is not inspect.Parameter.empty
