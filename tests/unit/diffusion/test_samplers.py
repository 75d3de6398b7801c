"""Samplers against their papers' algorithms, written out step by step."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.support.chains import betas
from tsgen.core import seeded
from tsgen.diffusion import (
    DDIM,
    EDM,
    VESDE,
    VPSDE,
    AnnealedLangevin,
    DPMSolverPP,
    DPMSolverPP3M,
    EulerMaruyama,
    GivenSteps,
    LinearSchedule,
    NoiseLadder,
    PredictorCorrector,
    ProbabilityFlow,
    Sampler,
    Schedule,
    SubVPSDE,
    langevin_step,
)
from tsgen.diffusion.samplers import Denoiser
from tsgen.testing.samplers import mixture_denoiser

LIKE = torch.zeros((), dtype=torch.float64)
SHAPE = (100, 2)
Score = Callable[[Tensor, float], Tensor]


def curved(schedule: Schedule) -> Denoiser:
    """The denoiser of a mixture."""
    law = torch.tensor([[0.3, 0.7], [-1.2, 0.8], [0.3, 0.5]], dtype=torch.float64)
    return mixture_denoiser(law[0], law[1], law[2], schedule)


def levels_at(schedule: Schedule, t: float) -> tuple[float, float]:
    """Alpha and sigma."""
    time = torch.tensor(t, dtype=torch.float64)
    return schedule.alpha(time).item(), schedule.sigma(time).item()


def score_of(schedule: Schedule) -> Score:
    """The gradient of the mixture's noised log density."""
    denoise = curved(schedule)

    def score(x: Tensor, t: float) -> Tensor:
        alpha, sigma = levels_at(schedule, t)
        return (alpha * denoise(x, t) - x) / sigma**2

    return score


def drawn(sampler: Sampler, schedule: Schedule, seed: int = 3) -> Tensor:
    """The sampler's own samples."""
    with seeded(seed):
        return sampler.sample(curved(schedule), SHAPE, schedule, like=LIKE)


@pytest.mark.parametrize("schedule", [VPSDE(50), VESDE(50, 0.01, 30.0)], ids=repr)
@pytest.mark.parametrize("churn", [0.0, 0.9, 40.0])
def test_edm_is_algorithm_2(schedule: Schedule, churn: float) -> None:
    """Karras et al. 2022: the levels of eq 5, churn within its bounds and below its cap."""
    n, rho, low, high, factor = 9, 5.0, 0.2, 8.0, 1.1
    sampler = EDM(n, rho, s_churn=churn, s_tmin=low, s_tmax=high, s_noise=factor)
    ends = [s / a for a, s in (levels_at(schedule, t) for t in (1.0, 1 / 50))]
    roots = [k ** (1 / rho) for k in ends]
    k = [(roots[0] + i / (n - 1) * (roots[1] - roots[0])) ** rho for i in range(n)] + [0.0]
    inside = [low <= level <= high for level in k[:-1]]
    assert any(inside) and not all(inside)
    denoise = curved(schedule)

    def estimate(y: Tensor, level: float) -> Tensor:
        t = schedule.time(torch.tensor(-math.log(level), dtype=torch.float64)).item()
        return denoise(levels_at(schedule, t)[0] * y, t)

    with seeded(3):
        y = torch.randn(SHAPE, dtype=torch.float64) * schedule.prior_std / levels_at(schedule, 1)[0]
        for i in range(n):
            gamma = min(churn / n, math.sqrt(2) - 1) if inside[i] else 0.0
            raised = k[i] * (1 + gamma)
            if gamma:
                y = y + math.sqrt(raised**2 - k[i] ** 2) * factor * torch.randn_like(y)
            slope = (y - estimate(y, raised)) / raised
            moved = y + (k[i + 1] - raised) * slope
            if k[i + 1] > 0:
                after = (moved - estimate(moved, k[i + 1])) / k[i + 1]
                moved = y + (k[i + 1] - raised) * (slope + after) / 2
            y = moved
    assert torch.allclose(drawn(sampler, schedule), y, atol=1e-8)


def test_edm_puts_no_noise_back_at_the_noisiest_level() -> None:
    """The first state is the prior's draw, though churn is asked for at all levels."""
    asked: list[tuple[Tensor, float]] = []

    def denoise(x: Tensor, t: float) -> Tensor:
        asked.append((x, t))
        return torch.zeros_like(x)

    with seeded(3):
        EDM(4, s_churn=40.0).sample(denoise, SHAPE, VPSDE(50), like=LIKE)
    with seeded(3):
        noise = torch.randn(SHAPE, dtype=torch.float64)
    assert torch.allclose(asked[0][0], noise, rtol=1e-12)
    assert max(t for _, t in asked) <= 1


