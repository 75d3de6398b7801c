import pytest
from gluonts.model.predictor import Predictor

from tsgen import GaussianEstimator, TimeGradEstimator
from tsgen.estimators import PeerEstimator, RandomWalkEstimator
from tsgen.estimators.denoising import WithSampler
from tsgen.evaluation.capabilities import (
    HasLogProb,
    KnowsSupport,
    Resumable,
    Trained,
    history_of,
    support_of,
)


class Bare(Predictor):
    """Of another library: it draws, and tells nothing of itself."""


class Telling(Bare):
    """Of another library, too; it derives from nothing of this one."""

    def __init__(self):
        super().__init__(prediction_length=1)
        self.support, self.history = (0.0, 1.0), [{"seconds": 1.0}]


def test_members_make_a_capability():
    bare, telling = Bare(1), Telling()
    assert isinstance(telling, KnowsSupport) and not isinstance(bare, KnowsSupport)
    assert support_of(telling) == (0.0, 1.0) and support_of(bare) == "real"
    assert history_of(telling) == [{"seconds": 1.0}] and history_of(bare) == []
    assert isinstance(telling, Trained) and not isinstance(telling, HasLogProb)


@pytest.mark.parametrize(
    ("estimator", "resumable", "with_sampler"),
    [
        (GaussianEstimator(2), True, False),
        (TimeGradEstimator(2), True, True),
        (RandomWalkEstimator(2), False, False),
        (PeerEstimator(2, model="deepar"), False, False),
    ],
)
def test_who_can_what(estimator, resumable, with_sampler):
    assert isinstance(estimator, Resumable) is resumable
    assert isinstance(estimator, WithSampler) is with_sampler
