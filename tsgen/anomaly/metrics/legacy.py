"""Figures of older papers, by which a random score looks good: for comparison with them only."""

from collections.abc import Iterable

import numpy as np
from sklearn.metrics import f1_score

from tsgen.anomaly.metrics.segments import both, segments
from tsgen.core import OptionError


def pa_f1(labels: np.ndarray, predicted: np.ndarray, boundaries: Iterable[int] = ()) -> float:
    """F1 of rows after point adjustment: an event with one flagged row counts as wholly flagged.

    **Do not judge by it**: with the best threshold a random score reaches .9 on BATADAL, .99 on
    SKAB. Args and errors as for ``event_recall``.

    Source:
        Xu et al., Unsupervised anomaly detection via VAE (WWW 2018); Kim et al. (AAAI 2022) on what
        is wrong with it.
    """
    return pa_k_f1(labels, predicted, 0.0, boundaries)


def pa_k_f1(
    labels: np.ndarray, predicted: np.ndarray, k: float, boundaries: Iterable[int] = ()
) -> float:
    """F1 of rows after adjusting the events of which more than K % of the rows are flagged (PA%K).

    Args:
        labels: 1 for anomalous rows, (T,).
        predicted: 1 for flagged rows, (T,).
        k: percent, from 0 (point adjustment) to 100 (none).
        boundaries: rows at which another run starts.

    Raises:
        ValueError: as for ``event_recall``, or k out of range.

    Source:
        Kim et al., Towards a rigorous evaluation of time-series anomaly detection (AAAI 2022).
    """
    if not 0 <= k <= 100:
        raise OptionError("", "k", k, "in [0, 100], percent")
    true, flagged = both(labels, predicted)
    adjusted = flagged.copy()
    total = np.concatenate([[0], np.cumsum(flagged)])
    for start, stop in segments(true, boundaries):
        if total[stop] - total[start] > k / 100 * (stop - start):
            adjusted[start:stop] = True
    return float(f1_score(true, adjusted, zero_division=0))
