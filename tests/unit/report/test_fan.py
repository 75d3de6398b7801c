import numpy as np
import pandas as pd
import pytest
from gluonts.model.forecast import SampleForecast

from tests.support.backtests import best_of, outside_of, tables_of
from tsgen.evaluation.cells import central_interval
from tsgen.report import Page, plot
from tsgen.report.style import PALETTE, line_styles


def forecast(channels=30, horizon=6):
    rng = np.random.default_rng(0)
    shape = (20, horizon, channels) if channels else (20, horizon)
    return SampleForecast(
        rng.normal(5, 1, shape), start_date=pd.Period("2021-01-03", freq="h"), item_id="plant"
    )


def history(channels=30, length=54):
    rng = np.random.default_rng(1)
    shape = (channels, length) if channels else length
    return {"start": pd.Period("2021-01-01", freq="h"), "target": rng.normal(5, 1, shape)}


def lines(axis):
    return {line.get_label(): line for line in axis.get_lines()}


def test_many_channels_are_drawn_with_history_and_truth():
    figure = plot(forecast(), history(), channels=[0, 7, 29], names=[f"tag {i}" for i in range(30)])
    axes = [a for a in figure.axes if a.get_visible()]
    assert [a.get_title(loc="left") for a in axes] == ["tag 0", "tag 7", "tag 29"]
    shown = lines(axes[1])
    assert len(shown["median"].get_xdata()) == 6
    assert np.allclose(shown["median"].get_ydata(), np.median(forecast().samples[:, :, 7], 0))
    assert len(shown["observed"].get_xdata()) == 18 + 6  # three horizons and what came true
    assert np.allclose(shown["observed"].get_ydata(), history()["target"][7, 30:54])
    assert len(axes[0].collections) == 2


def test_bands_are_the_intervals_whose_coverage_is_measured():
    axis = plot(forecast(1), levels=[0.8]).axes[0]
    ends = np.sort(axis.collections[0].get_paths()[0].vertices[:, 1])
    ordered = np.sort(forecast(1).samples[:, :, 0].T, axis=-1)
    low, high = central_interval(ordered, 0.8)
    assert ends.min() == pytest.approx(low.min()) and ends.max() == pytest.approx(high.max())
    assert set(np.round(low, 9)) | set(np.round(high, 9)) <= set(np.round(ends, 9))


def test_defaults_take_the_largest_channels():
    big = forecast()
    big.samples[:, :, 4] += 100
    figure = plot(big)
    assert len(figure.axes) == 12 and "channel 4" in [a.get_title(loc="left") for a in figure.axes]
    assert len([a for a in plot(forecast(0), history(0)).axes if a.get_visible()]) == 1


def test_frames_name_their_channels(tmp_path):
    entry = history(2)
    frame = pd.DataFrame(
        entry["target"].T,
        columns=["a", "b"],
        index=pd.date_range("2021-01-01", periods=54, freq="h"),
    )
    figure = plot(forecast(2), frame, past=5)
    assert [a.get_title(loc="left") for a in figure.axes] == ["a", "b"]
    assert len(lines(figure.axes[0])["observed"].get_xdata()) == 5 + 6
    figure.savefig(tmp_path / "fan.png")
    assert (tmp_path / "fan.png").stat().st_size > 10_000


def test_missing_values_single_steps_and_far_years(tmp_path):
    entry = history(1)
    entry["target"][0, [40, 42]] = np.nan  # 41 alone between gaps: a dot, for it is no line
    observed = lines(plot(forecast(1), entry).axes[0])["observed"]
    values, dots = observed.get_ydata(), observed.get_markevery()
    assert np.isnan(values).sum() == 2 and 11 in dots and 12 not in dots and 18 in dots
    one = plot(forecast(2, horizon=1), history(2))
    assert lines(one.axes[0])["median"].get_marker() == "o"
    late = SampleForecast(forecast(0).samples, start_date=pd.Period("2400", freq="Y"))
    past = {"start": pd.Period("2300", freq="Y"), "target": np.ones(106)}
    axis = plot(late, past).axes[0]
    assert list(lines(axis)["median"].get_xdata()) == [2400, 2401, 2402, 2403, 2404, 2405]
    for figure in (one, axis.figure):
        figure.savefig(tmp_path / "drawn.png")


