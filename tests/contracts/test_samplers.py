import math

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from tests.support.chains import betas
from tsgen.core import seeded
from tsgen.diffusion import (
    DDIM,
    EDM,
    VESDE,
    VPSDE,
    Ancestral,
    AnnealedLangevin,
    CosineSchedule,
    DPMSolverPP,
    DPMSolverPP3M,
    EulerMaruyama,
    GivenSteps,
    LinearSchedule,
    NoiseLadder,
    PredictorCorrector,
    ProbabilityFlow,
    SubVPSDE,
)
from tsgen.testing import check_sampler, gaussian_denoiser
from tsgen.testing.samplers import mixture_denoiser

LIKE = torch.zeros((), dtype=torch.float64)


SOLVERS = [DPMSolverPP(), DPMSolverPP3M(), ProbabilityFlow(), EDM()]
NOISY = [Ancestral(), EulerMaruyama(), PredictorCorrector()]


def described(part):
    options = {k: v for k, v in part.__init_args__.items() if k != "num_steps"}
    return f"{type(part).__name__} {options or ''}"


@pytest.mark.parametrize(
    "sampler",
    [
        *SOLVERS,
        *NOISY,
        DDIM(),
        DDIM(eta=0.5),
        DPMSolverPP(eta=1.0),
        DPMSolverPP(eta=0.5),
        EulerMaruyama(noise_removal=False),
        PredictorCorrector(predictor="ancestral", corrector_steps=2),
        ProbabilityFlow(method="euler"),
        ProbabilityFlow(method="dopri5"),
        EDM(s_churn=40.0, s_tmin=0.05, s_tmax=50.0, s_noise=1.003),
    ],
    ids=described,
)
def test_conforms(sampler):
    check_sampler(sampler)


@pytest.mark.parametrize(
    "schedule",
    [SubVPSDE(1000, 0.1, 20.0), VESDE(1000, 0.01, 30.0), NoiseLadder(1000, 0.01, 30.0)],
    ids=described,
)
@pytest.mark.parametrize("sampler", [*SOLVERS, *NOISY], ids=described)
def test_conforms_on_other_processes(sampler, schedule):
    check_sampler(sampler, schedule)


@pytest.mark.parametrize(
    "sampler", [AnnealedLangevin(step=0.1), AnnealedLangevin(denoise_last=False)], ids=described
)
def test_annealed_langevin_conforms_where_nothing_decays(sampler):
    check_sampler(sampler, VESDE(1000, 0.01, 30.0))
    with pytest.raises(ValueError, match="LinearSchedule, whose signal decays"):
        sampler.sample(lambda x, t: x, (3,), LinearSchedule(), like=LIKE)


class SlowStart(DPMSolverPP3M):
    """The third-order multistep with the usual start by lower orders."""

    def sample(self, denoise, shape, schedule, *, like, start=None):
        estimates = []

        def flat(x, t):
            # the two estimates inside the first step are replaced by the one at its start
            estimates.append(denoise(x, t))
            return estimates[0] if len(estimates) in (2, 3) else estimates[-1]

        return super().sample(flat, shape, schedule, like=like, start=start)


def test_a_third_order_multistep_needs_its_start():
    """From amid the noise, where the estimate moves from the first step on."""
    schedule = VPSDE(1000, 0.1, 20.0)
    law = torch.tensor([[0.3, 0.7], [-1.2, 0.8], [0.3, 0.5]], dtype=torch.float64)
    denoise, numbers = mixture_denoiser(*law, schedule), [25, 50, 100, 200]
    with seeded(0):
        x = torch.randn(200, dtype=torch.float64)

    def drawn(kind, steps):
        return kind(steps).sample(denoise, (200,), schedule, like=LIKE, start=(x, 0.25))

    reference = drawn(DPMSolverPP3M, 1600)
    for kind, low, high in ((DPMSolverPP3M, 2.7, 3.5), (SlowStart, 1.6, 2.4)):
        errors = [float((drawn(kind, k) - reference).abs().mean()) for k in numbers]
        assert low < -np.polyfit(np.log(numbers), np.log(errors), 1)[0] < high


