import re

import numpy as np
import pandas as pd
import pytest
from gluonts.model.forecast import SampleForecast

from tsgen.report import Page, plot


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


def test_the_page_needs_nothing_else(tmp_path):
    page = Page("A <title>", "lead & more")
    page.heading("Scores")
    page.table([{"model": "a<b", "crps": 0.12345678}, {"model": "c", "crps": 0.1}], best=["crps"])
    page.text("text")
    page.figure(plot(forecast(2), history(2)), 'a "caption"')
    path = page.write(tmp_path / "deep" / "report.html")
    text = path.read_text()
    assert (
        "A &lt;title&gt;" in text
        and "a&lt;b" in text
        and "0.1235" in text
        and 'class="best">0.1<' in text
    )
    assert not re.search(r"""(src|href)=["'](?!data:)""", text) and "http" not in text.replace(
        "http-equiv", ""
    )
    assert "data:image/png;base64," in text and text.count("<table>") == text.count("</table>") == 1
