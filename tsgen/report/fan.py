"""Fan charts for forecasts of any number of channels."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from gluonts.model.forecast import SampleForecast
from matplotlib.colors import to_rgb
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

_HISTORY, _FAN = "#3b4252", "#1f77b4"


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
        levels: probabilities of the central intervals shaded.
        names: a name for each channel of the forecast.
        past: steps of history to show; three horizons by default.
        columns: charts beside each other.

    Returns:
        A matplotlib figure; ``figure.savefig(path)`` writes it.

    Raises:
        ValueError: for channels, levels or names that do not fit.
    """
    samples = forecast.samples.reshape(*forecast.samples.shape[:2], -1)
    horizon, count = samples.shape[1:]
    if channels is None:
        size = np.abs(samples).mean((0, 1))
        channels = (
            range(count) if count <= 12 else np.sort(np.argsort(-size, kind="stable")[:12]).tolist()
        )
    bad = [c for c in channels if not 0 <= c < count]
    if bad or not len(channels):
        raise ValueError(f"channels={list(channels)}: the forecast has channels 0 to {count - 1}")
    if any(not 0 < level < 1 for level in levels):
        raise ValueError(f"levels={list(levels)} must lie between 0 and 1")
    if names is None:
        names = (
            [str(c) for c in history.columns]
            if isinstance(history, pd.DataFrame)
            else [f"channel {c}" for c in range(count)]
        )
    if len(names) != count:
        raise ValueError(f"names has {len(names)} entries for {count} channels")

    columns = min(columns, len(channels))
    rows = -(-len(channels) // columns)
    figure = Figure(figsize=(4.6 * columns, 2.6 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    times = forecast.index.to_timestamp()
    known = None if history is None else _table(history, forecast.index.freqstr)
    for axis, channel in zip(axes.flat, channels, strict=False):
        for level in sorted(levels, reverse=True):
            low, high = np.quantile(
                samples[:, :, channel], [(1 - level) / 2, (1 + level) / 2], axis=0
            )
            axis.fill_between(
                times, low, high, color=_shade(level), lw=0, label=f"{level:.0%} interval"
            )
        median = np.median(samples[:, :, channel], axis=0)
        axis.plot(times, median, color=_FAN, lw=1.4, label="median")
        if known is not None:
            shown = known.iloc[:, channel]
            start = forecast.start_date - (3 * horizon if past is None else past)
            shown = shown[(shown.index >= start) & (shown.index <= forecast.index[-1])]
            axis.plot(
                shown.index.to_timestamp(),
                shown.to_numpy(),
                color=_HISTORY,
                lw=1.1,
                label="observed",
            )
        axis.axvline(times[0], color="0.6", lw=0.8, ls=":")
        axis.set_title(names[channel], fontsize=9, loc="left")
        locator = AutoDateLocator(minticks=3, maxticks=6)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in list(axes.flat)[len(channels) :]:
        axis.set_visible(False)
    figure.legend(
        *axes.flat[0].get_legend_handles_labels(),
        loc="outside upper right",
        ncols=4,
        fontsize=8,
        frameon=False,
    )
    if forecast.item_id is not None:
        figure.suptitle(str(forecast.item_id), fontsize=10, x=0.01, ha="left")
    return figure


def _shade(level: float) -> tuple[float, ...]:
    """Paler for wider intervals."""
    white = 0.35 + 0.45 * level
    return tuple(white + (1 - white) * part for part in to_rgb(_FAN))


def _table(history: dict[str, Any] | pd.Series | pd.DataFrame, freq: str) -> pd.DataFrame:
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
