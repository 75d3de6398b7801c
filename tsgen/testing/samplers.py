"""The contract of samplers."""

import math
from collections.abc import Callable

import numpy as np
import torch
from gluonts.core.serde import dump_json, load_json
from torch import Tensor

from tsgen.core import seeded
from tsgen.diffusion import LinearSchedule, Sampler, Schedule


def gaussian_denoiser(
    mean: float, std: float, schedule: Schedule
) -> Callable[[Tensor, float], Tensor]:
    r"""The exact :math:`E[x_0 \mid x_t]` for data from :math:`N(m, s^2)`."""

    def denoise(x: Tensor, t: float) -> Tensor:
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = schedule.alpha(time).item(), schedule.sigma(time).item()
        gain = alpha * std**2 / (alpha**2 * std**2 + sigma**2)
        return mean + gain * (x - alpha * mean)

    return denoise


def check_sampler(sampler: Sampler, *, tolerance: float = 0.05) -> None:
    """Check the contract of :class:`~tsgen.diffusion.Sampler`.

    The law is a Gaussian, whose denoiser is known.

    Args:
        sampler: its number of steps is replaced where a check needs another.
        tolerance: allowed error of mean and standard deviation with 500 steps, in units of the
            latter, beyond four standard errors.

    Raises:
        AssertionError: naming what is violated.
    """
    name, count = type(sampler).__name__, 100_000
    schedule = LinearSchedule(num_steps=1000, beta_end=0.02)
    mean, std = 1.5, 0.5
    denoise = gaussian_denoiser(mean, std, schedule)
    like = torch.zeros((), dtype=torch.float64)

    def draw(steps: int | None, size: int = count) -> Tensor:
        with seeded(0):
            return sampler.replace(num_steps=steps).sample(denoise, (size,), schedule, like=like)

    drawn = draw(500)
    band = 4 * std / math.sqrt(count)
    assert abs(drawn.mean() - mean) < tolerance * std + band, (
        f"{name}: mean {drawn.mean():.4f}, exact {mean}"
    )
    assert abs(drawn.std() - std) < tolerance * std + band, (
        f"{name}: std {drawn.std():.4f}, exact {std}"
    )
    assert torch.equal(draw(20), draw(20)), f"{name}: differs under one seed"
    times = sampler.replace(num_steps=20).times(schedule)
    assert len(times) == 21 and times[0] == 1 and times[-1] == 0, f"{name}: times {times.tolist()}"
    assert (times.diff() < 0).all(), f"{name}: times do not fall"
    calls: list[float] = []

    def counted(x: Tensor, t: float) -> Tensor:
        calls.append(t)
        return denoise(x, t)

    sampler.replace(num_steps=20).sample(counted, (4,), schedule, like=like)
    assert len(calls) == 20, f"{name}: 20 steps call the denoiser {len(calls)} times"
    assert load_json(dump_json(sampler)) == sampler, f"{name}: JSON does not restore it"
    with seeded(7):
        sampler.replace(num_steps=20).sample(denoise, (4,), schedule, like=like)
        after = torch.randn(3)
    with seeded(7):
        torch.randn(4, dtype=torch.float64)
        alone = torch.randn(3)
    assert sampler.stochastic != torch.equal(after, alone), (
        f"{name}: stochastic={sampler.stochastic} is not true"
    )
    if sampler.order is not None:
        steps = [25, 50, 100, 200]
        reference = draw(800, 200)
        errors = [float((draw(k, 200) - reference).abs().mean()) for k in steps]
        slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
        assert slope > sampler.order - 0.3, (
            f"{name}: error falls with order {slope:.2f}, declared {sampler.order}"
        )