def test_annealing_finds_the_weights_of_a_mixture_and_plain_langevin_does_not():
    """Parts at -5 and 5 with weights .2 and .8 (Song, Ermon 2019, section 3.2.2)."""
    parts = [torch.tensor(v, dtype=torch.float64) for v in ([0.2, 0.8], [-5.0, 5.0], [1.0, 1.0])]
    ladder, count = NoiseLadder(20, 0.3, 12.0), 20_000
    denoise = mixture_denoiser(*parts, ladder)
    sampler = AnnealedLangevin(steps_per_level=50, step=0.1)
    with seeded(0):
        drawn = sampler.sample(denoise, (count,), ladder, like=LIKE)
        # as many steps at the lowest level alone, from the same spread-out start
        x, level = torch.rand(count).double() * 16 - 8, 0.3
        for _ in range(20 * 50):
            noise = (2 * 0.1) ** 0.5 * level * torch.randn_like(x)
            x = x + 0.1 * (denoise(x, 1 / 20) - x) + noise
    band = 4 * (0.2 * 0.8 / count) ** 0.5
    assert abs((drawn > 0).double().mean() - 0.8) < band + 0.01
    right = drawn[drawn > 0]
    assert abs(right.mean() - 5) < 0.06 and abs(right.std() - 1) < 0.06
    assert (x > 0).double().mean() < 0.6


def test_given_steps_are_the_chain_where_they_are_its_levels():
    schedule = LinearSchedule(50, beta_end=0.3)
    levels = tuple(schedule.alpha(schedule.times()[1:]).flip(0).tolist())
    denoise = gaussian_denoiser(0.7, 0.3, schedule)
    with seeded(1):
        chain = Ancestral().sample(denoise, (50, 1), schedule, like=LIKE)
    with seeded(1):
        given = GivenSteps(levels=levels).sample(denoise, (50, 1), schedule, like=LIKE)
    assert torch.allclose(chain, given, atol=1e-9)


@pytest.mark.parametrize("levels", [(), (0.5, 0.4), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5)])
def test_given_steps_must_rise(levels):
    with pytest.raises(ValueError, match=r"levels=.* must be (in \(0, 1\) and not empty|rising)"):
        GivenSteps(levels=levels)


def test_ancestral_is_the_closed_form_chain():
    """Mean and variance of x_n follow the posterior's recursion exactly.

    Ho et al. 2020, eq 6-7.
    """
    schedule = LinearSchedule(100)
    mean, std = 1.5, 0.4
    beta = betas(schedule)
    abar = (1 - beta).cumprod(0)
    m, v = 0.0, 1.0
    for n in range(99, -1, -1):
        before = abar[n - 1] if n else torch.tensor(1.0).double()
        gain = abar[n].sqrt() * std**2 / (abar[n] * std**2 + 1 - abar[n])
        a0 = before.sqrt() * beta[n] / (1 - abar[n])
        at = (1 - beta[n]).sqrt() * (1 - before) / (1 - abar[n])
        slope = at + a0 * gain
        m = slope * m + a0 * (mean - gain * abar[n].sqrt() * mean)
        v = slope**2 * v + beta[n] * (1 - before) / (1 - abar[n])
    count = 200_000
    with seeded(0):
        drawn = Ancestral().sample(
            gaussian_denoiser(mean, std, schedule), (count,), schedule, like=LIKE
        )
    assert abs(drawn.mean() - m) < 4 * math.sqrt(v / count)
    assert abs(drawn.var() - v) < 4 * v * math.sqrt(2 / count)


