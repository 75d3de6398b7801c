"""Whether forecasts are as sure as they should be: PIT histograms and coverage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tsgen.evaluation.backtest import Backtest
from tsgen.evaluation.cells import INTERVALS
from tsgen.report.style import (
    BAND,
    FORECAST,
    PALETTE,
    SMALL,
    TARGET,
    WIDTH,
    grid,
    legend,
    line_styles,
    shade,
    shorten,
    tidy,
)

_DRAWS = 2000
_TALLEST = 4.0
"""Bars are cut here, and their height written into them."""

_LOWEST = 0.1
"""Coverage below this, of next to no spread, does not widen an axis."""

Band = tuple[np.ndarray, np.ndarray]
"""Lower and upper ends."""


def need_results(results: Mapping[str, object]) -> None:
    """Raise ``ValueError`` where there is nothing to draw."""
    if not results:
        raise ValueError("results is empty: expected at least one backtest")


def plot_pit(results: Mapping[str, Backtest], bars: int = 10) -> Figure:
    """Histograms of the probability integral transform, one for each forecaster.

    A bar's height is its share of all true values, times the number of bars: 1 is right. The grey
    band is the one of :func:`pit_band`.

    Args:
        results: backtests by name.
        bars: of each histogram.

    Raises:
        ValueError: without results or bars.
    """
    need_results(results)
    if bars < 2:
        raise ValueError(f"bars={bars} must be at least 2")
    figure, axes = grid(len(results), 4, 2.1)
    edges = np.linspace(0, 1, bars + 1)
    handles: dict[str, object] = {}
    shown = []
    for axis, (name, result) in zip(axes, results.items(), strict=True):
        pit = result.scores.cells["pit"]
        heights = np.histogram(pit[np.isfinite(pit)], edges)[0] * (bars / np.isfinite(pit).sum())
        low, high = pit_band(result, bars)
        handles["band of a calibrated forecast"] = axis.stairs(
            high, edges, baseline=low, fill=True, color=TARGET, alpha=0.3, zorder=2, lw=0
        )
        handles["share of true values"] = axis.bar(
            edges[:-1], heights, 0.86 / bars, align="edge", color=shade(FORECAST, 0.3)
        )
        handles["what should be"] = axis.axhline(1, color=TARGET, lw=1, ls="--")
        for edge, height in zip(edges, heights, strict=False):
            if height > _TALLEST:
                axis.text(
                    edge + 0.43 / bars, _TALLEST, f"{height:.1f}", color="white",
                    fontsize=SMALL - 1, rotation=90, ha="center", va="top",
                )  # fmt: skip
        shown += [heights.max(), high.max()]
        tidy(axis, name)
        axis.set_xlim(0, 1)
        axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axis in axes:
        axis.set_ylim(0, min(_TALLEST, 1.08 * max(shown)))
    figure.supxlabel("where in its forecast a true value fell (PIT)", fontsize=SMALL)
    figure.supylabel("height of bar", fontsize=SMALL)
    legend(figure, list(handles.values()), list(handles))
    return figure


def plot_coverage(
    results: Mapping[str, Backtest], level: float = 0.9, band: str | None = None
) -> Figure:
    """Share of true values inside central intervals: of four levels, and of one by horizon step.

    Args:
        results: backtests by name.
        level: whose coverage is drawn by step, one of ``INTERVALS``.
        band: name of the forecaster whose :func:`coverage_band` is drawn.

    Raises:
        ValueError: without results, or for a level or a name that is not there.
    """
    need_results(results)
    if level not in INTERVALS:
        raise ValueError(f"level={level} was not measured; the levels are {list(INTERVALS)}")
    if band is not None and band not in results:
        raise ValueError(f"band={band!r} is not one of {', '.join(results)}")
    figure = Figure(figsize=(WIDTH, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    handles: list[Any] = [_levels(left, result, style) for result, style in _styled(results)]
    left.set_ylim(_floor(handles, 0.45), 1.02)
    tidy(left, "all steps", "interval, %", "true values inside, %")
    labels = list(results)
    if band is not None:
        low, high = coverage_band(results[band], level)
        steps = np.arange(len(low)) + 1
        handles.append(_area(right, steps, low, high))
        labels.append(f"{shorten(band, 20)} if calibrated")
    lines = [_by_step(right, result, style, level) for result, style in _styled(results)]
    right.set_ylim(_floor(lines, 0.7), 1.02)
    tidy(right, f"{100 * level:g} % intervals by step", "step of the horizon")
    legend(figure, handles, labels)
    return figure


def plot_calibration(
    calibrated: Mapping[str, tuple[Backtest, Backtest]], level: float = 0.9
) -> Figure:
    """Coverage before and after conformal calibration: of four levels, and of one by step.

    Args:
        calibrated: backtests before and after, by name; each is a row of two charts.
        level: whose coverage is drawn by step, one of ``INTERVALS``.

    Raises:
        ValueError: without results, or for a level that is not there.
    """
    need_results(calibrated)
    if level not in INTERVALS:
        raise ValueError(f"level={level} was not measured; the levels are {list(INTERVALS)}")
    rows = len(calibrated)
    figure = Figure(figsize=(WIDTH, 3.2 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False, width_ratios=(1, 1.5))
    looks = [
        {"color": PALETTE[1], "ls": "--", "marker": "o", "mfc": "white", "ms": 5, "lw": 1.5},
        {"color": PALETTE[0], "ls": "-", "marker": "s", "ms": 4.5, "lw": 1.5},
    ]
    for (left, right), (name, pair) in zip(axes, calibrated.items(), strict=True):
        handles = [_levels(left, result, look) for result, look in zip(pair, looks, strict=True)]
        for result, look in zip(pair, looks, strict=True):
            _by_step(right, result, look, level)
        tidy(left, name, "interval, %", "true values inside, %")
        tidy(right, f"{100 * level:g} % intervals by step", "step of the horizon")
    legend(figure, handles, ["before calibration", "after calibration"])
    return figure


def pit_band(result: Backtest, bars: int = 10, seed: int = 0) -> Band:
    """Where the bars of a PIT histogram would stay 95 times in 100, each, if it were calibrated.

    In place of the truth of each window one of its sample paths is taken, whole, so that values of
    a window depend on each other as the forecast says they do; windows are independent. With
    independent values the band would be far too narrow: many channels and steps move together.

    Args:
        result: whose samples.
        bars: B.
        seed: of the draws.

    Returns:
        Ends of the band, (B,), 1 being the height that should be.
    """
    counts = []
    for places, observed in _own_places(result, seed):
        paths = len(places)
        bar = np.minimum((places[:, observed] * bars).astype(int), bars - 1)
        flat = bar + bars * np.arange(paths)[:, None]
        counts.append(np.bincount(flat.ravel(), minlength=paths * bars).reshape(paths, bars))
    cells = np.isfinite(result.truth).sum()
    low, high = _drawn(np.asarray(counts, dtype=float), seed)
    return low * bars / cells, high * bars / cells


def coverage_band(result: Backtest, level: float = 0.9, seed: int = 0) -> Band:
    """Where coverage by step would stay 95 times in 100, each, if the forecast were calibrated.

    As :func:`pit_band`.

    Returns:
        Ends of the band, (H,); NaN for a step without truth.
    """
    inside = [
        ((np.abs(places - 0.5) <= level / 2) & observed).sum(-1)
        for places, observed in _own_places(result, seed)
    ]
    cells = np.isfinite(result.truth).sum((0, 2))
    low, high = _drawn(np.asarray(inside, dtype=float), seed)
    cells = np.where(cells > 0, cells, np.nan)
    return low / cells, high / cells


def _own_places(result: Backtest, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each window where each path lies among all, (S, H, C) in (0, 1), and what is observed."""
    rng = np.random.default_rng(seed)
    for samples, truth in zip(result.samples, result.truth, strict=True):
        order = np.lexsort((rng.random(samples.shape), samples), axis=0)  # ties in random order
        ranks = np.empty(samples.shape)
        np.put_along_axis(ranks, order, np.arange(len(samples))[:, None, None], axis=0)
        yield (ranks + rng.random(samples.shape)) / len(samples), np.isfinite(truth)


