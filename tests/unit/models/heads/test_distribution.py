import math

import numpy as np
import pytest
import torch
from scipy import stats

from tsgen.core import seeded
from tsgen.diffusion import DDIM, DPMSolverPP, LinearSchedule
from tsgen.models import DDPM, Gaussian, GenerativeModel, StudentT


def head(kind, covariance, event=(4,), cond=(3,), spread=0.5, **options):
    with seeded(0):
        model = kind(event, cond, covariance=covariance, **options).double()
        for p in model.parameters():
            torch.nn.init.normal_(p, std=spread)
        return model


def softplus(raw):
    """That of 0 is 1."""
    return np.logaddexp(0, raw + np.log(np.expm1(1)))


def law(model, cond):
    """Location (E,), scale matrix (E, E) and degrees of freedom that the network's outputs mean.

    For each step, or for all at once: locations, scales, columns of factors, tails.
    """
    size, rank = model.event_shape.numel(), model.rank
    rows = cond if model.per_step else cond.flatten(1)
    outputs = model.net(rows).numpy(force=True).reshape(-1, model.net.layers[-1].out_features)
    outputs, tails = np.split(outputs, [outputs.shape[1] - model.num_tails], axis=1)
    parts = outputs.reshape(len(outputs), 2 + rank, -1).transpose(1, 0, 2).reshape(2 + rank, size)
    loc, raw, factors = parts[0], parts[1], parts[2:].T / np.sqrt(max(rank, 1))
    root = np.tril(factors, -1) + np.eye(size) if model.covariance == "full" else None
    inner = np.eye(size) + factors @ factors.T if root is None else root @ root.T
    d = np.diag(softplus(raw) + 1e-4)
    tails = tails.flatten() if model.covariance == "diagonal" else tails.mean(0)
    return loc, d @ inner @ d, 2.01 + 8 * softplus(tails)


@pytest.mark.parametrize("covariance", ["diagonal", "low_rank", "full"])
def test_gaussian_density_and_marginals_are_scipys(covariance):
    model = head(Gaussian, covariance, rank=2)
    cond, x = torch.randn(1, 3).double(), torch.randn(1, 4).double()
    loc, scale, _ = law(model, cond)
    expected = stats.multivariate_normal(loc, scale).logpdf(x[0])
    assert model.log_prob(x, cond).item() == pytest.approx(expected, rel=1e-7)
    kept = [0, 2, 3]
    mask = torch.tensor([[1.0, 0, 1, 1]]).double()
    expected = stats.multivariate_normal(loc[kept], scale[np.ix_(kept, kept)]).logpdf(x[0, kept])
    assert model.log_prob(x, cond, mask).item() == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("covariance", ["diagonal", "low_rank", "full"])
def test_student_density_and_marginals_are_scipys(covariance):
    model = head(StudentT, covariance, rank=2)
    cond, x = torch.randn(1, 3).double(), torch.randn(1, 4).double()
    loc, scale, nu = law(model, cond)
    kept = [0, 2, 3]
    mask = torch.tensor([[1.0, 0, 1, 1]]).double()
    if covariance == "diagonal":
        each = stats.t(nu, loc, np.sqrt(np.diag(scale))).logpdf(x[0])
        whole, part = each.sum(), each[kept].sum()
    else:
        whole = stats.multivariate_t(loc, scale, nu[0]).logpdf(x[0])
        part = stats.multivariate_t(loc[kept], scale[np.ix_(kept, kept)], nu[0]).logpdf(x[0, kept])
    assert model.log_prob(x, cond).item() == pytest.approx(whole, rel=1e-7)
    assert model.log_prob(x, cond, mask).item() == pytest.approx(part, rel=1e-7)


@pytest.mark.parametrize("kind", [Gaussian, StudentT])
@pytest.mark.parametrize("covariance", ["diagonal", "low_rank", "full"])
@pytest.mark.parametrize(("event", "cond_shape"), [((4,), (3,)), ((2, 3), (2, 5))])
def test_samples_have_the_density_they_claim(kind, covariance, event, cond_shape):
    """Covariance of the draws; importance weights between two conditionings average to one."""
    model = head(kind, covariance, event, cond_shape, spread=0.2, rank=2)
    cond = torch.randn(1, *cond_shape).double() * 0.3
    loc, scale, nu = law(model, cond)
    count = 100_000
    with seeded(1):
        x = model.sample(cond, (count,)).reshape(count, -1).detach().numpy()
    factor = 1.0
    if kind is StudentT:
        factor = np.sqrt(nu / (nu - 2))
        factor = np.outer(factor, factor) if covariance == "diagonal" else factor[0] ** 2
    std = np.sqrt(np.diag(scale * factor))
    assert np.abs((x.mean(0) - loc) / std).max() < 5 / math.sqrt(count)
    error = (np.cov(x.T) - scale * factor) / np.outer(std, std)
    assert np.abs(error).max() < (0.03 if kind is Gaussian else 0.15)
    other = cond * 1.2
    draws = torch.from_numpy(x).view(count, *event)
    with torch.no_grad():
        ratio = (model.log_prob(draws, other.expand(count, *cond_shape))
                 - model.log_prob(draws, cond.expand(count, *cond_shape))).exp()  # fmt: skip
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(count)


