import numpy as np
import pytest

from tests.support.backtests import made, three, truth_of
from tsgen.report import plot_calibration, plot_coverage, plot_history, plot_pit, plot_steps
from tsgen.report.calibration import coverage_band, pit_band

LEVELS = (0.5, 0.8, 0.9, 0.95)


def drawn(axis):
    """Lines of data, without the straight ones that show what should be."""
    return [line for line in axis.get_lines() if line.get_marker() != "None"]


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_pit_histograms_count_the_truth():
    truth = truth_of()
    truth[0, 0] = np.nan
    results = three(truth)
    figure = plot_pit(results, bars=5)
    assert [axis.get_title(loc="left") for axis in figure.axes] == list(results)
    for axis, result in zip(figure.axes, results.values(), strict=True):
        pit = result.scores.cells["pit"]
        shares = [((pit >= k / 5) & (pit < (k + 1) / 5)).sum() for k in range(5)]
        heights = [bar.get_height() for bar in axis.containers[0]]
        assert np.allclose(heights, 5 * np.array(shares) / (truth.size - 3))
        assert np.mean(heights) == pytest.approx(1)
        low, high = pit_band(result, 5)
        band = [p for p in axis.patches if hasattr(p, "get_data")][0].get_data()
        assert np.allclose(band.values, high) and np.allclose(band.baseline, low)


def test_tall_bars_are_cut_and_say_how_tall_they_are():
    certain = made(truth_of(), error=1.0, spread=1e-9)
    axis = plot_pit({"certain": certain}).axes[0]
    heights = [bar.get_height() for bar in axis.containers[0]]
    assert max(heights) > 4 and axis.get_ylim()[1] == 4
    assert [t.get_text() for t in axis.texts] == [f"{h:.1f}" for h in heights if h > 4]


def test_bands_hold_a_calibrated_forecast_whose_values_depend_on_each_other():
    # 150 backtests of 6 windows, truth and samples of one law with a factor that all values share:
    # each bar stays inside 95 times in 100, a share of 150 with a standard error of .018. A band
    # for independent values holds far less: bars of 72 values vary as those of some 20
    rng = np.random.default_rng(0)
    pits, steps, naive = [], [], []
    n = 6 * 3 * 4
    allowed = 1.96 * np.sqrt(0.1 * 0.9 / n) * 10  # of independent values
    for _ in range(150):
        shared = rng.normal(size=(6, 31, 1, 1))
        values = 0.9 * shared + 0.44 * rng.normal(size=(6, 31, 3, 4))
        result = made(values[:, 0] + 10, paths=30)
        result = result._replace(samples=values[:, 1:] + 10)
        places = ((result.samples < result.truth[:, None]).sum(1) + rng.random((6, 3, 4))) / 31
        heights = np.histogram(places, np.linspace(0, 1, 11))[0] * 10 / n
        low, high = pit_band(result)
        pits.append((heights >= low) & (heights <= high))
        naive.append(np.abs(heights - 1) <= allowed)
        low, high = coverage_band(result, 0.8)
        covered = (np.abs(places - 0.5) <= 0.4).mean((0, 2))
        steps.append((covered >= low) & (covered <= high))
    assert np.mean(pits) > 0.95 - 3 * 0.018 and np.mean(steps) > 0.95 - 3 * 0.018
    assert np.mean(naive) < 0.8


def test_bands_of_samples_that_are_all_equal_are_those_of_independent_values():
    point = made(truth_of(20, 5, 5), spread=0.0)
    low, high = pit_band(point)
    spread = 1.96 * np.sqrt(0.1 * 0.9 / 500) * 10
    assert np.allclose(high - low, 2 * spread, rtol=0.15)


def test_coverage_is_drawn_as_it_is_scored():
    results = three()
    figure = plot_coverage(results, 0.8, band="model")
    left, right = figure.axes
    for line, by_step, result in zip(drawn(left), drawn(right), results.values(), strict=True):
        total = result.scores.total
        assert list(line.get_xdata()) == list(LEVELS)
        assert list(line.get_ydata()) == [total[f"coverage_{100 * level:g}"] for level in LEVELS]
        assert list(by_step.get_xdata()) == [1, 2, 3, 4, 5]
        assert np.allclose(by_step.get_ydata(), result.scores.per_step["coverage_80"])
    assert labels(figure) == [*results, "model if calibrated"]
    band = right.patches[0].get_data()
    low, high = coverage_band(results["model"], 0.8)
    assert np.allclose(band.values, high) and np.allclose(band.baseline, low)