def test_ancestral_equals_diffusers():
    schedule = LinearSchedule(30, beta_end=0.3)
    oracle = DDPMScheduler(
        30, beta_start=1e-4, beta_end=0.3, clip_sample=False, variance_type="fixed_small"
    )
    oracle.set_timesteps(30)
    denoise = gaussian_denoiser(0.7, 0.3, schedule)
    with seeded(1):
        ours = Ancestral().sample(denoise, (50, 1), schedule, like=LIKE)
    with seeded(1):
        x = torch.randn(50, 1, dtype=torch.float64)
        for n in range(29, -1, -1):
            abar = oracle.alphas_cumprod[n].double()
            eps = (x - abar.sqrt() * denoise(x, (n + 1) / 30)) / (1 - abar).sqrt()
            x = oracle.step(eps, n, x).prev_sample
    assert torch.allclose(ours, x, atol=1e-4)


def test_dpm_solver_beats_ancestral_on_narrow_laws():
    """Twenty steps keep the spread of a law of standard deviation .05.

    The chain of a hundred loses a quarter.
    """
    schedule = LinearSchedule(100)
    denoise = gaussian_denoiser(0.0, 0.05, schedule)
    with seeded(0):
        fast = DPMSolverPP(20).sample(denoise, (100_000,), schedule, like=LIKE).std() / 0.05
        slow = Ancestral().sample(denoise, (100_000,), schedule, like=LIKE).std() / 0.05
    assert abs(fast - 1) < 0.05
    assert slow < 0.8


def test_steps_are_checked():
    with pytest.raises(ValueError, match="num_steps=0 must be at least 1"):
        DDIM(num_steps=0)
    with pytest.raises(ValueError, match="num_steps=200 must be at most 100, the steps of"):
        DDIM(num_steps=200).times(LinearSchedule())
    with pytest.raises(ValueError, match=r"eta=2.0 must be in \[0, 1\]"):
        DDIM(eta=2.0)
    assert len(DPMSolverPP(1).times(CosineSchedule())) == 2


class Sloppy(DPMSolverPP):
    def sample(self, denoise, shape, schedule, *, like, start=None):
        return DDIM(num_steps=self.num_steps).sample(
            denoise, shape, schedule, like=like, start=start
        )


def test_the_suite_finds_a_wrong_order():
    with pytest.raises(AssertionError, match="declared 2"):
        check_sampler(Sloppy())


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: PredictorCorrector(snr=0.0), "snr=0"),
        (lambda: PredictorCorrector(corrector_steps=-1), "corrector_steps=-1"),
        (lambda: AnnealedLangevin(steps_per_level=0), "steps_per_level=0"),
        (lambda: AnnealedLangevin(step=1.5), "step=1.5"),
        (lambda: EDM(rho=0.0), "rho=0"),
        (lambda: EDM(s_churn=-1.0), "s_churn=-1"),
        (lambda: ProbabilityFlow(method="dopri5").with_evaluations(20), "as many calls"),
        (lambda: EDM().with_evaluations(0), "0 evaluations are too few"),
    ],
)
def test_bad_options_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_the_first_step_of_the_sde_solver_is_the_chains() -> None:
    """With one estimate there is nothing to extrapolate, and eta = 1 is the posterior's step."""
    schedule, denoise = LinearSchedule(), gaussian_denoiser(0.3, 0.5, LinearSchedule())
    ends = torch.tensor([1.0, 1 / schedule.num_steps], dtype=torch.float64)
    levels = GivenSteps(levels=tuple(schedule.alpha(ends).tolist()))
    drawn = []
    for sampler in (DPMSolverPP(2, eta=1.0), levels):
        with seeded(0):
            drawn.append(sampler.sample(denoise, (50, 1), schedule, like=LIKE))
    torch.testing.assert_close(*drawn, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("bad", [-0.1, 1.5])
def test_eta_is_a_share(bad: float) -> None:
    """And the three-step solver has no noise."""
    with pytest.raises(ValueError, match="eta"):
        DPMSolverPP(eta=bad)
    with pytest.raises(ValueError, match="must be 0"):
        DPMSolverPP3M(eta=0.5)
