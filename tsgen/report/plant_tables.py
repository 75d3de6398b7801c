"""What the operator's report says in words and figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsgen.anomaly import Detector, Scored, find_events
from tsgen.anomaly.events import flags
from tsgen.anomaly.metrics import compare
from tsgen.report.alarms import floods, per_day

_RANDOM = 20  # scores that know nothing, of which the mean is told


def summary(detector: Detector, frame: pd.DataFrame, scored: Scored) -> dict[str, str]:
    """What an operator asks first."""
    alarms, index = scored.alarms, scored.index
    missing = float(frame.isna().to_numpy().mean())
    lines = {
        "log": f"{len(frame):,} rows of {frame.shape[1]} channels, {index[0]} to {index[-1]}"
        + (f", {missing:.2%} of the values missing" if missing else ""),
        "alarms": f"{len(alarms):,}, on {scored.flagged.mean():.2%} of the rows",
    }
    unknown = int(np.isnan(scored.scores).sum())
    if unknown:
        lines["not scored"] = (
            f"{unknown:,} rows, at the start, after gaps, or without any value recorded"
        )
    if isinstance(index, pd.DatetimeIndex):
        counts = per_day(alarms, index)
        flood = floods(alarms)
        lines["a day"] = (
            f"{counts.mean():.3g} alarms, at most {counts.max()} (on {counts.idxmax():%Y-%m-%d}), "
            f"none on {(counts == 0).sum()} of {len(counts)} days"
        )
        lines["floods"] = (
            f"{flood or 'none'} (more than 10 alarms within 10 minutes, by ANSI/ISA-18.2)"
        )
    calibration = detector.calibration_
    lines["threshold"] = f"{detector.threshold_:.4g}, " + (
        "not calibrated: the highest scores of the training"
        if calibration is None
        else f"for {calibration.asked:g} false alarms a day; {calibration.days:.3g} days of "
        f"normal data had {calibration.seen} alarms at it, which makes {calibration.low:.2g} to "
        f"{calibration.high:.2g} a day likely (90 %)"
        + (", beyond what these data show: extrapolated" if calibration.extrapolated else "")
    )
    return lines


def quality(
    detector: Detector,
    frame: pd.DataFrame,
    scored: Scored,
    labels: np.ndarray,
    targets: Sequence[Sequence[str]] | None = None,
    reference: Detector | None = None,
    name: str = "this detector",
) -> pd.DataFrame:
    """The table by which detectors are compared, of one that was run already.

    A random score is the mean of twenty; its threshold flags as many rows as the detector does.

    Args:
        detector: fitted.
        frame: the log, (T, C).
        scored: ``detector.scored(frame)``.
        labels: 1 inside attacks, (T,).
        targets: of each attack, the channels that were attacked.
        reference: a simple detector, fitted.
        name: of the detector's row.
    """
    numbers = None
    if targets is not None:
        numbers = [[detector.names_.index(name) for name in names] for names in targets]
    options: dict[str, Any] = {
        "rows_per_day": 86400 / detector.period_ if detector.period_ else None, "targets": numbers
    }  # fmt: skip
    rng, tables = np.random.default_rng(0), []
    share = min(max(float(scored.flagged.mean()), 1 / len(labels)), 1.0)
    for _ in range(_RANDOM):
        scores = rng.random(len(labels))
        events = find_events(scores, float(np.quantile(scores, 1 - share)), detector.policy)
        noise = rng.random(scored.attribution.shape) if targets is not None else None
        row = {"random score": (scores, flags(events, len(labels)), noise)}
        tables.append(compare(labels, row, **options))
    random = pd.concat(tables).groupby(level=0, sort=False).mean()
    rows: dict[str, Any] = {name: (scored.scores, scored.flagged, scored.attribution)}
    if reference is not None:
        plain = reference.scored(frame)
        rows["plain PCA"] = (plain.scores, plain.flagged, plain.attribution)
    compared = compare(labels, rows, **options).drop(index="everything flagged")
    return pd.concat([random, compared.iloc[1:], compared.iloc[:1]])
