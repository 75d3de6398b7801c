"""Processes: marginals, rates, priors, weights; critically damped Langevin diffusion."""

import math

import numpy as np
import pytest
import scipy
import torch
from scipy import stats

from tests.support.known_scores import gaussian_score
from tsgen.core import seeded
from tsgen.diffusion import (
    CLD,
    SDE,
    SSCS,
    VESDE,
    VPSDE,
    LangevinEulerMaruyama,
    LangevinSampler,
    LinearSchedule,
    NoiseLadder,
    Schedule,
    SubVPSDE,
    langevin_step,
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


def test_ladders_are_those_of_the_papers() -> None:
    """Geometric; version 2 chooses number and end by the data, and the Langevin step by both."""
    ladder = NoiseLadder(10, 0.01, 1.0)
    sigma = ladder.sigma(ladder.times())
    assert torch.allclose(sigma[1:], torch.logspace(-2, 0, 10, dtype=torch.float64))
    assert sigma[0] == 0
    inner = ladder.times()[1:]
    slope = (ladder.sigma(inner + 1e-7) - ladder.sigma(inner)) / 1e-7
    assert torch.allclose(ladder.sigma_dot(inner), slope, rtol=1e-5)
    assert torch.allclose(ladder.sigma_dot(inner[:1] / 2), torch.tensor(0.1).double())
    data = np.random.default_rng(0).normal(size=(200, 3072)) * 0.5
    chosen = NoiseLadder.of_data(data, 0.01)
    largest = np.sqrt(((data[:, None, :8] - data[None, :, :8]) ** 2).sum(-1)).max()
    assert chosen.sigma_max > largest
    ratio = (chosen.sigma_max / 0.01) ** (1 / (chosen.num_steps - 1))
    root = math.sqrt(2 * 3072)
    shared = stats.norm.cdf(root * (ratio - 1) + 3 * ratio)
    shared -= stats.norm.cdf(root * (ratio - 1) - 3 * ratio)
    assert abs(shared - 0.5) < 0.02
    # CIFAR-10's numbers in that paper: 232 levels from 50 to .01, T = 5, epsilon = 6.2e-6
    assert abs(langevin_step((50 / 0.01) ** (1 / 231), 5) - 6.2e-6 / 0.01**2) < 0.002


def test_bad_numbers_are_refused() -> None:
    """Naming the process and the field."""
    for make, text in (
        (lambda: VPSDE(beta_min=5.0, beta_max=1.0), "beta_max=1.0 must be at least beta_min=5.0"),
        (lambda: VESDE(sigma_min=0.0), "sigma_min=0.0"),
        (lambda: VESDE(sigma_max=0.01), "sigma_max=0.01 must be above sigma_min=0.01"),
        (lambda: VESDE(sigma_max=math.nan), "sigma_max=nan must be above 0 and finite"),
        (lambda: NoiseLadder(1), "num_steps=1 must be at least 2"),
        (lambda: NoiseLadder.of_data(np.zeros((3, 2))), "largest distance"),
        (lambda: CLD(mass=-1.0), "mass=-1.0"),
        (lambda: CLD(t_min=1.0), "t_min=1.0"),
        (lambda: SSCS(0), "num_steps=0"),
    ):
        with pytest.raises(ValueError, match=text):
            make()


def test_critical_damping_is_the_double_eigenvalue() -> None:
    """Below it the process oscillates, above it one direction is slower."""

    def eigenvalues(friction: float | None) -> np.ndarray:
        return np.linalg.eigvals(CLD(friction=friction).drift_matrix().numpy())

    critical = CLD()
    assert math.isclose(critical.damping**2, 4 * critical.mass)
    assert np.allclose(eigenvalues(None), -critical.beta * 1 / (2 * critical.mass), atol=1e-6)
    assert np.abs(eigenvalues(0.5).imag).min() > 1
    over = eigenvalues(2.0)
    assert np.abs(over.imag).max() < 1e-9 and np.ptp(over.real) > 1
    slowest = [eigenvalues(f).real.max() for f in (0.3, 0.6, None, 1.5, 3.0)]
    assert int(np.argmin(slowest)) == 2


@pytest.mark.parametrize("friction", [None, 0.5, 2.0])
@pytest.mark.parametrize("hybrid", [True, False])
def test_joint_marginals_are_those_of_a_simulation(friction: float | None, hybrid: bool) -> None:
    """Euler-Maruyama of position and velocity from one point, all five moments."""
    process, steps, count = CLD(friction=friction), 4000, 10_000
    rate, mass, drag = process.beta / steps, process.mass, process.damping
    with seeded(0):
        x = torch.full((count,), 1.2, dtype=torch.float64)
        v = torch.full((count,), 0.3, dtype=torch.float64)
        if hybrid:
            v = (process.gamma * mass) ** 0.5 * torch.randn_like(v)
        for step in range(steps):
            kick = (2 * drag * rate) ** 0.5 * torch.randn_like(v)
            x, v = x + rate * v / mass, v - rate * (x + drag * v / mass) + kick
            if step + 1 in (steps // 20, steps // 4, steps):
                t = torch.tensor([(step + 1) / steps], dtype=torch.float64)
                factor, root = (m[0] for m in process.marginal(t, hybrid))
                mean = factor @ torch.tensor([1.2, 0.0 if hybrid else 0.3]).double()
                covariance = root @ root.T
                found = torch.stack([x, v])
                scale = covariance.diagonal().sqrt()
                assert ((found.mean(1) - mean).abs() < 4 * scale / count**0.5 + 0.01).all()
                off = (found.cov() - covariance) / torch.outer(scale, scale)
                assert off.abs().max() < 4 * (2 / count) ** 0.5 + 0.02


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("gap", [1e-7, 1e-4, 4e-3, 6e-3, 0.3])
def test_noise_of_short_steps_keeps_its_digits(gap: float, sign: float) -> None:
    """The covariance is the integral of what each kick grows to, at any length of step."""
    process = CLD(beta=2.0)

    def grown(share: float) -> np.ndarray:
        state = scipy.linalg.expm(process.drift_matrix(sign).numpy() * gap * share)[:, 1]
        return 2 * process.damping * process.beta * gap * np.outer(state, state)

    exact, _ = scipy.integrate.quad_vec(grown, 0, 1, epsrel=1e-12, epsabs=0)
    both = torch.tensor([gap, 0.5], dtype=torch.float64)  # a long one beside it
    found = process.transition(both, sign)[1][0].numpy()
    assert np.allclose(found, exact, rtol=1e-8, atol=0)


def test_cld_ends_where_samplers_start() -> None:
    """The joint law at t = 1 is nearly the stationary one."""
    process = CLD()
    factor, root = (m[0] for m in process.marginal(torch.ones(1, dtype=torch.float64)))
    assert factor.abs().max() < 0.03
    assert torch.allclose(root @ root.T, process.stationary, atol=0.01)
    x = torch.tensor([[0.5, 1.0]], dtype=torch.float64)
    exact = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum()
    exact += torch.distributions.Normal(0.0, process.mass**0.5).log_prob(x).sum()
    assert torch.allclose(process.prior_log_prob(x, x)[0], exact)


@pytest.mark.parametrize("sampler", [SSCS(400), LangevinEulerMaruyama(1000)])
def test_cld_samplers_draw_the_law_of_the_score(sampler: LangevinSampler) -> None:
    """With the score of N(1.5, .5^2): mean and deviation; calls are as declared."""
    calls = []
    score = gaussian_score(CLD(), 1.5, 0.5)

    def counted(x: torch.Tensor, v: torch.Tensor, t: float) -> torch.Tensor:
        calls.append(t)
        return score(x, v, t)

    like = torch.zeros((), dtype=torch.float64)
    with seeded(0):
        drawn = sampler.sample(counted, (20_000,), CLD(), like=like)
    assert len(calls) == sampler.evaluations(CLD()) and min(calls) > 0 and max(calls) <= 1
    assert abs(drawn.mean() - 1.5) < 4 * 0.5 / 20_000**0.5 + 0.01
    assert abs(drawn.std() - 0.5) < 4 * 0.5 / 40_000**0.5 + 0.01


@pytest.mark.parametrize("kind", [SSCS, LangevinEulerMaruyama])
def test_errors_of_cld_samplers_fall_with_their_steps(kind: type[LangevinSampler]) -> None:
    """Ten times the steps leave less than a third of the error."""
    assert kind(5).with_evaluations(15) == kind(15)
    like, off = torch.zeros((), dtype=torch.float64), []
    for steps in (15, 150):
        with seeded(0):
            drawn = kind(steps).sample(gaussian_score(CLD(), 1.5, 0.5), (20_000,), CLD(), like=like)
        off.append(abs(float(drawn.mean()) - 1.5) + abs(float(drawn.std()) - 0.5))
    assert off[1] < off[0] / 3
