"""Names of detectors."""

from functools import partial

from tsgen.anomaly.baselines import (
    AR1Detector,
    IsolationForestDetector,
    MahalanobisDetector,
    PCADetector,
    UAEDetector,
    VARDetector,
)
from tsgen.anomaly.detector import Detector
from tsgen.anomaly.forecast import ForecastDetector
from tsgen.anomaly.readout import Readout
from tsgen.anomaly.tfdpm import TFDPMDetector
from tsgen.core import Registry
from tsgen.estimators.distribution import GaussianEstimator
from tsgen.estimators.tempflow import TempFlowEstimator

detectors: Registry[Detector] = Registry(
    "detector",
    {
        "tfdpm": TFDPMDetector,
        "lowrank": partial(
            ForecastDetector,
            estimator=GaussianEstimator(1, context_length=24, covariance="low_rank", verbose=False),
            readout=Readout(smooth=6),
        ),
        "maf": partial(
            ForecastDetector,
            estimator=TempFlowEstimator(1, flow="maf", context_length=24, verbose=False),
            readout=Readout(smooth=6),
        ),
        "windowed_pca": partial(PCADetector, components=100),
        "pca": partial(PCADetector, window=1, components=0.9),
        "pca_mean": partial(
            PCADetector, window=1, components=0.9, readout=Readout("mean", smooth=12)
        ),
        "ar1": AR1Detector,
        "var": VARDetector,
        "var_mean": partial(VARDetector, readout=Readout("mean", smooth=12)),
        "uae": UAEDetector,
        "mahalanobis": MahalanobisDetector,
        "isolation_forest": IsolationForestDetector,
    },
)
"""Those in ``_mean`` average over 12 rows."""
