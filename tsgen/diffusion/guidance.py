r"""Guidance: from a denoiser of p(x) to one of p(x given some elements of x), without training.

A guidance wraps ``denoise(x, t)``, so that any sampler draws with it.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from tsgen.core import NonNegative, Options, Positive, at_least
from tsgen.diffusion.samplers import Denoiser
from tsgen.diffusion.schedules import Schedule


class Guidance(Options, ABC):
    """A way to condition on given elements while sampling."""

    memory: ClassVar[int] = 1
    """How many times the memory of plain sampling it takes, roughly."""
    needs_given: ClassVar[bool] = False
    """Whether the model must have been trained with parts of its events given."""

    @abstractmethod
    def guide(
        self,
        denoise: Denoiser,
        schedule: Schedule,
        values: Tensor,
        mask: Tensor,
        conditional: Denoiser | None = None,
    ) -> Denoiser:
        """The guided denoiser; of given elements it returns the values, as they are.

        Args:
            denoise: estimates x0 of an event of which nothing is given.
            schedule: the process.
            values: the given values, (rows, *event_shape); of other elements they do not matter.
            mask: which are given, bool, like them.
            conditional: estimates x0 with these values given, if the model has learnt to.
        """


class Replacement(Guidance):
    r"""Given elements are put in the place of their estimates.

    Along the way the sampler then moves them from noise to their values, :math:`\alpha_t y +
    \sigma_t \varepsilon`, and the network sees them so (Song et al. 2021, Score-based generative
    modeling through SDEs, section 5 and appendix I.2; Ho et al. 2022, Video diffusion models,
    section 3.1). One call of the network a step, but biased: the other elements follow
    :math:`p(x_t^u \mid x_t^g)` and not :math:`p(x_t^u \mid x_0^g)`. Langevin steps between
    (:class:`~tsgen.diffusion.PredictorCorrector`) take the bias away, many of them.
    """

    @override
    def guide(
        self,
        denoise: Denoiser,
        schedule: Schedule,
        values: Tensor,
        mask: Tensor,
        conditional: Denoiser | None = None,
    ) -> Denoiser:
        def guided(x: Tensor, t: float) -> Tensor:
            return torch.where(mask, values, denoise(x, t))

        return guided


class Reconstruction(Guidance):
    r"""The estimate is moved by what it misses of the given values.

    With A the choice of the given elements, y their values, :math:`\hat x_0` the estimate and
    :math:`V = \frac{\sigma^2}{\alpha} \frac{\partial \hat x_0}{\partial x}` the covariance of x0
    given the noised x (Tweedie's second formula),

    .. math:: \hat x_0 + V A^T (A V A^T + s^2 I)^{-1} (y - A \hat x_0),

    which is exact for Gaussian laws (Rozet, Andry, Lanusse, Louppe 2024, arXiv 2405.13712,
    algorithm 3). The system is solved by conjugate gradients, each iteration one backward pass.
    With ``iterations=0`` V is taken as :math:`\sigma^2 / (\alpha^2 + \sigma^2)` in the system, as
    reconstruction guidance is used otherwise (Ho et al. 2022, Video diffusion models, section 3.1;
    Song et al. 2023, Pseudoinverse-guided diffusion models, eq 8): one backward pass.

    The derivative of a network that predicts the noise is worthless at high noise, for
    :math:`\hat x_0` has its error times :math:`\sigma / \alpha`; solving with it throws samples
    far off. With one that predicts "v" or "x0" a few iterations come close to the exact law.

    Args:
        iterations: of conjugate gradients; as many as there are given elements solve exactly.
        noise: s, standard deviation with which the values are known, on the scale the model sees.
    """

    iterations: Annotated[int, at_least(0)] = 0
    noise: Positive = 0.01
    memory: ClassVar[int] = 12

    @override
    def guide(
        self,
        denoise: Denoiser,
        schedule: Schedule,
        values: Tensor,
        mask: Tensor,
        conditional: Denoiser | None = None,
    ) -> Denoiser:
        weights = mask.to(values.dtype)
        known = torch.where(mask, values, torch.zeros_like(values))

        def guided(x: Tensor, t: float) -> Tensor:
            time = torch.tensor(t, dtype=torch.float64)
            alpha, sigma = schedule.alpha(time).item(), schedule.sigma(time).item()
            outer = torch.is_grad_enabled()
            with torch.enable_grad():
                point = x if x.requires_grad else x.detach().requires_grad_()
                estimate = denoise(point, t)

                def covariance(u: Tensor) -> Tensor:
                    (product,) = torch.autograd.grad(
                        estimate, point, u, retain_graph=True, create_graph=outer
                    )
                    return product * (sigma**2 / alpha)

                residual = (known - estimate) * weights
                residual = residual if outer else residual.detach()
                if self.iterations:
                    solution = _conjugate_gradients(
                        lambda u: covariance(u) * weights + self.noise**2 * u,
                        residual,
                        self.iterations,
                    )
                else:
                    size = sigma**2 / (alpha**2 + sigma**2)
                    solution = residual / (size + self.noise**2)
                moved = estimate + covariance(solution)
            return torch.where(mask, values, moved if outer else moved.detach())

        return guided


class ClassifierFree(Guidance):
    r"""The estimate of a model that was trained with parts of its events given.

    .. math:: \hat x_0(x) + w \left(\hat x_0(x \mid y) - \hat x_0(x)\right)

    (Ho, Salimans 2022, Classifier-free diffusion guidance, eq 6, where w is 1 + w). With w = 1 the
    model's own conditional law is drawn from, as CSDI does, at one call of the network; a larger
    weight holds more to the given values than the law does.

    Args:
        weight: w, at least 0.
    """

    weight: NonNegative = 1.0
    needs_given: ClassVar[bool] = True

    @override
    def guide(
        self,
        denoise: Denoiser,
        schedule: Schedule,
        values: Tensor,
        mask: Tensor,
        conditional: Denoiser | None = None,
    ) -> Denoiser:
        if conditional is None:
            raise ValueError(
                "ClassifierFree: the model was not trained with parts of its events given; train "
                "with given=Given(...) (a model's given_rate), or use Reconstruction or Replacement"
            )

        def guided(x: Tensor, t: float) -> Tensor:
            estimate = conditional(x, t)
            if self.weight != 1:
                free = denoise(x, t)
                estimate = free + self.weight * (estimate - free)
            return torch.where(mask, values, estimate)

        return guided


def _conjugate_gradients(product: object, right: Tensor, iterations: int) -> Tensor:
    """Solve product(u) = right for each row; product is linear, symmetric and positive."""
    u, residual = torch.zeros_like(right), right
    direction, size = residual, _dot(residual, residual)
    for _ in range(iterations):
        mapped = product(direction)  # type: ignore[operator]
        curvature = _dot(direction, mapped)
        # a network's Jacobian is no exact covariance: where it bends the wrong way a row stops
        step = torch.where(curvature > 0, size / curvature.clamp_min(1e-30), 0.0)
        u, residual = u + step * direction, residual - step * mapped
        before, size = size, _dot(residual, residual)
        direction = residual + size / before.clamp_min(1e-30) * direction
    return u


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each row, kept broadcastable."""
    return (a * b).flatten(1).sum(1).view(-1, *[1] * (a.dim() - 1))
