"""Critically damped Langevin diffusion: its moments, its noise and its samplers."""

import math

import numpy as np
import pytest
import scipy
import torch

from tests.support.known_scores import gaussian_score
from tsgen.core import seeded
from tsgen.diffusion import CLD, SSCS, LangevinEulerMaruyama, LangevinSampler


def test_bad_numbers_are_refused() -> None:
    """Naming the process and the field."""
    for make, text in (
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
