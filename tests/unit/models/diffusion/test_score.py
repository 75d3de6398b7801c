"""Likelihoods of score models against laws whose score is known."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from tests.support.known_scores import gaussian_score
from tsgen.core import seeded
from tsgen.diffusion import CLD, SDE, VESDE, VPSDE, SubVPSDE
from tsgen.models import ScoreCLD, ScoreSDE

SDES = [VPSDE(200, 0.1, 40.0), SubVPSDE(200, 0.1, 40.0), VESDE(200, 0.01, 20000.0)]
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
    model = ScoreSDE((law.means.shape[1],), (1,), sde, t_min=1e-5, **options).double()

    def denoiser(cond, observed=None, times=None, given=None):  # noqa: ANN001, ANN202
        def denoise(x: Tensor, t: float) -> Tensor:
            time = torch.tensor(t, dtype=torch.float64)
            return law.denoise(x, sde.alpha(time).item(), sde.sigma(time).item())

        return denoise

    model.denoiser = denoiser  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
@pytest.mark.parametrize(("size", "parts"), [(1, 1), (3, 1), (1, 2), (3, 2)])
def test_probability_flow_likelihood_is_exact(sde: SDE, size: int, parts: int) -> None:
    """To 1e-3, for a Gaussian and a mixture; the priors here leave nothing of the data."""
    law = Mixture(size, parts)
    with seeded(0):
        x = law.sample(40)
    found = exact_model(law, sde).log_prob(x, torch.zeros(40, 1).double())
    assert (found - law.log_prob(x)).abs().max() < 1e-3


def test_hutchinsons_trace_is_unbiased() -> None:
    """Over many draws its mean is the exact density; one draw differs."""
    law, sde = Mixture(3), SDES[0]
    with seeded(0):
        x = law.sample(5)
        found = exact_model(law, sde, divergence="hutchinson").log_prob(
            x.repeat(400, 1), torch.zeros(2000, 1).double()
        )
    found = found.view(400, 5)
    band = 4 * found.std(0) / 400**0.5
    assert (found.std(0) > 0.01).all()
    assert ((found.mean(0) - law.log_prob(x)).abs() < band + 2e-3).all()


@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
def test_the_bound_is_tight_for_the_exact_score_and_below_for_another(sde: SDE) -> None:
    """Reverse SDE and ODE then have one law; a wrong score loosens the bound by its error."""
    law = Mixture(2)
    with seeded(0):
        x = law.sample(300)
        cond = torch.zeros(300, 1).double()
        model = exact_model(law, sde)
        bound, exact = model.lower_bound(x, cond, draws=200), law.log_prob(x)
        gap = bound - exact
        assert abs(float(gap.mean())) < 4 * float(gap.std()) / 300**0.5 + 0.01
        assert float(gap.std()) / 300**0.5 < 0.06
        wrong = Mixture(2)
        wrong.means = wrong.means + 0.5
        loose = exact_model(wrong, sde)
        both = loose.lower_bound(x, cond, draws=200), loose.log_prob(x, cond)
    assert abs(float((both[0] - both[1]).mean())) < 0.3  # still a law's own score
    assert float((both[1] - exact).mean()) < -0.2


def test_an_error_of_the_score_loosens_the_bound() -> None:
    """A scaled denoiser is no law's: the bound falls below that of the right one."""
    law, sde = Mixture(1, 1), SDES[0]
    model = exact_model(law, sde)
    right = model.denoiser

    def shrunk(cond: Tensor, *args: object, **options: object):  # noqa: ANN202
        denoise = right(cond)
        return lambda x, t: 0.7 * denoise(x, t)

    with seeded(0):
        x = law.sample(400)
        cond = torch.zeros(400, 1).double()
        exact = model.lower_bound(x, cond, 200).mean()
        model.denoiser = shrunk  # type: ignore[method-assign, assignment]
        assert model.lower_bound(x, cond, 200).mean() < exact - 0.1


def test_partly_observed_events_have_no_density() -> None:
    """It would not be what the contract says."""
    x, cond = torch.zeros(2, 3), torch.zeros(2, 1)
    observed = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    for model in (ScoreSDE((3,), (1,)), ScoreCLD((3,), (1,))):
        with pytest.raises(ValueError, match="partly observed"):
            model.log_prob(x, cond, observed)


