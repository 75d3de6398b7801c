"""Reference values are those of TSB-AD's and the affiliation authors' code, run once on `toy`."""

import numpy as np
import pandas as pd
import pytest

from tsgen.anomaly import AR1Detector, Detector, PCADetector, metrics

SPANS = {
    "long": [(500, 650), (1200, 1290), (2000, 2210), (3900, 4000)],
    "short": [(i * 190 + 40, i * 190 + 60) for i in range(20)],
    "near": [(0, 3), (10, 11), (14, 30), (1000, 1004), (1040, 1060)],
    "odd": [(0, 30), (800, 1000), (2500, 2501)],
}
TOYS = {
    "long": ("long", 4000, 1.5, 0), "short": ("short", 4000, 1.5, 1),
    "ties": ("short", 4000, 1.5, 2), "near": ("near", 2000, 2.0, 3), "odd": ("odd", 3000, 1.0, 4),
}  # fmt: skip


def toy(name):
    spans, length, shift, seed = TOYS[name]
    labels = np.zeros(length, dtype=int)
    for start, stop in SPANS[spans]:
        labels[start:stop] = 1
    scores = np.random.default_rng(seed).normal(size=length) + shift * labels
    return labels, np.round(scores) if name == "ties" else scores


def flagged(scores, q):
    return (scores > np.quantile(scores, q)).astype(int)


@pytest.mark.parametrize(
    ("name", "window", "expected"),
    [
        ("long", 100, 0.570891350032932), ("short", 100, 0.6322216560971524),
        ("ties", 50, 0.4878751577879908), ("near", 60, 0.46326894494639775),
        ("odd", 37, 0.248894844017067), ("odd", 0, 0.235971534527223),
    ],
)  # fmt: skip
def test_vus_pr_is_that_of_tsb_ad(name, window, expected):
    labels, scores = toy(name)
    assert metrics.vus_pr(labels, scores, window=window) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "q", "precision", "recall"),
    [
        ("long", 0.9, 0.7467508369223405, 0.9988635733441142),
        ("short", 0.99, 0.9023265779391006, 0.848715592861464),
        ("ties", 0.99, 1.0, 0.46686584996975194),
        ("near", 0.5, 0.6757183023284837, 0.9948717948717949),
        ("near", 0.99, 0.8211266471496937, 0.924168193850781),
        ("odd", 0.99, 0.7349003573416191, 0.9346075131988628),
    ],
)
def test_affiliation_is_that_of_its_authors(name, q, precision, recall):
    labels, scores = toy(name)
    found = metrics.affiliation_precision_recall(labels, flagged(scores, q))
    assert found == pytest.approx((precision, recall), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "q", "precision", "recall", "pa"),
    [
        ("long", 0.9, 0.43729096989966554, 0.21143568154872505, 0.8634222919937206),
        ("short", 0.99, 0.7948717948717948, 0.2046666666666667, 0.9090909090909091),
        ("near", 0.9, 0.053125, 0.6313333333333333, 0.34509803921568627),
        ("odd", 0.5, 0.05500685871056241, 0.5085751633986929, 0.26028169014084507),
    ],
)
def test_ranges_and_point_adjustment_are_those_of_tsb_ad(name, q, precision, recall, pa):
    labels, scores = toy(name)
    rows = flagged(scores, q)
    assert metrics.range_precision(labels, rows) == pytest.approx(precision, abs=1e-12)
    assert metrics.range_recall(labels, rows, alpha=0.2) == pytest.approx(recall, abs=1e-12)
    assert metrics.pa_f1(labels, rows) == pytest.approx(pa, abs=1e-12)