def _drawn(counts: np.ndarray, seed: int) -> Band:
    """Band of sums over windows of counts (W, S, K), a path drawn for each window, (K,)."""
    windows, paths, _ = counts.shape
    rng = np.random.default_rng(seed)
    totals = np.zeros((_DRAWS, counts.shape[2]))
    for window in counts:
        totals += window[rng.integers(paths, size=_DRAWS)]
    low, high = np.quantile(totals, [0.025, 0.975], axis=0)
    return low, high


def _styled(results: Mapping[str, Backtest]) -> Iterator[tuple[Backtest, dict]]:
    return zip(results.values(), line_styles(results).values(), strict=True)


def _levels(axis: Axes, result: Backtest, style: dict) -> Line2D:
    """Nominal and measured coverage; returns the line."""
    measured = [result.scores.total[f"coverage_{100 * level:g}"] for level in INTERVALS]
    axis.plot([0.45, 1], [0.45, 1], color=TARGET, lw=0.9, ls=(0, (1, 2)), zorder=1)
    axis.set_xlim(0.45, 1)
    axis.set_xticks(INTERVALS)
    for direction in (axis.xaxis, axis.yaxis):
        direction.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    return axis.plot(INTERVALS, measured, **style)[0]


def _by_step(axis: Axes, result: Backtest, style: dict, level: float) -> Line2D:
    """Measured coverage by step; returns the line."""
    measured = result.scores.per_step[f"coverage_{100 * level:g}"]
    every = max(1, len(measured) // 12)
    axis.axhline(level, color=TARGET, lw=0.9, ls=(0, (1, 2)), zorder=1)
    line = axis.plot(measured.index, measured.to_numpy(), markevery=every, **style)[0]
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    steps_axis(axis, len(measured))
    return line


def _floor(lines: Sequence[Line2D], most: float) -> float:
    """Where an axis of coverage starts: forecasts without spread shall not flatten the rest."""
    shares = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])
    drawn = shares[shares >= _LOWEST]
    return float(np.clip(drawn.min() - 0.03, 0.0, most)) if len(drawn) else 0.0


def steps_axis(axis: Axes, steps: int) -> None:
    """Whole steps from 1."""
    axis.set_xlim(0.4, steps + 0.6)
    axis.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))


def _area(axis: Axes, steps: np.ndarray, low: np.ndarray, high: np.ndarray) -> object:
    """A band over steps, half a step beyond the first and the last."""
    edges = np.append(steps - 0.5, steps[-1] + 0.5)
    return axis.stairs(high, edges, baseline=low, fill=True, color=BAND, zorder=0)
