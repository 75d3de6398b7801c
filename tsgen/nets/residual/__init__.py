"""The dilated residual network of DiffWave and TimeGrad: definition, backends, module."""

from tsgen.nets.residual.backends import backend
from tsgen.nets.residual.network import DilatedResidualNet

__all__ = ["DilatedResidualNet", "backend"]
