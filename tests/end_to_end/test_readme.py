"""The README's programs run as they are written."""

import re
from pathlib import Path

import matplotlib
import pytest

import tsgen

README = Path(__file__).parents[2] / "README.md"


def programs():
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_quick_start(tmp_path, monkeypatch, capsys):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(programs()[0], "README.md", "exec"), names)
    assert len(programs()[0].splitlines()) <= 25
    assert "(100, 24, 2)" in capsys.readouterr().out
    assert (tmp_path / "forecast.png").stat().st_size > 10_000
    assert tsgen.load("model") == names["predictor"]
    exec(compile(programs()[1], "README.md", "exec"), names)
    # a sine of size 5 or 8 plus noise of standard deviation 1 or 1.4: a forecast that follows the
    # sine has a fair CRPS of .56 to .8 over a mean of 25
    assert 0.02 < names["result"].scores["fair_crps"] < 0.04
    assert len(programs()) == 2


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8")))
def test_links_lead_somewhere(link):
    assert (README.parent / link).exists()
