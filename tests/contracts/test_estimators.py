from functools import partial

import pytest

from tests.contracts.outside_family import RectifiedFlowEstimator
from tests.contracts.two_player import TinyGANEstimator
from tsgen import ComposedEstimator, GaussianEstimator, StudentTEstimator, TimeGradEstimator
from tsgen.diffusion import CLD, DDIM, SSCS, VESDE, DPMSolverPP, LinearSchedule
from tsgen.encoders import LSTMEncoder
from tsgen.estimators.scoregrad import ScoreGradEstimator
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


def test_a_horizon_model_of_attention_that_is_given_parts_conforms():
    check_estimator(
        TimeGradEstimator, decoding="horizon", network="axial", residual_layers=1,
        residual_channels=8, num_heads=2, given_rate=0.8, schedule=FEW,
    )  # fmt: skip


@pytest.mark.parametrize("decoding", ["step", "horizon"])
@pytest.mark.parametrize("sde", ["vp", "subvp", "ve", "cld"])
def test_scoregrad_conforms(sde, decoding):
    sampler = SSCS(4) if sde == "cld" else DPMSolverPP(4)
    check_estimator(
        ScoreGradEstimator, sde=sde, decoding=decoding, sampler=sampler, residual_layers=1
    )


def test_scoregrad_options_conform():
    check_estimator(
        ScoreGradEstimator, sde=VESDE(8, 0.02, 5.0), continuous=False, likelihood_weighting=True
    )
    check_estimator(
        ScoreGradEstimator, sde=CLD(beta=6.0), objective="denoising", sampler=SSCS(4),
        likelihood_weighting=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sde": "cld", "sampler": DDIM(5)}, "does not draw from CLD"),
        ({"sampler": SSCS()}, "does not draw from VPSDE"),
        ({"sampler": DDIM(500)}, "num_steps=500 exceeds the 200 steps of VPSDE"),
        ({"sde": "cld", "given_rate": 0.5}, "given_rate=0.5"),
        ({"sde": "cld", "continuous": False}, "continuous=False"),
        ({"objective": "denoising"}, "option of sde='cld'"),
        ({"network": "axial"}, "needs decoding='horizon', not 'step'"),
        (
            {"network": "axial", "decoding": "horizon", "cond_channels": 4},
            "cond_channels=4 is an option of network='residual'",
        ),
        ({"num_heads": 4}, "num_heads=4 is an option of network='axial'"),
        ({"network": "axial", "decoding": "horizon", "num_heads": 3}, "multiple of num_heads=3"),
        ({"given_rate": 2.0}, "given_rate=2.0"),
        ({"sde": "vpp"}, "sde='vpp'"),
    ],
)
def test_options_of_scoregrad_that_do_not_fit_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        ScoreGradEstimator(6, **options)


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
