import math

import pytest
import torch
from diffusers import DDPMScheduler

from tsgen.core import seeded
from tsgen.diffusion import (
    DDIM,
    Ancestral,
    CosineSchedule,
    DPMSolverPP,
    GivenSteps,
    LinearSchedule,
)
from tsgen.testing import check_sampler, gaussian_denoiser

LIKE = torch.zeros((), dtype=torch.float64)


@pytest.mark.parametrize("sampler", [Ancestral(), DDIM(), DDIM(eta=0.5), DPMSolverPP()])
def test_conforms(sampler):
    check_sampler(sampler)


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
    with pytest.raises(ValueError, match=r"levels=.* must rise and lie in \(0, 1\)"):
        GivenSteps(levels=levels)


def test_ancestral_is_the_closed_form_chain():
    """Mean and variance of x_n follow the posterior's recursion exactly.

    Ho et al. 2020, eq 6-7.
    """
    schedule = LinearSchedule(100)
    mean, std = 1.5, 0.4
    beta = schedule.betas()
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
    with pytest.raises(ValueError, match="num_steps=200 exceeds the 100 steps"):
        DDIM(num_steps=200).times(LinearSchedule())
    with pytest.raises(ValueError, match=r"eta=2.0 must lie in \[0, 1\]"):
        DDIM(eta=2.0)
    assert len(DPMSolverPP(1).times(CosineSchedule())) == 2


class Sloppy(DPMSolverPP):
    def sample(self, denoise, shape, schedule, *, like):
        return DDIM(num_steps=self.num_steps).sample(denoise, shape, schedule, like=like)


def test_the_suite_finds_a_wrong_order():
    with pytest.raises(AssertionError, match="declared 2"):
        check_sampler(Sloppy())
