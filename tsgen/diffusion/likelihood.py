r"""Likelihoods of a denoiser: exact by the probability-flow ODE, and the variational bound."""

from typing import Literal

import torch
from torch import Tensor

from tsgen.diffusion.samplers import Denoiser
from tsgen.diffusion.sdes import SDE
from tsgen.dynamics.ode import ODESolver, solve_ode

Divergence = Literal["exact", "hutchinson"]


def flow_log_prob(
    denoise: Denoiser,
    x: Tensor,
    sde: SDE,
    t_min: float = 1e-3,
    divergence: Divergence = "exact",
    solver: ODESolver = ODESolver("rk4", 192),  # noqa: B008
) -> Tensor:
    r"""Log density by the probability-flow ODE (Song et al. 2021, eq 13 and 39).

    With :math:`y = x / \alpha` and the half log-SNR :math:`\lambda` as time the ODE and the change
    of the log density along it are

    .. math:: \frac{dy}{d\lambda} = \hat x_0(\alpha y) - y, \quad
              \frac{d \log p(y)}{d\lambda} = -\nabla_y \cdot (\hat x_0(\alpha y) - y).

    Args:
        denoise: estimates x0 of noised events (rows, *event) at a time.
        x: events (rows, *event).
        sde: the process.
        t_min: the time at which the events are taken to be: the density is that of the model's
            events with that little noise.
        divergence: "exact", one backward pass for each element, or Hutchinson's unbiased estimate
            with one draw of signs, one pass.
        solver: of the ODE.

    Returns:
        (rows,), without gradients.
    """
    ends = sde.half_log_snr(torch.tensor([t_min, 1.0], dtype=torch.float64))
    alpha = sde.alpha(torch.tensor([t_min, 1.0], dtype=torch.float64))
    size = x[0].numel()
    signs = torch.randint(2, x.shape, device=x.device).to(x.dtype) * 2 - 1

    def field(place: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        time = sde.time(place.double().clamp(ends[1], ends[0]))
        scale = sde.alpha(time).item()
        with torch.enable_grad():
            y = state[0].detach().requires_grad_()
            estimate = denoise(scale * y, time.item())
            if divergence == "hutchinson":
                (product,) = torch.autograd.grad(estimate, y, signs)
                trace = (product * signs).flatten(1).sum(1)
            else:
                trace = torch.zeros_like(state[1])
                for i in range(size):
                    (row,) = torch.autograd.grad(
                        estimate.flatten(1)[:, i].sum(), y, retain_graph=i + 1 < size
                    )
                    trace = trace + row.flatten(1)[:, i]
        return estimate.detach() - y.detach(), trace - size

    start: tuple[Tensor, ...] = (x.detach() / alpha[0].item(), torch.zeros_like(x.flatten(1)[:, 0]))
    y, change = solve_ode(field, start, ends[0], ends[1], solver)
    last = alpha[1].item() * y
    prior = sde.prior_log_prob(last, dims=x.dim() - 1)
    # the densities of y and x differ by alpha at either end
    return prior + size * (alpha[1] / alpha[0]).log().item() + change


def evidence_bound(
    denoise: Denoiser, x: Tensor, sde: SDE, t_min: float = 1e-3, draws: int = 128
) -> Tensor:
    r"""An unbiased estimate of a lower bound of the log density of the reverse SDE.

    Song, Durkan, Murray, Ermon 2021 (Maximum likelihood training of score-based diffusion models),
    theorem 3, from time ``t_min`` on:

    .. math:: E \log \pi(x_1) + \int E\left[d f - \tfrac12 g^2 \lVert s \rVert^2
              + g^2 s \cdot \nabla \log q(x_t \mid x)\right] dt

    with the score s of the denoiser. Times are drawn by importance, one in each
    part of equal weight, noise in pairs of both signs.

    Args:
        denoise: as for :func:`flow_log_prob`.
        x: events (rows, *event).
        sde: the process.
        t_min: the time at which the events are taken to be.
        draws: times; each costs two calls of the denoiser.

    Returns:
        (rows,).
    """
    size, dims = x[0].numel(), tuple(range(1, x.dim()))
    ends = torch.tensor([t_min, 1.0], dtype=torch.float64)
    (alpha_min, alpha_last), (sigma_min, sigma_last) = (
        v.tolist() for v in (sde.alpha(ends), sde.sigma(ends))
    )
    decay = alpha_last / alpha_min
    variance = sigma_last**2 - (decay * sigma_min) ** 2
    spread = torch.full_like(x, variance / sde.prior_std**2).sum(dims) / 2
    bound = sde.prior_log_prob(decay * x, dims=x.dim() - 1) - spread
    bound = bound + size * (torch.tensor(decay).log().item())
    times, total = sde.likelihood_times(draws, t_min, stratified=True)
    for t in times.tolist():
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = sde.alpha(time).item(), sde.sigma(time).item()
        decay_to_t = alpha / alpha_min
        noise = max(sigma**2 - (decay_to_t * sigma_min) ** 2, 1e-20) ** 0.5
        z, share = torch.randn_like(x), sigma**2 / (alpha**2 + sigma**2)
        for sign in (1, -1):
            noised = decay_to_t * x + sign * noise * z
            eps = (noised - alpha * denoise(noised, t)) / sigma
            inside = (sign * eps * z).sum(dims) * (sigma / noise) - (eps**2).sum(dims) / 2
            # a control variate of mean zero: at high noise the rest is that
            inside = inside - share * ((z**2).sum(dims) - size) / 2
            bound = bound + total * inside / (2 * draws)
    return bound
