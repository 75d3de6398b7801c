import numpy as np
import pandas as pd
import pytest

from tsgen.anomaly import Detector, Readout, TFDPMDetector
from tsgen.anomaly.actuators import Actuators
from tsgen.estimators import Patterns
from tsgen.estimators.tfdpm import TFDPMEstimator
from tsgen.nets import Dense

NAMES = ["level", "valve", "flow"]
ESTIMATOR = TFDPMEstimator(
    1,
    window=4,
    patterns=Patterns(hidden_size=48, features=8),
    network=Dense(2, 48),
    max_epochs=10,
    verbose=False,
    device="cpu",
)


def plant(rows, seed):
    """A valve of three places drives a flow, and that a level, which cannot be seen at once."""
    rng = np.random.default_rng(seed)
    valve = rng.integers(0, 3, rows // 12 + 1).repeat(12)[:rows].astype(float)
    flow = valve + 0.1 * rng.normal(size=rows)
    level = np.zeros(rows)
    for t in range(1, rows):
        level[t] = 0.9 * level[t - 1] + 0.3 * (flow[t] - 1) + 0.05 * rng.normal()
    times = pd.date_range("2026-01-01", periods=rows, freq="min")
    return pd.DataFrame({"level": level, "valve": valve, "flow": flow}, times)


def test_states_and_their_codes():
    values = np.array([[5.0, 0.0], [5.1, 2.0], [5.2, 2.0], [5.3, 7.0], [5.4, 0.0]])
    found = Actuators.find([values], [np.ones_like(values, dtype=bool)], ["a", "b"], ["b"])
    assert found.index.tolist() == [1] and found.states.tolist() == [[0, 2, 7]]
    assert found.encode(values, [0]).tolist() == [[0, 0], [1, 0], [1, 0], [0, 1], [0, 0]]
    both = found.encode(values, [0, 2])
    assert both[:, 2:].tolist() == [[0, 0], [0, 0], [0, 0], [1, 0], [1, 0]]
    changed = values.copy()
    changed[3, 1] = 9.5
    assert found.strangeness(changed)[:, 0].tolist() == [0, 0, 0, 2.5**2, 0]


def test_which_channels_are_actuators():
    rng = np.random.default_rng(0)
    values = np.stack([rng.normal(size=100), rng.integers(0, 2, 100), np.full(100, 3.0)], 1)
    seen = np.ones_like(values, dtype=bool)
    seen[values[:, 1] == 1, 1] = False
    found = Actuators.find([values], [seen], ["x", "on", "still"], "auto")
    assert found.index.tolist() == [1, 2]
    assert np.isnan(found.states).sum() == 0 and found.states[:, 0].tolist() == [0, 3]
    assert found.encode(values, [0, 1]).shape == (100, 0)
    nothing = Actuators.find([values], [seen], ["x", "on", "still"], ())
    assert nothing.encode(values, [0]).shape == (100, 0)


@pytest.fixture(scope="module")
def told():
    made = TFDPMDetector(estimator=ESTIMATOR, actuators="auto", readout=Readout("mean"))
    return made.fit(plant(3000, 0))


def test_what_an_actuator_drives_is_compared_with_its_state(told):
    """A valve that is said to be open while nothing flows."""
    log = plant(400, 1)
    quiet = told.score_channels(log)
    attacked = log.copy()
    row = int(np.flatnonzero(log["valve"].iloc[50:] == 0)[0]) + 50
    attacked.iloc[row, 1] = 2.0
    found = told.score_channels(attacked)
    assert np.nanmax(found[:, 1]) == 0
    assert found[row, 2] > 3 * np.nanquantile(quiet[:, 2], 0.95)
    np.testing.assert_allclose(found[:row], quiet[:row], rtol=1e-5)


def test_a_state_never_seen_is_a_finding(told):
    log = plant(200, 2)
    log.iloc[100, 1] = 5.0
    scores = told.decision_function(log)
    assert np.nanargmax(scores) == 100
    assert told.explain(log, (log.index[100], log.index[100])).index[0] == "valve"


def test_a_stream_is_the_batch_and_is_kept(told, tmp_path):
    told.save(tmp_path)
    made = Detector.load(tmp_path)
    log = plant(80, 3).drop(pd.date_range("2026-01-01 00:20", periods=3, freq="min"))
    log.iloc[40:43, 1] = np.nan
    made.reset()
    found = []
    for time, row in log.iterrows():
        made.update(row, time)
        found.append(made.stream_.score)
    np.testing.assert_allclose(found, told.decision_function(log), rtol=1e-4, atol=1e-6)
    assert np.isnan(told.score_channels(log)[40:43, 1]).all()


def test_predicted_actuators_are_not_told_now():
    """Their present state has an error of its own and does not change the others'."""
    made = TFDPMDetector(
        estimator=ESTIMATOR.replace(max_epochs=3), actuators=("valve",), predict_actuators=True,
        readout=Readout("mean"),
    ).fit(plant(1500, 0))  # fmt: skip
    features = made.actuator_features(np.zeros((6, 3)))
    changed = np.zeros((6, 3))
    changed[5, 1] = 9.0
    np.testing.assert_array_equal(made.actuator_features(changed)[5], features[5])
    log = plant(200, 1)
    log.iloc[100, 1] = 5.0
    assert made.score_channels(log)[100, 1] > 5 * np.nanmedian(made.score_channels(log)[:, 1])


@pytest.mark.parametrize(
    ("actuators", "message"),
    [
        (("pump",), r"'pump' is no channel; expected some of \['level', 'valve', 'flow'\]"),
        (("level",), "column 'level' has 300 values; expected at most 50 states"),
    ],
)
def test_bad_actuators(actuators, message):
    log = plant(300, 0)
    with pytest.raises(ValueError, match=message.replace("300 values", r"\d+ values")):
        TFDPMDetector(estimator=ESTIMATOR, actuators=actuators).fit(log)


def test_something_must_be_left_to_predict():
    log = plant(300, 0)[["valve"]]
    with pytest.raises(
        ValueError, match="predict_actuators=False must be True; all 1 channels are actuators"
    ):
        TFDPMDetector(estimator=ESTIMATOR, actuators="auto").fit(log)
