from functools import partial

import pytest

from tests.support.outside_family import RectifiedFlowEstimator
from tests.support.two_player import TinyGANEstimator
from tsgen import (
    CLDEstimator,
    ComposedEstimator,
    GaussianEstimator,
    StudentTEstimator,
    TimeGradEstimator,
    Training,
)
from tsgen.core import OptionError
from tsgen.diffusion import CLD, DDIM, SSCS, VESDE, DPMSolverPP, LinearSchedule
from tsgen.encoders import LSTMEncoder
from tsgen.estimators import Given, NoisePrediction, Patterns, ScoreMatching
from tsgen.estimators.scoregrad import ScoreGradEstimator
from tsgen.estimators.tfdpm import TFDPMEstimator
from tsgen.models import StudentT
from tsgen.nets import Axial, Dense, Residual
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
        TimeGradEstimator, decoding="horizon", network=Axial(1, 8, 2),
        given=Given(0.8), schedule=FEW,
    )  # fmt: skip


@pytest.mark.parametrize("decoding", ["step", "horizon"])
@pytest.mark.parametrize("sde", ["vp", "subvp", "ve"])
def test_scoregrad_conforms(sde, decoding):
    options = {"sampler": DPMSolverPP(4), "network": Residual(layers=1)}
    check_estimator(ScoreGradEstimator, sde=sde, decoding=decoding, **options)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_critically_damped_langevin_conforms(decoding):
    options = {"sampler": SSCS(4), "network": Residual(layers=1)}
    check_estimator(CLDEstimator, decoding=decoding, **options)


def test_scoregrad_options_conform():
    check_estimator(
        ScoreGradEstimator,
        sde=VESDE(8, 0.02, 5.0),
        objective=ScoreMatching(continuous=False, likelihood_weighting=True),
    )
    check_estimator(
        CLDEstimator, sde=CLD(beta=6.0), objective="denoising", sampler=SSCS(4),
        likelihood_weighting=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sde": "cld"}, "sde='cld' must be .*; critically damped Langevin .* is CLDEstimator"),
        ({"sampler": SSCS()}, "must be a Sampler or None"),
        ({"sampler": DDIM(500)}, "num_steps=500 must be at most 200, the steps of VPSDE"),
        ({"given": Given(0.5)}, r"must be Given\(rate=0\) with decoding='step'"),
        ({"continuous": False}, r"write objective=ScoreMatching\(continuous=False\)"),
        ({"objective": "denoising"}, "must be a ScoreMatching"),
        ({"network": Axial()}, r"decoding='step' must be 'horizon' with network=Axial"),
        ({"network": "axial"}, r"must be a Network; write network=Axial\(\)"),
        ({"cond_channels": 4}, r"write network=Residual\(cond_channels=4\)"),
        ({"num_heads": 4}, r"write network=Axial\(num_heads=4\)"),
        ({"residual_layers": 4}, r"write network=Residual\(layers=4\)"),
        ({"given_rate": 0.5}, r"write given=Given\(rate=0.5\)"),
        ({"sde": "vpp"}, "sde='vpp'"),
    ],
)
def test_options_of_scoregrad_that_do_not_fit_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        ScoreGradEstimator(6, **options)


@pytest.mark.parametrize(
    ("make", "option", "expected"),
    [
        (lambda: Axial(channels=64, num_heads=3), "channels", "a multiple of num_heads=3"),
        (lambda: Residual(layers=0), "layers", "at least 1"),
        (lambda: Given(rate=2.0), "rate", "in [0, 1]"),
        (lambda: Given(rate=0.5, patterns=()), "patterns", "not empty"),
        (lambda: NoisePrediction(min_snr=-1.0), "min_snr", "above 0"),
        (lambda: GaussianEstimator(3, rank=-2), "rank", "at least 1"),
        (lambda: CLDEstimator(3, sampler=DDIM(5)), "sampler", "a LangevinSampler"),
        (lambda: TimeGradEstimator(3, sampler=DDIM(500)), "sampler", "one for"),
        (lambda: Patterns(temporal="none", graph=False), "graph", "True with temporal='none'"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_what_was_expected(make, option, expected):
    with pytest.raises(OptionError) as caught:
        make()
    assert caught.value.option == option and caught.value.expected.startswith(expected)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_tfdpm_conforms(decoding):
    options = {"window": 3, "patterns": Patterns(hidden_size=8, features=4), "schedule": FEW}
    options |= {"network": Dense(layers=1, hidden_size=8), "sampler": DDIM(5)}
    check_estimator(TFDPMEstimator, decoding=decoding, **options)


@pytest.mark.parametrize("option", ["encoder", "lags_seq", "context_length"])
def test_the_window_sets_the_encoder_of_tfdpm(option):
    with pytest.raises(OptionError, match=f"has no option '{option}'.*(window|patterns)="):
        TFDPMEstimator(prediction_length=1, **{option: 3})


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
        encoder=partial(LSTMEncoder, hidden_size=8),
        training=Training(ema_decay=0.9, lr_schedule="constant"),
    )


def test_composed():
    check_estimator(ComposedEstimator, model=partial(StudentT, covariance="full"), encoder="lstm")


def test_a_family_from_outside_conforms():
    check_estimator(RectifiedFlowEstimator)


@pytest.mark.parametrize("decoding", ["step", "horizon"])
def test_two_players_conform(decoding):
    check_estimator(TinyGANEstimator, decoding=decoding)
