"""Network building blocks that know nothing of time series or of generative models."""

from tsgen.nets.axial import AxialTransformer
from tsgen.nets.contract import DenoisingNet, Evaluator
from tsgen.nets.dense import DenseDenoiser, EnergyDenoiser
from tsgen.nets.graph import GraphAttention
from tsgen.nets.mlp import MLP
from tsgen.nets.options import Axial, Dense, Network, Residual
from tsgen.nets.parallel import cuda_graphs
from tsgen.nets.residual import DilatedResidualNet, backend

__all__ = [
    "MLP",
    "Axial",
    "AxialTransformer",
    "Dense",
    "DenoisingNet",
    "DenseDenoiser",
    "DilatedResidualNet",
    "EnergyDenoiser",
    "Evaluator",
    "GraphAttention",
    "Network",
    "Residual",
    "backend",
    "cuda_graphs",
]