def test_affiliation_by_its_definition():
    """Integrals on a fine grid, for the zone of an event between two others."""
    labels, rows = np.zeros(60, dtype=int), np.zeros(60, dtype=int)
    labels[[5, 6, 25, 26, 27, 28, 50]] = 1
    rows[[18, 26, 35]] = 1
    precision, recall = metrics.affiliation_precision_recall(labels, rows)
    zone = 16.0 + (np.arange(23500) + 0.5) / 1000  # half-way to the events beside it
    apart = np.maximum(np.maximum(25 - zone, zone - 29), 0)
    at = zone[rows[zone.astype(int)] == 1]
    own = np.maximum(np.maximum(25 - at, at - 29), 0)
    expected = np.mean([np.mean(apart > d) if d > 0 else 1 for d in own[::50]])
    assert precision == pytest.approx(expected, abs=2e-3)
    event = 25 + (np.arange(400) + 0.5) / 100
    nearest = np.min([np.maximum(np.maximum(s - event, event - s - 1), 0) for s in (18, 26, 35)], 0)
    chances = [
        np.mean(np.abs(zone - y) > d) if d > 0 else 1
        for y, d in zip(event, nearest, strict=True)
    ]  # fmt: skip
    assert recall == pytest.approx(np.mean(chances) / 3, abs=2e-3)  # the other two were missed


def test_events_by_hand():
    labels = np.array([0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1])
    rows = np.array([1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0])
    assert metrics.segments(labels).tolist() == [[1, 4], [6, 8], [11, 12]]
    assert metrics.event_recall(labels, rows) == pytest.approx(1 / 3)
    assert metrics.event_precision(labels, rows) == pytest.approx(1 / 3)
    assert metrics.event_f1(labels, rows) == pytest.approx(1 / 3)
    np.testing.assert_equal(metrics.detection_delays(labels, rows), [2, np.nan, np.nan])
    assert metrics.false_alarms_per_day(labels, rows, rows_per_day=3) == pytest.approx(1.0)
    assert metrics.range_recall(labels, rows) == pytest.approx(1 / 9)
    assert metrics.range_recall(labels, rows, bias="back") == pytest.approx(3 / 6 / 3)
    assert metrics.range_recall(labels, rows, bias="front") == pytest.approx(1 / 6 / 3)
    assert metrics.range_recall(labels, rows, bias="middle") == pytest.approx(1 / 4 / 3)
    assert metrics.range_precision(labels, rows) == pytest.approx(1 / 2 / 3)
    assert metrics.pa_k_f1(labels, rows, 100) == pytest.approx(2 / 10)
    assert metrics.pa_k_f1(labels, rows, 30) == metrics.pa_f1(labels, rows) == pytest.approx(6 / 12)
    assert metrics.pa_k_f1(labels, rows, 34) == metrics.pa_k_f1(labels, rows, 100)


def test_an_event_found_in_pieces_counts_less():
    labels, rows = np.ones(9, dtype=int), np.array([1, 1, 0, 1, 1, 0, 0, 1, 1])
    assert metrics.range_recall(labels, rows) == pytest.approx(6 / 9 / 3)
    assert metrics.range_recall(labels, rows, boundaries=[2]) == pytest.approx((1 + 4 / 7 / 2) / 2)


def test_runs_may_come_in_any_order():
    """An alarm at one run's end does not go on in the next, nor does an event or what is near."""
    rng = np.random.default_rng(0)
    labels = rng.random(400).repeat(5) < 0.1
    scores = rng.normal(size=2000) + labels
    edges = [0, 300, 301, 1100, 2000]
    parts = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    order = [2, 0, 3, 1]
    mixed_edges = np.cumsum([edges[i + 1] - edges[i] for i in order])[:-1].tolist()
    labels[295:301] = labels[1095:1105] = True

    def figures(labels, scores, boundaries):
        return metrics.measures(
            labels, scores, scores > 1, rows_per_day=10, boundaries=boundaries, legacy_figures=True
        )

    first = figures(labels, scores, edges[1:-1])
    mixed = figures(
        np.concatenate([labels[parts[i]] for i in order]),
        np.concatenate([scores[parts[i]] for i in order]), mixed_edges,
    )  # fmt: skip
    assert first == pytest.approx(mixed, abs=1e-12)
    assert first != pytest.approx(figures(labels, scores, []), abs=1e-12)


