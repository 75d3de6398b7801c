"""Conditional generative models p(x | cond); nothing here knows of time series."""

from tsgen.models.base import GenerativeModel, Player
from tsgen.models.diffusion.cld import ScoreCLD
from tsgen.models.diffusion.ddpm import DDPM
from tsgen.models.diffusion.energy import EnergyDDPM
from tsgen.models.diffusion.schedule_network import ScheduleNetwork, search_steps
from tsgen.models.diffusion.score import ScoreSDE
from tsgen.models.flows import Flow
from tsgen.models.heads.distribution import Gaussian, StudentT
from tsgen.models.kinds import Diffusion, EnergyBased

__all__ = [
    "DDPM",
    "Diffusion",
    "EnergyBased",
    "EnergyDDPM",
    "Flow",
    "Gaussian",
    "GenerativeModel",
    "Player",
    "ScheduleNetwork",
    "ScoreCLD",
    "ScoreSDE",
    "StudentT",
    "search_steps",
]
