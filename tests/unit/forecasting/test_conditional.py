"""Partly known futures, nudged forecasts and imputation with a predictor."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from tsgen.data.synthetic import VAR, ornstein_uhlenbeck
from tsgen.diffusion import ClassifierFree, DPMSolverPP, Reconstruction
from tsgen.estimators import GaussianEstimator, Given, TimeGradEstimator
from tsgen.forecasting.predictor import GenerativePredictor
from tsgen.nets import Residual

H = 6
DATA = VAR().dataset(3, 120, seed=0)
CHANNELS = len(DATA[0]["target"])


def trained(data: list[dict] = DATA, **options: Any) -> GenerativePredictor:
    """A little model of horizons."""
    small = {
        "decoding": "horizon", "max_epochs": 1, "num_batches_per_epoch": 3, "verbose": False,
        "network": Residual(layers=2), "sampler": DPMSolverPP(5), "num_parallel_samples": 7,
    }  # fmt: skip
    return TimeGradEstimator(H, **{**small, **options}).train(data, seed=0)


IMPUTING: dict[str, Any] = {"given": Given(0.9), "min_history": 0, "scaling": "global"}


@pytest.fixture(scope="module")
def plain() -> GenerativePredictor:
    """Trained without knowledge of futures."""
    return trained()


@pytest.fixture(scope="module")
def imputing() -> GenerativePredictor:
    """Trained with parts given and on windows without history."""
    return trained(**IMPUTING)


def futures(fill: float = np.nan) -> list[np.ndarray]:
    """Horizons of which the second channel and the third step are known."""
    known = [np.full((CHANNELS, H), fill) for _ in DATA]
    for i, array in enumerate(known):
        array[1], array[:, 2] = 0.1 + i, -0.2 - i
    return known


@pytest.mark.parametrize("which", ["plain", "imputing"])
def test_given_values_come_back_as_they_are(which: str, request: pytest.FixtureRequest) -> None:
    """Bit for bit, and the rest depends on them."""
    predictor, given = request.getfixturevalue(which), futures()
    drawn = [f.samples for f in predictor.forecast(DATA, given, seed=0)]
    other = [2 * array for array in given]
    again = [f.samples for f in predictor.forecast(DATA, other, seed=0)]
    for samples, changed, array in zip(drawn, again, given, strict=True):
        assert samples.shape == (7, H, CHANNELS) and np.isfinite(samples).all()
        known = ~np.isnan(array.T)
        assert (samples[:, known] == array.T[known]).all()
        assert not np.allclose(samples[:, ~known], changed[:, ~known])


def test_nothing_given_is_a_forecast(plain: GenerativePredictor) -> None:
    """All NaN draws as predict does, but for the start's noise; no arguments is predict itself."""
    same = zip(plain.predict(DATA, seed=0), plain.forecast(DATA, seed=0), strict=True)
    assert all(np.array_equal(a.samples, b.samples) for a, b in same)
    unknown = [np.full((CHANNELS, H), np.nan)] * len(DATA)
    drawn = list(plain.forecast(DATA, unknown, num_samples=2, seed=0))
    assert drawn[0].samples.shape == (2, H, CHANNELS)


def test_a_series_of_one_dimension_has_horizons_of_one() -> None:
    """As its forecasts."""
    data = ornstein_uhlenbeck().dataset(2, 80, seed=0)
    data = [{**entry, "target": np.asarray(entry["target"]).reshape(-1)[:80]} for entry in data]
    predictor = trained(data, **IMPUTING)
    given = [np.array([np.nan, 1.0, np.nan, np.nan, np.nan, 2.0])] * 2
    (first, _) = predictor.forecast(data, given, seed=0)
    assert first.samples.shape == (7, H)
    assert (first.samples[:, [1, 5]] == [1.0, 2.0]).all()
    data[0]["target"] = np.where(np.arange(80) % 3 == 0, np.nan, data[0]["target"])
    (imputed, _) = predictor.impute(data, seed=0)
    assert imputed.samples.shape == (7, 80) and np.isfinite(imputed.samples).all()


def test_a_nudged_forecast_stays_near_its_guess(plain: GenerativePredictor) -> None:
    """The nearer, the less it was noised; given values hold in it, too."""
    guess = [np.full((CHANNELS, H), 5.0) for _ in DATA]
    distance = []
    for strength in (0.02, 1.0):
        drawn = list(plain.forecast(DATA, nudge=guess, strength=strength, seed=0))
        distance.append(np.abs(drawn[0].samples - 5).mean())
    assert distance[0] < 0.3 * distance[1]
    given = futures()
    both = list(plain.forecast(DATA, given, guess, 0.02, seed=0))
    known = ~np.isnan(given[0].T)
    assert (both[0].samples[:, known] == given[0].T[known]).all()


class Asked(NamedTuple):
    """What the predictor wants the model to draw given, in the data's units."""

    values: np.ndarray
    mask: np.ndarray
    start: tuple[np.ndarray, float] | None
    guidance: Any


