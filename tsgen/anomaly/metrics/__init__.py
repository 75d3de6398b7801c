"""How good a detector is: ranking of rows, alarms against events, channels against targets."""

from tsgen.anomaly.metrics.affiliation import affiliation_f1, affiliation_precision_recall
from tsgen.anomaly.metrics.attribution import hit_rate, rc_top_k
from tsgen.anomaly.metrics.events import (
    detection_delays,
    event_f1,
    event_precision,
    event_recall,
    false_alarms_per_day,
)
from tsgen.anomaly.metrics.legacy import pa_f1, pa_k_f1
from tsgen.anomaly.metrics.ranges import range_f1, range_precision, range_recall
from tsgen.anomaly.metrics.ranking import auc_pr, auc_roc, vus_pr
from tsgen.anomaly.metrics.segments import segments
from tsgen.anomaly.metrics.table import compare, measures, metric_table, plain_pca

__all__ = [
    "affiliation_f1",
    "affiliation_precision_recall",
    "auc_pr",
    "auc_roc",
    "compare",
    "detection_delays",
    "event_f1",
    "event_precision",
    "event_recall",
    "false_alarms_per_day",
    "hit_rate",
    "measures",
    "metric_table",
    "pa_f1",
    "pa_k_f1",
    "plain_pca",
    "range_f1",
    "range_precision",
    "range_recall",
    "rc_top_k",
    "segments",
    "vus_pr",
]
