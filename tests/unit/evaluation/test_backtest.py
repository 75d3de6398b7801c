import numpy as np
import pandas as pd
import pytest
from gluonts.model.seasonal_naive import SeasonalNaivePredictor
from gluonts.torch.distributions import NormalOutput
from gluonts.torch.model.simple_feedforward import SimpleFeedForwardEstimator

from tsgen import GaussianEstimator
from tsgen.core import seeded_everywhere
from tsgen.data.splits import rolling, until
from tsgen.data.synthetic import VAR
from tsgen.estimators import RandomWalkEstimator
from tsgen.evaluation import backtest, evaluate

FAST = {"max_epochs": 1, "num_batches_per_epoch": 4, "verbose": False, "device": "cpu"}


def panel(count=3, length=80, channels=None):
    rng = np.random.default_rng(0)
    shape = (length,) if channels is None else (channels, length)
    start = pd.Period("2021-01-01", freq="h")
    return [
        {"start": start, "target": rng.normal(20, 3, shape), "item_id": str(i)}
        for i in range(count)
    ]


class Spy(RandomWalkEstimator):
    """Remembers what it was trained on."""

    def train(self, training_data, validation_data=None, seed=None):
        seen.append([len(e["target"]) for e in training_data])
        return super().train(training_data, validation_data, seed)


seen = []


def test_estimators_are_trained_on_what_comes_before():
    seen.clear()
    result = backtest(Spy(5), panel(), windows=4, seed=0, channels=["load"])
    assert seen == [[60, 60, 60]]
    assert result.samples.shape == (12, 100, 5, 1) and result.truth.shape == (12, 5, 1)
    assert [str(s) for s in result.starts[::3]] == [
        "2021-01-03 12:00", "2021-01-03 17:00", "2021-01-03 22:00", "2021-01-04 03:00"
    ]  # fmt: skip
    assert np.array_equal(result.truth[3, :, 0], panel()[0]["target"][65:70])
    assert result.scores.channels == ["load"] and set(result.seconds) == {"train", "forecast"}
    scale = np.abs(np.diff(panel()[1]["target"][:65][::24])).mean()
    assert result.scores.cells["mase"].shape == (12, 5, 1) and scale > 0


def test_refitting_before_each_window_or_some():
    seen.clear()
    every = backtest(Spy(5), panel(), windows=4, refit=True, seed=0)
    assert seen == [[60] * 3, [65] * 3, [70] * 3, [75] * 3]
    seen.clear()
    backtest(Spy(5), panel(), windows=4, refit=3, seed=0)
    assert seen == [[60] * 3, [75] * 3]
    once = backtest(Spy(5), panel(), windows=4, seed=0)
    assert np.array_equal(once.truth, every.truth)
    again = backtest(Spy(5), panel(), windows=4, refit=True, seed=0)
    assert np.array_equal(every.samples, again.samples)
    # windows of one seed are not forecast with the same noise
    steps = np.diff(every.samples[:, :, :, 0], axis=2)
    assert not np.allclose(steps[0], steps[3])


def test_entries_that_are_cut_already_and_training_data_of_their_own():
    seen.clear()
    data = panel()
    cuts = rolling(data, 2, 5)
    one = backtest(Spy(5), cuts, train=data, seed=0)
    assert seen == [[80] * 3]
    two = backtest(RandomWalkEstimator(5).train(data), cuts, seed=0)
    assert np.array_equal(one.samples, two.samples) and one.scores.total == two.scores.total
    dense = backtest(RandomWalkEstimator(5).train(data), data, windows=3, stride=1, seed=0)
    assert str(dense.starts[3]) == "2021-01-04 02:00"


def test_covariates_reach_as_far_as_they_may():
    data = panel(channels=2)
    for entry in data:
        entry["feat_dynamic_real"] = np.arange(80.0)[None]
        entry["past_feat_dynamic_real"] = np.arange(80.0)[None]

    class Looker(RandomWalkEstimator):
        def train(self, *args, **kwargs):
            predictor, inner = super().train([]), {}
            original = predictor.predict

            def predict(dataset, num_samples=None, seed=None):
                lengths.extend(
                    (e["feat_dynamic_real"].shape[1], e["past_feat_dynamic_real"].shape[1])
                    for e in dataset
                )
                return original(dataset, num_samples, seed)

            inner["predict"] = predict
            predictor.__dict__.update(inner)
            return predictor

    lengths = []
    backtest(Looker(5), data, windows=1)
    assert lengths == [(80, 75)] * 3
    assert until(data[0], 75, 5)["feat_dynamic_real"].shape == (1, 80)