def test_full_covariance_has_a_limit():
    with pytest.raises(ValueError, match="must be 'low_rank' above 256 elements; of 300 it"):
        Gaussian((300,), (3,), covariance="full")


@pytest.mark.parametrize(
    ("event", "cond", "message"),
    [
        ((0,), (3,), "event_shape"),
        ((2, 3, 4), (3,), "event_shape"),
        ((4,), (4, 2), "with the horizon of event_shape"),
        ((4, 2), (3, 2), "with the horizon of event_shape"),
    ],
)
def test_bad_shapes(event, cond, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(event, cond)


def test_ddpm_learns_the_posterior_mean_of_a_gaussian():
    """For N(m, s^2) the network's x0 estimate must be the closed form at all noise levels."""
    with seeded(0):
        schedule = LinearSchedule(20, beta_end=0.5)
        model = DDPM((1,), (1,), schedule=schedule, residual_layers=3)
        optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1200)
        cond = torch.zeros(512, 1)
        for _ in range(1200):
            loss = model.loss(0.5 + 0.6 * torch.randn(512, 1), cond).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()
        x = torch.randn(2000, 1)
        for n in (2, 8, 14, 20):
            t = torch.tensor([n / 20]).double()
            alpha, sigma = schedule.alpha(t).float(), schedule.sigma(t).float()
            noised = alpha * (0.5 + 0.6 * x) + sigma * torch.randn_like(x)
            exact = 0.5 + alpha * 0.36 / (alpha**2 * 0.36 + sigma**2) * (noised - alpha * 0.5)
            with torch.no_grad():
                eps = model.net(
                    noised, model.net.embed(t), model.net.condition(cond[:1].expand(2000, 1))
                )
            learnt = model.parameterization.to_x0(eps, noised, alpha, sigma)
            assert (learnt - exact).pow(2).mean().sqrt() < 0.08 * max(1.0, (sigma / alpha).item())


def test_ddpm_takes_another_sampler_and_refuses_what_cannot_be():
    model = DDPM((3,), (2,), schedule=LinearSchedule(10))
    model.use_sampler(DPMSolverPP(5))
    assert model.__init_args__["sampler"] == DPMSolverPP(5)
    with pytest.raises(ValueError, match="num_steps=50 must be at most 10, the steps of"):
        model.use_sampler(DDIM(num_steps=50))
    with pytest.raises(ValueError, match="num_steps=50 must be at most 10"):
        DDPM((3,), (2,), schedule=LinearSchedule(10), sampler=DDIM(num_steps=50))
    with pytest.raises(ValueError, match="Gaussian has no sampler"):
        Gaussian((3,), (2,)).use_sampler(DDIM())


def test_precomputed_conditioning_changes_nothing():
    with seeded(0):
        net = DDPM((5,), (4,)).net
        torch.nn.init.normal_(net.output.weight)
        x, cond, t = torch.randn(7, 5), torch.randn(7, 4), torch.rand(7).double()
        conditioning = net.condition(cond)
        once, twice = (net(x, net.embed(t), conditioning) for _ in range(2))
        assert torch.equal(once, twice)
        rows = torch.cat(
            [
                net(x[i : i + 1], net.embed(t[i : i + 1]), net.condition(cond[i : i + 1]))
                for i in range(7)
            ]
        )
        assert torch.allclose(once, rows, atol=1e-5)


class Drift(GenerativeModel):
    """x = a t + noise: a model that asks for the times of a horizon's steps."""

    takes_times = True

    def __init__(self, event_shape, cond_shape):
        super().__init__(event_shape, cond_shape)
        self.slope = torch.nn.Linear(cond_shape[-1], event_shape[-1])

    def _line(self, cond, times):
        assert cond.shape[1:] == self.cond_shape and times.shape == (len(cond), self.event_shape[0])
        return self.slope(cond)[:, None] * times[..., None]

    def _loss(self, x, cond, observed, times):
        return (x - self._line(cond, times)).square().flatten(1).mean(1)

    def _sample(self, cond, times):
        return self._line(cond, times) + torch.randn(len(cond), *self.event_shape)


def test_hooks_get_rows_and_the_times_that_a_model_takes():
    model = Drift((4, 2), (3,))
    x, cond, times = torch.randn(5, 6, 4, 2), torch.randn(5, 6, 3), torch.rand(5, 6, 4)
    assert model.loss(x, cond, times=times).shape == (5, 6)
    draws = model.sample(cond, (1000,), times=times)
    expected = model.slope(cond)[..., None, :] * times[..., None]
    assert draws.shape == (1000, 5, 6, 4, 2) and (draws.mean(0) - expected).abs().max() < 0.2
    with pytest.raises(ValueError, match="takes the times of an event's steps; none are given"):
        model.loss(x, cond)
    with pytest.raises(ValueError, match=r"times has shape \(5, 6, 3\), expected \(\*batch, 4\)"):
        model.sample(cond, times=times[..., :3])
    with pytest.raises(ValueError, match="Gaussian does not take the times"):
        Gaussian((4, 2), (3,)).sample(cond, times=times)
