"""Network building blocks that know nothing of time series or of generative models."""

from tsgen.nets.axial import AxialTransformer
from tsgen.nets.denoiser import DenseDenoiser, EnergyDenoiser
from tsgen.nets.graph import GraphAttention
from tsgen.nets.mlp import MLP
from tsgen.nets.options import Axial, Dense, Network, Residual
from tsgen.nets.residual import DilatedResidualNet

__all__ = [
    "MLP",
    "Axial",
    "AxialTransformer",
    "Dense",
    "DenseDenoiser",
    "DilatedResidualNet",
    "EnergyDenoiser",
    "GraphAttention",
    "Network",
    "Residual",
]
