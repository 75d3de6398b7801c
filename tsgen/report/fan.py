"""Fan charts for forecasts of any number of channels."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from gluonts.model.forecast import SampleForecast
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tsgen.evaluation.cells import central_interval
from tsgen.report.style import (
    FORECAST,
    OBSERVED,
    WIDTH,
    grid,
    legend,
    shade,
    thousands,
    tidy,
)

_MARKED = 36
"""Up to so many steps each true value has a dot."""


class Fan(NamedTuple):
    """What one chart shows."""

    title: str
    samples: np.ndarray
    """(S, H)."""
    periods: pd.PeriodIndex
    """Of the horizon."""
    observed: pd.Series | None
    """History and truth by period, NaN where missing."""


def plot(
    forecast: SampleForecast,
    history: dict[str, Any] | pd.Series | pd.DataFrame | None = None,
    channels: Sequence[int] | None = None,
    *,
    levels: Sequence[float] = (0.5, 0.9),
    names: Sequence[str] | None = None,
    past: int | None = None,
    columns: int = 3,
) -> Figure:
    """Draw a grid of fan charts, one for each channel.

    Args:
        forecast: sample paths (S, H) or (S, H, C).
        history: a data set entry (``start`` and ``target``) or a series or frame indexed by time;
            what of it falls into the horizon is drawn as the truth.
        channels: which channels; by default all, or the twelve of largest size if there are more.
        levels: probabilities of the central intervals shaded, those whose coverage is measured.
        names: a name for each channel of the forecast.
        past: steps of history to show; three horizons, at least twelve steps, by default.
        columns: charts beside each other.

    Returns:
        A matplotlib figure; ``figure.savefig(path)`` writes it.

    Raises:
        ValueError: for channels, levels or names that do not fit.
    """
    samples = forecast.samples.reshape(*forecast.samples.shape[:2], -1)
    count = samples.shape[2]
    if channels is None:
        size = np.abs(samples).mean((0, 1))
        channels = (
            range(count) if count <= 12 else np.sort(np.argsort(-size, kind="stable")[:12]).tolist()
        )
    bad = [c for c in channels if not 0 <= c < count]
    if bad or not len(channels):
        raise ValueError(f"channels={list(channels)}: the forecast has channels 0 to {count - 1}")
    if names is None:
        if isinstance(history, pd.DataFrame):
            names = [str(c) for c in history.columns]
        elif count == 1 and forecast.item_id is not None:
            names = [str(forecast.item_id)]
        else:
            names = [f"channel {c}" for c in range(count)]
    if len(names) != count:
        raise ValueError(f"names has {len(names)} entries for {count} channels")
    observed = None if history is None else by_period(history, forecast.index.freqstr)
    fans = [
        Fan(
            names[c],
            samples[:, :, c],
            forecast.index,
            None if observed is None else observed.iloc[:, c],
        )
        for c in channels
    ]
    return draw(fans, levels=levels, past=past, columns=columns)


def draw(
    fans: Sequence[Fan],
    *,
    levels: Sequence[float] = (0.5, 0.9),
    past: int | None = None,
    columns: int = 3,
    wide_first: bool = False,
) -> Figure:
    """Draw fan charts that may belong to different forecasts.

    Args:
        fans: at least one.
        levels: probabilities of the central intervals shaded.
        past: steps of history to show; three horizons, at least twelve steps, by default.
        columns: charts beside each other.
        wide_first: give the first chart a row of its own.

    Raises:
        ValueError: for levels outside (0, 1).
    """
    if any(not 0 < level < 1 for level in levels):
        raise ValueError(f"levels={list(levels)} must lie between 0 and 1")
    columns = min(columns, len(fans))
    if wide_first and len(fans) > 2:
        figure, axes = _below_a_wide_one(len(fans), columns)
    else:
        width = {1: 6.4, 2: 8.6}.get(columns, WIDTH)
        figure, axes = grid(len(fans), columns, 2.3 if columns > 1 else 2.9, width)
    for axis, fan in zip(axes, fans, strict=True):
        horizon = fan.samples.shape[1]
        _chart(axis, fan, levels, max(3 * horizon, 12) if past is None else past)
    handles, labels = axes[0].get_legend_handles_labels()
    legend(figure, handles, labels)
    return figure


def _below_a_wide_one(count: int, columns: int) -> tuple[Figure, list[Axes]]:
    columns = 2 if count - 1 in (2, 4) else min(columns, count - 1)
    rows = 1 + -(-(count - 1) // columns)
    figure = Figure(figsize=(WIDTH, 2.2 * rows + 0.45), layout="constrained")
    cells = figure.add_gridspec(rows, columns)
    axes = [figure.add_subplot(cells[0, :])]
    places = [(1 + i // columns, i % columns) for i in range(count - 1)]
    return figure, axes + [figure.add_subplot(cells[place]) for place in places]


def _chart(axis: Axes, fan: Fan, levels: Sequence[float], past: int) -> None:
    """One fan chart."""
    times, dates = _times(fan.periods)
    ordered = np.sort(fan.samples.T, axis=-1)  # (H, S)
    for level in sorted(levels, reverse=True):
        low, high = central_interval(ordered, level)
        colour = shade(FORECAST, 0.35 + 0.45 * level)
        name = f"{100 * level:g} % interval"
        if len(times) > 1:
            axis.fill_between(times, low, high, color=colour, lw=0, label=name)
        else:
            axis.errorbar(
                times, (low + high) / 2, (high - low) / 2, fmt="none", ecolor=colour, elinewidth=9,
                label=name,
            )  # fmt: skip
    median = np.median(fan.samples, axis=0)
    dot = "o" if len(times) == 1 else ""
    axis.plot(times, median, color=FORECAST, lw=1.6, ls="--", marker=dot, ms=4, label="median")
    if fan.observed is not None:
        observed, first, last = fan.observed, fan.periods[0], fan.periods[-1]
        observed = observed[(observed.index >= first - past) & (observed.index <= last)]
        values = observed.to_numpy(dtype=float)
        ahead = np.asarray(observed.index >= first) & (len(fan.periods) <= _MARKED)
        gap = np.isnan(np.concatenate([[np.nan], values, [np.nan]]))
        dots = ahead | (gap[:-2] & gap[2:])  # a value between two gaps is no line
        axis.plot(
            _times(cast(pd.PeriodIndex, observed.index))[0],
            values,
            color=OBSERVED,
            lw=1.0,
            marker="o",
            ms=2.2,
            markevery=np.flatnonzero(dots).tolist(),
            label="observed",
        )
    axis.axvline(times[0], color="0.55", lw=0.8, ls=":")
    tidy(axis, fan.title)
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: thousands(value)))
    if dates:
        locator = AutoDateLocator(minticks=3, maxticks=7)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axis.xaxis.get_offset_text().set_fontsize(8)


def _times(periods: pd.PeriodIndex) -> tuple[Any, bool]:
    """Starts of periods and whether they are dates: years beyond 2262 are plain numbers."""
    try:
        return periods.to_timestamp(), True
    except pd.errors.OutOfBoundsDatetime:
        days = periods.asfreq("D", "S")
        return np.asarray(days.year + (days.dayofyear - 1) / 366), False


def by_period(history: dict[str, Any] | pd.Series | pd.DataFrame, freq: str) -> pd.DataFrame:
    """History as a frame (time, channels) indexed by period."""
    if isinstance(history, dict):
        target = np.atleast_2d(np.asarray(history["target"], dtype=float))
        return pd.DataFrame(
            target.T, index=pd.period_range(history["start"], periods=target.shape[1], freq=freq)
        )
    frame = history.to_frame() if isinstance(history, pd.Series) else history
    return (
        frame
        if isinstance(frame.index, pd.PeriodIndex)
        else frame.set_axis(cast(pd.DatetimeIndex, frame.index).to_period(freq))
    )