def test_a_score_without_information():
    labels, _ = toy("short")
    rng = np.random.default_rng(0)
    rows = [metrics.measures(labels, s, s > 0.99) for s in rng.random((20, len(labels)))]
    mean = {name: np.mean([row[name] for row in rows]) for name in rows[0]}
    assert mean["auc_pr"] == pytest.approx(labels.mean(), abs=0.02)
    assert mean["auc_roc"] == pytest.approx(0.5, abs=0.02)
    flat = metrics.measures(labels, np.zeros(len(labels)), np.ones(len(labels), dtype=int))
    assert flat["auc_pr"] == labels.mean()
    assert flat["event_recall"] == 1


def test_rows_without_a_score_come_last():
    labels, scores = toy("long")
    spoilt, lowest = scores.copy(), scores.copy()
    spoilt[600:640], lowest[600:640] = np.nan, np.min(scores)
    for metric in (metrics.auc_pr, metrics.auc_roc, metrics.vus_pr):
        assert metric(labels, spoilt) == pytest.approx(metric(labels, lowest), abs=1e-12)


def test_attribution_by_hand():
    channels = np.zeros((10, 5))
    channels[2:5] = [5.0, 4, 3, 2, 1]
    channels[6:8] = [1.0, 2, 3, 4, 5]
    channels[7] = [9.0, np.nan, np.nan, np.nan, np.nan]
    events = [(2, 5), (6, 8)]
    assert metrics.rc_top_k(channels, events, [{2}, {3}], k=2) == 0.0
    assert metrics.rc_top_k(channels, events, [{2}, {0}], k=2) == 0.5
    assert metrics.rc_top_k(channels, events, [{2, 4}, {3}], k=3) == 1.0
    assert metrics.hit_rate(channels, events, [{0, 4}, {0, 4}]) == pytest.approx((0.5 + 1) / 2)
    assert metrics.hit_rate(channels, events, [{0, 2}, {3, 2}], 150) == pytest.approx((1 + 0.5) / 2)


