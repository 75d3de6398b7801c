"""Samplers: from noise to data, given a denoiser."""

from tsgen.diffusion.samplers.annealed import AnnealedLangevin, langevin_step
from tsgen.diffusion.samplers.base import Denoiser, Descent, Sampler
from tsgen.diffusion.samplers.chain import DDIM, Ancestral, GivenSteps
from tsgen.diffusion.samplers.dpm import DPMSolverPP, DPMSolverPP3M
from tsgen.diffusion.samplers.probability_flow import EDM, ProbabilityFlow
from tsgen.diffusion.samplers.sde import EulerMaruyama, PredictorCorrector

__all__ = [
    "DDIM",
    "EDM",
    "Ancestral",
    "AnnealedLangevin",
    "DPMSolverPP",
    "DPMSolverPP3M",
    "Denoiser",
    "Descent",
    "EulerMaruyama",
    "GivenSteps",
    "PredictorCorrector",
    "ProbabilityFlow",
    "Sampler",
    "langevin_step",
]
