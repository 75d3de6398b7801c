"""DPM-Solver++: exponential integrators of the probability-flow ODE."""

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.core import OptionError
from tsgen.diffusion.samplers.base import Denoiser, Descent, EtaSampler, Solver
from tsgen.diffusion.schedules import Schedule


class DPMSolverPP(EtaSampler, Solver):
    r"""DPM-Solver++(2M), and its form for the reverse SDE: two-step exponential integrators.

    Lu et al. 2022, algorithm 2 and section 6. With :math:`h = \lambda_s - \lambda_t` and the
    previous step's ratio :math:`r = h_{prev} / h`:

    .. math:: x_s = \frac{\sigma_s}{\sigma_t} e^{-\eta h} x_t
              + \alpha_s \bigl(1 - e^{-(1 + \eta) h}\bigr)
              \left[(1 + \tfrac{1}{2r}) \hat x_0(x_t) - \tfrac{1}{2r} \hat x_0(x_{t'})\right]
              + \sigma_s \sqrt{1 - e^{-2 \eta h}}\, z

    With :math:`\eta = 0` it is the probability-flow ODE's; with 1 the SDE's, which in its first
    order is the ancestral chain: noise on the way corrects what an inexact network does to the
    samples. The steps are equal in log-SNR down to the first step of the chain, where the
    denoiser's estimate is the sample.

    Args:
        num_steps: calls of the denoiser.
        eta: share of the noise of the reverse SDE, 0 to 1.
    """

    num_steps: int | None = 20

    @property
    @override
    def order(self) -> int | None:
        return None if self.eta else 2

    @override
    def descent(self, schedule: Schedule, t_start: float = 1.0) -> Descent:
        steps = _two_steps(self, schedule, t_start)

        def descend(denoise: Denoiser, x: Tensor) -> Tensor:
            previous: Tensor | None = None
            for t, keep, now, before, size in steps:
                x0 = denoise(x, t)
                x = torch.add(keep * x, x0, alpha=now)
                if previous is not None:
                    x = torch.add(x, previous, alpha=before)
                if size > 0:
                    x = torch.add(x, schedule.noise(x, t), alpha=size)
                previous = x0
            return x0

        return descend


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
        eta: 0.
    """

    def __post_init__(self) -> None:
        """There is no form for the SDE."""
        if self.eta:
            raise OptionError(type(self).__name__, "eta", self.eta, "0", "DPMSolverPP adds noise")

    @property
    @override
    def order(self) -> int | None:
        return 3

    @override
    def cost(self, num_steps: int) -> int:
        return num_steps + 2 if num_steps > 1 else 1

    @override
    def descent(self, schedule: Schedule, t_start: float = 1.0) -> Descent:
        steps = _three_steps(self, schedule, t_start)

        def descend(denoise: Denoiser, x: Tensor) -> Tensor:
            past: list[Tensor] = []
            for i, (t, keep, weights) in enumerate(steps):
                state = keep * x if weights else x
                for weight, estimate in zip(weights, past, strict=True):
                    state = torch.add(state, estimate, alpha=weight)
                past = [*past[-2:], denoise(state, t)]
                if i == 0 or i > 2:  # the first step's estimates advance from its start
                    x = state
            return past[-1]

        return descend


def _two_steps(
    sampler: DPMSolverPP, schedule: Schedule, t_start: float
) -> list[tuple[float, float, float, float, float]]:
    """Of each step its time and the factors of x, of this and the last estimate, and of noise."""
    times = sampler.times(schedule, t_start)[:-1]
    alpha, sigma, gaps = (
        schedule.alpha(times), schedule.sigma(times), schedule.half_log_snr(times).diff()
    )  # fmt: skip
    keep = sigma[1:] / sigma[:-1] * (-sampler.eta * gaps).exp()
    pull = -alpha[1:] * torch.expm1(-(1 + sampler.eta) * gaps)
    back = torch.cat([gaps[:1] * 0, gaps[1:] / gaps[:-1] / 2])
    noise = sigma[1:] * (-torch.expm1(-2 * sampler.eta * gaps)).sqrt()
    factors = torch.stack([keep, pull * (1 + back), -pull * back, noise], 1).tolist()
    factors.append([0.0, 1.0, 0.0, 0.0])  # the last estimate is the sample
    return [(t, *f) for t, f in zip(times.tolist(), factors, strict=True)]


def _three_steps(
    sampler: DPMSolverPP3M, schedule: Schedule, t_start: float
) -> list[tuple[float, float, list[float]]]:
    """Of each step its time and the factors of x and of the estimates that lead there."""
    times = sampler.times(schedule, t_start)[:-1]
    if len(times) > 1:  # the places of the single step's estimates lie in the first one
        ends = schedule.half_log_snr(times[:2])
        inner = ends[0] + (ends[1] - ends[0]) * torch.tensor([1 / 3, 2 / 3]).double()
        times = torch.cat([times[:1], schedule.time(inner), times[1:]])
    places, alphas, sigmas = (
        v.tolist()
        for v in (schedule.half_log_snr(times), schedule.alpha(times), schedule.sigma(times))
    )
    steps: list[tuple[float, float, list[float]]] = [(times[0].item(), 1.0, [])]
    base = 0
    for i in range(1, len(times)):
        weights = _integrals(places[base], places[i], places[max(0, i - 3) : i])
        steps.append((times[i].item(), sigmas[i] / sigmas[base], [alphas[i] * w for w in weights]))
        base = i if i > 2 else base
    return steps


def _integrals(place: float, target: float, nodes: list[float]) -> list[float]:
    """Weights of estimates at nodes in the exact step between places, by their polynomial."""
    h = torch.tensor(target - place, dtype=torch.float64)
    # moments of e^(u - h) over [0, h]: of 1, u and u^2
    moments = [-torch.expm1(-h)]
    for power in range(1, len(nodes)):
        moments.append(h**power - power * moments[-1])
    gaps = torch.tensor(nodes, dtype=torch.float64) - place
    powers = torch.stack([gaps**k for k in range(len(nodes))])
    return torch.linalg.solve(powers, torch.stack(moments)).tolist()
