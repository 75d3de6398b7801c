"""Samplers of the reverse stochastic differential equation."""

from typing import Annotated, Literal

from torch import Tensor
from typing_extensions import override

from tsgen.core import Positive, at_least
from tsgen.diffusion.samplers.base import Denoiser, Descent, NoisySampler
from tsgen.diffusion.samplers.chain import posterior_steps
from tsgen.diffusion.schedules import Schedule

MANY_ROWS = 100
"""Rows whose mean norm depends little on any one of them."""


class EulerMaruyama(NoisySampler):
    r"""Euler-Maruyama steps of the reverse SDE (Song et al. 2021, eq 6).

    .. math:: x_s = x_t - \left[f(t)\, x_t - g(t)^2 \nabla \log p_t(x_t)\right] (t - s)
              + g(t) \sqrt{t - s}\, z, \quad
              \nabla \log p_t(x) = \frac{\alpha \hat x_0 - x}{\sigma^2}

    Times are equal steps of the chain.

    Args:
        num_steps: calls of the denoiser.
        noise_removal: whether the last step is the denoiser's estimate, or one like the others.
    """

    noise_removal: bool = True

    @override
    def descent(self, schedule: Schedule, t_start: float = 1.0) -> Descent:
        times = self.times(schedule, t_start)
        t, gap = times[:-1], -times.diff()
        alpha, variance = schedule.alpha(t), schedule.sigma(t) ** 2
        drift, squared = schedule.drift(t), schedule.diffusion(t) ** 2
        keep = (1 - gap * (drift + squared / variance)).tolist()
        pull = (gap * squared * alpha / variance).tolist()
        noise = (gap * squared).sqrt().tolist()
        steps = list(zip(t.tolist(), keep, pull, noise, strict=True))

        def descend(denoise: Denoiser, x: Tensor) -> Tensor:
            for i, (time, k, p, s) in enumerate(steps):
                estimate = denoise(x, time)
                if self.noise_removal and i == len(steps) - 1:
                    return estimate
                x = k * x + p * estimate + s * schedule.noise(x, time)
            return x

        return descend


class PredictorCorrector(NoisySampler):
    r"""Langevin steps at each noise level, and a step to the next (Song et al. 2021, algorithm 1).

    The corrector (algorithms 4 and 5) repeats

    .. math:: x \leftarrow x + \epsilon \nabla \log p_t(x) + \sqrt{2 \epsilon}\, z, \quad
              \epsilon = 2 a \left(r\, \frac{\lVert z \rVert}{\lVert \nabla\log p_t \rVert}
              \right)^2,

    where the norms are means over the batch and :math:`a = (\alpha_t / \alpha_s)^2`. Norms of each
    example alone would make them independent of each other, but a step that depends on the state
    does not leave the law as it is: samples of N(1.5, .25) get a standard deviation of .74 with
    four elements and have none with one. For the same reason (with one element and 16 rows it is
    .55) the ratio of norms is taken as :math:`\sigma_t`, its value at high noise, where fewer than
    100 rows are drawn.

    The predictor, with :math:`a_{ts} = \alpha_t / \alpha_s` and
    :math:`b^2 = \sigma_t^2 - a_{ts}^2 \sigma_s^2`, is the reverse diffusion step
    :math:`x_s = (2 - a_{ts})\, x_t + b^2 \nabla\log p_t + b z` (eq 46) or the ancestral one with
    the posterior's variance (eq 47 for VE; :class:`~tsgen.diffusion.Ancestral`). The last step is
    the denoiser's estimate.

    Args:
        num_steps: levels; each makes ``corrector_steps`` calls of the denoiser and one more.
        predictor: "reverse_diffusion" or "ancestral".
        corrector_steps: Langevin steps at a level.
        snr: r, the ratio of signal to noise in a Langevin step.
    """

    predictor: Literal["reverse_diffusion", "ancestral"] = "reverse_diffusion"
    corrector_steps: Annotated[int, at_least(0)] = 1
    snr: Positive = 0.16

    @override
    def cost(self, num_steps: int) -> int:
        return num_steps * (1 + self.corrector_steps)

    @override
    def descent(self, schedule: Schedule, t_start: float = 1.0) -> Descent:
        times = self.times(schedule, t_start)
        alpha, sigma = schedule.alpha(times), schedule.sigma(times)
        ratio = alpha[:-1] / alpha[1:]
        if self.predictor == "ancestral":
            chain = zip(*posterior_steps(self, schedule, t_start, 1.0), strict=True)
            _, keep, pull, noise = (list(column) for column in chain)
        else:
            added = sigma[:-1] ** 2 - ratio**2 * sigma[1:] ** 2
            keep = (2 - ratio - added / sigma[:-1] ** 2).tolist()
            pull = (added * alpha[:-1] / sigma[:-1] ** 2).tolist()
            noise = added.sqrt().tolist()
        columns = times, alpha, sigma, ratio**2
        levels = list(zip(*(column.tolist() for column in columns), strict=False))

        def descend(denoise: Denoiser, x: Tensor) -> Tensor:
            for i, (t, a, s, factor) in enumerate(levels):
                for _ in range(self.corrector_steps):
                    score = (a * denoise(x, t) - x) / s**2
                    z = schedule.noise(x, t)
                    ratio_of_norms = _norm(z) / _norm(score) if len(x) >= MANY_ROWS else s
                    size = 2 * factor * (self.snr * ratio_of_norms) ** 2
                    x = x + size * score + (2 * size) ** 0.5 * z
                estimate = denoise(x, t)
                if i == len(keep) - 1:
                    return estimate
                x = keep[i] * x + pull[i] * estimate + noise[i] * schedule.noise(x, t)
            raise AssertionError("the loop returns at the last time")

        return descend


def _norm(x: Tensor) -> Tensor:
    """Mean over the batch of the examples' norms."""
    rows = x.reshape(len(x), -1)
    return rows.norm(dim=1).mean().clamp_min(1e-12)
