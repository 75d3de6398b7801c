"""Conditional generative models p(x | cond); nothing here knows of time series."""

from tsgen.models.base import GenerativeModel
from tsgen.models.ddpm import DDPM
from tsgen.models.distribution import Gaussian, StudentT

__all__ = ["DDPM", "Gaussian", "GenerativeModel", "StudentT"]
