"""Annealed Langevin dynamics over a ladder of noise levels."""

from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from tsgen.core import Count, between
from tsgen.diffusion.samplers.base import Denoiser, Descent, NoisySampler
from tsgen.diffusion.schedules import Schedule


class AnnealedLangevin(NoisySampler):
    r"""Langevin steps at each level of a ladder, from the noisiest to the least noisy.

    Song, Ermon 2019, algorithm 1, in the form of Song, Ermon 2020:

    .. math:: x \leftarrow x + a_i \nabla\log p_{\sigma_i}(x) + \sqrt{2 a_i}\, z, \quad
              a_i = \rho\, \sigma_i^2,

    for processes without decay (:math:`\alpha = 1`: :class:`~tsgen.diffusion.NoiseLadder`,
    :class:`~tsgen.diffusion.VESDE`). The first paper has :math:`\rho = \epsilon / 2\sigma_L^2`
    (.1 with its numbers).

    Args:
        num_steps: levels, evenly chosen; ``None`` takes all of the schedule.
        steps_per_level: T, Langevin steps at each.
        step: :math:`\rho`, between 0 and 1; ``None`` is :func:`langevin_step` of the ladder's
            ratio.
        denoise_last: whether the sample is the denoiser's estimate at the last level (Song, Ermon
            2020, section 4), one call more, or carries that level's noise.
    """

    steps_per_level: Count = 5
    step: Annotated[float, between(0, 1, "()")] | None = None
    denoise_last: bool = True

    @override
    def cost(self, num_steps: int) -> int:
        return num_steps * self.steps_per_level + self.denoise_last

    @override
    def check(self, process: object) -> None:
        """Check that the process does not decay.

        Raises:
            ValueError: if it does, or as in :meth:`Sampler.check`.
        """
        super().check(process)
        assert isinstance(process, Schedule)
        alpha = process.alpha(self.times(process)[:-1])
        if not torch.equal(alpha, torch.ones_like(alpha)):
            raise ValueError(
                f"AnnealedLangevin does not draw from {type(process).__name__}, whose signal "
                "decays; it needs a process with alpha = 1, such as NoiseLadder or VESDE"
            )

    @override
    def descent(self, schedule: Schedule, t_start: float = 1.0) -> Descent:
        self.check(schedule)
        grid = self.times(schedule, t_start)[:-1]
        sigma = schedule.sigma(grid)
        step = self.step
        if step is None:
            ratio = float(sigma[0] / sigma[-1]) ** (1 / max(1, len(sigma) - 1))
            step = langevin_step(ratio, self.steps_per_level)
        rate, times, sigmas = step, grid.tolist(), sigma.tolist()

        def descend(denoise: Denoiser, x: Tensor) -> Tensor:
            for t, s in zip(times, sigmas, strict=True):
                for _ in range(self.steps_per_level):
                    noise = (2 * rate) ** 0.5 * s * schedule.noise(x, t)
                    x = x + rate * (denoise(x, t) - x) + noise
            return denoise(x, times[-1]) if self.denoise_last else x

        return descend


def langevin_step(ratio: float, steps_per_level: int) -> float:
    r"""The step :math:`\rho = \epsilon / \sigma_L^2` with which variance stays with the ladder.

    After T steps at a level the noise of variance :math:`\gamma^2 \sigma_i^2` that came from the
    level before has the variance :math:`\sigma_i^2` times

    .. math:: (1 - \rho)^{2 T} \left(\gamma^2 - \frac{2 \rho}{1 - (1 - \rho)^2}\right)
              + \frac{2 \rho}{1 - (1 - \rho)^2},

    which should be as near to 1 as can be (Song, Ermon 2020, Improved techniques for training
    score-based generative models, technique 4).

    Args:
        ratio: gamma, of one level to the next.
        steps_per_level: T.

    Raises:
        ValueError: if the ratio is not a number from 1 on, or there is no step.
    """
    if not 1 <= ratio < float("inf") or steps_per_level < 1:
        raise ValueError(
            f"langevin_step: ratio={ratio} and steps_per_level={steps_per_level} must be at least "
            "1 and finite"
        )
    rho = np.linspace(1e-5, 1 - 1e-5, 200_000)
    settled = 2 / (2 - rho)
    variance = (1 - rho) ** (2 * steps_per_level) * (ratio**2 - settled) + settled
    return float(rho[np.abs(variance - 1).argmin()])