def test_forecasts_without_spread_do_not_flatten_the_rest():
    results = three() | {"point": made(truth_of(), 5.0, 1e-9)}
    for axis, most in zip(plot_coverage(results).axes, (0.45, 0.7), strict=True):
        lowest = min(min(line.get_ydata()) for line in drawn(axis)[:3])
        assert 0.1 < axis.get_ylim()[0] <= min(lowest, most)


def test_coverage_before_and_after_calibration():
    truth = truth_of()
    pair = made(truth, 1.0, 0.3, seed=1), made(truth, 1.0, 1.0, seed=1)
    figure = plot_calibration({"a": pair, "b": pair[::-1]})
    assert len(figure.axes) == 4 and labels(figure) == ["before calibration", "after calibration"]
    for row, order in ((figure.axes[:2], pair), (figure.axes[2:], pair[::-1])):
        for line, by_step, result in zip(drawn(row[0]), drawn(row[1]), order, strict=True):
            assert line.get_ydata()[2] == result.scores.total["coverage_90"]
            assert np.allclose(by_step.get_ydata(), result.scores.per_step["coverage_90"])
    assert drawn(figure.axes[0])[0].get_linestyle() != drawn(figure.axes[0])[1].get_linestyle()


def test_scores_by_step():
    results = three()
    for score, axis_label in (("crps", "CRPS"), ("energy", "energy"), ("crps_sum", "CRPS-sum")):
        axis = plot_steps(results, score).axes[0]
        for line, result in zip(drawn(axis), results.values(), strict=True):
            assert list(line.get_xdata()) == [1, 2, 3, 4, 5]
            assert np.allclose(line.get_ydata(), result.scores.per_step[score])
        assert axis.get_ylabel() == axis_label and axis.get_ylim()[0] == 0
    far = results | {"far": made(truth_of(), 100.0, 100.0)}
    axis = plot_steps(far).axes[0]
    assert axis.get_yscale() == "log" and axis.get_ylabel() == "CRPS, logarithmic"
    assert plot_steps({"point": made(truth_of(), spread=0.0)}, "dss").axes[0] is not None


def test_long_names_keep_their_ends():
    names = [f"a forecaster of a very long name and number {i}" for i in range(3)]
    shown = labels(plot_steps({name: made(truth_of(), paths=5) for name in names}))
    assert len(set(shown)) == 3 and all(len(name) == 34 and "…" in name for name in shown)


def test_training_curves():
    histories = {
        "both": [
            {"epoch": 0, "train_loss": 2.0, "val_loss": 3.0, "lr": 1e-3, "seconds": 1.0},
            {"epoch": 1, "train_loss": float("nan"), "val_loss": 2.5, "lr": 1e-3, "seconds": 1.0},
            {"epoch": 2, "train_loss": 1.0, "lr": 1e-3, "seconds": 1.0},
        ],
        "none": [],
        "one": [{"epoch": 0, "train_loss": -4.0, "lr": 1e-3, "seconds": 1.0}],
    }
    figure = plot_history(histories)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["both", "one"]
    train, val = drawn(figure.axes[0])
    assert train.get_xydata().tolist() == [[1, 2], [3, 1]]
    assert val.get_xydata().tolist() == [[1, 3], [2, 2.5]]
    assert drawn(figure.axes[1])[0].get_xydata().tolist() == [[1, -4]]
    assert labels(figure) == ["training loss", "validation loss"]
    lost = plot_history({"lost": [{"epoch": 0, "train_loss": float("nan")}]})
    assert not drawn(lost.axes[0])


def test_many_names_get_legends_that_fit(tmp_path):
    truth = truth_of(3, 2, 2)
    names = [f"a forecaster of a long name, number {i}" for i in range(12)] + ["_x", "$\\no$"]
    results = {name: made(truth, seed=i, paths=8) for i, name in enumerate(names)}
    for figure in (plot_steps(results), plot_coverage(results), plot_pit(results)):
        figure.savefig(tmp_path / "drawn.png")
        box = figure.legends[0].get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert len(labels(plot_steps(results))) == 14


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_pit({}), "results is empty"),
        (lambda: plot_pit(three(), bars=1), "bars=1 must be at least 2"),
        (lambda: plot_coverage({}), "results is empty"),
        (lambda: plot_coverage(three(), 0.7), "level=0.7 was not measured; the levels are"),
        (lambda: plot_coverage(three(), band="x"), "band='x' is not one of naive, walk, model"),
        (lambda: plot_calibration({}), "results is empty"),
        (lambda: plot_steps({}), "results is empty"),
        (lambda: plot_steps(three(), "mape"), "score='mape': 'naive' has crps, crps_sum"),
        (lambda: plot_history({}), r"histories of \[\] are empty"),
        (lambda: plot_history({"a": []}), r"histories of \['a'\] are empty"),
    ],
)
def test_bad_requests(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
