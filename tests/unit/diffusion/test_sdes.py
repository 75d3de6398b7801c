"""Processes: marginals, rates, priors, weights."""

import math

import pytest
import torch
from scipy import stats

from tsgen.core import seeded
from tsgen.diffusion import (
    SDE,
    VESDE,
    VPSDE,
    LinearSchedule,
    Schedule,
    SubVPSDE,
)

SDES: list[SDE] = [VPSDE(), VPSDE(100, 0.01, 10.0), SubVPSDE(100, 0.1, 15.0), VESDE(50, 0.01, 10.0)]
GRID = torch.linspace(0.001, 1, 400, dtype=torch.float64)


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_drift_and_diffusion_have_these_marginals(sde: SDE) -> None:
    """The closed forms are those of the derivatives of alpha and sigma."""
    generic = Schedule.drift(sde, GRID), Schedule.diffusion(sde, GRID)
    assert torch.allclose(sde.drift(GRID), generic[0], rtol=1e-8, atol=1e-8)
    assert torch.allclose(sde.diffusion(GRID), generic[1], rtol=1e-7)
    zero = torch.zeros(1, dtype=torch.float64)
    assert sde.alpha(zero) == 1 and sde.sigma(zero) == 0


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_marginals_are_those_of_a_simulation(sde: SDE) -> None:
    """Euler-Maruyama of dx = f x dt + g dW from x = 1.5: mean and deviation on the way."""
    steps, count = 2000, 20_000
    with seeded(0):
        x = torch.full((count,), 1.5, dtype=torch.float64)
        for step in range(steps):
            t = torch.tensor((step + 0.5) / steps, dtype=torch.float64)
            noise = sde.diffusion(t) / steps**0.5 * torch.randn_like(x)
            x = x + sde.drift(t) * x / steps + noise
            if step + 1 in (steps // 10, steps // 2, steps):
                now = torch.tensor((step + 1) / steps, dtype=torch.float64)
                mean, std = 1.5 * sde.alpha(now), sde.sigma(now)
                assert abs(x.mean() - mean) < 4 * std / count**0.5 + 0.01 * abs(mean)
                assert abs(x.std() / std - 1) < 4 / (2 * count) ** 0.5 + 0.01


def test_closed_forms() -> None:
    """By hand at t = .5."""
    half = torch.tensor(0.5, dtype=torch.float64)
    integral = 0.1 * 0.5 + 19.9 * 0.125
    assert math.isclose(VPSDE().alpha(half), math.exp(-integral / 2))
    assert math.isclose(VPSDE().sigma(half), math.sqrt(1 - math.exp(-integral)))
    assert math.isclose(VPSDE().diffusion(half), math.sqrt(0.1 + 19.9 * 0.5))
    assert math.isclose(SubVPSDE().sigma(half), 1 - math.exp(-integral))
    assert math.isclose(VESDE().sigma(half), math.sqrt(0.01**2 * (5000 - 1)))
    assert math.isclose(VESDE().prior_std, math.sqrt(50**2 - 0.01**2))
    assert VPSDE().prior_std == SubVPSDE().prior_std == 1


def test_vp_is_the_limit_of_ddpms_chain() -> None:
    """N small steps of beta(t) / N have nearly the same signal."""
    chain = LinearSchedule(1000, beta_start=1e-4, beta_end=0.02)
    assert torch.allclose(chain.alpha(GRID), VPSDE().alpha(GRID), atol=2e-3)


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_likelihood_times_have_the_density_of_the_weight(sde: SDE) -> None:
    """F is the integral of g^2 / sigma^2, its inverse inverts it, draws follow it."""
    fine = torch.linspace(0.01, 1, 200_001, dtype=torch.float64)
    weight = sde.likelihood_weight(fine)
    numeric = torch.cumulative_trapezoid(weight, fine)
    closed = sde.accumulated(fine) - sde.accumulated(fine[:1])
    assert torch.allclose(closed[1:], numeric, rtol=1e-5, atol=1e-6)
    assert torch.allclose(sde.accumulated_inverse(sde.accumulated(GRID)), GRID, atol=1e-9)
    with seeded(0):
        times, total = sde.likelihood_times(5000, 0.01)
        ordered, _ = sde.likelihood_times(50, 0.01, stratified=True)
    share = (sde.accumulated(times) - sde.accumulated(fine[0])) / total
    assert stats.kstest(share.numpy(), "uniform").pvalue > 0.01
    assert math.isclose(total, float(numeric[-1]), rel_tol=1e-5)
    place = (sde.accumulated(ordered) - sde.accumulated(fine[0])) / total * 50
    assert (place.floor() == torch.arange(50)).all()


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_priors(sde: SDE) -> None:
    """A normal law of the deviation that samplers start with."""
    x = torch.tensor([[0.3, -2.0], [1.0, 0.0]], dtype=torch.float64)
    exact = torch.distributions.Normal(0.0, sde.prior_std).log_prob(x).sum(1)
    assert torch.allclose(sde.prior_log_prob(x), exact)
    end = sde.sigma(torch.ones(1, dtype=torch.float64)).item()
    assert abs(end / sde.prior_std - 1) < 0.01


def test_bad_numbers_are_refused() -> None:
    """Naming the process and the field."""
    for make, text in (
        (lambda: VPSDE(beta_min=5.0, beta_max=1.0), "beta_max=1.0 must be at least beta_min=5.0"),
        (lambda: VESDE(sigma_min=0.0), "sigma_min=0.0"),
        (lambda: VESDE(sigma_max=0.01), "sigma_max=0.01 must be above sigma_min=0.01"),
        (lambda: VESDE(sigma_max=math.nan), "sigma_max=nan must be above 0 and finite"),
    ):
        with pytest.raises(ValueError, match=text):
            make()


@pytest.mark.parametrize("sde", SDES)
def test_the_time_of_a_half_log_snr_is_its_inverse(sde):
    """In closed form as by the bisection of any schedule."""
    t = torch.linspace(1e-4, 1, 200, dtype=torch.float64)
    levels = sde.half_log_snr(t)
    assert torch.allclose(sde.time(levels), t, rtol=1e-9, atol=1e-12)
    assert torch.allclose(sde.time(levels), Schedule.time(sde, levels), rtol=1e-8, atol=1e-9)
