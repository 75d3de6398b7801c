"""Figures of a log that was scored: scores over time, channels, alarms a day, one alarm."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tsgen.anomaly import Scored
from tsgen.report.style import (
    BAND,
    FORECAST,
    OBSERVED,
    PALETTE,
    SMALL,
    TARGET,
    WIDTH,
    grid,
    legend,
    shade,
    shorten,
    thousands,
    tidy,
)

ALARM = PALETTE[1]
_COLUMNS = 800  # of what is drawn of a long log: more could not be told apart
_CHANNELS = 40
"""Rows of the heat map at most."""


def plot_timeline(scored: Scored, threshold: float, labels: np.ndarray | None = None) -> Figure:
    """The score over time with its threshold, alarms and, where they are known, attacks.

    Of a long log the highest score of neighbouring rows is drawn, so that none is lost.

    Args:
        scored: the scored log.
        threshold: where alarms begin.
        labels: 1 inside attacks, (T,).
    """
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axis = figure.subplots()
    edges = _edges(len(scored.index))
    highest = _highest(scored.scores[:, None], edges)[:, 0]
    times = scored.index.to_numpy()
    (line,) = axis.plot(times[edges[:-1]], highest, color=FORECAST, lw=0.9)
    handles: list[Any] = [line]
    names = ["score"]
    handles.append(axis.axhline(threshold, color=OBSERVED, ls="--", lw=1.2))
    names.append("threshold")
    mark = _shade_alarms(axis, scored.alarms)
    if mark is not None:
        handles.append(mark)
        names.append("alarm")
    if labels is not None and labels.any():
        handles.append(_strip(axis, times, labels))
        names.append("attack (label)")
    positive = highest[np.isfinite(highest) & (highest > 0)]
    if len(positive) and threshold > 0:
        axis.set_yscale("log")
        axis.set_ylim(
            0.7 * min(float(np.quantile(positive, 0.02)), threshold),
            2.5 * max(positive.max(), threshold),
        )
    _time_axis(axis, scored.index)
    tidy(axis, "", "", "score")
    legend(figure, handles, names)
    return figure


def plot_channels(scored: Scored, names: Sequence[str]) -> Figure:
    """How much stranger each channel was than usual over time, on a logarithmic scale.

    Args:
        scored: the scored log.
        names: of the channels; of more than 40 those that were strangest are drawn.
    """
    edges = _edges(len(scored.index), 300)
    highest = _highest(scored.attribution, edges)
    peaks = np.nan_to_num(highest, nan=0.0).max(0)
    chosen = np.sort(np.argsort(-peaks, kind="stable")[:_CHANNELS])
    figure = Figure(figsize=(WIDTH, 0.9 + 0.19 * len(chosen)), layout="constrained")
    axis = figure.subplots()
    times = scored.index.to_numpy()
    corners = np.append(times[edges[:-1]], times[edges[-1] - 1])
    top = max(float(np.nanmax(highest, initial=1.0)), 10.0)
    image = axis.pcolormesh(
        corners, np.arange(len(chosen) + 1), np.ma.masked_invalid(highest[:, chosen].T),
        norm=LogNorm(1.0, min(top, 1e4), clip=True), cmap="viridis", rasterized=True,
    )  # fmt: skip
    axis.set_yticks(np.arange(len(chosen)) + 0.5, [shorten(names[i], 24) for i in chosen])
    for text in axis.get_yticklabels():
        text.set_parse_math(False)
    axis.invert_yaxis()
    _time_axis(axis, scored.index)
    tidy(axis)
    bar = figure.colorbar(image, ax=axis, pad=0.01, aspect=30)
    bar.set_label("times the usual", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def plot_rates(alarms: pd.DataFrame, index: pd.DatetimeIndex, asked: float | None) -> Figure:
    """Alarms raised on each day, beside the false alarms asked for.

    Args:
        alarms: of :meth:`~tsgen.anomaly.Detector.detect`.
        index: times of the log.
        asked: false alarms a day of the calibration, if there was one.
    """
    counts = per_day(alarms, index)
    figure = Figure(figsize=(WIDTH, 2.2), layout="constrained")
    axis = figure.subplots()
    bars = axis.bar(counts.index, counts, width=0.9, color=shade(ALARM, 0.2))
    handles: list[Any] = [bars]
    names = ["alarms raised"]
    if asked is not None:
        handles.append(axis.axhline(asked, color=OBSERVED, ls="--", lw=1.2))
        names.append("false alarms a day asked for")
    axis.set_ylim(0, 1.15 * max(float(counts.max()), asked or 0, 1))
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    _time_axis(axis, counts.index)
    tidy(axis, "", "", "alarms a day")
    legend(figure, handles, names)
    return figure


def plot_alarm(
    frame: pd.DataFrame,
    band: tuple[np.ndarray, np.ndarray],
    alarm: Any,
    shares: dict[str, float],
    labels: np.ndarray | None = None,
) -> Figure:
    """The channels that carry an alarm, with where they were expected.

    Args:
        frame: rows around the alarm, (T, C).
        band: ends of what was expected, each (T, C).
        alarm: a row of :meth:`~tsgen.anomaly.Detector.detect`.
        shares: the channels to draw, by name, and their shares.
        labels: 1 inside attacks, (T,).
    """
    figure, axes = grid(len(shares), 3, 2.3)
    times = frame.index.to_numpy()
    handles: dict[str, Any] = {}
    columns = list(frame.columns)
    for axis, (name, share) in zip(axes, shares.items(), strict=True):
        number = columns.index(name)
        low, high = (end[:, number] for end in band)
        values = frame.iloc[:, number].to_numpy()
        if np.isfinite(low).any():
            handles["expected, 90 %"] = axis.fill_between(times, low, high, color=BAND, lw=0)
        mark = ".-" if len(times) <= 60 else "-"
        (handles["recorded"],) = axis.plot(times, values, mark, color=OBSERVED, lw=1, ms=4)
        handles["alarm"] = axis.axvspan(
            *_span(alarm["start"], alarm["end"]), color=ALARM, alpha=0.18, lw=1
        )
        if labels is not None and labels.any():
            handles["attack (label)"] = _strip(axis, times, labels)
        _time_axis(axis, frame.index, 7)
        tidy(axis, f"{name}, {share:.0%}")
        axis.yaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: thousands(value)))
    legend(figure, list(handles.values()), list(handles))
    return figure


def per_day(alarms: pd.DataFrame, index: pd.DatetimeIndex) -> pd.Series:
    """Alarms raised on each day of a log."""
    days = pd.date_range(index[0].normalize(), index[-1].normalize(), freq="D")
    raised = pd.DatetimeIndex(alarms["raised"]).normalize().value_counts()
    return raised.reindex(days, fill_value=0)


def floods(alarms: pd.DataFrame, most: int = 10, window: str = "10min") -> int:
    """How often more than so many alarms were raised within ten minutes (ANSI/ISA-18.2, 16.5.6).

    Args:
        alarms: of :meth:`~tsgen.anomaly.Detector.detect`.
        most: alarms that are no flood yet.
        window: within which they are counted.
    """
    raised = pd.DatetimeIndex(alarms["raised"]).sort_values().as_unit("ns").asi8
    length, count, first = pd.Timedelta(window).value, 0, 0
    while first < len(raised):
        last = int(np.searchsorted(raised, raised[first] + length, side="right"))
        if last - first > most:
            count, first = count + 1, last
        else:
            first += 1
    return count


def _edges(length: int, columns: int = _COLUMNS) -> np.ndarray:
    """Row numbers at which pieces of a log begin, and its length."""
    return np.unique(np.linspace(0, length, min(length, columns) + 1).astype(int))


def _highest(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Highest known values (pieces, C) of (T, C), NaN where there are none."""
    finite = np.where(np.isfinite(values), values, -np.inf)
    highest = np.maximum.reduceat(finite, edges[:-1], axis=0)
    return np.where(np.isfinite(highest), highest, np.nan)


def _span(start: Any, end: Any) -> tuple[Any, Any]:
    """Ends of a shaded span as matplotlib takes them."""
    if isinstance(start, pd.Timestamp):
        return start.to_numpy(), end.to_numpy()
    return start, end


def _shade_alarms(axis: Axes, alarms: pd.DataFrame) -> Any:
    mark = None
    for _, alarm in alarms.iterrows():
        span = _span(alarm["start"], alarm["end"])
        mark = axis.axvspan(*span, color=ALARM, alpha=0.35, lw=1.2)
    return mark


def _strip(axis: Axes, times: np.ndarray, labels: np.ndarray) -> Any:
    """Attacks as a strip at the top of a chart."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels != 0, [0]]).astype(int)))
    mark = None
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        mark = axis.axvspan(times[first], times[last - 1], ymin=0.95, color=TARGET, lw=1.5)
    return mark


def _time_axis(axis: Axes, index: pd.Index, ticks: int = 9) -> None:
    if isinstance(index, pd.DatetimeIndex):
        locator = AutoDateLocator(minticks=3, maxticks=ticks)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axis.xaxis.get_offset_text().set_fontsize(SMALL)
    else:
        axis.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
