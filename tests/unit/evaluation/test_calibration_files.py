import math

import numpy as np

import tsgen
from tests.support.panels import counted
from tsgen.estimators import RandomWalkEstimator
from tsgen.evaluation import calibrate


def test_saved_and_loaded(tmp_path):
    data = counted(5)
    for base in (
        RandomWalkEstimator(4).train(data),
        tsgen.GaussianEstimator(
            4, max_epochs=1, num_batches_per_epoch=2, verbose=False, device="cpu"
        ).train(data, seed=0),
    ):
        mended = calibrate(base, data, windows=4, levels=(0.5, 0.9), seed=0)
        mended.serialize(tmp_path / "model")
        again = tsgen.load(tmp_path / "model")
        assert again == mended and again.calibration.levels == (0.5, 0.9)
        one, two = (list(p.predict(data, num_samples=20, seed=1)) for p in (mended, again))
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(one, two, strict=True))
        assert not (again == calibrate(base, data, windows=5, levels=(0.5, 0.9), seed=0))


def test_the_support_of_a_calibration_is_saved(tmp_path):
    data = counted(5)
    estimator = tsgen.GaussianEstimator(
        4, support=(0.0, math.inf), max_epochs=1, num_batches_per_epoch=2, verbose=False,
        device="cpu",
    )  # fmt: skip
    mended = calibrate(
        estimator.train(data, seed=0), data, windows=4, levels=(0.5,), num_samples=20, seed=0
    )
    mended.serialize(tmp_path / "model")
    again = tsgen.load(tmp_path / "model")
    assert again == mended and again.calibration.support == (0.0, math.inf)
    (one,) = mended.predict(data[:1], num_samples=1, seed=0)
    assert one.samples.shape == (1, 4)
