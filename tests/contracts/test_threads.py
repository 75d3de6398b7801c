"""Threads and processes: whatever draws under a seed draws what it draws alone."""

import copy
import functools
import itertools
import logging
import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from gluonts.model.predictor import RepresentablePredictor

from tests.support.families import GENERATIVE, OPTIONS, STEPS, TINY
from tests.support.outside_family import RectifiedFlowEstimator
from tests.support.two_player import TinyGANEstimator
from tsgen import GaussianEstimator, TempFlowEstimator, TimeGradEstimator, load
from tsgen.anomaly import Detector, ForecastDetector, TFDPMDetector
from tsgen.anomaly.registry import detectors
from tsgen.anomaly.scorers import NegativeLogLikelihood, SampleScore, Scorer
from tsgen.core import seeded
from tsgen.data.synthetic import ExactPredictor, laws
from tsgen.diffusion import DDIM, DPMSolverPP
from tsgen.estimators import Given
from tsgen.estimators.registry import baselines, peers
from tsgen.estimators.tfdpm import TFDPMEstimator
from tsgen.evaluation import backtest, calibrate
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.nets import Residual

H = 2
SEEDS = (0, 1)
SOLVED = [name for name in GENERATIVE if name.startswith("scoregrad") or name in ("cnf", "ffjord")]
"""Their log densities take hundreds of steps."""
FAMILIES = GENERATIVE | {"outside": RectifiedFlowEstimator, "two_players": TinyGANEstimator}


def entries(count: int = 2, length: int = 90) -> list[dict[str, Any]]:
    values = np.random.default_rng(0).normal(size=(count, 2, length)).cumsum(2)
    values[0, 1, 40:44] = np.nan
    start = pd.Period("2021-01-01", freq="h")
    return [{"start": start, "target": v, "item_id": str(i)} for i, v in enumerate(values)]


DATA = entries()


def family(name: str) -> GenerativeEstimator:
    return FAMILIES[name](H, **OPTIONS.get(name, TINY))


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Threads take turns so often that they meet in the middle of everything."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@functools.cache
def other() -> RepresentablePredictor:
    """A predictor that all threads' company forecasts with."""
    return GaussianEstimator(H, **TINY).train(DATA, seed=1)


def samples(forecasts: Any) -> np.ndarray:
    return np.stack([f.samples for f in forecasts])


def forecast(predictor: Any, seed: int | None = 0) -> np.ndarray:
    return samples(predictor.predict(DATA, num_samples=4, seed=seed))


def at_once(jobs: list[Callable[[], Any]], company: Callable[[], Any] | None = None) -> list[Any]:
    """What jobs return that begin together, beside forecasts without a seed."""
    start, done = threading.Barrier(len(jobs) + 1), threading.Event()

    def run(job: Callable[[], Any]) -> Any:
        start.wait(60)
        return job()

    def disturb() -> None:
        start.wait(60)
        while not done.is_set():
            (company or functools.partial(forecast, other(), None))()

    other()
    with ThreadPoolExecutor(len(jobs) + 1) as pool:
        disturbing = pool.submit(disturb)
        try:
            results = [future.result(120) for future in [pool.submit(run, job) for job in jobs]]
        finally:
            done.set()
        disturbing.result(120)
    return results


def check(ask: Callable[[int], Any], seeds: tuple[int, ...] = SEEDS, again: int = 1) -> list[Any]:
    """Ask for each seed alone and then from a thread each, bit for bit the same.

    Returns:
        What was said alone.
    """
    state = torch.get_rng_state()
    alone = [ask(seed) for seed in seeds]
    assert torch.equal(torch.get_rng_state(), state)
    jobs = [functools.partial(ask, seed) for seed in seeds] * (1 + again)
    for together, expected in zip(at_once(jobs), alone * (1 + again), strict=True):
        np.testing.assert_array_equal(together, expected)
    return alone


