"""Saved folders to be tampered with."""

import copy
import json
import shutil
import warnings
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd

import tsgen
from tsgen.anomaly import Detector, ForecastDetector
from tsgen.anomaly.baselines import IsolationForestDetector, PCADetector, UAEDetector
from tsgen.diffusion import Ancestral, LinearSchedule
from tsgen.encoders import GRUEncoder
from tsgen.estimators import Given
from tsgen.estimators.baselines import RidgeEstimator
from tsgen.estimators.peers import PeerEstimator
from tsgen.evaluation import calibrate
from tsgen.nets import Axial, Residual
from tsgen.storage import MANIFEST, extend_manifest

QUICK = {
    "max_epochs": 1, "num_batches_per_epoch": 2, "batch_size": 4, "verbose": False,
    "lags_seq": (1, 3), "context_length": 5, "num_parallel_samples": 5, "device": "cpu",
    "encoder": partial(GRUEncoder, hidden_size=6, output_size=6),
}  # fmt: skip
STEPS = LinearSchedule(4, beta_end=0.5)


def data() -> list[dict]:
    """Two series of two channels with a covariate and a category."""
    rng = np.random.default_rng(0)
    return [
        {
            "start": pd.Period("2021-01-01", freq="h"), "item_id": name,
            "target": np.round(10 + rng.normal(size=(2, 80))),
            "feat_dynamic_real": rng.normal(size=(1, 83)), "feat_static_cat": [code],
        }
        for code, name in enumerate("ab")
    ]  # fmt: skip


def log() -> pd.DataFrame:
    """Normal rows of three tags."""
    values = np.random.default_rng(1).normal(5, 1, (320, 3))
    index = pd.date_range("2024-01-01", periods=320, freq="min")
    return pd.DataFrame(values, index=index, columns=["a", "b", "c"])


def _train(estimator: Any) -> Any:
    return estimator.train(data(), seed=0)


def _calibrated() -> Any:
    return calibrate(_train(RidgeEstimator(3)), data(), windows=3, levels=(0.5,), seed=0)


MADE = {
    "gaussian": lambda: _train(tsgen.GaussianEstimator(3, **QUICK)),
    "timegrad": lambda: _train(
        tsgen.TimeGradEstimator(3, schedule=STEPS, network=Residual(layers=2), **QUICK)
    ),
    "csdi": lambda: _train(
        tsgen.TimeGradEstimator(
            3, decoding="horizon", network=Axial(1, 8, 2),
            schedule=STEPS, sampler=Ancestral(), given=Given(0.5), **QUICK,
        )
    ),
    "flow": lambda: _train(tsgen.TempFlowEstimator(3, flow="realnvp", support="count", **QUICK)),
    "ridge": lambda: _train(RidgeEstimator(3)),
    "peer": lambda: _train(
        PeerEstimator(
            3, "deepar", options={"num_batches_per_epoch": 1, "hidden_size": 4}, max_epochs=1
        )
    ),
    "calibrated": _calibrated,
    "pca": lambda: PCADetector(window=3, components=2).fit(log()),
    "forest": lambda: IsolationForestDetector(trees=3).fit(log()),
    "uae": lambda: UAEDetector(window=4, latent=2, hidden=4, batches=3).fit(log()),
    "forecast_detector": lambda: ForecastDetector(
        estimator=tsgen.GaussianEstimator(1, **QUICK | {"lags_seq": (1,)})
    ).fit(log()),
}  # fmt: skip
"""Every kind of what is saved, by a name."""


@cache
def saved(name: str) -> Path:
    """A folder of a kind; it is shared, so copy it before it is changed."""
    path = Path(mkdtemp(prefix="tsgen-test-")) / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = MADE[name]()
    if isinstance(made, Detector):
        made.calibrate(log(), false_alarms_per_day=50.0)
        made.save(path)
    else:
        made.serialize(path)
    return path


def copied(name: str, to: Path) -> Path:
    """A copy of a folder of a kind."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(saved(name), to))


def load(path: Path) -> Any:
    """Whatever a folder holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Detector.load(path) if (path / "detector.json").exists() else tsgen.load(path)


def outcome(loaded: Any) -> np.ndarray:
    """What something that was loaded forecasts or scores."""
    if isinstance(loaded, Detector):
        return loaded.decision_function(log())
    return np.stack([f.samples for f in loaded.predict(data(), num_samples=5, seed=3)])


def rehash(folder: Path) -> None:
    """Write the manifests of a folder anew, as whoever changes its files can."""
    found = sorted(folder.rglob(MANIFEST), key=lambda path: -len(path.parts))
    for path in found:
        listed = json.loads(path.read_text())["files"]
        extend_manifest(path.parent, [name for name in listed if (path.parent / name).is_file()])


def places(tree: Any, way: tuple = ()) -> Iterator[tuple]:
    """The way to every value of a tree, itself included."""
    yield way
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(value, (*way, key))


def put(tree: Any, way: tuple, value: Any) -> Any:
    """A copy of a tree with another value at a place."""
    if not way:
        return value
    changed = copy.deepcopy(tree)
    node = changed
    for key in way[:-1]:
        node = node[key]
    node[way[-1]] = value
    return changed
