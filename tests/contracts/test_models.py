from functools import partial

import pytest

from tests.support.outside_family import RectifiedFlow
from tests.support.two_player import TinyGAN
from tsgen.diffusion import (
    CLD,
    SSCS,
    VESDE,
    VPSDE,
    AnnealedLangevin,
    CosineSchedule,
    DPMSolverPP,
    LangevinEulerMaruyama,
    LinearSchedule,
    NoiseLadder,
    SubVPSDE,
)
from tsgen.models import DDPM, Gaussian, ScoreCLD, ScoreSDE, StudentT
from tsgen.nets import DenseDenoiser
from tsgen.testing import check_model

HEADS = [
    (head, covariance)
    for head in (Gaussian, StudentT)
    for covariance in ("diagonal", "low_rank", "full")
]
FEW = LinearSchedule(50, beta_end=0.2)


@pytest.mark.parametrize(("head", "covariance"), HEADS)
def test_heads_conform(head, covariance):
    # an independent law cannot represent the correlated one
    check_model(head, covariance=covariance, law="gaussian", fit=covariance != "diagonal")


@pytest.mark.parametrize("target", ["eps", "x0", "v"])
def test_ddpm_conforms(target):
    check_model(DDPM, target=target, schedule=LinearSchedule(20, beta_end=0.4), fit=False)


def test_ddpm_options_conform():
    options = {
        "loss_type": "huber",
        "min_snr": 5.0,
        "cond_channels": 4,
        "residual_layers": 3,
        "dilation_cycle": 3,
    }
    check_model(
        DDPM,
        schedule=LinearSchedule(10, beta_end=0.5),
        sampler=DPMSolverPP(5),
        fit=False,
        **options,
    )


def test_dense_ddpm_conforms():
    check_model(
        DDPM,
        schedule=CosineSchedule(20),
        target="v",
        sampler=DPMSolverPP(5),
        network=partial(DenseDenoiser, hidden=16, layers=2),
        continuous=True,
        fit=False,
    )


@pytest.mark.slow
def test_dense_ddpm_learns():
    check_model(
        DDPM,
        events=(),
        schedule=CosineSchedule(),
        target="v",
        sampler=DPMSolverPP(20),
        network=partial(DenseDenoiser, hidden=64),
        continuous=True,
    )


def test_ddpm_learns():
    check_model(DDPM, events=(), schedule=FEW, sampler=DPMSolverPP(20), cond_channels=4)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["x0", "v"])
def test_ddpm_learns_with_any_target(target):
    check_model(DDPM, events=(), target=target, schedule=FEW, cond_channels=4)


@pytest.mark.slow
@pytest.mark.parametrize("event", [(1,), (6, 3)])
def test_ddpm_learns_other_shapes(event):
    check_model(
        DDPM,
        events=(),
        fit_events=(event,),
        schedule=FEW,
        cond_channels=4,
        steps=3000,
        tolerance=0.05,
    )


@pytest.mark.slow
@pytest.mark.parametrize("head", [Gaussian, StudentT])
def test_heads_learn_other_shapes(head):
    check_model(
        head,
        events=(),
        fit_events=((1,), (6, 3)),
        covariance="low_rank",
        law="gaussian",
        steps=3000,
    )


def test_a_family_from_outside_conforms():
    check_model(RectifiedFlow)


def test_two_players_conform():
    check_model(TinyGAN, fit=False)


def test_the_suite_finds_what_is_wrong():
    class Forgetful(Gaussian):
        def _sample(self, cond, times):
            return super()._sample(cond * 0, times)

        def _log_prob(self, x, cond, observed, times):
            return super()._log_prob(x, cond * 0, observed, times)

    with pytest.raises(AssertionError, match="conditioning does not matter|exact"):
        check_model(Forgetful, events=(), law="gaussian", covariance="full", steps=300)

    class Shared(Gaussian):
        def _loss(self, x, cond, observed, times):
            return super()._loss(x, cond, observed, times) + x.mean()

    with pytest.raises(AssertionError, match="influence each other"):
        check_model(Shared, events=((3,),), fit=False)


SDES = [VPSDE(), SubVPSDE(100, 0.1, 15.0), VESDE()]


@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
@pytest.mark.parametrize(
    "options", [{}, {"likelihood_weighting": True, "continuous": False, "target": "v"}]
)
def test_score_models_conform(sde, options):
    quick = {"sampler": DPMSolverPP(5), "residual_layers": 2, "fit": False}
    check_model(ScoreSDE, ((3,),) if options else ((6, 3),), sde=sde, **quick, **options)


@pytest.mark.parametrize(
    "sde", [SDES[0], *(pytest.param(sde, marks=pytest.mark.slow) for sde in SDES[1:])]
)
def test_densities_of_score_models_are_densities(sde):
    quick = {"sampler": DPMSolverPP(5), "residual_layers": 2, "fit": False}
    check_model(ScoreSDE, ((1,),), sde=sde, **quick)


@pytest.mark.parametrize(
    "sde", [SDES[0], *(pytest.param(sde, marks=pytest.mark.slow) for sde in SDES[1:])]
)
def test_score_models_learn(sde):
    check_model(ScoreSDE, events=(), sde=sde, cond_channels=4)


@pytest.mark.slow
@pytest.mark.parametrize("sde", SDES)
def test_score_models_learn_by_their_likelihood(sde):
    check_model(ScoreSDE, events=(), sde=sde, cond_channels=4, likelihood_weighting=True)


def test_noise_ladders_conform():
    ladder = {"schedule": NoiseLadder(8, 0.05, 5.0), "sampler": AnnealedLangevin(None, 2)}
    check_model(DDPM, **ladder, residual_layers=2, fit=False)


@pytest.mark.slow
def test_noise_ladders_learn():
    """NCSN: scores of noise levels, drawn by annealed Langevin dynamics."""
    ladder = {"schedule": NoiseLadder(20, 0.05, 8.0), "sampler": AnnealedLangevin(None, 10)}
    check_model(DDPM, events=(), **ladder, cond_channels=4)


@pytest.mark.parametrize("objective", ["hybrid", "denoising"])
def test_langevin_score_models_conform(objective):
    check_model(
        ScoreCLD, sde=CLD(), sampler=SSCS(4), objective=objective, residual_layers=2, fit=False,
        likelihood_weighting=objective == "denoising",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [SSCS(100), LangevinEulerMaruyama(100)])
def test_langevin_score_models_learn(sampler):
    check_model(ScoreCLD, events=(), sampler=sampler, cond_channels=4)
