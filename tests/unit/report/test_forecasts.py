import re

import numpy as np
import pytest

from tests.support.backtests import (
    HISTORY_ROWS,
    best_of,
    column,
    made,
    outside_of,
    page,
    sections_of,
    tables_of,
    three,
    truth_of,
    words,
)
from tsgen.evaluation import paired_comparison
from tsgen.report import write_report


@pytest.fixture(scope="module")
def results():
    return three()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, results):
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    after = made(truth_of(), 1.0, 1.2, seed=3)
    made_at = write_report(
        path,
        results,
        title="Plant <A>",
        about="Three tags & a sum.",
        baselines=["naive", "walk"],
        histories={"model": HISTORY_ROWS, "walk": []},
        calibrated={"model": (results["model"], after)},
        settings={"model": {"lr": 0.001, "encoder": "gru<64>", "seed": 7}, "naive": {}},
    )
    assert made_at == path
    return path.read_text()


def test_sections_come_in_order(whole):
    assert sections_of(whole) == [
        "Scores",
        "Compared with walk",
        "How to read this page",
        "Forecasts of model",
        "Calibration",
        "By horizon step",
        "By channel",
        "Training",
        "Before and after conformal calibration",
        "Settings",
        "Made with",
    ]
    assert "<h1>Plant &lt;A&gt;</h1>" in whole and "Three tags &amp; a sum." in whole
    assert "gru&lt;64&gt;" in whole and not outside_of(whole)
    alts = re.findall(r'<img[^>]* alt="([^"]+)"', whole)
    assert len(alts) == whole.count("<img") == 7
    assert "Fan charts of sum of all 3 channels, channel 0" in alts[0]


def test_score_table(whole, results):
    table = tables_of(whole)[0]
    assert table[0] == [
        "forecaster", "CRPS (19 levels)", "CRPS-sum", "fair CRPS", "energy", "variogram", "ND",
        "NRMSE", "90 % coverage", "train\u00a0s", "forecast\u00a0s",
    ]  # fmt: skip
    assert column(table, "forecaster") == ["naive *", "walk *", "model"]
    for head, score in (("CRPS (19 levels)", "crps"), ("energy", "energy"), ("NRMSE", "nrmse")):
        shown = [float(cell) for cell in column(table, head)]
        exact = [result.scores.total[score] for result in results.values()]
        assert np.allclose(shown, exact, rtol=0.01)
    coverage = [100 * r.scores.total["coverage_90"] for r in results.values()]
    assert column(table, "90 % coverage") == [f"{c:.1f} %" for c in coverage]
    assert column(table, "train\u00a0s") == ["1.2"] * 3
    nearest = coverage[int(np.argmin(np.abs(np.array(coverage) - 90)))]
    lowest = table[3][1:8]  # the model has the smallest errors by construction
    assert sorted(best_of(whole)) == sorted([*lowest, f"{nearest:.1f} %"])
    assert "* is a baseline." in whole


def test_log_scores_and_what_is_infinite(tmp_path):
    truth = truth_of()
    some = {
        "a": made(truth, log_prob=np.full(6, -30.0)),
        "b": made(truth, log_prob=np.full(6, -np.inf)),
        "c": made(truth),
    }
    table = tables_of(words(tmp_path, some))[0]
    assert column(table, "log score") == ["2.00", "–", "–"]


def test_significance_is_that_of_paired_comparison(whole, results):
    table = tables_of(whole)[1]
    rows = [(row[0], row[1]) for row in table[1:]]
    assert rows == [(n, s) for n in ("naive", "model") for s in ("CRPS", "energy")]
    for name, score, ratio, interval, p, verdict in table[1:]:
        paired = paired_comparison(results[name], results["walk"], score.lower())
        assert ratio == f"{paired.ratio.value:.3f}"
        assert interval == f"{paired.ratio.low:.3f} to {paired.ratio.high:.3f}"
        exact = paired.test.p_value
        assert p == (f"{exact:.3f}" if exact >= 0.001 else "< 0.001")
        better = "better" if paired.ratio.value < 1 else "worse"
        assert verdict == (better if exact < 0.05 else "no clear difference")
    assert "Observations are the 6 windows" in whole and "They are few" in whole


