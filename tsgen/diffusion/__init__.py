"""Diffusion numerics without learnable parameters: schedules, parameterisations, samplers."""

from tsgen.diffusion.parameterization import Parameterization
from tsgen.diffusion.samplers import DDIM, Ancestral, DPMSolverPP, GivenSteps, Sampler
from tsgen.diffusion.schedules import (
    CosineSchedule,
    LinearSchedule,
    QuadraticSchedule,
    Schedule,
)

__all__ = [
    "DDIM",
    "Ancestral",
    "CosineSchedule",
    "DPMSolverPP",
    "GivenSteps",
    "LinearSchedule",
    "Parameterization",
    "QuadraticSchedule",
    "Sampler",
    "Schedule",
]
