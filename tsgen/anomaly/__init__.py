"""Detection of attacks and faults in the logs of plants."""

from tsgen.anomaly.baselines import (
    AR1Detector,
    IsolationForestDetector,
    MahalanobisDetector,
    PCADetector,
    UAEDetector,
    VARDetector,
)
from tsgen.anomaly.budget import CalibratedThreshold, calibrate_threshold
from tsgen.anomaly.detector import Detector
from tsgen.anomaly.events import AlarmPolicy, Event, find_events
from tsgen.anomaly.forecast import ForecastDetector
from tsgen.anomaly.log import hold_out
from tsgen.anomaly.readout import Readout
from tsgen.anomaly.scored import Scored
from tsgen.anomaly.scorers import DenoisingError, Energy, NegativeLogLikelihood, SampleScore, Scorer
from tsgen.anomaly.stream import Alarm
from tsgen.anomaly.tfdpm import TFDPMDetector
from tsgen.anomaly.thresholds import MADThreshold, QuantileThreshold, Threshold

__all__ = [
    "AR1Detector",
    "Alarm",
    "AlarmPolicy",
    "CalibratedThreshold",
    "DenoisingError",
    "Detector",
    "Energy",
    "Event",
    "ForecastDetector",
    "IsolationForestDetector",
    "MADThreshold",
    "MahalanobisDetector",
    "NegativeLogLikelihood",
    "PCADetector",
    "QuantileThreshold",
    "Readout",
    "SampleScore",
    "Scored",
    "Scorer",
    "TFDPMDetector",
    "Threshold",
    "UAEDetector",
    "VARDetector",
    "calibrate_threshold",
    "find_events",
    "hold_out",
]