def test_overlapping_windows_and_single_ones(tmp_path):
    truth = truth_of(30)
    overlapping = three(truth, stride=2)  # windows of 5 steps: 3 in a row share some
    text = words(tmp_path, overlapping, reference="naive")
    paired = paired_comparison(overlapping["model"], overlapping["naive"], horizon=3)
    assert "Up to 3 windows in a row share steps" in text and "They are few" not in text
    assert tables_of(text)[1][3][:3] == ["model", "CRPS", f"{paired.ratio.value:.3f}"]
    single = page(tmp_path, three(truth_of(1)))
    assert [row[3:] for row in tables_of(single)[1][1:]] == [["–", "–", "–"]] * 4
    assert "only one window" in single and "The only window" in single
    alone = words(tmp_path, {"model": made(truth_of())})
    assert not [s for s in sections_of(alone) if s.startswith("Compared")]
    assert not best_of(alone)


def test_reference_and_forecaster_shown(tmp_path, results):
    def headings(**options):
        return [s for s in sections_of(words(tmp_path, results, **options)) if " " in s]

    assert "Compared with model" in headings()  # the last
    assert "Forecasts of model" in headings(baselines=["naive"])
    assert "Forecasts of walk" in headings(baselines=["model", "naive"])
    assert "Forecasts of naive" in headings(shown="naive")
    assert "Compared with naive" in headings(reference="naive", baselines=["walk"])
    assert "Forecasts of model" in headings(baselines=list(results))


def test_calibration_table(whole, results):
    table = tables_of(whole)[3]
    assert [row[1] for row in table[1:]] == ["50 %", "80 %", "90 %", "95 %"]
    before = results["model"].scores.total
    assert table[3][2] == f"{100 * before['coverage_90']:.1f} %"
    assert float(table[3][4]) == pytest.approx(before["width_90"], rel=0.01)


def test_settings_and_circumstances(whole):
    settings, circumstances = tables_of(whole)[-2:]
    assert settings[1:] == [["lr", "0.001"], ["encoder", "gru<64>"], ["seed", "7"]]
    facts = dict(circumstances[1:])
    assert {"date", "tsgen", "torch", "gluonts", "numpy", "pandas", "python", "cpu", "gpu"} <= set(
        facts
    )
    assert facts["seed"] == "7" and facts["training, all"] == "3.8 s"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": "x"}, r"reference names \['x'\], which are not in results: naive, walk"),
        ({"shown": "x"}, r"shown names \['x'\]"),
        ({"baselines": ["naive", "x"]}, r"baselines names \['x'\]"),
        ({"histories": {"x": []}}, r"histories names \['x'\]"),
        ({"settings": {"x": {}}}, r"settings names \['x'\]"),
        ({"channels": [1, 3, -1]}, r"channels=\[1, 3, -1\]: the results have channels 0 to 2"),
        ({"channels": []}, r"channels=\[\]: the results have channels 0 to 2"),
        ({"levels": [2.0]}, r"levels=\[2.0\] must lie between 0 and 1"),
    ],
)
def test_bad_requests(tmp_path, results, options, message):
    with pytest.raises(ValueError, match=message):
        page(tmp_path, results, **options)


def test_results_that_do_not_compare(tmp_path, results):
    one, other = results["model"], made(truth_of(seed=9))
    with pytest.raises(ValueError, match="a report needs at least one backtest"):
        page(tmp_path, {})
    with pytest.raises(ValueError, match="'a' has no forecasts"):
        page(tmp_path, {"a": one._replace(forecasts=[])})
    with pytest.raises(ValueError, match="'a' and 'b' have not the same truth, \\(6, 5, 3\\)"):
        page(tmp_path, {"a": one, "b": other})
    with pytest.raises(ValueError, match="'a' and 'a after' have not the same truth"):
        page(tmp_path, {"a": one}, calibrated={"a": (one, other)})
    with pytest.raises(ValueError, match="CRPS of 19 and 9 quantile levels"):
        page(tmp_path, {"a": one, "b": made(truth_of(), levels=9)})
    assert not list(tmp_path.iterdir())
