"""What the tables of a report hold."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from tsgen.evaluation.backtest import Backtest
from tsgen.evaluation.calibrated import CalibratedForecast
from tsgen.evaluation.cells import INTERVALS
from tsgen.evaluation.comparison import Interval, Paired, paired_comparison
from tsgen.report.figures import NAMES
from tsgen.report.page import Best, decimals

Rows = list[dict[str, Any]]

_SCORES = (
    "crps", "crps_sum", "fair_crps", "energy", "variogram", "nd", "nrmse", "mase", "coverage_90",
    "log_score",
)  # fmt: skip
_COMPARED = ("crps", "energy")
MOST, WORST = 12, 10
"""Up to so many channels are all listed, of more only the worst."""


class Table(NamedTuple):
    """Arguments of ``Page.table``."""

    rows: Rows
    best: dict[str, Best]
    formats: dict[str, str]


def score_table(results: Mapping[str, Backtest], baselines: Collection[str] = ()) -> Table:
    """Total scores and seconds, a row for each forecaster, baselines with a star.

    Scores that none has are left out.
    """
    levels = next(iter(results.values())).scores.levels
    rows: Rows = [{"forecaster": f"{n} *" if n in baselines else n} for n in results]
    best: dict[str, Best] = {}
    formats: dict[str, str] = {}
    for score in _SCORES:
        values = [result.scores.total.get(score, np.nan) for result in results.values()]
        if not np.isfinite(values).any():
            continue
        head = {"crps": f"CRPS ({levels} levels)", "coverage_90": "90 % coverage"}.get(
            score, NAMES.get(score, score)
        )
        best[head] = 0.9 if score == "coverage_90" else "lowest"
        formats[head] = ".1%" if score == "coverage_90" else decimals(values, 3)
        for row, value in zip(rows, values, strict=True):
            row[head] = value
    for part, head in (("train", "train\u00a0s"), ("forecast", "forecast\u00a0s")):
        formats[head] = ".1f"
        for row, result in zip(rows, results.values(), strict=True):
            row[head] = float(result.seconds.get(part, np.nan))
    return Table(rows, best, formats)


def comparison_table(
    results: Mapping[str, Backtest], reference: str
) -> tuple[Table, Paired | None]:
    """CRPS and energy of each forecaster over those of the reference, and the test of both.

    Returns:
        The table, and one of the comparisons, to say what they rest on.
    """
    rows: Rows = []
    one: Paired | None = None
    for name, result in results.items():
        if name == reference:
            continue
        for score in _COMPARED:
            paired = compared(result, results[reference], score)
            several = paired is not None and paired.test.pairs >= 3
            rows.append(
                {
                    "forecaster": name,
                    "score": NAMES[score],
                    "ratio": paired.ratio.value if paired else None,
                    "95 % interval": _interval(paired.ratio) if paired and several else None,
                    "p": p_value(paired.test.p_value) if paired else None,
                    "verdict": _verdict(paired),
                }
            )
            one = one or paired
    return Table(rows, {}, {"ratio": ".3f"}), one


def compared(result: Backtest, reference: Backtest, score: str) -> Paired | None:
    """A paired comparison, for windows that may overlap; ``None`` if there are no losses."""
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            return paired_comparison(result, reference, score)
    except ValueError:
        return None


def p_value(value: float) -> str | None:
    """As text; ``None`` for NaN."""
    if not np.isfinite(value):
        return None
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _interval(ratio: Interval) -> str | None:
    if not np.isfinite([ratio.low, ratio.high]).all():
        return None
    return f"{ratio.low:.3f} to {ratio.high:.3f}"


def _verdict(paired: Paired | None) -> str | None:
    if paired is None or not np.isfinite(paired.test.p_value):
        return None
    if paired.test.p_value >= 0.05:
        return "no clear difference"
    return "better" if paired.test.difference < 0 else "worse"


def part_table(
    result: Backtest,
    other: Backtest | None,
    names: tuple[str, str],
    series: list[list[int]] | None = None,
    labels: list[str] | None = None,
) -> Table:
    """CRPS and 90 % coverage of channels, or of series, the worst first.

    Args:
        result: of the forecaster shown.
        other: of the one to compare with.
        names: of both.
        series: windows of each series, if these are the parts instead of channels.
        labels: of the parts.
    """
    columns = {names[0]: result} | ({} if other is None else {names[1]: other})
    several = len(columns) > 1
    parts = {name: _parts(r, series) for name, r in columns.items()}
    crps = parts[names[0]][0]
    labels = labels or result.scores.channels
    order = np.argsort(-np.nan_to_num(crps, nan=-1), kind="stable")
    if len(order) > MOST:
        order = order[:WORST]
    what = "channel" if series is None else "series"
    rows: Rows = []
    for i in order:
        row: dict[str, Any] = {what: labels[i]}
        for place, head in enumerate(("CRPS", "90 % coverage")):
            for name in columns:
                row[f"{head}, {name}" if several else head] = float(parts[name][place][i])
        rows.append(row)
    return Table(rows, {}, {head: ".1%" for head in rows[0] if head.startswith("90 %")})


def _parts(result: Backtest, series: list[list[int]] | None) -> tuple[np.ndarray, np.ndarray]:
    """CRPS and 90 % coverage of each channel or series."""
    if series is None:
        table = result.scores.per_channel
        return table["crps"].to_numpy(), table["coverage_90"].to_numpy()
    cells = result.scores.cells
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = [
            [np.nansum(cells[key][windows]) for key in ("crps", "size", "inside_90")]
            + [np.isfinite(cells["size"][windows]).sum()]
            for windows in series
        ]
        crps, size, inside, observed = np.transpose(sums)
        return crps / np.where(size > 0, size, np.nan), inside / np.where(
            observed > 0, observed, np.nan
        )


def calibration_table(calibrated: Mapping[str, tuple[Backtest, Backtest]]) -> Table:
    """Coverage, width and CRPS before and after conformal calibration; of joint bands after it."""
    rows: Rows = []
    for name, (before, after) in calibrated.items():
        for level in INTERVALS:
            key = f"{100 * level:g}"
            row: dict[str, Any] = {"forecaster": name, "interval": f"{key} %"}
            for head, figure in (("coverage", "coverage"), ("width", "width")):
                for when, result in (("before", before), ("after", after)):
                    row[f"{head} {when}"] = result.scores.total[f"{figure}_{key}"]
            row["whole paths in the joint band"] = paths_held(after, level)
            rows.append(row)
    heads = ("coverage before", "coverage after", "whole paths in the joint band")
    return Table(rows, {}, dict.fromkeys(heads, ".1%"))


def paths_held(result: Backtest, level: float) -> float | None:
    """Share of windows whose whole observed path lies in the joint band.

    ``None`` where forecasts have no such band.
    """
    held = []
    for forecast, truth in zip(result.forecasts, result.truth, strict=True):
        if not isinstance(forecast, CalibratedForecast) or level not in forecast.levels:
            return None
        low, high = (end.reshape(truth.shape) for end in forecast.band(level))
        observed = np.isfinite(truth)
        if observed.any():
            held.append(((low <= truth) & (truth <= high))[observed].all())
    return float(np.mean(held)) if held else None
