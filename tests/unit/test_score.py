"""Likelihoods of score models against laws whose score is known."""

import math

import pytest
import torch
from torch import Tensor

from tsgen.core import seeded
from tsgen.diffusion import CLD, SDE, SubVPSDE, VESDE, VPSDE
from tsgen.models import ScoreCLD, ScoreSDE

SDES = [VPSDE(), VPSDE(100, 0.01, 15.0), SubVPSDE(100, 0.1, 15.0), VESDE(), VESDE(100, 0.01, 10.0)]
WEIGHTS = torch.tensor([0.3, 0.7], dtype=torch.float64)
MEANS = torch.tensor([[-1.2, 0.5, 0.1], [0.8, -0.4, 0.6]], dtype=torch.float64)
ROOTS = torch.tensor(
    [
        [[0.5, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.6]],
        [[0.7, 0.0, 0.0], [-0.4, 0.5, 0.0], [0.1, 0.3, 0.3]],
    ],
    dtype=torch.float64,
)


class Mixture:
    """A mixture of Gaussians in up to three dimensions with its exact denoiser."""

    def __init__(self, size: int, parts: int = 2) -> None:
        self.weights = WEIGHTS[:parts] / WEIGHTS[:parts].sum()
        self.means, roots = MEANS[:parts, :size], ROOTS[:parts, :size, :size]
        self.covariances = roots @ roots.mT
        self.eye = torch.eye(size, dtype=torch.float64)

    def noised(self, alpha: float, sigma: float) -> torch.distributions.MultivariateNormal:
        """The parts at a noise level."""
        covariances = alpha**2 * self.covariances + sigma**2 * self.eye
        return torch.distributions.MultivariateNormal(alpha * self.means, covariances)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density of x (rows, size)."""
        parts = self.noised(1.0, 0.0).log_prob(x[:, None])
        return (parts + self.weights.log()).logsumexp(1)

    def denoise(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """E[x0 | x_t]."""
        law = self.noised(alpha, sigma)
        share = (law.log_prob(x[:, None]) + self.weights.log()).softmax(1)
        gain = alpha * self.covariances @ torch.linalg.inv(law.covariance_matrix)
        moved = self.means + ((x[:, None] - alpha * self.means)[..., None, :] @ gain.mT)[..., 0, :]
        return (share[..., None] * moved).sum(1)

    def sample(self, count: int) -> Tensor:
        """Draws (count, size)."""
        part = torch.multinomial(self.weights, count, replacement=True)
        law = torch.distributions.MultivariateNormal(self.means, self.covariances)
        return law.sample((count,))[torch.arange(count), part]


def exact_model(law: Mixture, sde: SDE, **options) -> ScoreSDE:  # noqa: ANN003
    """A score model whose denoiser is the law's."""
    model = ScoreSDE((law.means.shape[1],), (1,), sde, **options).double()

    def denoiser(cond, observed=None, times=None, given=None):  # noqa: ANN001, ANN202
        def denoise(x: Tensor, t: float) -> Tensor:
            time = torch.tensor(t, dtype=torch.float64)
            return law.denoise(x, sde.alpha(time).item(), sde.sigma(time).item())

        return denoise

    model.denoiser = denoiser  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize("sde", SDES, ids=repr)
@pytest.mark.parametrize(("size", "parts"), [(1, 1), (3, 1), (1, 2), (3, 2)])
def test_probability_flow_likelihood_is_exact(sde: SDE, size: int, parts: int) -> None:
    """To 1e-3, for a Gaussian and a mixture, one and three dimensions."""
    law = Mixture(size, parts)
    with seeded(0):
        x = law.sample(40)
    found = exact_model(law, sde).log_prob(x, torch.zeros(40, 1).double())
    # the prior forgets the data but for alpha(1): VESDE's start is wider than N(0, prior_std^2)
    assert (found - law.log_prob(x)).abs().max() < 1e-3 + prior_error(law, sde)


def prior_error(law: Mixture, sde: SDE) -> float:
    """How far the log density at t = 1 can be from the prior's, on average points."""
    one = torch.ones(1, dtype=torch.float64)
    with seeded(1):
        z = sde.alpha(one) * law.sample(4000) + sde.sigma(one) * torch.randn(4000, len(law.eye))
    noised = law.noised(sde.alpha(one).item(), sde.sigma(one).item())
    true = (noised.log_prob(z[:, None]) + law.weights.log()).logsumexp(1)
    return float((true - sde.prior_log_prob(z)).abs().max())
