"""Conditional generative models p(x | cond); nothing here knows of time series."""

from tsgen.models.base import GenerativeModel
from tsgen.models.ddpm import DDPM
from tsgen.models.distribution import Gaussian, StudentT
from tsgen.models.flows import Flow
from tsgen.models.langevin import ScoreCLD
from tsgen.models.schedule_network import ScheduleNetwork, search_steps
from tsgen.models.score import ScoreSDE

__all__ = [
    "DDPM",
    "Flow",
    "Gaussian",
    "GenerativeModel",
    "ScheduleNetwork",
    "ScoreCLD",
    "ScoreSDE",
    "StudentT",
    "search_steps",
]