@pytest.mark.parametrize("noise_removal", [True, False])
@pytest.mark.parametrize(
    "schedule", [VPSDE(50), SubVPSDE(50), VESDE(50, 0.01, 30.0), LinearSchedule(50)], ids=repr
)
def test_euler_maruyama_is_the_reverse_equation(schedule: Schedule, noise_removal: bool) -> None:
    """Song et al. 2021, eq 6, with the score."""
    score, steps = score_of(schedule), 10
    with seeded(3):
        x = torch.randn(SHAPE, dtype=torch.float64) * schedule.prior_std
        for i in range(steps):
            t = 1 - i / steps
            time = torch.tensor(t, dtype=torch.float64)
            f, g = schedule.drift(time).item(), schedule.diffusion(time).item()
            if noise_removal and i == steps - 1:
                x = curved(schedule)(x, t)
                break
            reverse = f * x - g**2 * score(x, t)
            x = x - reverse / steps + g * math.sqrt(1 / steps) * torch.randn_like(x)
    found = drawn(EulerMaruyama(steps, noise_removal=noise_removal), schedule)
    assert torch.allclose(found, x, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("predictor", ["reverse_diffusion", "ancestral"])
@pytest.mark.parametrize("schedule", [LinearSchedule(12), NoiseLadder(12, 0.05, 20.0)], ids=repr)
def test_predictor_corrector_is_that_of_the_paper(schedule: Schedule, predictor: str) -> None:
    """Song et al. 2021: eq 46 and 47 in betas (VP) and sigmas (VE), algorithms 4 and 5."""
    score, snr, total = score_of(schedule), 0.3, schedule.num_steps
    preserving = isinstance(schedule, LinearSchedule)
    sigmas = [levels_at(schedule, n / total)[1] for n in range(total + 1)]
    with seeded(3):
        x = torch.randn(SHAPE, dtype=torch.float64) * schedule.prior_std
        for n in range(total, 0, -1):
            t, s, before = n / total, sigmas[n], sigmas[n - 1]
            beta = betas(schedule)[n - 1].item() if preserving else 0.0
            for _ in range(2):
                z, g = torch.randn_like(x), score(x, t)
                size = 2 * (1 - beta) * (snr * z.norm(dim=1).mean() / g.norm(dim=1).mean()) ** 2
                x = x + size * g + (2 * size).sqrt() * z
            added = beta if preserving else s**2 - before**2
            g, z = score(x, t), torch.randn_like(x) if n > 1 else None
            if z is None:
                x = curved(schedule)(x, t)
            elif predictor == "reverse_diffusion":
                x = (2 - math.sqrt(1 - beta)) * x + added * g + math.sqrt(added) * z
            else:
                spread = math.sqrt(added) * before / s
                x = (x + added * g) / math.sqrt(1 - beta) + spread * z
    sampler = PredictorCorrector(None, predictor, corrector_steps=2, snr=snr)
    assert torch.allclose(drawn(sampler, schedule), x, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("denoise_last", [True, False])
def test_annealed_langevin_is_algorithm_1(denoise_last: bool) -> None:
    """Song, Ermon 2019, with their step in terms of the lowest level."""
    ladder, epsilon, steps = NoiseLadder(6, 0.1, 5.0), 2e-3, 4
    score, lowest = score_of(ladder), 0.1
    sigmas = [0.1 * 50 ** (n / 5) for n in range(5, -1, -1)]
    with seeded(3):
        x = torch.randn(SHAPE, dtype=torch.float64) * 5.0
        for i, sigma in enumerate(sigmas):
            a = epsilon * sigma**2 / lowest**2
            for _ in range(steps):
                z = torch.randn_like(x)
                x = x + a / 2 * score(x, 1 - i / 6) + math.sqrt(a) * z
        if denoise_last:
            x = x + lowest**2 * score(x, 1 / 6)
    sampler = AnnealedLangevin(None, steps, epsilon / (2 * lowest**2), denoise_last)
    assert torch.allclose(drawn(sampler, ladder), x, atol=1e-8)


def test_annealed_langevin_takes_the_step_of_version_2() -> None:
    """Technique 4 for the ratio of the levels it visits; by hand for T = 1, where it has a root."""
    ladder = NoiseLadder(9, 0.1, 5.0)
    for count in (None, 5):
        times = AnnealedLangevin(count).times(ladder)[:-1]
        sigma = ladder.sigma(times)
        ratio = (sigma[0] / sigma[-1]).item() ** (1 / (len(sigma) - 1))
        step = langevin_step(ratio, 3)
        explicit = drawn(AnnealedLangevin(count, 3, step), ladder)
        assert torch.equal(drawn(AnnealedLangevin(count, 3), ladder), explicit)
    # (1 - r)^2 g^2 + 2 r = 1 for T = 1: at g^2 = 3 / 2 by r^2 - (2 / 3) r + 1 / 3 = 0, no root, and
    # the variance 1.5 r^2 - r + 1.5 is least at r = 1 / 3
    assert abs(langevin_step(math.sqrt(1.5), 1) - 1 / 3) < 1e-4
    for ratio, steps in ((0.5, 5), (math.nan, 5), (1.1, 0)):
        with pytest.raises(ValueError, match=f"ratio={ratio} and steps_per_level={steps}"):
            langevin_step(ratio, steps)


@pytest.mark.parametrize(
    ("sampler", "tolerance"),
    [
        (ProbabilityFlow(method="dopri5", rtol=1e-8, atol=1e-8), 1e-5),
        (ProbabilityFlow(2000), 1e-4),
        (EDM(2000), 1e-4),
    ],
)
def test_solvers_agree(sampler: Sampler, tolerance: float) -> None:
    """With the third-order multistep, from the same noise, to the accuracy of the less exact."""
    schedule = SubVPSDE(1000, 0.1, 20.0)
    fine = drawn(DPMSolverPP3M(1600), schedule)
    assert (drawn(sampler, schedule) - fine).abs().max() < tolerance


def test_a_run_taken_up_half_way_ends_the_same() -> None:
    """The state at t = .5 as the start, with the half of the steps that is left."""
    schedule, seen = LinearSchedule(50), {}

    def watched(x: Tensor, t: float) -> Tensor:
        seen[round(t, 9)] = x
        return curved(schedule)(x, t)

    with seeded(3):
        whole = DDIM(50).sample(watched, SHAPE, schedule, like=LIKE)
    rest = DDIM(25).sample(curved(schedule), SHAPE, schedule, like=LIKE, start=(seen[0.5], 0.5))
    assert torch.allclose(rest, whole, atol=1e-10)


@pytest.mark.parametrize("kind", [DPMSolverPP, DPMSolverPP3M, ProbabilityFlow, EDM])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps(kind: type[Sampler], steps: int) -> None:
    """As many calls as declared; one step is the estimate from pure noise."""
    schedule, calls = VPSDE(50), []

    def counted(x: Tensor, t: float) -> Tensor:
        calls.append(t)
        return curved(schedule)(x, t)

    with seeded(3):
        found = kind(steps).sample(counted, SHAPE, schedule, like=LIKE)
    assert len(calls) == kind(steps).evaluations(schedule) and found.isfinite().all()
    # from 1 to the first step of the chain, whose estimate is the sample
    assert calls[0] == 1 and (steps == 1 or abs(calls[-1] - 1 / 50) < 1e-9)
    if steps == 1:
        with seeded(3):
            noise = torch.randn(SHAPE, dtype=torch.float64)
        assert torch.allclose(found, curved(schedule)(noise, 1.0), rtol=1e-12)


def test_given_levels_are_the_evaluations() -> None:
    """No number of steps changes them, and they are levels of variance preserving processes."""
    given = GivenSteps(levels=(0.2, 0.5, 0.9))
    assert given.with_evaluations(10) == given
    assert given.evaluations(VPSDE()) == 3
    with pytest.raises(ValueError, match="2 evaluations are too few, the given levels make 3"):
        given.with_evaluations(2)
    for schedule in (VESDE(), SubVPSDE()):
        with pytest.raises(ValueError, match=f"{type(schedule).__name__} does not preserve"):
            given.sample(curved(schedule), SHAPE, schedule, like=LIKE)


def test_a_corrector_of_few_rows_keeps_the_law() -> None:
    """Each call draws four rows: their own mean norm would spread the samples."""
    schedule, mean, std = VPSDE(100), 1.5, 0.5
    one = torch.ones(1, dtype=torch.float64)
    denoise = mixture_denoiser(one, mean * one, std * one, schedule)
    with seeded(0):
        found = torch.cat(
            [PredictorCorrector().sample(denoise, (4,), schedule, like=LIKE) for _ in range(200)]
        )
    assert abs(float(found.mean()) - mean) < 4 * std / 800**0.5 + 0.02
    assert abs(float(found.std()) - std) < 4 * std / 1600**0.5 + 0.02
