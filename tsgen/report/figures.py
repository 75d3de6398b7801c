"""Scores by horizon step and training curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from tsgen.evaluation.backtest import Backtest
from tsgen.report.calibration import need_results, steps_axis
from tsgen.report.style import PALETTE, SMALL, WIDTH, grid, legend, line_styles, tidy

_FAR = 6
"""Scores that differ by a larger factor are drawn on a logarithmic axis."""

NAMES = {
    "crps": "CRPS",
    "crps_sum": "CRPS-sum",
    "fair_crps": "fair CRPS",
    "energy": "energy",
    "variogram": "variogram",
    "nd": "ND",
    "nrmse": "NRMSE",
    "mase": "MASE",
    "log_score": "log score",
    "smape": "sMAPE",
    "dss": "Dawid-Sebastiani",
}
"""Scores as tables and axes call them."""


def plot_steps(results: Mapping[str, Backtest], score: str = "crps") -> Figure:
    """A score by step of the horizon, a line for each forecaster.

    Args:
        results: backtests by name.
        score: a column of ``scores.per_step``.

    Raises:
        ValueError: without results, or for a score that one of them has not.
    """
    need_results(results)
    figure = Figure(figsize=(WIDTH, 4.0), layout="constrained")
    axis = figure.subplots()
    losses: list[np.ndarray] = []
    handles = []
    for (name, result), style in zip(results.items(), line_styles(results).values(), strict=True):
        table = result.scores.per_step
        if score not in table:
            raise ValueError(f"score={score!r}: {name!r} has {', '.join(map(str, table))} by step")
        values = table[score].to_numpy(dtype=float)
        values = np.where(np.isfinite(values), values, np.nan)
        handles += axis.plot(table.index, values, markevery=max(1, len(values) // 24), **style)
        losses.append(values[np.isfinite(values)])
    every = np.concatenate(losses)
    tidy(axis, "", "step of the horizon", NAMES.get(score, score))
    if len(every) and every.min() > 0 and every.max() > _FAR * every.min():
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_ylabel(f"{NAMES.get(score, score)}, logarithmic", fontsize=SMALL)
    elif len(every) and every.min() >= 0:
        axis.set_ylim(0, 1.05 * every.max() or 1)
    steps_axis(axis, len(table))
    axis.grid(axis="y", color="0.9", lw=0.7)
    legend(figure, handles, list(results))
    return figure


def plot_history(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Losses by epoch, a chart for each model: losses of different models do not compare.

    Args:
        histories: by name, rows of ``predictor.history`` with ``epoch`` (from 0) and
            ``train_loss``, and ``val_loss`` where there was validation; models without rows are
            left out.

    Raises:
        ValueError: if no model has a history.
    """
    shown = {name: history for name, history in histories.items() if len(history)}
    if not shown:
        raise ValueError(f"histories of {list(histories)} are empty: no epoch was recorded")
    width = {1: 5.2, 2: 8.0}.get(len(shown), WIDTH)
    figure, axes = grid(len(shown), 3, 2.5, width)
    handles: dict[str, object] = {}
    for axis, (name, history) in zip(axes, shown.items(), strict=True):
        for key, label, colour, dash, marker in (
            ("train_loss", "training loss", PALETTE[0], "-", "o"),
            ("val_loss", "validation loss", PALETTE[1], "--", "s"),
        ):
            points = [(r["epoch"] + 1, r[key]) for r in history if np.isfinite(r.get(key, np.nan))]
            if points:
                epochs, losses = np.transpose(points)
                handles[label] = axis.plot(
                    epochs, losses, color=colour, ls=dash, marker=marker, ms=3.5, lw=1.4
                )[0]
        tidy(axis, name, "epoch")
        axis.set_xlim(0.5, max(row["epoch"] for row in history) + 1.5)
        axis.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axis.yaxis.set_major_locator(MaxNLocator(5))
    legend(figure, list(handles.values()), list(handles))
    return figure
