"""Network building blocks that know nothing of time series or of generative models."""

from tsgen.nets.mlp import MLP
from tsgen.nets.residual import DilatedResidualNet

__all__ = ["MLP", "DilatedResidualNet"]