@pytest.fixture
def asked(imputing: GenerativePredictor, monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """Calls of a model that draws nothing but the mean of the training data."""
    calls: list[Asked] = []
    mean, std = np.asarray(imputing.spec.target_mean), np.asarray(imputing.spec.target_std)

    def fake(cond: Tensor, values: Tensor, mask: Tensor, shape: tuple, guidance: Any, start: Any):  # noqa: ANN202
        assert shape == () and len(cond) == len(values)
        guess = None if start is None else (start[0].numpy() * std + mean, start[1])
        calls.append(Asked(values.numpy() * std + mean, mask.numpy(), guess, guidance))
        return torch.zeros_like(values)

    model = imputing.prediction_net.model
    monkeypatch.setattr(model, "sample_given", fake)
    monkeypatch.setattr(imputing, "batch_size", 2)
    return calls


def test_each_series_is_drawn_given_its_own_horizon(
    imputing: GenerativePredictor, asked: list[Asked]
) -> None:
    """Scaled with the model's location, in each batch, for each path."""
    given, guess = futures(), [np.full((CHANNELS, H), 10.0 * i) for i in range(3)]
    given[1][0, 4] = 3.0
    guidance = Reconstruction(2)
    drawn = list(imputing.forecast(DATA, given, guess, 0.3, guidance, seed=0))
    assert [len(call.values) for call in asked] == [14, 7]
    values, masks = (np.concatenate([getattr(c, n) for c in asked]) for n in ("values", "mask"))
    starts = np.concatenate([call.start[0] for call in asked if call.start])
    assert all(call.start and call.start[1] == 0.3 for call in asked)
    assert all(call.guidance is guidance for call in asked)
    for row, (value, mask, start) in enumerate(zip(values, masks, starts, strict=True)):
        known = given[row // 7].T
        assert (mask == ~np.isnan(known)).all()
        assert np.allclose(value[mask], known[mask], rtol=1e-5, atol=1e-6)
        assert np.allclose(start, 10.0 * (row // 7), rtol=1e-5, atol=1e-6)
    for forecast, known in zip(drawn, given, strict=True):
        expected = np.where(np.isnan(known.T), imputing.spec.target_mean, known.T)
        assert np.allclose(forecast.samples, expected, rtol=1e-5, atol=1e-6)


def test_blocks_of_imputation_see_what_is_known(
    imputing: GenerativePredictor, asked: list[Asked]
) -> None:
    """Overlapping by two thirds: observed values, and what the path already holds before them."""
    target = np.array(DATA[0]["target"][:, :10])
    target[0, [1, 3, 7]] = np.nan
    (imputed,) = imputing.impute([{**DATA[0], "target": target}], num_samples=2, seed=0)
    mean = np.asarray(imputing.spec.target_mean)
    # blocks start at 0, 2 and 4; the first keeps steps 0 to 3, the second 2 to 5 and has no hole
    # left there, so that it is left out, the third keeps the rest
    assert len(asked) == 2
    first, last = asked[0], asked[1]
    assert (first.mask == ~np.isnan(target.T[:6])).all(1).all()
    assert np.allclose(first.values[first.mask], np.stack([target.T[:6]] * 2)[first.mask], 1e-4)
    expected = np.isnan(target.T[4:10])
    assert (last.mask == ~expected).all()
    assert np.allclose(last.values[last.mask], np.stack([target.T[4:]] * 2)[last.mask], 1e-4)
    assert np.allclose(imputed.samples[:, [1, 3, 7], 0], mean[0])


@pytest.mark.parametrize("guidance", [None, Reconstruction(1)])
def test_imputation_never_changes_observed_values(
    imputing: GenerativePredictor, guidance: Reconstruction | None
) -> None:
    """Holes anywhere, whole steps and whole channels, the first step and the last."""
    rng = np.random.default_rng(0)
    holed = []
    for entry, length in zip(DATA, (120, 6, 4), strict=True):
        target = np.array(entry["target"][:, :length])
        target[rng.random(target.shape) < 0.3] = np.nan
        target[:, [0, -1]] = np.nan
        holed.append({**entry, "target": target})
    holed[0]["target"][0, 40:70] = np.nan
    for entry, forecast in zip(holed, imputing.impute(holed, guidance, seed=0), strict=True):
        target = entry["target"]
        assert forecast.samples.shape == (7, target.shape[1], CHANNELS)
        assert forecast.start_date == entry["start"] and np.isfinite(forecast.samples).all()
        seen = ~np.isnan(target.T)
        assert (forecast.samples[:, seen] == target.T[seen]).all()
        assert (forecast.samples[:, ~seen].std(0) > 0).all()


def test_imputation_uses_history_where_the_model_needs_one(plain: GenerativePredictor) -> None:
    """A hole after the first step is filled, one in it is refused with the way out."""
    target = np.array(DATA[0]["target"])
    target[:, 1:3], target[0, -1] = np.nan, np.nan
    (filled,) = plain.impute([{**DATA[0], "target": target}], seed=0)
    assert np.isfinite(filled.samples).all()
    target[1, 0] = np.nan
    with pytest.raises(ValueError, match="first step, in channel 1.*min_history=0"):
        list(plain.impute([{**DATA[0], "target": target}], seed=0))


def test_imputation_is_repeatable_and_saved(imputing: GenerativePredictor, tmp_path: Any) -> None:
    """Under one seed, from a saved model, too."""
    target = np.where(np.arange(120) % 4 == 1, np.nan, DATA[0]["target"])
    holed = [{**DATA[0], "target": target}]
    imputing.serialize(tmp_path)
    loaded = GenerativePredictor.deserialize(tmp_path)
    first, again, other = (
        next(iter(p.impute(holed, seed=seed))).samples
        for p, seed in ((imputing, 0), (loaded, 0), (imputing, 1))
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_bad_requests_are_refused(plain: GenerativePredictor) -> None:
    """Naming what was given and what was expected."""
    with pytest.raises(ValueError, match=r"given has 1 horizons for 3 entries"):
        plain.forecast(DATA, futures()[:1])
    with pytest.raises(ValueError, match=r"given\[1\] has shape \(6,\), expected \(\d, 6\)"):
        plain.forecast(DATA, [futures()[0], np.zeros(H), futures()[0]])
    with pytest.raises(ValueError, match=r"given\[0\] has infinite"):
        plain.forecast(DATA, [np.full((CHANNELS, H), np.inf)] * 3)
    with pytest.raises(ValueError, match=r"given\[0\] is not numeric"):
        plain.forecast(DATA, [[["a"] * H] * CHANNELS] * 3)
    with pytest.raises(ValueError, match=r"nudge\[0\] has missing"):
        plain.forecast(DATA, nudge=futures())
    with pytest.raises(ValueError, match="strength=0"):
        plain.forecast(DATA, nudge=futures(0.0), strength=0.0)
    with pytest.raises(ValueError, match="strength=0.3 does nothing without nudge"):
        plain.forecast(DATA, futures(), strength=0.3)
    with pytest.raises(ValueError, match="Reconstruction.*does nothing without given"):
        plain.forecast(DATA, nudge=futures(0.0), guidance=Reconstruction(1))
    with pytest.raises(ValueError, match="given=Given"):
        plain.forecast(DATA, futures(), guidance=ClassifierFree())
    with pytest.raises(ValueError, match="num_samples=0"):
        plain.impute(DATA, num_samples=0)


def test_other_models_say_that_they_cannot() -> None:
    """Step decoding and families without a denoiser."""
    quick: dict[str, Any] = {"max_epochs": 1, "num_batches_per_epoch": 1, "verbose": False}
    for estimator in (
        TimeGradEstimator(H, **quick),
        GaussianEstimator(H, decoding="horizon", **quick),
    ):
        predictor = estimator.train(DATA, seed=0)
        with pytest.raises(ValueError, match="decoding='horizon'"):
            predictor.impute(DATA)
        with pytest.raises(ValueError, match="cannot draw given a part"):
            predictor.forecast(DATA, futures())


def test_training_without_history_needs_scaling_that_does_not_look_back() -> None:
    """And then series may be as short as a horizon."""
    with pytest.raises(ValueError, match="min_history=0.*'mean'"):
        TimeGradEstimator(H, min_history=0)
    short = [{**entry, "target": entry["target"][:, :H]} for entry in DATA]
    trained(short, **IMPUTING)
    with pytest.raises(ValueError, match="needs at least 7"):
        trained(short)
    with pytest.raises(ValueError, match="needs at least 6"):
        trained([{**entry, "target": entry["target"][:, :5]} for entry in DATA], **IMPUTING)


def test_global_scaling_is_that_of_the_training_data() -> None:
    """Mean and deviation of each channel's observed values, for windows without history, too."""
    rng = np.random.default_rng(1)
    data = [
        {
            "start": pd.Period("2000-01-01", freq="D"),
            "target": np.where(
                rng.random((2, n)) < 0.2, np.nan, rng.normal([[1e6], [-2]], [[5], [0.1]], (2, n))
            ),
        }
        for n in (50, 90)
    ]
    predictor = trained(data, **IMPUTING)
    both = np.concatenate([entry["target"] for entry in data], 1)
    assert np.allclose(predictor.spec.target_mean, np.nanmean(both, 1), rtol=1e-12)
    assert np.allclose(predictor.spec.target_std, np.nanstd(both, 1), rtol=1e-9)
    (first, _) = predictor.predict(data, seed=0)
    centred = (first.samples - np.nanmean(both, 1)) / np.nanstd(both, 1)
    assert np.abs(centred).mean() < 100 and np.isfinite(centred).all()
