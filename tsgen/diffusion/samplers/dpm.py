"""DPM-Solver++: exponential integrators of the probability-flow ODE."""

import torch
from torch import Tensor

from tsgen.diffusion.samplers.base import Denoiser, Solver
from tsgen.diffusion.schedules import Schedule


class DPMSolverPP(Solver):
    r"""DPM-Solver++(2M): two-step exponential integrator of the probability-flow ODE.

    Lu et al. 2022, algorithm 2. With :math:`h = \lambda_s - \lambda_t` and the previous step's
    ratio :math:`r = h_{prev} / h`:

    .. math:: x_s = \frac{\sigma_s}{\sigma_t} x_t - \alpha_s (e^{-h} - 1)
              \left[(1 + \tfrac{1}{2r}) \hat x_0(x_t) - \tfrac{1}{2r} \hat x_0(x_{t'})\right]

    The steps are equal in log-SNR down to the first step of the chain, where the denoiser's
    estimate is the sample.

    Args:
        num_steps: calls of the denoiser.
    """

    num_steps: int | None = 20

    @property
    def order(self) -> int | None:
        """Two."""
        return 2

    def descend(self, denoise: Denoiser, x: Tensor, schedule: Schedule, first: float) -> Tensor:
        """See :class:`Sampler`."""
        times = self.times(schedule, first)
        alpha, sigma = schedule.alpha(times[:-1]), schedule.sigma(times[:-1])
        gaps = schedule.half_log_snr(times[:-1]).diff()
        keep = (sigma[1:] / sigma[:-1]).tolist()
        pull = (-alpha[1:] * torch.expm1(-gaps)).tolist()
        back = [0.0] + (gaps[1:] / gaps[:-1] / 2).tolist()
        previous = None
        for i, t in enumerate(times[:-1].tolist()):
            x0 = denoise(x, t)
            if i == len(keep):
                return x0
            mixed = x0 if previous is None else x0 + back[i] * (x0 - previous)
            x, previous = keep[i] * x + pull[i] * mixed, x0
        raise AssertionError("the loop returns at the last time")


class DPMSolverPP3M(DPMSolverPP):
    r"""DPM-Solver++(3M): the three-step integrator, with a third-order start.

    The exact step with :math:`u = \lambda - \lambda_t`,

    .. math:: x_s = \frac{\sigma_s}{\sigma_t} x_t + \alpha_s \int_0^h e^{u - h}\,
              \hat x_0(u)\, du,

    is taken with the parabola through the last three estimates (Lu et al. 2022, section 4; the same
    as their expansion up to terms of its order). Started by lower orders a multistep method keeps
    their error; the first step is therefore a single step of third order with estimates at a third
    and two thirds of it (algorithm 1 there with :math:`r_1 = 1/3, r_2 = 2/3`), two calls more.

    Args:
        num_steps: steps.
    """

    @property
    def order(self) -> int | None:
        """Three."""
        return 3

    def cost(self, num_steps: int) -> int:
        """Two more than steps, if there is one before the last."""
        return num_steps + 2 if num_steps > 1 else 1

    def descend(self, denoise: Denoiser, x: Tensor, schedule: Schedule, first: float) -> Tensor:
        """See :class:`Sampler`."""
        times = self.times(schedule, first)[:-1]
        if len(times) > 1:  # the places of the single step's estimates lie in the first one
            ends = schedule.half_log_snr(times[:2])
            inner = ends[0] + (ends[1] - ends[0]) * torch.tensor([1 / 3, 2 / 3]).double()
            times = torch.cat([times[:1], schedule.time(inner), times[1:]])
        levels = list(
            zip(
                times.tolist(), schedule.half_log_snr(times).tolist(),
                schedule.alpha(times).tolist(), schedule.sigma(times).tolist(), strict=True,
            )
        )  # fmt: skip
        past: list[tuple[float, Tensor]] = []
        base = 0  # the first step's estimates advance from its start
        for i, (t, place, _, _) in enumerate(levels):
            state = x if i == base else _advance(x, levels[base], levels[i], past)
            past = [*past[-2:], (place, denoise(state, t))]
            if i == 0 or i > 2:
                x, base = state, i
        return past[-1][1]


def _advance(
    x: Tensor,
    level: tuple[float, float, float, float],
    following: tuple[float, float, float, float],
    past: list[tuple[float, Tensor]],
) -> Tensor:
    """The exact step between levels (t, lambda, alpha, sigma) for the polynomial of estimates."""
    _, place, _, sigma = level
    _, target, alpha_after, sigma_after = following
    h = torch.tensor(target - place, dtype=torch.float64)
    # moments of e^(u - h) over [0, h]: of 1, u and u^2
    moments = [-torch.expm1(-h)]
    for power in range(1, len(past)):
        moments.append(h**power - power * moments[-1])
    nodes = torch.tensor([at - place for at, _ in past], dtype=torch.float64)
    powers = torch.stack([nodes**k for k in range(len(past))])
    weights = torch.linalg.solve(powers, torch.stack(moments))
    moved = sigma_after / sigma * x
    for weight, (_, estimate) in zip(weights.tolist(), past, strict=True):
        moved = moved + alpha_after * weight * estimate
    return moved
