"""GluonTS' own models as peers in comparisons.

A model of one channel runs channel by channel over several: each channel is a series of its own,
all of them train one network.
"""

from tsgen.estimators.peers.estimator import PeerEstimator
from tsgen.estimators.peers.predictor import PeerPredictor

__all__ = ["PeerEstimator", "PeerPredictor"]