def test_what_was_never_recorded_is_no_hit():
    channels = np.full((4, 3), np.nan)
    channels[:, 1] = 1.0
    assert metrics.rc_top_k(channels, [(0, 4)], [{2}], k=3) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.auc_pr([0, 2], [1, 2]), "labels, row 1: 2 is neither 0 nor 1"),
        (lambda: metrics.auc_pr([0, 0], [1, 2]), "labels hold no 1"),
        (lambda: metrics.auc_pr([0, 1], [1, 2, 3]), r"scores has shape \(3,\); labels have \(2,\)"),
        (lambda: metrics.auc_pr([0, 1], [1, np.inf]), "scores, row 1: the score is infinite"),
        (lambda: metrics.auc_pr([0, 1], [np.nan, np.nan]), "scores are all missing"),
        (lambda: metrics.auc_roc([1, 1], [1, 2]), "labels are all 1"),
        (lambda: metrics.vus_pr([0, 1], [1, 2], window=-1), "window=-1 must be at least 0"),
        (lambda: metrics.vus_pr([0, 1], [1, 2], thresholds=1), "thresholds=1 must be at least 2"),
        (
            lambda: metrics.vus_pr([0, 1], [1, 2], boundaries=[3]),
            r"boundaries=\[3\] must be within the 2 rows",
        ),
        (lambda: metrics.event_recall([0, 1], [0, 1, 1]), "predicted has shape"),
        (lambda: metrics.event_recall([0, 1], [0.5, 1]), "predicted, row 0: 0.5 is neither"),
        (lambda: metrics.event_recall([], []), "at least a row"),
        (lambda: metrics.range_recall([0, 1], [0, 1], alpha=2), r"alpha=2 must be in \[0, 1\]"),
        (lambda: metrics.range_recall([0, 1], [0, 1], bias="left"), "bias='left' must be"),
        (lambda: metrics.pa_k_f1([0, 1], [0, 1], 101), r"k=101 must be in \[0, 100\]"),
        (
            lambda: metrics.false_alarms_per_day([0, 1], [0, 1], rows_per_day=0),
            "rows_per_day=0 must be a number above 0",
        ),
        (
            lambda: metrics.false_alarms_per_day([1, 1], [0, 1], rows_per_day=1),
            "there is no normal time",
        ),
        (lambda: metrics.rc_top_k(np.ones((4, 2)), [(0, 5)], [{0}], 1), "lies outside the 4 rows"),
        (lambda: metrics.rc_top_k(np.ones((4, 2)), [(0, 4)], [{2}], 1), "expected at least one"),
        (lambda: metrics.rc_top_k(np.ones((4, 2)), [(0, 4)], [set()], 1), "expected at least one"),
        (lambda: metrics.rc_top_k(np.ones((4, 2)), [(0, 4)], [{0}], 3), "k=3 must be in 1 to 2"),
        (lambda: metrics.rc_top_k(np.ones(4), [(0, 4)], [{0}], 1), r"expected \(T, C\)"),
        (lambda: metrics.rc_top_k(np.ones((4, 2)), [(0, 4)], [], 1), "there are 0 targets"),
        (lambda: metrics.hit_rate(np.ones((4, 2)), [(0, 4)], [{0}], 50), "percent=50 must be at"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def plant(rows, seed):
    rng = np.random.default_rng(seed)
    common = np.cumsum(rng.normal(size=rows)) * 0.1
    times = pd.date_range("2026-01-01", periods=rows, freq="h")
    values = np.sin(common)[:, None] * [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=(rows, 3))
    return pd.DataFrame(values, times, ["level", "flow", "pressure"])


def test_the_table_always_has_its_references():
    train, normal, test = (plant(2000, seed) for seed in range(3))
    labels = np.zeros(2000, dtype=int)
    for start in (300, 900, 1500):
        labels[start : start + 40] = 1
        test.iloc[start : start + 40, 1] *= -1
    detectors = {
        "windows": PCADetector(window=4, components=0.9).fit(train),
        "ar1": AR1Detector().fit(train),
    }
    options = {"train": train, "targets": [["flow"]] * 3}
    table = metrics.metric_table(detectors, test, labels, **options)
    assert list(table.index) == ["random", "everything flagged", "pca", "windows", "ar1"]
    assert table.loc["everything flagged", "auc_pr"] == pytest.approx(0.06)
    assert table.loc["random", "auc_pr"] < 0.1 < table.loc["windows", "auc_pr"]
    assert table.loc["windows", "delay_h"] < 12
    assert table.loc["windows", "hit_rate"] == 1
    assert np.isnan(table.loc["everything flagged", "hit_rate"])
    again = metrics.metric_table(
        detectors, test, labels, normal=normal, false_alarms_per_day=0.3, legacy_figures=True,
        **options,
    )  # fmt: skip
    assert detectors["ar1"].calibration_ is None
    assert again["false_alarms_per_day"].drop("everything flagged").between(0, 0.9).all()
    assert {"pa_f1", "pa20_f1"} <= set(again) - set(table)
    scores = detectors["windows"].decision_function(test)
    alone = metrics.measures(labels, scores, detectors["windows"].predict(test), rows_per_day=24)
    assert alone == pytest.approx(table.loc["windows", list(alone)].to_dict())


def test_a_table_of_runs():
    train, runs = plant(2000, 0), [plant(300, 1), plant(200, 2)]
    labels = np.zeros(500, dtype=int)
    labels[280:320] = 1
    table = metrics.metric_table({}, runs, labels, train=train)
    assert table.loc["everything flagged", "event_precision"] == 1
    assert table.loc["everything flagged", "event_recall"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"false_alarms_per_day": 1.0}, "normal and false_alarms_per_day belong together"),
        ({"labels": np.ones(3)}, r"labels have shape \(3,\); expected \(100,\)"),
        ({"targets": [["depth"]]}, "target 'depth' is no channel"),
        ({"detectors": {"pca": None}}, "the name 'pca' is that of a reference"),
    ],
)
def test_bad_input_of_the_table(change, message):
    labels = np.zeros(100, dtype=int)
    labels[50:60] = 1
    options = {
        "detectors": dict[str, Detector](), "test": plant(100, 1), "labels": labels,
        "train": plant(200, 0), **change,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        metrics.metric_table(**options)
