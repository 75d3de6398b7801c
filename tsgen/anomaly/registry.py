"""Names of detectors."""

from collections.abc import Callable
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
from tsgen.anomaly.events import AlarmPolicy
from tsgen.anomaly.forecast import ForecastDetector
from tsgen.anomaly.readout import Readout
from tsgen.anomaly.scorers import DenoisingError, Energy, NegativeLogLikelihood, SampleScore
from tsgen.anomaly.tfdpm import TFDPMDetector
from tsgen.anomaly.thresholds import MADThreshold, QuantileThreshold
from tsgen.core import Registry
from tsgen.estimators.gaussian import GaussianEstimator
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

detector_parts: dict[str, Callable] = {
    part.__name__: part
    for part in (
        AlarmPolicy, DenoisingError, Energy, MADThreshold, NegativeLogLikelihood,
        QuantileThreshold, Readout, SampleScore,
    )
}  # fmt: skip
"""What options of detectors may be, by name: ``scorer=DenoisingError(levels=(.15,))``."""
