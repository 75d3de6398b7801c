"""Diffusion numerics without learnable parameters: schedules, parameterisations, samplers."""

from tsgen.diffusion.guidance import ClassifierFree, Guidance, Reconstruction, Replacement
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
    "ClassifierFree",
    "CosineSchedule",
    "DPMSolverPP",
    "GivenSteps",
    "Guidance",
    "LinearSchedule",
    "Parameterization",
    "QuadraticSchedule",
    "Reconstruction",
    "Replacement",
    "Sampler",
    "Schedule",
]
