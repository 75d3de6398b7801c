"""Errors of an observation under a conditional model p(x | cond)."""

import functools
from abc import ABC, abstractmethod
from typing import Annotated, Literal

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.core import FINITE, NOT_EMPTY, Options, above, at_least, seeded
from tsgen.core.constraints import Constraint
from tsgen.diffusion import Schedule
from tsgen.models import Diffusion, EnergyBased, GenerativeModel

Levels = Annotated[tuple[float, ...], above(0), FINITE, NOT_EMPTY]
"""One or more ratios of noise to signal."""

EVEN = Constraint("even", lambda value: value % 2 == 0)

_FEW = 32  # rows, up to which a network's calls cost more than its arithmetic


class Scorer(Options, ABC):
    """How far an observation is from what a model expects, for each channel; higher is stranger.

    Scores are deterministic: random numbers are drawn once, and every row meets the same ones. So a
    row's score does not depend on which rows are scored with it.
    """

    def check(self, model: GenerativeModel) -> None:
        """Raise ``ValueError`` for a model that cannot be scored so."""

    @abstractmethod
    def errors(self, model: GenerativeModel, x: Tensor, cond: Tensor, observed: Tensor) -> Tensor:
        """Errors (B, *event_shape).

        Args:
            model: p(x | cond).
            x: (B, *event_shape), of order one.
            cond: (B, *cond_shape).
            observed: 1 where x was observed, like x.
        """