def assert_differ(results: list[Any]) -> None:
    for one, two in itertools.combinations(results, 2):
        assert not np.array_equal(one, two, equal_nan=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_forecasts_of_a_family(name: str) -> None:
    """One predictor in all threads, and its log densities beside them."""
    predictor = family(name).train(DATA, seed=0)
    assert_differ(check(functools.partial(forecast, predictor)))
    if predictor.has_log_prob != "none" and name not in SOLVED:
        check(lambda _: predictor.log_prob(DATA), (0, 1), 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLVED)
def test_log_densities_that_are_solved(name: str) -> None:
    predictor = family(name).train(DATA, seed=0)
    check(lambda _: predictor.log_prob(DATA[:1]), (0, 1), 0)


@pytest.mark.parametrize("name", baselines)
def test_forecasts_of_a_baseline(name: str) -> None:
    predictor = baselines[name](H).train(DATA)
    drawn = check(functools.partial(forecast, predictor))
    if name != "last_value":
        assert_differ(drawn)


@pytest.mark.parametrize("name", peers)
def test_forecasts_and_trainings_of_a_peer(name: str) -> None:
    """Which draw by the generators of NumPy and Python, too."""
    options: dict[str, Any] = {"num_batches_per_epoch": 2, "batch_size": 4, "context_length": 16}

    def train(seed: int) -> np.ndarray:
        estimator = peers[name](H, options=options, max_epochs=1, device="cpu")
        predictor = estimator.train(DATA, seed=seed)
        predictors.append(predictor)
        return forecast(predictor)

    predictors: list[Any] = []
    assert_differ(check(train, (0, 1), 0))
    assert_differ(check(functools.partial(forecast, predictors[0])))


@pytest.mark.parametrize("name", laws)
def test_exact_laws(name: str) -> None:
    data = laws[name].dataset(2, 60, seed=0)
    predictor = ExactPredictor(laws[name], H)
    assert_differ(check(lambda seed: samples(predictor.predict(data, 4, seed=seed))))
    for one, two in zip(*at_once([lambda: laws[name].dataset(1, 30, seed=5)] * 2), strict=True):
        np.testing.assert_array_equal(one["target"], two["target"])


def test_partly_known_and_nudged_horizons_and_imputation() -> None:
    options = {
        **TINY,
        "decoding": "horizon",
        "sampler": DPMSolverPP(3),
        "network": Residual(layers=1),
    }
    options |= {"given": Given(0.9), "min_history": 0, "scaling": "global"}
    predictor = TimeGradEstimator(H, **options).train(DATA, seed=0)
    given, whole = np.full((2, H), np.nan), np.ones((2, H))
    given[0, 1] = 0.5

    def ask(seed: int) -> np.ndarray:
        parts = [
            predictor.forecast(DATA, [given] * 2, num_samples=3, seed=seed),
            predictor.forecast(DATA, nudge=[whole] * 2, num_samples=3, seed=seed),
        ]
        holes = next(predictor.impute(DATA, num_samples=3, seed=seed)).samples
        return np.concatenate([*(samples(part).ravel() for part in parts), holes.ravel()])

    assert_differ(check(ask))


def test_calibrated_predictors_and_backtests() -> None:
    base = other()

    def calibrated(seed: int) -> Any:
        return calibrate(base, DATA, windows=3, levels=(0.5,), num_samples=4, seed=seed)

    predictor = calibrated(0)
    assert_differ(check(lambda seed: samples(predictor.predict(DATA, 4, seed=seed))))
    assert_differ(check(lambda seed: calibrated(seed).calibration.factors, again=0))
    estimator = GaussianEstimator(H, **TINY)

    def tested(seed: int) -> np.ndarray:
        return backtest(estimator, DATA, 2, refit=True, num_samples=4, seed=seed).samples

    assert_differ(check(tested, (0, 1), 0))


class Foreign(RepresentablePredictor):
    """A predictor that knows of no seeds and draws from NumPy's generator."""

    def __init__(self) -> None:
        super().__init__(prediction_length=H)

    def predict_item(self, item: dict[str, Any], num_samples: int = 4) -> Any:
        law = ExactPredictor(laws["ou"], H)
        (made,) = law.predict([{**item, "target": item["target"][0]}], 4, seed=0)
        made.samples = made.samples + np.random.normal(size=made.samples.shape)
        return made


def test_predictors_of_others_that_take_no_seed() -> None:
    data = laws["ou"].dataset(2, 60, seed=0)

    def ask(seed: int) -> np.ndarray:
        return backtest(Foreign(), data, 2, num_samples=4, seed=seed).samples

    assert_differ(check(ask))


class Drawing(Scorer):
    """Draws by itself, as estimates of a trace do."""

    def errors(self, model: Any, x: Any, cond: Any, observed: Any) -> torch.Tensor:
        return x**2 + torch.rand_like(x)


WIDE = {**TINY, "batch_size": 64}  # validation has many windows
FEW = NegativeLogLikelihood(2)
SCORED: dict[str, Callable[[], Detector]] = {
    "tfdpm": lambda: TFDPMDetector(
        estimator=TFDPMEstimator(1, **{**OPTIONS["tfdpm"], "batch_size": 64}, sampler=DDIM(2)),
        scorer=SampleScore("crps", 2),
    ),
    "lowrank": lambda: detectors["lowrank"](
        estimator=GaussianEstimator(1, **WIDE, covariance="low_rank", rank=1), scorer=FEW
    ),
    "maf": lambda: detectors["maf"](
        estimator=TempFlowEstimator(1, **WIDE, flow="realnvp"), scorer=FEW
    ),
    "windowed_pca": lambda: detectors["windowed_pca"](window=3, components=2),
    "uae": lambda: detectors["uae"](window=6, latent=2, hidden=8, batches=30),
    "isolation_forest": lambda: detectors["isolation_forest"](trees=5),
    "drawing": lambda: ForecastDetector(estimator=GaussianEstimator(1, **WIDE), scorer=Drawing()),
}
LOG = np.random.default_rng(1).normal(size=(60, 3))


@pytest.mark.parametrize("name", [*detectors, "drawing"])
def test_scores_of_a_detector(name: str) -> None:
    """Fitted beside others, then asked in several threads; each with a stream of its own."""
    build: Callable[[], Detector] = SCORED.get(name, lambda: detectors[name]())
    fitted = build().fit(LOG)
    kin = [*at_once([lambda: build().fit(LOG)]), copy.deepcopy(fitted)]
    rows = LOG[:16]
    expected = fitted.decision_function(rows)

    def stream(detector: Detector) -> np.ndarray:
        values = []
        for row in rows:
            detector.update(row)
            values.append(detector.stream_.score)
        return np.array(values)

    scores = stream(fitted)
    jobs = [functools.partial(fitted.decision_function, rows)] * 3
    results = at_once([*jobs, *(functools.partial(stream, one) for one in kin)])
    for result, same in zip(results, [expected] * 3 + [scores] * 2, strict=True):
        np.testing.assert_array_equal(result, same)


@functools.cache
def alone(name: str, seed: int) -> np.ndarray:
    return forecast(longer(name).train(DATA, seed=seed))


def longer(name: str) -> GenerativeEstimator:
    return family(name).replace(max_epochs=2, num_batches_per_epoch=6)


def train_together(names: tuple[str, ...]) -> None:
    """Two seeds each, all at once, while others forecast; twice what each gives alone."""
    jobs = [(name, seed) for name in names for seed in (0, 1)]
    expected = [alone(*job) for job in jobs]
    levels = {n: logging.getLogger(n).level for n in ("gluonts", "lightning.pytorch")}
    state = torch.get_rng_state()
    with seeded(3):
        before, after = forecast(other(), None), torch.rand(3)

    def train(name: str, seed: int) -> np.ndarray:
        return forecast(longer(name).train(DATA, validation_data=None, seed=seed))

    def unseeded() -> None:
        longer("gaussian").train(DATA)

    made = at_once([functools.partial(train, *job) for job in jobs] + [unseeded])[:-1]
    for together, one in zip(made, expected, strict=True):
        np.testing.assert_array_equal(together, one)
    assert_differ(made)
    assert levels == {n: logging.getLogger(n).level for n in levels}
    assert not torch.equal(torch.get_rng_state(), state)  # by those without a seed
    with seeded(3):
        np.testing.assert_array_equal(forecast(other(), None), before)
        assert torch.equal(torch.rand(3), after)


def test_trainings_beside_each_other() -> None:
    train_together(("gaussian", "timegrad"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_trainings_of_every_family(name: str) -> None:
    train_together((name,))


def test_a_training_does_not_keep_others_waiting() -> None:
    """Forecasts are done before a training is that began before them."""
    begun, order = threading.Event(), []

    def train() -> None:
        estimator = longer("gaussian").replace(num_batches_per_epoch=40)
        with seeded(0):  # whoever trains may be in a section
            begun.set()
            estimator.train(DATA, seed=0)
        order.append("trained")

    def ask() -> None:
        begun.wait(60)
        forecast(other())
        order.append("forecast")

    expected = forecast(other())
    with ThreadPoolExecutor(2) as pool:
        for work in [pool.submit(train), pool.submit(ask)]:
            work.result(120)
    assert order == ["forecast", "trained"]
    np.testing.assert_array_equal(forecast(other()), expected)


def test_forecasts_interleaved_in_one_thread() -> None:
    """Nothing is held between two forecasts; one that is left half-way leaves nothing behind."""
    predictor = TimeGradEstimator(H, **{**TINY, **STEPS, "batch_size": 1}).train(DATA, seed=0)
    for of in (predictor, baselines["random_walk"](H).train(DATA), ExactPredictor(laws["var"], H)):
        data = laws["var"].dataset(4, 60, seed=0) if of is not predictor else DATA * 2
        expected = [samples(of.predict(data, 3, seed=seed)) for seed in (0, 1)]
        one, two, left = (of.predict(data, 3, seed=seed) for seed in (0, 1, 2))
        pairs = []
        for pair in zip(one, two, strict=True):
            next(left)
            assert torch.is_grad_enabled() and torch.get_num_threads() == 1
            pairs.append([f.samples for f in pair])
            (beside,) = at_once([lambda of=of, data=data: samples(of.predict(data, 3, seed=0))])
            np.testing.assert_array_equal(beside, expected[0])
        del left
        np.testing.assert_array_equal(np.array(pairs).swapaxes(0, 1), expected)


def test_an_error_in_a_forecast_holds_nobody_up() -> None:
    bad = [DATA[0], {**DATA[0], "target": np.ones((5, 40))}]
    expected = forecast(other())
    for of in (other(), baselines["ridge"](H).train(DATA)):
        with pytest.raises(ValueError), seeded(0):
            list(of.predict([{**bad[0], "target": np.ones((2, 0))}], seed=0))
        (result,) = at_once([functools.partial(forecast, other())])
        np.testing.assert_array_equal(result, expected)


def test_loading_disturbs_nobody(tmp_path: Any) -> None:
    """A network draws its first weights, which the saved ones replace."""
    other().serialize(tmp_path)
    expected, state = forecast(other()), torch.get_rng_state()
    again = load(tmp_path, device="cpu")
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(forecast(again), expected)
    jobs = [functools.partial(forecast, other())] * 3
    for result in at_once(jobs, lambda: load(tmp_path, device="cpu")):
        np.testing.assert_array_equal(result, expected)


def test_forked_processes_forecast_and_train() -> None:
    """While threads of the parent forecast and train; by GluonTS' and joblib's processes."""
    predictor, stop = TimeGradEstimator(H, **TINY, **STEPS).train(DATA, seed=0), threading.Event()
    walk = baselines["random_walk"](H).train(DATA)
    expected = [forecast(predictor, seed) for seed in SEEDS]
    walks, trained = [forecast(walk, seed) for seed in SEEDS], alone("gaussian", 0)

    def busy(train: bool) -> None:
        while not stop.is_set():
            longer("gaussian").train(DATA) if train else forecast(predictor, 7)

    with ThreadPoolExecutor(2) as pool:
        working = [pool.submit(busy, train) for train in (False, True)]
        try:
            parallel = joblib.Parallel(n_jobs=2, backend="multiprocessing")
            calls = [
                joblib.delayed(forecast)(one, seed) for one in (predictor, walk) for seed in SEEDS
            ]
            results = parallel(calls)
            process = multiprocessing.get_context("fork").Process(target=_train, args=(trained,))
            process.start()
            process.join(60)
            process.kill()
        finally:
            stop.set()
        for one in working:
            one.result(60)
    for result, same in zip(results, expected + walks, strict=True):
        np.testing.assert_array_equal(result, same)
    assert process.exitcode == 0


def _train(expected: np.ndarray) -> None:
    result = forecast(longer("gaussian").train(DATA, seed=0))
    np.testing.assert_array_equal(result, expected)


def test_joblib_threads() -> None:
    expected = [forecast(other(), seed) for seed in range(6)]
    work = [joblib.delayed(forecast)(other(), seed) for seed in range(6)]
    for result, same in zip(joblib.Parallel(4, backend="threading")(work), expected, strict=True):
        np.testing.assert_array_equal(result, same)


@pytest.mark.slow
def test_joblib_processes() -> None:
    """New processes, which get the predictors pickled."""
    some = [other(), family("timegrad").train(DATA, seed=0), family("maf").train(DATA, seed=0)]
    some += [baselines["ets"](H).train(DATA)]
    calls = [(one, seed) for one in some for seed in (0, 1)]
    expected = [samples(one.predict(DATA, 4, seed=seed)) for one, seed in calls]
    work = [joblib.delayed(_ask)(*call) for call in calls]
    for result, same in zip(joblib.Parallel(2, backend="loky")(work), expected, strict=True):
        np.testing.assert_array_equal(result, same)


def _ask(predictor: Any, seed: int) -> np.ndarray:
    torch.set_num_threads(1)
    return samples(predictor.predict(DATA, 4, seed=seed))
