"""Runge-Kutta solvers of the probability-flow ODE."""

from typing import Annotated, Literal

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.core import NonNegative, Positive, at_least
from tsgen.diffusion.samplers.base import Denoiser, Descent, Sampler, Solver
from tsgen.diffusion.schedules import Schedule
from tsgen.dynamics.ode import ODESolver, solve_ode


class ProbabilityFlow(Solver):
    r"""The probability-flow ODE (Song et al. 2021, eq 13), solved in the noise-to-signal ratio.

    With :math:`y = x / \alpha` and :math:`k = \sigma / \alpha` the equation
    :math:`dx / dt = f x - g^2 \nabla\log p_t / 2` reads

    .. math:: \frac{dy}{dk} = \frac{y - \hat x_0}{k}.

    With fixed steps they are equal in :math:`\log k` down to the first step of the chain, where the
    denoiser's estimate is the sample. The adaptive method goes by the worst error of the batch.

    Args:
        num_steps: steps of the fixed methods.
        method: "heun" (two calls of the denoiser a step but for the last), "euler", or "dopri5",
            adaptive.
        rtol: error of an adaptive step relative to the state.
        atol: absolute error of an adaptive step.
    """

    num_steps: int | None = 20
    method: Literal["heun", "euler", "dopri5"] = "heun"
    rtol: Positive = 1e-4
    atol: Positive = 1e-4

    @property
    def order(self) -> int | None:
        """That of the method; of the adaptive one the error follows the tolerance."""
        return {"heun": 2, "euler": 1, "dopri5": None}[self.method]

    def cost(self, num_steps: int) -> int:
        """Two calls a step with Heun's method, one in the last."""
        return 2 * num_steps - 1 if self.method == "heun" else num_steps

    def evaluations(self, schedule: Schedule) -> int | None:
        """Calls of the denoiser; not known of the adaptive method."""
        return None if self.method == "dopri5" else super().evaluations(schedule)

    @override
    def with_evaluations(self, count: int) -> Sampler:
        if self.method == "dopri5":
            raise ValueError("ProbabilityFlow: method='dopri5' makes as many calls as it needs")
        return super().with_evaluations(count)

    @override
    def descent(self, schedule: Schedule, t_start: float = 1.0) -> Descent:
        times = self.times(schedule, t_start)[:-1]
        if self.method != "dopri5":
            return march(schedule, times, heun=self.method == "heun")
        ends = times[[0, -1]]
        places, alpha = schedule.half_log_snr(ends), schedule.alpha(ends).tolist()
        smallest = ends[1].item()
        solver = ODESolver("dopri5", rtol=self.rtol, atol=self.atol)

        def descend(denoise: Denoiser, x: Tensor) -> Tensor:
            def field(place: Tensor, y: Tensor) -> Tensor:
                # towards the data: dy / d(-log k) = x0 - y
                time = schedule.time(place.double().clamp(*places.tolist()))
                return denoise(y * schedule.alpha(time).item(), time.item()) - y

            y = solve_ode(field, x / alpha[0], places[0], places[1], solver)
            return denoise(alpha[1] * y, smallest)

        return descend


class EDM(Solver):
    r"""Heun's method over levels crowded at low noise, with noise put back on the way if asked.

    Karras, Aittala, Aila, Laine 2022 (Elucidating the design space of diffusion-based generative
    models), algorithms 1 and 2. The levels :math:`k = \sigma / \alpha` are

    .. math:: k_i = \left(k_{max}^{1/\rho} + \tfrac{i}{n - 1}
              (k_{min}^{1/\rho} - k_{max}^{1/\rho})\right)^\rho, \quad k_n = 0,

    between those of the schedule's ends. Before a step whose level lies in [s_tmin, s_tmax] it is
    raised to :math:`\hat k = (1 + \min(S_{churn} / n, \sqrt 2 - 1))\, k` by fresh noise, though not
    above the level of t = 1, beyond which no denoiser was trained.

    Args:
        num_steps: n; each makes two calls of the denoiser, the last one.
        rho: how crowded.
        s_churn: noise put back; 0 solves the ODE.
        s_tmin: lowest level at which it is.
        s_tmax: highest level at which it is.
        s_noise: factor of the fresh noise's standard deviation.
    """

    num_steps: int | None = 18
    rho: Positive = 7.0
    s_churn: Annotated[float, at_least(0)] = 0.0
    s_tmin: Annotated[float, at_least(0)] = 0.0
    s_tmax: Annotated[float, at_least(0)] = float("inf")
    s_noise: NonNegative = 1.0

    @property
    @override
    def order(self) -> int | None:
        return None if self.s_churn else 2

    @property
    @override
    def stochastic(self) -> bool:
        return self.s_churn > 0

    def cost(self, num_steps: int) -> int:
        """Two calls a step, one in the last."""
        return 2 * num_steps - 1

    @override
    def times(self, schedule: Schedule, t_start: float = 1.0) -> Tensor:
        count = self.num_steps or schedule.num_steps
        highest, lowest = (-schedule.half_log_snr(self.ends(schedule, t_start))).exp() ** (
            1 / self.rho
        )
        shares = torch.linspace(0, 1, count, dtype=torch.float64)
        levels = (highest + shares * (lowest - highest)) ** self.rho
        return self.closed(schedule.time(-levels.log()), t_start)

    @override
    def descent(self, schedule: Schedule, t_start: float = 1.0) -> Descent:
        times = self.times(schedule, t_start)[:-1]
        levels = (-schedule.half_log_snr(times)).exp()
        churned = (levels >= self.s_tmin) & (levels <= self.s_tmax)
        churn = churned.to(levels) * min(self.s_churn / len(times), 2**0.5 - 1)
        highest = (-schedule.half_log_snr(torch.ones(1, dtype=torch.float64))).exp()
        raised = torch.minimum((1 + churn) * levels, highest)
        return march(schedule, times, True, raised, self.s_noise)


def march(
    schedule: Schedule,
    times: Tensor,
    heun: bool,
    raised: Tensor | None = None,
    fresh: float = 1.0,
) -> Descent:
    """Euler's or Heun's steps of dy/dk = (y - x0) / k through times, then the estimate.

    Args:
        schedule: the process.
        times: falling, above 0, (n,).
        heun: whether a second call corrects each step.
        raised: levels k to which fresh noise raises the state before each step, (n,).
        fresh: factor of that noise's standard deviation.
    """
    levels = (-schedule.half_log_snr(times)).exp()
    raised = levels if raised is None else raised
    starts = torch.where(raised > levels, schedule.time(-raised.log()), times)
    at = list(zip(starts.tolist(), schedule.alpha(starts).tolist(), strict=True))
    targets = list(zip(times.tolist(), schedule.alpha(times).tolist(), strict=True))
    added = ((raised**2 - levels**2).clamp_min(0).sqrt() * fresh).tolist()
    k, high = levels.tolist(), raised.tolist()

    def descend(denoise: Denoiser, x: Tensor) -> Tensor:
        y = x / targets[0][1]
        for i, (t, alpha) in enumerate(at):
            if added[i] > 0:
                y = y + added[i] * schedule.noise(y, t)
            estimate = denoise(alpha * y, t)
            if i == len(at) - 1:
                return estimate
            slope, gap = (y - estimate) / high[i], k[i + 1] - high[i]
            moved = y + gap * slope
            if heun:
                t, alpha = targets[i + 1]
                slope = (slope + (moved - denoise(alpha * moved, t)) / k[i + 1]) / 2
                moved = y + gap * slope
            y = moved
        raise AssertionError("the loop returns at the last time")

    return descend