class DenoisingError(Scorer):
    r"""What a diffusion model would change in an observation that was blurred a little.

    .. math:: e = \left( \frac{1}{K} \sum_k \left(x - \frac{1}{M} \sum_m
              \hat x_0(\alpha_k x + \sigma_k \varepsilon_m, t_k)\right)^2 \right)^{p / 2}

    Noise of the size :math:`\sigma_k / \alpha_k` hides what is smaller; the denoiser puts the row
    where rows with such a past, and channels with such companions, belong. It is the score
    :math:`\nabla \log p_\sigma`, up to a factor: the estimate is
    :math:`x + \sigma^2 \nabla \log p_\sigma(x)` (Tweedie; Vincent 2011). Noises come in pairs of
    opposite sign.

    Args:
        levels: noise to signal, :math:`\sigma_k / \alpha_k`, in the training's deviations.
        draws: M, even.
        power: p, 1 for the size of the change or 2 for its square, by which the few channels that
            are farthest off decide.
    """

    levels: Levels = (0.6,)
    draws: Annotated[int, at_least(2), EVEN] = 8
    power: Literal[1, 2] = 2

    def check(self, model: GenerativeModel) -> None:
        """Only diffusion models can denoise."""
        if not isinstance(model, Diffusion):
            raise ValueError(
                f"scorer DenoisingError needs a diffusion model; this is a {type(model).__name__}"
            )

    def errors(self, model: GenerativeModel, x: Tensor, cond: Tensor, observed: Tensor) -> Tensor:
        """The change of each element, (B, *event_shape)."""
        assert isinstance(model, Diffusion)
        count = self.draws if len(x) <= _FEW else 1  # of draws that go through the network at once
        rows = (count, *[1] * (cond.dim() - 1))
        mask = None if observed.all() else observed.repeat(count, *[1] * (x.dim() - 1))
        times, alphas, sigmas = _steps(model.process, self.levels)
        denoise = model.denoiser(cond.repeat(rows), mask, torch.tensor(times, dtype=torch.float64))
        with seeded(0):  # on the CPU, so that all devices see the same noise
            half = torch.randn(self.draws // 2, *model.event_shape)
        noise = torch.cat([half, -half]).to(x)
        total = torch.zeros_like(x)
        for t, alpha, sigma in zip(times, alphas, sigmas, strict=True):
            clean = torch.zeros_like(x)
            for eps in noise.split(count):
                noised = alpha * x + sigma * eps[:, None]
                estimates = denoise(noised.flatten(0, 1), t).view(count, *x.shape)
                clean = clean + estimates.sum(0)
            total = total + (x - clean / len(noise)) ** 2
        square = total / len(self.levels)
        return square if self.power == 2 else square.sqrt()


class Energy(Scorer):
    r"""The energy of the row, :math:`\frac1K \sum_k E(\alpha_k x, t_k) / \sigma_k`.

    Up to a constant that depends on the conditioning alone, it is minus the log density of the row
    after noise of the size :math:`\sigma_k / \alpha_k`; the channels get its parts
    :math:`\frac12 (x - f)_c^2 / \sigma_k`. Only models with an energy have one. One evaluation a
    level, no draws.

    Args:
        levels: noise to signal, as for :class:`DenoisingError`.
    """

    levels: Levels = (0.6,)

    def check(self, model: GenerativeModel) -> None:
        """The model must have an energy."""
        if not isinstance(model, EnergyBased):
            raise ValueError(
                "scorer Energy needs a model with an energy, such as that of TFDPMEstimator("
                f"network=Dense(energy=True)); this is a {type(model).__name__}"
            )

    def errors(self, model: GenerativeModel, x: Tensor, cond: Tensor, observed: Tensor) -> Tensor:
        """The energy's parts, (B, *event_shape)."""
        assert isinstance(model, EnergyBased)
        total = torch.zeros_like(x)
        for level in self.levels:
            total = total + model.energy(x, cond, observed, noise=level)
        return total / len(self.levels)


class NegativeLogLikelihood(Scorer):
    """Minus the log density of the row, exact or its bound, as the model has it.

    A joint density has no parts that belong to channels. The channels get equal parts of it, plus
    how much their own squared residuals, from the mean of samples in deviations of samples, exceed
    those of the mean channel. So the mean over the channels is exact, and their order is that of
    the residuals.

    Args:
        num_samples: for the residuals.
    """

    num_samples: Annotated[int, at_least(2)] = 64

    def check(self, model: GenerativeModel) -> None:
        """The model needs a density whose constant is the same for every conditioning."""
        if model.has_log_prob not in ("exact", "bound"):
            has = "none" if model.has_log_prob == "none" else "one up to a constant only"
            raise ValueError(
                f"scorer NegativeLogLikelihood needs a density; {type(model).__name__} has {has}: "
                "use SampleScore, DenoisingError or Energy"
            )

    @override
    def errors(self, model: GenerativeModel, x: Tensor, cond: Tensor, observed: Tensor) -> Tensor:
        joint = -model.log_prob(x, cond, None if observed.all() else observed)
        shares = SampleScore("residual", self.num_samples).errors(model, x, cond, observed)
        count = observed.flatten(1).sum(1).clamp_min(1)
        wide = (-1, *[1] * (x.dim() - 1))
        mean = ((shares * observed).flatten(1).sum(1) / count).view(wide)
        return (joint / count).view(wide) + shares - mean


class SampleScore(Scorer):
    r"""Samples :math:`X_1, \dots, X_S` of a model against the observation.

    ========  ================================================================================
    crps      :math:`\frac1S \sum |X_s - x| - \frac{1}{2 S (S-1)} \sum |X_s - X_r|` by channel
    energy    the energy score, the same with norms over the channels; the channels get equal
              parts, plus how much their own CRPS exceeds the mean channel's
    residual  :math:`(x - \bar X)^2 / (\mathrm{Var} X + .01)` by channel
    ========  ================================================================================

    Args:
        kind: "crps", "energy" or "residual".
        num_samples: S.
    """

    kind: Literal["crps", "energy", "residual"] = "crps"
    num_samples: Annotated[int, at_least(2)] = 64

    @override
    def errors(self, model: GenerativeModel, x: Tensor, cond: Tensor, observed: Tensor) -> Tensor:
        samples = _samples(model, cond, self.num_samples)
        if self.kind == "residual":
            return (x - samples.mean(0)) ** 2 / (samples.var(0) + 0.01)
        count = self.num_samples
        ranked = samples.sort(0).values
        weight = torch.arange(1 - count, count, 2, device=x.device).to(x)
        spread = torch.tensordot(weight, ranked, 1) / (count * (count - 1))
        crps = (samples - x).abs().mean(0) - spread
        if self.kind == "crps":
            return crps
        gaps = ((samples - x) * observed).flatten(2)
        flat = (samples * observed).flatten(2)
        pairs = torch.cdist(flat.transpose(0, 1), flat.transpose(0, 1)).sum((1, 2))
        energy = gaps.norm(dim=2).mean(0) - pairs / (2 * count * (count - 1))
        number = observed.flatten(1).sum(1).clamp_min(1)
        wide = (-1, *[1] * (x.dim() - 1))
        mean = ((crps * observed).flatten(1).sum(1) / number).view(wide)
        return (energy / number).view(wide) + crps - mean


@functools.cache
def _steps(schedule: Schedule, levels: tuple[float, ...]) -> tuple[list[float], ...]:
    """Times, alphas and sigmas of a schedule where noise to signal is as wanted."""
    times = schedule.time(-torch.tensor(levels, dtype=torch.float64).log())
    return times.tolist(), schedule.alpha(times).tolist(), schedule.sigma(times).tolist()


def _samples(model: GenerativeModel, cond: Tensor, count: int) -> Tensor:
    """Samples (S, B, *event_shape), row by row, so that each row meets the same random numbers."""
    rows = []
    for row in cond.split(1):
        with seeded(0):
            rows.append(model.sample(row, (count,)))
    return torch.cat(rows, 1)