@pytest.mark.parametrize("friction", [None, 0.4, 3.0])
def test_the_bound_of_cld_is_tight_for_the_exact_score(friction: float | None) -> None:
    """Within its sampling error, and the entropy of the velocity is counted right."""
    process, mean, std = CLD(beta=8.0, friction=friction, t_min=1e-4), 0.7, 0.6
    model = ScoreCLD((1,), (1,), process).double()
    model.velocity_score = lambda cond: gaussian_score(process, mean, std)  # type: ignore[method-assign]
    with seeded(0):
        x = mean + std * torch.randn(300, 1).double()
        bound = model.lower_bound(x, torch.zeros(300, 1).double(), draws=400)
    exact = torch.distributions.Normal(mean, std).log_prob(x[:, 0])
    gap = bound - exact
    # given v drawn independently of x the bound loses the information between them: none here
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / 300**0.5 + 0.03
    assert float(gap.std()) / 300**0.5 < 0.15


@pytest.mark.parametrize("objective", ["hybrid", "denoising"])
def test_untrained_cld_knows_the_normal_law(objective: Literal["hybrid", "denoising"]) -> None:
    """Before training it has the score of N(0, 1), and the least loss possible there.

    Given (x_t, v_t) the noise of the velocity has variance 1 - L_vv^2 (S_t^-1)_vv.
    """
    process = CLD()
    model = ScoreCLD((1,), (1,), process, objective=objective).double()
    torch.nn.init.zeros_(model.net.output.bias)
    x, cond = torch.randn(20_000, 1).double(), torch.zeros(20_000, 1).double()
    with seeded(0), torch.no_grad():
        losses = model.loss(x, cond)
        v = 0.5 * torch.randn_like(x)
        for time in (1e-3, 0.02, 0.3, 1.0):
            exact = gaussian_score(process, 0.0, 1.0)(x, v, time)
            found = model.velocity_score(cond)(x, v, time)
            size = process.marginal(torch.tensor([time]).double(), objective == "hybrid")[1][
                0, 1, 1
            ]
            usual = (exact * size).abs() < 4  # v and x were drawn apart: some are far out
            assert torch.allclose(found[usual], exact[usual], rtol=1e-4)
            assert torch.allclose(found[~usual].abs() * size, torch.tensor(4.0).double())
    t = 1 - (1 - process.t_min) * (torch.arange(2000).double() + 0.5) / 2000
    factor, root = process.marginal(t, hybrid=objective == "hybrid")
    start = torch.tensor([1.0, process.gamma * process.mass], dtype=torch.float64).diag()
    noise = process.transition(t)[1]
    precision = torch.linalg.inv(factor @ start @ factor.mT + noise)
    least = (1 - root[:, 1, 1] ** 2 * precision[:, 1, 1]).mean()
    assert abs(losses.mean() - least) < 4 * losses.std() / 20_000**0.5
    with torch.no_grad():
        assert model.loss(1e3 * x, cond).max() < 100, "an outlier's loss is bounded"


@pytest.mark.slow
def test_training_by_likelihood_tightens_the_bound() -> None:
    """ScoreFlow's weights: the bound rises towards the law's own log density.

    It bounds the density of what the SDE draws, which is at most the law's on the law's draws. The
    ODE's density is another one, and with a learnt score it can lie below the bound.
    """
    law, found = Mixture(2), {}
    for weighting in (False, True):
        with seeded(0):
            model = ScoreSDE((2,), (1,), likelihood_weighting=weighting, residual_layers=4)
            optimiser = torch.optim.Adam(model.parameters(), 3e-3)
            decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1500)
            for _ in range(1500):
                optimiser.zero_grad()
                model.loss(law.sample(256).float(), torch.zeros(256, 1)).mean().backward()
                optimiser.step()
                decay.step()
            x, cond = law.sample(400).float(), torch.zeros(400, 1)
            with torch.no_grad():
                bound = model.lower_bound(x, cond, draws=200).mean()
            found[weighting] = float(bound), float(model.log_prob(x, cond).mean())
    exact = float(law.log_prob(x.double()).mean())
    assert found[True][0] > found[False][0]
    for bound, flow in found.values():
        assert bound < exact + 0.03 and flow < exact + 0.03
    assert exact - found[True][0] < 0.15 and exact - found[True][1] < 0.15, (exact, found)
