"""Diffusion numerics without learnable parameters: processes, samplers, guidance."""

from tsgen.diffusion.cld import CLD, SSCS, LangevinEulerMaruyama, LangevinSampler
from tsgen.diffusion.guidance import (
    ClassifierFree,
    Guidance,
    Reconstruction,
    Replacement,
)
from tsgen.diffusion.ladder import NoiseLadder
from tsgen.diffusion.parameterization import (
    Parameterization,
)
from tsgen.diffusion.samplers import (
    DDIM,
    EDM,
    Ancestral,
    AnnealedLangevin,
    DPMSolverPP,
    DPMSolverPP3M,
    EulerMaruyama,
    GivenSteps,
    PredictorCorrector,
    ProbabilityFlow,
    Sampler,
    langevin_step,
)
from tsgen.diffusion.schedules import (
    CosineSchedule,
    LinearSchedule,
    QuadraticSchedule,
    Schedule,
)
from tsgen.diffusion.sdes import (
    SDE,
    VESDE,
    VPSDE,
    SubVPSDE,
)

__all__ = [
    "CLD",
    "SSCS",
    "LangevinEulerMaruyama",
    "LangevinSampler",
    "Ancestral",
    "AnnealedLangevin",
    "ClassifierFree",
    "CosineSchedule",
    "DDIM",
    "DPMSolverPP",
    "DPMSolverPP3M",
    "EDM",
    "EulerMaruyama",
    "GivenSteps",
    "Guidance",
    "LinearSchedule",
    "NoiseLadder",
    "Parameterization",
    "PredictorCorrector",
    "ProbabilityFlow",
    "QuadraticSchedule",
    "Reconstruction",
    "Replacement",
    "SDE",
    "Sampler",
    "Schedule",
    "SubVPSDE",
    "VESDE",
    "VPSDE",
    "langevin_step",
]
