import html
import re
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import numpy as np
import pandas as pd
import pytest

from tests.support.backtests import (
    HISTORY_ROWS,
    made,
    page,
    sections_of,
    tables_of,
    three,
    truth_of,
    words,
)
from tsgen.report.parts import Parts


def test_channels_worst_first_and_only_some_of_many(tmp_path):
    truth = truth_of(2, 3, 900)
    names = [f"tag {i}" for i in range(900)]
    many = {"a": made(truth, paths=10, names=names), "b": made(truth, 2, paths=10, names=names)}
    text = words(tmp_path, many, reference="b", shown="a")
    table = tables_of(text)[2]
    crps = many["a"].scores.per_channel["crps"].sort_values(ascending=False)
    assert [row[0] for row in table[1:]] == list(crps.index[:10])
    assert float(table[1][1]) == pytest.approx(crps.iloc[0], rel=0.01)
    assert "The 10 worst of 900 channels by CRPS of a" in text
    assert "6 of 900 channels are drawn" in text and len(text) < 100_000
    few = words(tmp_path, three(), channels=[2])
    assert "All 3 channels" in few and "1 of 3 channels are drawn" in few


def test_missing_truth(tmp_path):
    truth = truth_of()
    truth[1] = np.nan
    truth[:, 2] = np.nan
    truth[:, :, 1] = np.nan
    text = page(tmp_path, three(truth))
    assert re.search(r"[\d.]+&nbsp;% of the true values are missing", text)
    table = tables_of(text)[2]
    assert table[-1] == ["channel 1", "–", "–"]


def test_panels_of_univariate_series(tmp_path):
    truth = truth_of(9, 4, 1) + np.array([0.0, 50.0, 20.0] * 3)[:, None, None]
    cuts = [pd.Period("2024-01-01", freq="h") + 4 * (w // 3) for w in range(9)]
    panel = three(truth, ids=["x", "y", "z"] * 3, starts=cuts, one_dimensional=True)
    parts = Parts(panel["model"], None)
    assert parts.panel and parts.series == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    (_, first), (_, last) = parts.windows()
    assert [fan.title for fan in first] == ["x", "y", "z"]
    assert np.array_equal(last[1].samples, panel["model"].samples[7, :, :, 0])
    text = page(tmp_path, panel, channels=[1])
    assert "1 of 3 series are drawn" in text and "Each series&#x27; last window" in text
    assert "sum of all" not in text
    table = tables_of(text)[2]
    cells = panel["model"].scores.cells
    crps = {
        name: cells["crps"][w].sum() / cells["size"][w].sum()
        for name, w in zip("xyz", parts.series, strict=True)
    }
    assert [row[0] for row in table[1:]] == sorted(crps, key=lambda name: -crps[name])
    assert float(table[1][1]) == pytest.approx(max(crps.values()), rel=0.01)
    assert "Observations are the 3 windows" in text


def test_series_of_windows():
    hour = pd.Period("2024-01-01", freq="h")
    truth = truth_of(4, 4, 1)
    assert made(truth, ids=[None] * 4).series == [[0, 1, 2, 3]]
    together = made(truth, ids=[None] * 4, starts=[hour, hour, hour + 4, hour + 4])
    assert together.series == [[0, 2], [1, 3]]
    uneven = made(truth, ids=["a", "b", "a", "b"], starts=[hour + 4, hour + 1, hour, hour + 9])
    assert uneven.series == [[2, 0], [1, 3]]
    doubled = made(truth, ids=["a"] * 4, starts=[hour, hour, hour + 4, hour + 4])
    assert doubled.series == [[0, 2], [1, 3]]


def test_series_with_one_window_each_are_the_observations(tmp_path):
    hour = pd.Period("2024-01-01", freq="h")
    for starts in ([hour, hour + 7, hour + 30, hour + 30], [hour] * 4):
        text = words(tmp_path, three(truth_of(4, 5, 1), ids=list("abcd"), starts=starts))
        assert "the 4 series are taken as the observations" in html.unescape(text)


def test_univariate_and_single_steps(tmp_path):
    text = page(tmp_path, three(truth_of(5, 4, 1), one_dimensional=True))
    assert "By channel" not in sections_of(text) and "sum of all" not in text
    assert "CRPS-sum" not in tables_of(text)[0][0]
    tiny = page(tmp_path, {"a": made(truth_of(1, 1, 1), one_dimensional=True)})
    assert "variogram" not in tables_of(tiny)[0][0] and "Calibration" in sections_of(tiny)


def test_names_are_escaped(tmp_path):
    truth = truth_of()
    name = '<b>"x"</b> $_$'
    results = {name: made(truth, names=["<i>", "$a_b$", "_c"]), "_y": made(truth, 2)}
    text = page(
        tmp_path,
        results,
        histories={name: HISTORY_ROWS},
        settings={name: {"<o>": "<script>"}},
        calibrated={name: (results[name], results["_y"])},
    )
    assert "<b>" not in text and "<i>" not in text and "<o>" not in text and "<script" not in text
    assert tables_of(text)[0][1][0] == name


def test_size_of_a_large_page(tmp_path):
    rng = np.random.default_rng(0)
    truth = 100 + rng.normal(size=(7, 24, 118)).cumsum(1)
    results = {f"m{i}": made(truth, paths=100, seed=i) for i in range(2)}
    many = {f"{k} {i}": r for i in range(4) for k, r in results.items()}  # eight forecasters
    text = page(tmp_path, many, histories=dict.fromkeys(many, HISTORY_ROWS), baselines=["m0 0"])
    assert 300_000 < len(text) < 3_000_000


def test_pages_in_threads_are_alike(tmp_path):
    before, results = dict(matplotlib.rcParams), {"a": made(truth_of(2, 3, 2))}
    folders = [tmp_path / str(i) for i in range(3)]
    with ThreadPoolExecutor(3) as pool:
        texts = list(pool.map(lambda folder: page(folder, results, channels=[0]), folders))
    assert len(set(texts)) == 1 and dict(matplotlib.rcParams) == before
