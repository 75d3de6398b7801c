import pytest
import torch
from diffusers import DDPMScheduler

from tests.support.chains import betas
from tsgen.diffusion import CosineSchedule, LinearSchedule, Parameterization, QuadraticSchedule

SCHEDULES = [
    LinearSchedule(),
    LinearSchedule(1000, 1e-4, 0.02),
    LinearSchedule(10, 0.1, 0.1),
    LinearSchedule(1),
    QuadraticSchedule(50, 1e-4, 0.5),
    CosineSchedule(100),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_conforms(schedule):
    grid = schedule.times()
    assert grid[0] == 0 and grid[-1] == 1 and len(grid) == schedule.num_steps + 1
    t = torch.linspace(0.001, 1, 500, dtype=torch.float64)
    assert (schedule.half_log_snr(t).diff() < 0).all()
    assert torch.allclose(schedule.time(schedule.half_log_snr(t)), t, atol=1e-9)
    assert torch.allclose(
        schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2, torch.ones_like(t), atol=1e-12
    )
    assert schedule.alpha(grid[:1]) == 1 and schedule.sigma(grid[:1]) == 0
    h = 1e-6
    for value, slope in (
        (schedule.alpha, schedule.alpha_dot),
        (schedule.sigma, schedule.sigma_dot),
    ):
        numeric = (value(t[1:-1] + h) - value(t[1:-1] - h)) / (2 * h)
        assert torch.allclose(slope(t[1:-1]), numeric, rtol=1e-4, atol=1e-5)
    # dx = f x dt + g dW preserves unit variance if g^2 = -2 f, and f is the signal's rate of decay
    drift, squared = schedule.drift(t), schedule.diffusion(t) ** 2
    assert drift.dtype == squared.dtype == torch.float64 and squared.isfinite().all()
    assert torch.allclose(squared, -2 * drift, rtol=1e-9)
    decay = (schedule.alpha(t[1:-1] + h).log() - schedule.alpha(t[1:-1] - h).log()) / (2 * h)
    assert torch.allclose(drift[1:-1], decay, rtol=1e-4, atol=1e-5)


def test_betas_are_the_published_ones():
    linear = betas(LinearSchedule(100, 1e-4, 0.1))
    assert torch.allclose(linear, torch.linspace(1e-4, 0.1, 100, dtype=torch.float64), atol=1e-9)
    quadratic = betas(QuadraticSchedule(50, 1e-4, 0.5))
    assert torch.allclose(
        quadratic, torch.linspace(0.01, 0.5**0.5, 50, dtype=torch.float64) ** 2, atol=1e-9
    )
    oracle = DDPMScheduler(100, beta_start=1e-4, beta_end=0.1).alphas_cumprod.double()
    assert torch.allclose(
        LinearSchedule().alpha(LinearSchedule().times()[1:]) ** 2, oracle, atol=1e-5
    )
    cosine, oracle = CosineSchedule(1000), DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2")
    t = torch.arange(1, 901) / 1000
    ours = cosine.alpha(t.double()) ** 2
    assert (
        ours - oracle.alphas_cumprod[:900].double()
    ).abs().max() < 0.02  # time is stretched by half a percent


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearSchedule(0), "num_steps=0 must be at least 1"),
        (lambda: LinearSchedule(10, 0.2, 0.1), "beta_end=0.1 must be at least beta_start=0.2"),
        (lambda: CosineSchedule(10, terminal_alpha=0.0), "terminal_alpha=0.0"),
        (lambda: LinearSchedule(10.5), "num_steps=10.5 must be a whole number"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("target", ["eps", "x0", "v"])
def test_parameterizations_invert(target):
    torch.manual_seed(0)
    p = Parameterization(target)
    x0, eps = torch.randn(2, 1000, dtype=torch.float64)
    t = torch.rand(1000, dtype=torch.float64) * 0.9 + 0.1
    schedule = LinearSchedule()
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    x = alpha * x0 + sigma * eps
    output = p.of(x0, eps, alpha, sigma)
    assert torch.allclose(p.to_x0(output, x, alpha, sigma), x0)
    # the weight is the ratio of squared errors at the same x
    wrong = x0 + torch.randn_like(x0)
    error = (p.of(wrong, (x - alpha * wrong) / sigma, alpha, sigma) - output) ** 2
    assert torch.allclose(error, p.weight(alpha, sigma) * (wrong - x0) ** 2)
