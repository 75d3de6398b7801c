"""What of a backtest is drawn: some channels and their sum, or some series of a panel."""

from collections.abc import Sequence

import numpy as np

from tsgen.evaluation.backtest import Backtest
from tsgen.report.fan import Fan, by_period

_CHARTS = 6


class Parts:
    """What of a backtest is drawn, by default what is largest: channels, or series of a panel."""

    def __init__(self, result: Backtest, chosen: Sequence[int] | None) -> None:
        self.result, self.series = result, result.series
        width = result.truth.shape[2]
        self.panel = width == 1 and len(self.series) > 1
        names = result.scores.channels
        if self.panel:
            ids = [result.entries[windows[0]].get("item_id") for windows in self.series]
            self.names = [f"series {i}" if n is None else str(n) for i, n in enumerate(ids)]
            sizes = np.array([_size(result.truth[windows]) for windows in self.series])
        else:
            numbered = names == [str(c) for c in range(width)]
            self.names = [f"channel {c}" for c in names] if numbered else names
            sizes = np.array([_size(result.truth[:, :, c]) for c in range(width)])
        self.what = "series" if self.panel else "channels"
        if chosen is None:
            chosen = np.sort(np.argsort(-sizes, kind="stable")[:_CHARTS]).tolist()
        bad = [c for c in chosen if not 0 <= c < len(self.names)]
        if bad or not len(chosen):
            raise ValueError(
                f"channels={list(chosen)}: the results have {self.what} 0 to {len(self.names) - 1}"
            )
        self.chosen = list(chosen)

    def windows(self) -> list[tuple[str, list[Fan]]]:
        """Charts of the first and the last window, under their starts."""
        ends = [0] if max(map(len, self.series)) == 1 else [0, -1]
        return [self._window(end) for end in ends]

    def _window(self, end: int) -> tuple[str, list[Fan]]:
        if self.panel:
            picked = [self.series[c][end] for c in self.chosen]
            fans = [
                self._fan(window, [0], self.names[c])
                for c, window in zip(self.chosen, picked, strict=True)
            ]
        else:
            picked = [self.series[0][end]]
            fans = [self._fan(picked[0], [c], self.names[c]) for c in self.chosen]
            width = self.result.truth.shape[2]
            if width > 1:
                whole = f"sum of all {width} channels"
                fans.insert(0, self._fan(picked[0], list(range(width)), whole))
        starts = sorted({self.result.starts[window] for window in picked})
        heading = str(starts[0]) if len(starts) == 1 else f"{starts[0]} to {starts[-1]}"
        item = self.result.entries[picked[0]].get("item_id")
        if not self.panel and len(self.series) > 1 and item is not None:
            heading = f"{item}, {heading}"
        return heading, fans

    def _fan(self, window: int, channels: list[int], title: str) -> Fan:
        forecast, entry = self.result.forecasts[window], self.result.entries[window]
        periods = forecast.index
        target = np.atleast_2d(np.asarray(entry["target"], dtype=float))[channels].sum(0)
        observed = by_period({**entry, "target": target}, periods.freqstr).iloc[:, 0]
        return Fan(title, self.result.samples[window][:, :, channels].sum(-1), periods, observed)


def _size(values: np.ndarray) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.mean()) if len(finite) else 0.0
