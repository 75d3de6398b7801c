"""A network that learns how large the next denoising step may be, and the search that uses it."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from tsgen.core import OptionError, seeded
from tsgen.diffusion import GivenSteps
from tsgen.models.kinds import Diffusion
from tsgen.nets.optimise import minimise


class ScheduleNetwork(nn.Module):
    r"""Conditional noise scheduling for a trained diffusion model.

    Bilateral denoising diffusion (Lam, Wang, Huang, Su, Yu 2021, arXiv 2108.11514; Lam, Wang, Su,
    Yu 2022, arXiv 2203.13508), whose network sees the conditioning here, too. With noise level
    :math:`\alpha_t`, :math:`\delta_t^2 = 1 - \alpha_t^2` and
    :math:`b = 1 - (\alpha_{t + \tau} / \alpha_t)^2`, a step from :math:`x_t` has the variance

    .. math:: \hat\beta = \min(\delta_t^2, b)\, \sigma_\phi(x_t, c)

    and training minimises, with :math:`x_t = \alpha_t x_0 + \delta_t z` and all terms per element,

    .. math:: \frac{1}{2 (\delta^2 - \hat\beta)} \Big\lVert \delta z -
              \frac{\hat\beta}{\delta} \varepsilon_\theta \Big\rVert^2
              + \frac14 \log\frac{\delta^2}{\hat\beta}
              + \frac12 \Big(\frac{\hat\beta}{\delta^2} - 1\Big).

    The diffusion model is not changed; it has to be variance preserving and to know every noise
    level (``continuous=True``).

    Args:
        model: the trained model.
        hidden: width of the two layers.
        stride: :math:`\tau`, in steps of the schedule; by default a twentieth of them. With a
            third, as in the authors' code, the steps of our schedules shrink too fast to reach the
            data.

    Raises:
        ValueError: for a model that knows only its own steps.
    """

    def __init__(self, model: Diffusion, hidden: int = 64, stride: int | None = None) -> None:
        super().__init__()
        steps = model.process.num_steps
        self.stride = max(1, steps // 20) if stride is None else stride
        if not model.continuous:
            raise ValueError(
                "ScheduleNetwork: the model was trained at its own steps only (continuous=False); "
                "the schedules found have other noise levels: train it with continuous=True"
            )
        if not 1 <= self.stride < steps - 1:
            raise OptionError(
                "ScheduleNetwork", "stride", self.stride, f"in [1, {steps - 2}]",
                f"the schedule has {steps} steps",
            )  # fmt: skip
        self.cond_size, self.event_size = math.prod(model.cond_shape), math.prod(model.event_shape)
        self.net = nn.Sequential(
            nn.Linear(self.event_size + self.cond_size, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        r""":math:`\sigma_\phi` (rows,) in (0, 1) of noised events and conditioning."""
        inputs = torch.cat([x.flatten(1), cond.flatten(1)], 1)
        return self.net(inputs)[:, 0].sigmoid()

    def loss(self, model: Diffusion, x: Tensor, cond: Tensor) -> Tensor:
        """The objective of each example, mean over its elements, (rows,)."""
        schedule = model.process
        n = torch.randint(1, schedule.num_steps - self.stride, (len(x),)).double()
        alpha = schedule.alpha(n / schedule.num_steps).to(x)
        later = schedule.alpha((n + self.stride) / schedule.num_steps).to(x)
        variance = (1 - alpha**2).clamp_min(1e-12)
        wide = (-1, *[1] * (x.dim() - 1))
        z = torch.randn_like(x)
        noised = alpha.view(wide) * x + variance.sqrt().view(wide) * z
        with torch.no_grad():
            eps = _noise(model, noised, n / schedule.num_steps, cond)
        beta = torch.minimum(variance, 1 - (later / alpha) ** 2) * self(noised, cond)
        delta = variance.sqrt()
        gap = delta.view(wide) * z - (beta / delta).view(wide) * eps
        rest = (variance - beta).clamp_min(1e-12)
        return (
            (gap**2).flatten(1).mean(1) / (2 * rest)
            + (variance / beta).log() / 4
            + (beta / variance - 1) / 2
        )

    def learn(
        self,
        model: Diffusion,
        batches: Iterable[tuple[Tensor, Tensor]],
        lr: float = 3e-3,
    ) -> list[float]:
        """Minimise the loss over batches of (x, cond); the model stays as it is."""
        optimiser = torch.optim.Adam(self.parameters(), lr)
        losses = (self.loss(model, x, cond).mean() for x, cond in batches)
        return list(minimise(losses, optimiser))

    @torch.no_grad()
    def steps(
        self, model: Diffusion, cond: Tensor, alpha: float, beta: float, most: int
    ) -> tuple[float, ...] | None:
        r"""The noise levels :math:`\alpha` that the network walks through, noisiest first.

        From the level ``alpha`` with a first step of variance ``beta`` on; the mean of
        :math:`\sigma_\phi` over the rows of ``cond`` decides. ``None`` if more than ``most`` steps
        are needed.
        """
        smallest = 1 - float(model.process.alpha(torch.tensor(1 / model.process.num_steps))) ** 2
        denoise = model.denoiser(cond)
        x = torch.randn(len(cond), *model.event_shape, dtype=cond.dtype, device=cond.device)
        levels: list[float] = []
        while len(levels) < most:
            levels.append(alpha)
            time = float(model.process.time(_half_log_snr(alpha)))
            eps = (x - alpha * denoise(x, time)) / math.sqrt(1 - alpha**2)
            before = alpha / math.sqrt(1 - beta)
            x = (x - beta / math.sqrt(1 - alpha**2) * eps) / math.sqrt(1 - beta)
            if before >= 1 or 1 - before**2 < smallest:
                return tuple(levels)
            spread = (1 - before**2) / (1 - alpha**2) * beta
            x = x + math.sqrt(spread) * torch.randn_like(x)
            alpha, beta = before, min(1 - before**2, beta) * float(self(x, cond).mean())
            if beta < smallest:
                return (*levels, alpha) if len(levels) < most else None
        return None


def search_steps(
    model: Diffusion,
    network: ScheduleNetwork,
    cond: Tensor,
    most: int,
    quality: Callable[[GivenSteps], float],
    grid: int = 9,
) -> GivenSteps:
    r"""The best schedule of at most so many steps.

    All pairs of a first level and a first step on a grid of .1 to .9 are tried, then the best one's
    surroundings of 5 % (BDDM, section 5).

    Args:
        model: the trained model.
        network: trained on it.
        cond: conditioning to walk with, (rows, *cond_shape).
        most: evaluations allowed.
        quality: of a sampler, lower is better; such as the energy score on validation data.
        grid: points on each side of the grid.

    Raises:
        ValueError: if no pair leads to so few steps.
    """
    tried: dict[tuple[float, ...], float] = {}
    origin: dict[tuple[float, ...], tuple[float, float]] = {}

    def attempt(alpha: float, beta: float) -> None:
        with seeded(0):
            levels = network.steps(model, cond, alpha, beta, most)
        if levels is not None and levels not in tried:
            tried[levels] = quality(GivenSteps(levels=levels))
            origin[levels] = alpha, beta

    points = torch.linspace(0.1, 0.9, grid).tolist()
    for alpha in points:
        for beta in points:
            attempt(alpha, beta)
    if not tried:
        raise ValueError(f"no schedule of at most {most} steps was found: allow more")
    alpha, beta = origin[min(tried, key=tried.__getitem__)]
    for scale in (0.95, 1.05):
        attempt(min(alpha * scale, 0.99), beta)
        attempt(alpha, min(beta * scale, 0.99))
    return GivenSteps(levels=min(tried, key=tried.__getitem__))


def _half_log_snr(alpha: float) -> Tensor:
    return torch.tensor(math.log(alpha) - 0.5 * math.log1p(-(alpha**2)), dtype=torch.float64)


def _noise(model: Diffusion, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
    """The model's estimate of the noise in x, each row at its own time."""
    wide = (-1, *[1] * (x.dim() - 1))
    alpha, sigma = (f(t).to(x).view(wide) for f in (model.process.alpha, model.process.sigma))
    return (x - alpha * model.estimate(x, t, cond)) / sigma
