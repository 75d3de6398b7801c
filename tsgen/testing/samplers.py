"""The contract of samplers."""

import functools
import math

import numpy as np
import torch
from gluonts.core.serde import dump_json, load_json
from torch import Tensor

from tsgen.core import seeded
from tsgen.diffusion import LinearSchedule, Sampler, Schedule
from tsgen.diffusion.samplers import Denoiser
from tsgen.testing.common import check_raises

USUAL = LinearSchedule(num_steps=1000, beta_end=0.02)


def mixture_denoiser(weights: Tensor, means: Tensor, stds: Tensor, schedule: Schedule) -> Denoiser:
    r"""The exact :math:`E[x_0 \mid x_t]` for data from a mixture of normal laws.

    Args:
        weights: of the parts, (K,).
        means: (K,).
        stds: (K,).
        schedule: the process.
    """

    def denoise(x: Tensor, t: float) -> Tensor:
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = schedule.alpha(time).item(), schedule.sigma(time).item()
        variance = alpha**2 * stds**2 + sigma**2
        off = x[..., None] - alpha * means
        share = (weights.log() - variance.log() / 2 - off**2 / variance / 2).softmax(-1)
        return (share * (means + alpha * stds**2 / variance * off)).sum(-1)

    return denoise


def gaussian_denoiser(mean: float, std: float, schedule: Schedule) -> Denoiser:
    r"""The exact :math:`E[x_0 \mid x_t]` for data from :math:`N(m, s^2)`: affine in :math:`x_t`."""

    def denoise(x: Tensor, t: float) -> Tensor:
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = schedule.alpha(time).item(), schedule.sigma(time).item()
        gain = alpha * std**2 / (alpha**2 * std**2 + sigma**2)
        return gain * x + (1 - gain * alpha) * mean

    return denoise


def check_sampler(
    sampler: Sampler, schedule: Schedule = USUAL, *, tolerance: float = 0.05, steps: int = 250
) -> None:
    """Check the contract of :class:`~tsgen.diffusion.Sampler`.

    The laws are a Gaussian and, for the order of the error, a mixture, whose denoisers are known.

    Args:
        sampler: its number of steps is replaced where a check needs another.
        schedule: the process, with at least a thousand steps.
        tolerance: allowed error of mean and standard deviation, in units of the latter, beyond four
            standard errors.
        steps: with so many steps.

    Raises:
        AssertionError: naming what is violated.
    """
    name, count = f"{type(sampler).__name__} on {type(schedule).__name__}", 100_000
    mean, std = 1.5, 0.5
    denoise = gaussian_denoiser(mean, std, schedule)
    like, single = torch.zeros((), dtype=torch.float64), torch.zeros(())

    def draw(
        steps: int | None, size: int, denoise: Denoiser = denoise, like: Tensor = like
    ) -> Tensor:
        with seeded(0):
            return sampler.replace(num_steps=steps).sample(denoise, (size,), schedule, like=like)

    def check_law(drawn: Tensor, what: str) -> None:
        band = 4 * std / math.sqrt(count)
        for figure, estimate, exact in (("mean", drawn.mean(), mean), ("std", drawn.std(), std)):
            assert abs(estimate - exact) < tolerance * std + band, (
                f"{name}: {figure} {what} {estimate:.4f}, exact {exact}"
            )

    # in single precision, whose normal numbers are five times as fast as double ones
    check_law(draw(steps, count, like=single), "from noise")
    time = torch.tensor(0.3, dtype=torch.float64)
    with seeded(1):
        noised = float(schedule.alpha(time)) * (mean + std * torch.randn(count))
        noised = noised + float(schedule.sigma(time)) * torch.randn_like(noised)
        some = sampler.replace(num_steps=steps)
        check_law(
            some.sample(denoise, (count,), schedule, like=single, start=(noised, 0.3)),
            "from t = .3",
        )
    for start in ((noised, 0.0), (noised, 1.5), (noised[1:], 0.3)):
        check_raises(
            ValueError,
            functools.partial(some.sample, denoise, (count,), schedule, like=single, start=start),
            f"{name}: a start that does not fit",
        )
    assert torch.equal(draw(20, 1000), draw(20, 1000)), f"{name}: differs under one seed"
    twenty = sampler.replace(num_steps=20)
    for t_start in (1.0, 0.3):
        times = twenty.times(schedule, t_start)
        whole = t_start < 1 or len(times) == 21
        assert whole and times[0] == t_start and times[-1] == 0, f"{name}: times {times.tolist()}"
        assert (times.diff() < 0).all(), f"{name}: times do not fall"
    calls: list[float] = []

    def counted(x: Tensor, t: float) -> Tensor:
        calls.append(t)
        return denoise(x, t)

    twenty.sample(counted, (4,), schedule, like=like)
    assert min(calls) > 0 and max(calls) <= 1, f"{name}: asks at times outside (0, 1]"
    declared = twenty.evaluations(schedule)
    if declared is not None:
        assert len(calls) == declared, f"{name}: {len(calls)} calls, declared {declared}"
        fitted = twenty.with_evaluations(24)
        calls_of_it, more = (
            s.evaluations(schedule) or 0
            for s in (fitted, fitted.replace(num_steps=(fitted.num_steps or 0) + 1))
        )
        assert calls_of_it <= 24 < more, (
            f"{name}: {fitted} makes {calls_of_it} calls, one step more {more}"
        )
        check_raises(ValueError, lambda: twenty.with_evaluations(0), f"{name}: no evaluations")
    assert load_json(dump_json(sampler)) == sampler, f"{name}: JSON does not restore it"
    with seeded(7):
        twenty.sample(denoise, (4,), schedule, like=like)
        after = torch.randn(3)
    with seeded(7):
        torch.randn(4, dtype=torch.float64)
        alone = torch.randn(3)
    assert sampler.stochastic != torch.equal(after, alone), (
        f"{name}: stochastic={sampler.stochastic} is not true"
    )
    shift = torch.zeros((), requires_grad=True)

    def shifted(x: Tensor, t: float) -> Tensor:
        return denoise(x.double(), t).float() + shift

    drawn = sampler.replace(num_steps=5).sample(shifted, (4, 3, 2), schedule, like=torch.zeros(()))
    assert drawn.shape == (4, 3, 2) and drawn.dtype == torch.float32, (
        f"{name}: {drawn.dtype} of shape {tuple(drawn.shape)}, asked for float32 of (4, 3, 2)"
    )
    drawn.sum().backward()
    assert shift.grad is not None and shift.grad > 0, f"{name}: no gradient reaches the denoiser"
    if sampler.order is not None:
        law = torch.tensor([[0.3, 0.7], [-1.2, 0.8], [0.3, 0.5]], dtype=torch.float64)
        curved = mixture_denoiser(law[0], law[1], law[2], schedule)
        numbers = [25, 50, 100, 200]
        reference = draw(1000, 200, curved)
        errors = [float((draw(k, 200, curved) - reference).abs().mean()) for k in numbers]
        slope = -np.polyfit(np.log(numbers), np.log(errors), 1)[0]
        assert slope > sampler.order - 0.3, (
            f"{name}: error falls with order {slope:.2f}, declared {sampler.order}"
        )