def test_any_gluonts_predictor_and_estimator(tmp_path):
    data = panel(length=120)
    point = backtest(SeasonalNaivePredictor(prediction_length=5, season_length=24), data, windows=2)
    assert point.scores["fair_crps"] == pytest.approx(point.scores["nd"])  # one path is a point
    before = np.random.get_state()[1].copy()
    deep = SimpleFeedForwardEstimator(
        5, distr_output=NormalOutput(), num_batches_per_epoch=2,
        trainer_kwargs={
            "max_epochs": 1, "logger": False, "enable_progress_bar": False,
            "enable_model_summary": False, "enable_checkpointing": True, "accelerator": "cpu",
            "default_root_dir": str(tmp_path),
        },
    )  # fmt: skip
    data = [{**e, "target": e["target"].astype(np.float32)} for e in data]  # its networks' type
    one, two = (backtest(deep, data, windows=1, num_samples=30, seed=3) for _ in range(2))
    assert one.samples.shape == (3, 30, 5, 1) and np.array_equal(one.samples, two.samples)
    assert np.array_equal(np.random.get_state()[1], before)


def test_log_score_is_that_of_the_law():
    law = VAR()
    estimator = GaussianEstimator(
        4, covariance="full", context_length=4, lags_seq=(1,), time_features=(),
        scaling="standard", scaling_window="all", max_epochs=8, verbose=False, device="cpu",
    )  # fmt: skip
    predictor = estimator.train(law.dataset(200, 150, seed=1), seed=0)
    tests = law.dataset(300, 60, seed=2)
    result = backtest(predictor, tests, seed=0)
    exact = np.array([law.log_density(e["target"][:, :-4], e["target"][:, -4:]) for e in tests])
    loss = result.scores.log_score - -exact / 12
    # the divergence to the law: small, and not below zero by more than chance
    assert -3 * loss.std() / np.sqrt(300) < loss.mean() < 0.03
    tenfold = [{**e, "target": 10 * e["target"]} for e in tests]
    shifted = backtest(
        estimator.train([{**e, "target": 10 * e["target"]} for e in law.dataset(200, 150, seed=1)],
                        seed=0), tenfold, seed=0,
    )  # fmt: skip
    assert shifted.scores["log_score"] == pytest.approx(
        result.scores["log_score"] + np.log(10), abs=0.02
    )


def test_log_density_of_partly_observed_windows_is_marginal():
    data = panel(4, channels=3)
    predictor = GaussianEstimator(5, **FAST).train(data, seed=0)
    whole = predictor.log_prob(data)
    for entry in data:
        entry["target"][:, -5:] = np.nan
    assert np.isfinite(whole).all() and np.allclose(predictor.log_prob(data), 0)
    with pytest.raises(ValueError, match="series '0' has 5 steps; a log density needs more than"):
        predictor.log_prob([until(data[0], 5)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: backtest(RandomWalkEstimator(5), panel()), "an estimator needs windows=, or"),
        (
            lambda: backtest(RandomWalkEstimator(5), panel(), train=panel(), refit=True),
            "give no train data",
        ),
        (
            lambda: backtest(RandomWalkEstimator(5).train(panel()), panel(), windows=2, refit=1),
            "refit and train are for estimators",
        ),
        (
            lambda: backtest(RandomWalkEstimator(5), panel(), windows=16),
            "series '0' has 80 steps; windows=16 of horizon=5 need more than 80",
        ),
        (
            lambda: backtest(RandomWalkEstimator(5).train([]), [until(panel()[0], 5)]),
            "series '0' has 5 steps; a window of 5 needs at least one step of history",
        ),
        (lambda: backtest(RandomWalkEstimator(5).train([]), []), "the data set is empty"),
        (
            lambda: backtest(RandomWalkEstimator(5), panel(), windows=1, num_samples=1),
            "num_samples=1 must be at least 2 to be scored",
        ),
    ],
)
def test_bad_requests(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sums_of_channels_are_scored():
    result = backtest(RandomWalkEstimator(5), panel(channels=3), windows=2, seed=0)
    again = evaluate(result.samples, result.truth)
    assert result.scores.sum.total == pytest.approx(again.sum.total)


def test_global_generators_come_back():
    np.random.seed(1)
    expected = np.random.random(3)
    np.random.seed(1)
    with seeded_everywhere(5):
        inside = np.random.random()
    assert np.array_equal(np.random.random(3), expected)
    with seeded_everywhere(5):
        assert np.random.random() == inside


def test_each_refit_has_checkpoints_of_its_own(tmp_path):
    estimator = GaussianEstimator(4, **FAST, checkpoint_dir=str(tmp_path / "runs"))
    data = panel(2)
    first = backtest(estimator, data, windows=2, refit=True, num_samples=5, seed=0)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["refit-0", "refit-1"]
    again = backtest(estimator, data, windows=2, refit=True, num_samples=5, seed=0)
    assert np.array_equal(first.samples, again.samples)
