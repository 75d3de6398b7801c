"""Network building blocks that know nothing of time series or of generative models."""

from tsgen.nets.mlp import MLP
from tsgen.nets.residual import DilatedResidualNet
from tsgen.nets.squash import Squash, squash

__all__ = ["MLP", "DilatedResidualNet", "Squash", "squash"]
