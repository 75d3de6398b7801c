"""Conditional generative models p(x | cond); nothing here knows of time series."""

from tsgen.models.base import GenerativeModel
from tsgen.models.ddpm import DDPM
from tsgen.models.distribution import Gaussian, StudentT
from tsgen.models.flows import Flow
from tsgen.models.schedule_network import ScheduleNetwork, search_steps

__all__ = [
    "DDPM",
    "Flow",
    "Gaussian",
    "GenerativeModel",
    "ScheduleNetwork",
    "StudentT",
    "search_steps",
]
