"""Conditioning on given elements: the exact posterior of a Gaussian."""

import pytest
import torch

from tsgen.core import seeded
from tsgen.diffusion import (
    ClassifierFree,
    DPMSolverPP,
    LinearSchedule,
    PredictorCorrector,
    Reconstruction,
    Replacement,
)
from tsgen.models import DDPM

MEAN = torch.tensor([0.5, -1.0, 0.3, 1.2], dtype=torch.float64)
ROOT = torch.tensor(
    [[0.9, 0.0, 0.0, 0.0], [0.6, 0.7, 0.0, 0.0], [-0.5, 0.4, 0.6, 0.0], [0.3, 0.5, -0.4, 0.5]],
    dtype=torch.float64,
)
COVARIANCE = ROOT @ ROOT.T
GIVEN = torch.tensor([False, True, False, True])
VALUES = torch.tensor([0.0, 0.4, 0.0, 0.1], dtype=torch.float64)
COUNT = 20_000


def posterior() -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of the elements not given."""
    free, known = ~GIVEN, GIVEN
    gain = COVARIANCE[free][:, known] @ torch.linalg.inv(COVARIANCE[known][:, known])
    mean = MEAN[free] + gain @ (VALUES - MEAN)[known]
    return mean, COVARIANCE[free][:, free] - gain @ COVARIANCE[known][:, free]


class GaussianDiffusion(DDPM):
    """The diffusion model of N(MEAN, COVARIANCE) with its exact denoiser."""

    def denoiser(self, cond, observed=None, times=None, given=None):  # noqa: ANN001, ANN201
        """E[x0 | x_t], and given some elements the same of the posterior."""
        mean, covariance = MEAN, COVARIANCE
        if given is not None:
            mean, covariance = torch.zeros(4).double(), torch.zeros(4, 4).double()
            mean[GIVEN], (mean[~GIVEN], part) = VALUES[GIVEN], posterior()
            covariance[torch.outer(~GIVEN, ~GIVEN)] = part.flatten()

        def denoise(x, t):  # noqa: ANN001, ANN202
            time = torch.tensor(t, dtype=torch.float64)
            alpha, sigma = self.schedule.alpha(time), self.schedule.sigma(time)
            total = alpha**2 * covariance + sigma**2 * torch.eye(4).double()
            return mean + (x - alpha * mean) @ (alpha * covariance @ torch.linalg.inv(total)).T

        return denoise


def draw(sampler, guidance=None, given_rate=0.0, start=None):  # noqa: ANN001, ANN201
    """Samples given two of four elements, (COUNT, 4)."""
    schedule = LinearSchedule(1000, beta_start=1e-5, beta_end=0.02)
    model = GaussianDiffusion((4,), (1,), schedule, sampler=sampler, given_rate=given_rate)
    with seeded(0), torch.no_grad():
        return model.sample_given(
            torch.zeros(1).double(), VALUES, GIVEN, (COUNT,), guidance=guidance, start=start
        )


def errors(drawn: torch.Tensor) -> tuple[float, float]:
    """Largest errors of mean and covariance, in standard errors of either."""
    mean, covariance = posterior()
    free = drawn[:, ~GIVEN]
    variance = covariance.diagonal()
    of_mean = (free.mean(0) - mean).abs() / (variance / COUNT).sqrt()
    spread = (torch.outer(variance, variance) + covariance**2) / COUNT
    of_covariance = (free.T.cov() - covariance).abs() / spread.sqrt()
    return float(of_mean.max()), float(of_covariance.max())


def test_reconstruction_gives_the_exact_posterior_of_a_gaussian() -> None:
    """Two iterations solve for two given elements; 200 steps leave no error of the sampler."""
    drawn = draw(DPMSolverPP(200), Reconstruction(iterations=2, noise=1e-3))
    assert torch.equal(drawn[:, GIVEN], VALUES[GIVEN].expand(COUNT, 2))
    assert max(errors(drawn)) < 4.5


def test_without_the_covariance_reconstruction_is_biased() -> None:
    """So the test above tells a wrong covariance."""
    assert max(errors(draw(DPMSolverPP(200), Reconstruction(iterations=0)))) > 20


def test_a_trained_conditional_model_draws_from_its_own_law() -> None:
    """With weight 1 the conditional denoiser alone counts."""
    drawn = draw(DPMSolverPP(200), given_rate=1.0)
    assert torch.equal(drawn[:, GIVEN], VALUES[GIVEN].expand(COUNT, 2))
    assert max(errors(drawn)) < 4.5


def test_a_guidance_weight_above_one_goes_beyond_the_conditional_law() -> None:
    """The mean moves past the posterior's; with weight 0 values are but replaced."""
    mean, _ = posterior()
    moved = draw(DPMSolverPP(50), ClassifierFree(3.0), given_rate=1.0)[:, ~GIVEN].mean(0)
    assert ((moved - MEAN[~GIVEN]) / (mean - MEAN[~GIVEN]) > 1.2).all()
    free = draw(DPMSolverPP(20), ClassifierFree(0.0), given_rate=1.0)
    assert torch.allclose(free, draw(DPMSolverPP(20), Replacement()))


def test_replacement_is_biased_and_langevin_steps_take_the_bias_away() -> None:
    """What its documentation says, and that a corrector of many steps mixes the rest."""
    plain = draw(DPMSolverPP(200), Replacement())
    assert torch.equal(plain[:, GIVEN], VALUES[GIVEN].expand(COUNT, 2))
    assert max(errors(plain)) > 20
    mixed = draw(PredictorCorrector(200, corrector_steps=20, snr=0.3), Replacement())
    mean, covariance = posterior()
    assert (mixed[:, ~GIVEN].mean(0) - mean).abs().max() < 0.05
    assert (mixed[:, ~GIVEN].T.cov() - covariance).abs().max() < 0.05


def test_a_start_from_a_guess_keeps_it_the_more_the_less_it_is_noised() -> None:
    """With little noise the guess comes back; from t = 1 it is forgotten."""
    guess = torch.tensor([2.0, 0.0, 2.0, 0.0], dtype=torch.float64)
    means = [
        draw(DPMSolverPP(50), Reconstruction(2, 1e-3), start=(guess, t))[:, ~GIVEN].mean(0)
        for t in (0.02, 0.3, 1.0)
    ]
    target, _ = posterior()
    distance = [float((m - target).abs().max()) for m in means]
    assert (means[0] - guess[~GIVEN]).abs().max() < 0.1
    assert distance[0] > distance[1] > distance[2] and distance[2] < 0.05


def test_bad_options_are_refused() -> None:
    """Naming field and value; a model that never was given anything has no such guidance."""
    with pytest.raises(ValueError, match="iterations=-1"):
        Reconstruction(iterations=-1)
    with pytest.raises(ValueError, match="noise=0"):
        Reconstruction(noise=0.0)
    with pytest.raises(ValueError, match="weight=-0.5"):
        ClassifierFree(-0.5)
    with pytest.raises(ValueError, match="given_rate"):
        draw(DPMSolverPP(5), ClassifierFree())