def test_names_are_no_formulas(tmp_path):
    figure = plot(forecast(2), names=["price $_$ in $", "_hidden"])
    figure.savefig(tmp_path / "names.png")  # a formula that cannot be read would raise
    assert [a.get_title(loc="left") for a in figure.axes] == ["price $_$ in $", "_hidden"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": [30]}, r"channels=\[30\]: the forecast has channels 0 to 29"),
        ({"channels": []}, "the forecast has channels 0 to 29"),
        ({"levels": [1.5]}, r"levels=\[1.5\] must lie between 0 and 1"),
        ({"names": ["a"]}, "names has 1 entries for 30 channels"),
    ],
)
def test_bad_requests(options, message):
    with pytest.raises(ValueError, match=message):
        plot(forecast(), history(), **options)


def test_lines_differ_in_colour_and_without_it():
    styles = line_styles([str(i) for i in range(24)])
    assert len({style["color"] for style in list(styles.values())[:7]}) == 7 == len(PALETTE)
    grey = {(style["ls"], style["marker"]) for style in styles.values()}
    assert len(grey) == 24


def test_the_page_needs_nothing_else(tmp_path):
    page = Page("A <title>", "lead & more")
    page.heading("Scores")
    page.table([{"model": "a<b", "crps": 0.12345678}, {"model": "c", "crps": 0.1}], best=["crps"])
    page.text("text")
    page.figure(plot(forecast(2), history(2)), 'a "caption"')
    path = page.write(tmp_path / "deep" / "report.html")
    text = path.read_text()
    assert "A &lt;title&gt;" in text and "lead &amp; more" in text and "a&lt;b" in text
    assert tables_of(text) == [[["model", "crps"], ["a<b", "0.1235"], ["c", "0.1000"]]]
    assert best_of(text) == ["0.1000"]
    assert 'alt="a &quot;caption&quot;"' in text and not outside_of(text)
    assert text.count("data:image/png;base64,") == text.count("<table>") == 1


def test_best_values_of_a_table():
    page = Page("t")
    rows = [
        {"name": "a", "low": 0.2, "high": 0.2, "near": 0.5, "one": 3.0, "tie": 0.50001},
        {"name": "b", "low": float("nan"), "high": 0.3, "near": 0.97, "tie": 0.50002},
        {"name": "c", "low": 0.1, "high": float("inf"), "near": 0.88, "one": None, "tie": 0.9},
        {"name": "d", "low": -float("inf"), "high": 0.1, "near": np.float32(0.99), "tie": 2},
    ]
    page.table(rows, {"low": "lowest", "high": "highest", "near": 0.9, "one": "lowest",
                      "tie": "lowest"}, formats={"near": ".1%"})  # fmt: skip
    head, *body = tables_of(page.parts[-1])[0]
    assert head == ["name", "low", "high", "near", "one", "tie"]
    assert [row[1] for row in body] == ["0.2000", "–", "0.1000", "–"]
    assert [row[3] for row in body] == ["50.0 %", "97.0 %", "88.0 %", "99.0 %"]
    assert [row[4] for row in body] == ["3.000", "–", "–", "–"]
    # the lowest finite, the highest finite, the nearest; none of a single one; all that look best
    marked = ["0.1000", "0.3000", "88.0 %", "0.5000", "0.5000"]
    assert sorted(best_of(page.parts[-1])) == sorted(marked)


def test_numbers_have_sensible_digits():
    page = Page("t")
    page.table([
        {"wide": 123456.7, "huge": 3.2e12, "tiny": 1e-9, "whole": 12, "text": "", "yes": True},
        {"wide": 98765.4, "huge": 0.25, "tiny": 0.5, "whole": 3, "text": "x", "yes": False},
    ])  # fmt: skip
    body = tables_of(page.parts[-1])[0][1:]
    assert body[0] == ["123457", "3.2e+12", "1e-09", "12", "–", "True"]
    assert body[1][:2] == ["98765", "0.2500"]


def test_tables_that_cannot_be():
    with pytest.raises(ValueError, match="a table needs at least one row"):
        Page("t").table([])
    with pytest.raises(ValueError, match=r"columns \['b', 'c'\] are not in the table; it has"):
        Page("t").table([{"a": 1}], ["b"], formats={"c": ".1f"})
