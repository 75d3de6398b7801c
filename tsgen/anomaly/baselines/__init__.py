"""Detectors to measure others against."""

from tsgen.anomaly.baselines.linear import AR1Detector, VARDetector
from tsgen.anomaly.baselines.pca import PCADetector
from tsgen.anomaly.baselines.simple import IsolationForestDetector, MahalanobisDetector
from tsgen.anomaly.baselines.uae import UAEDetector

__all__ = [
    "AR1Detector",
    "IsolationForestDetector",
    "MahalanobisDetector",
    "PCADetector",
    "UAEDetector",
    "VARDetector",
]
