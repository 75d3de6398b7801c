from functools import partial

import pytest

from tests.contracts.outside_family import RectifiedFlowEstimator
from tests.contracts.two_player import TinyGANEstimator
from tsgen import ComposedEstimator, GaussianEstimator, StudentTEstimator, TimeGradEstimator
from tsgen.diffusion import DDIM, LinearSchedule
from tsgen.encoders import LSTMEncoder
from tsgen.estimators.tfdpm import TFDPMEstimator
from tsgen.models import StudentT
from tsgen.testing import check_estimator

FEW = LinearSchedule(5, beta_end=0.5)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
@pytest.mark.parametrize("estimator", [GaussianEstimator, StudentTEstimator])
def test_heads_conform(estimator, decoding):
    check_estimator(estimator, decoding=decoding)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_timegrad_conforms(decoding):
    check_estimator(TimeGradEstimator, decoding=decoding, schedule=FEW)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_tfdpm_conforms(decoding):
    options = {"window": 3, "hidden_size": 8, "features": 4, "layers": 1, "schedule": FEW}
    options |= {"lags_seq": None, "context_length": None, "sampler": DDIM(5)}
    check_estimator(TFDPMEstimator, decoding=decoding, **options)


def test_tfdpm_sets_its_lags():
    with pytest.raises(ValueError, match=r"lags_seq=\(1, 24\) is set by window=8; leave it out"):
        TFDPMEstimator(prediction_length=1, lags_seq=(1, 24))


@pytest.mark.parametrize("scaling", ["standard", "robust", "anchored", "none"])
def test_every_scaling(scaling):
    check_estimator(GaussianEstimator, scaling=scaling)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
@pytest.mark.parametrize("support", ["positive", (0.0, 50.0), (0.0, float("inf"))])
def test_every_support(support, decoding):
    check_estimator(GaussianEstimator, support=support, decoding=decoding)


def test_moving_average_and_lstm():
    check_estimator(
        GaussianEstimator,
        ema_decay=0.9,
        encoder=partial(LSTMEncoder, hidden_size=8),
        lr_schedule="constant",
    )


def test_composed():
    check_estimator(ComposedEstimator, model=partial(StudentT, covariance="full"), encoder="lstm")


def test_a_family_from_outside_conforms():
    check_estimator(RectifiedFlowEstimator)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_two_players_conform(decoding):
    check_estimator(TinyGANEstimator, decoding=decoding)
