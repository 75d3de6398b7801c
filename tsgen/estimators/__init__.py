"""Named families, one short file each, the baselines and the peers they are compared with."""

from tsgen.estimators.baselines import (
    ETSEstimator,
    GARCHEstimator,
    LastValueEstimator,
    RandomWalkEstimator,
    RidgeEstimator,
    SeasonalNaiveEstimator,
    VAREstimator,
)
from tsgen.estimators.cld import CLDEstimator
from tsgen.estimators.composed import ComposedEstimator
from tsgen.estimators.denoising import Given, NoisePrediction, ScoreMatching
from tsgen.estimators.gaussian import GaussianEstimator, StudentTEstimator
from tsgen.estimators.peers import PeerEstimator
from tsgen.estimators.scoregrad import ScoreGradEstimator
from tsgen.estimators.tempflow import TempFlowEstimator
from tsgen.estimators.tfdpm import Patterns, TFDPMEstimator
from tsgen.estimators.timegrad import TimeGradEstimator

__all__ = [
    "CLDEstimator",
    "ComposedEstimator",
    "ETSEstimator",
    "GARCHEstimator",
    "GaussianEstimator",
    "Given",
    "LastValueEstimator",
    "NoisePrediction",
    "Patterns",
    "PeerEstimator",
    "RandomWalkEstimator",
    "RidgeEstimator",
    "ScoreGradEstimator",
    "ScoreMatching",
    "SeasonalNaiveEstimator",
    "StudentTEstimator",
    "TFDPMEstimator",
    "TempFlowEstimator",
    "TimeGradEstimator",
    "VAREstimator",
]
