"""The operator's report: counts by hand, and pages of logs that are odd."""

import dataclasses
import re
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tsgen.anomaly import AlarmPolicy, PCADetector, VARDetector
from tsgen.report import write_plant_report
from tsgen.report.alarms import floods, per_day, plot_channels, plot_timeline
from tsgen.report.plant import carriers
from tsgen.report.plant_tables import quality, summary

NAMES = ["a_1", "$b$", "c"]


def log(rows=600, seed=0, fault=slice(0), times=True):
    x = np.random.default_rng(seed).normal(size=(rows, 3))
    x[:, 2] = x[:, 0] + x[:, 1]
    x[fault, 1] += 6
    index = pd.date_range("2024-01-01", periods=rows, freq="15min") if times else None
    return pd.DataFrame(x, columns=NAMES, index=index)


@pytest.fixture(scope="module")
def detector():
    made = PCADetector(window=1, components=1, policy=AlarmPolicy(merge_gap=2)).fit(log())
    made.calibrate(log(2000, 1), false_alarms_per_day=1)
    return made


def raised(*times):
    return pd.DataFrame({"raised": pd.to_datetime(list(times))})


def test_floods_are_counted_by_the_standard():
    """More than ten in ten minutes, each alarm in one flood."""
    minute = [f"2024-01-01 00:{m:02d}:{s:02d}" for m in range(6) for s in (0, 30)]
    assert floods(raised(*minute[:10])) == 0
    assert floods(raised(*minute[:11])) == 1
    assert floods(raised(*minute)) == 1
    later = [time.replace("01-01 00", "01-01 07") for time in minute]
    assert floods(raised(*later, *minute)) == 2
    spread = [f"2024-01-01 {h:02d}:{m:02d}:00" for h in range(3) for m in range(0, 60, 2)]
    assert floods(raised(*spread)) == 0  # six in ten minutes
    assert floods(raised()) == 0


def test_days_without_alarms_count():
    index = pd.date_range("2024-01-01 22:00", "2024-01-04 01:00", freq="h")
    found = per_day(raised("2024-01-01 23:00", "2024-01-03 00:00", "2024-01-03 23:59"), index)
    assert found.to_list() == [1, 0, 2, 0]


def test_the_summary_has_the_numbers(detector):
    frame = log(960, 3, slice(300, 340))
    frame.iloc[10] = np.nan
    found = detector.scored(frame)
    told = summary(detector, frame, found)
    assert told["log"].startswith("960 rows of 3 channels, 2024-01-01 00:00:00 to 2024-01-10")
    assert "0.10% of the values missing" in told["log"] and told["not scored"].startswith("1 rows")
    assert f"{len(found.alarms):,}, on {found.flagged.mean():.2%}" in told["alarms"]
    assert f"of {10} days" in told["a day"] and "none" in told["floods"]
    assert "for 1 false alarms a day" in told["threshold"]
    fresh = VARDetector().fit(log())
    assert "not calibrated" in summary(fresh, frame, fresh.scored(frame))["threshold"]


def test_the_page_draws_each_alarm_with_its_channels(detector, tmp_path):
    frame = log(960, 3, slice(300, 340))
    labels = np.zeros(960, dtype=int)
    labels[300:340] = 1
    found = detector.scored(frame)
    path = write_plant_report(
        tmp_path / "new" / "page.html", detector, frame, found, title="T < 1", labels=labels,
        targets=[["$b$"]], reference=VARDetector().fit(log()), notes=["nothing odd"], drawn=2,
    )  # fmt: skip
    page = path.read_text()
    assert "T &lt; 1" in page and page.count("<h3>") == min(2, len(found.alarms))
    assert "Against the labels" in page and "RC-top-3" in page and "nothing odd" in page
    assert page.count("data:image/png") == 3 + min(2, len(found.alarms))
    longest = found.alarms.loc[found.alarms["score"].idxmax()]
    assert carriers(longest["channels"]).split()[0] in {"$b$", "c"}
    assert "http://" not in page and "https://" not in page


@pytest.mark.parametrize("kind", ["quiet", "numbered", "all alike", "one row"])
def test_odd_logs_have_a_page(detector, tmp_path, kind):
    frame = log(200, 5, slice(100, 120), times=kind != "numbered")
    labels = None
    if kind == "quiet":
        frame *= 0.01
    if kind == "one row":
        frame = frame.iloc[100:101]
    if kind == "all alike":
        labels = np.zeros(200, dtype=int)
    path = write_plant_report(
        tmp_path / "page.html", detector, frame, detector.scored(frame), title=kind, labels=labels
    )
    page = path.read_text()
    assert ("No alarm was raised" in page) == (kind == "quiet")
    assert ("<dt>a day</dt>" in page) == (kind != "numbered")
    assert ("labels are all alike" in page) == (kind == "all alike")


def test_the_table_knows_what_is_for_free(detector):
    frame, labels = log(960, 3, slice(300, 340)), np.zeros(960, dtype=int)
    labels[300:340] = 1
    table = quality(detector, frame, detector.scored(frame), labels, [["$b$", "c"]])
    assert list(table.index) == ["random score", "everything flagged", "this detector"]
    assert table.loc["everything flagged", "auc_pr"] == pytest.approx(40 / 960)
    assert table.loc["random score", "auc_roc"] == pytest.approx(0.5, abs=0.05)
    assert table.loc["this detector", "auc_pr"] > 0.8 and table.loc["this detector", "rc_top3"] == 1


def test_what_is_drawn_is_the_highest_of_neighbours(detector):
    """No peak is lost in a long log, and missing rows leave a hole."""
    frame = log(20_000, 6)
    frame.iloc[7777, 1] = 60.0
    found = detector.scored(frame)
    axis = plot_timeline(found, detector.threshold_).axes[0]
    assert np.nanmax(axis.lines[0].get_ydata()) == found.scores.max() == found.scores[7777]
    assert len(axis.lines[0].get_ydata()) <= 800
    image = plot_channels(found, NAMES).axes[0].collections[0].get_array()
    assert image.max() == pytest.approx(np.nanmax(found.attribution))
    labels = [text.get_text() for text in plot_channels(found, NAMES).axes[0].get_yticklabels()]
    assert labels == NAMES


def test_alarms_of_different_channels_are_drawn_first(detector, tmp_path):
    frame = log()
    times = frame.index[100:600:100]
    leaders = ["a_1", "a_1", "$b$", "c", "a_1"]
    alarms = pd.DataFrame(
        {
            "start": times, "end": times, "raised": times, "peak": times, "p_value": 0.1,
            "score": [9.0, 8.0, 1.0, 2.0, 7.0], "channels": [{name: 1.0} for name in leaders],
        }
    )  # fmt: skip
    scored = dataclasses.replace(detector.scored(frame), alarms=alarms)
    for drawn, numbers in ((3, [0, 2, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3, 4]), (0, [])):
        with mock.patch.object(Figure, "savefig"):
            path = write_plant_report(
                tmp_path / "page.html", detector, frame, scored, title="", drawn=drawn
            )
        headings = re.findall("<h3>(.*?): ", path.read_text())
        assert headings == [str(times[number]) for number in numbers]


def test_labels_of_other_rows_are_refused(detector, tmp_path):
    frame = log(100, 3)
    with pytest.raises(ValueError, match=r"labels have shape \(99,\); expected \(100,\)"):
        write_plant_report(
            tmp_path / "page.html",
            detector,
            frame,
            detector.scored(frame),
            title="",
            labels=np.ones(99),
        )
