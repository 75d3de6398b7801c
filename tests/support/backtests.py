"""Backtests made up without a model, and the tables of an HTML page read back."""

import html
import re
from unittest import mock

import numpy as np
import pandas as pd
from gluonts.model.forecast import SampleForecast
from matplotlib.figure import Figure

from tsgen.evaluation import Backtest, evaluate
from tsgen.evaluation.series import series_of
from tsgen.report import write_report

HISTORY = 40
HISTORY_ROWS = [
    {"epoch": e, "train_loss": 1.0 / (1 + e), "lr": 0.1, "seconds": 1.0} for e in range(3)
]


def truth_of(windows=6, horizon=5, channels=3, seed=0):
    """(W, H, C), around 10, 20, 30, ... so that channels differ in size."""
    rng = np.random.default_rng(seed)
    level = 10.0 * (1 + np.arange(channels))
    return level + rng.normal(0, 1, (windows, horizon, channels))


def made(
    truth,
    error=1.0,
    spread=1.0,
    *,
    paths=40,
    seed=1,
    ids=None,
    starts=None,
    names=None,
    one_dimensional=False,
    levels=19,
    log_prob=None,
    stride=None,
):
    """A backtest whose samples are around the truth plus an error of each value."""
    rng = np.random.default_rng(seed)
    windows, horizon, channels = truth.shape
    middle = np.nan_to_num(truth, nan=5.0) + error * rng.normal(size=truth.shape)
    samples = middle[:, None] + spread * rng.normal(size=(windows, paths, horizon, channels))
    if starts is None:
        first = pd.Period("2024-01-01 00:00", freq="h")
        starts = [first + (stride or horizon) * w for w in range(windows)]
    ids = ["plant"] * windows if ids is None else ids
    forecasts, entries = [], []
    for window, (start, item) in enumerate(zip(starts, ids, strict=True)):
        past = np.random.default_rng(window).normal(10, 1, (channels, HISTORY))
        target = np.concatenate([past, truth[window].T], axis=1)
        entry = {"start": start - HISTORY, "target": target[0] if one_dimensional else target}
        entries.append(entry if item is None else entry | {"item_id": item})
        paths_of = samples[window, :, :, 0] if one_dimensional else samples[window]
        forecasts.append(SampleForecast(paths_of, start, item_id=item))
    scores = evaluate(samples, truth, levels, channels=names, log_prob=log_prob)
    seconds = {"train": 1.25, "forecast": 0.5}
    series = series_of(entries, starts, horizon)
    return Backtest(forecasts, entries, samples, truth, scores, None, seconds, series)


def three(truth=None, **options):
    """Two baselines and a model, better in this order."""
    truth = truth_of() if truth is None else truth
    return {
        "naive": made(truth, 3.0, 3.0, seed=1, **options),
        "walk": made(truth, 2.0, 2.0, seed=2, **options),
        "model": made(truth, 1.0, 1.0, seed=3, **options),
    }


def tables_of(text):
    """Each table as a list of rows of cell texts, the head first."""
    found = []
    for table in re.findall(r"<table>.*?</table>", text, re.S):
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)
        cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]
        found.append([[html.unescape(cell) for cell in row] for row in cells])
    return found


def best_of(text):
    """Texts of the marked cells."""
    return [html.unescape(cell) for cell in re.findall(r'<td class="best">(.*?)</td>', text)]


def sections_of(text):
    return [html.unescape(heading) for heading in re.findall(r"<h2>(.*?)</h2>", text)]


def outside_of(text):
    """Whatever a page would fetch."""
    without = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "", text)
    return re.findall(r"https?:|//|<script|<link|@import|url\(|href=|src=\"(?!\")", without)


def page(tmp_path, results, **options):
    return write_report(tmp_path / "r.html", results, **{"title": "t"} | options).read_text()


def words(tmp_path, results, **options):
    """The page without pictures, which take most of the time."""
    with mock.patch.object(Figure, "savefig"):
        return page(tmp_path, results, **options)


def column(table, head):
    return [row[table[0].index(head)] for row in table[1:]]
