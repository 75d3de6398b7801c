"""The README's programs run as they are written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

import tsgen
from tsgen.estimators import Patterns
from tsgen.nets import Dense

README = Path(__file__).parents[2] / "README.md"


def programs(language="python"):
    text = README.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("epochs", [2, pytest.param(None, marks=pytest.mark.slow)])
def test_quick_start(tmp_path, monkeypatch, capsys, epochs):
    """As it is written; in a quick run both models train for two of their five epochs."""
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    names, (code, partly_known, *_) = {}, programs()
    assert code.count("max_epochs=5") == partly_known.count("max_epochs=5") == 1
    if epochs is not None:
        code, partly_known = (
            program.replace("max_epochs=5", f"max_epochs={epochs}")
            for program in (code, partly_known)
        )
    exec(compile(code, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "(100, 24, 2)" in printed and "Scores of 7 windows" in printed and "0.95" in printed
    assert (tmp_path / "forecast.png").stat().st_size > 10_000
    assert tsgen.load("model") == names["predictor"]
    # a sine of size 5 or 8 plus noise of standard deviation 1 or 1.4: a forecast that follows the
    # sine has a fair CRPS of .56 to .8 over a mean of 25
    assert 0.02 < names["result"].scores["fair_crps"] < 0.04
    exec(compile(partly_known, "README.md", "exec"), names)
    assert "(50, 1440, 2)" in capsys.readouterr().out
    assert (names["tomorrow"].samples[..., 0] == 25).all()
    # the noise has a standard deviation of 1.4 in the south, of which north's tells half
    assert 0.3 < names["tomorrow"].samples[..., 1].std(0).mean() < 4
    assert np.abs(names["near"].samples - names["guess"].T).mean() < 6
    seen = ~np.isnan(names["holed"][0]["target"].T)
    assert (names["filled"].samples[:, seen] == names["holed"][0]["target"].T[seen]).all()
    truth = names["dataset"][0]["target"][1, 500:530]
    found = names["filled"].samples[:, 500:530, 1].mean(0)
    assert np.abs(found - truth).mean() < 3  # the day's course moves by 8 either way
    exec(compile(programs()[5], "README.md", "exec"), names)
    assert "DieboldMariano" in capsys.readouterr().out
    assert len(programs()) == 6


def test_a_plant_to_attack(capsys):
    pytest.importorskip("wntr", reason="wntr is not installed (the extra 'plant')")
    names = {}
    exec(compile(programs()[2], "README.md", "exec"), names)
    assert "L_1" in capsys.readouterr().out
    run = names["run"]
    bias = slice("2024-01-02 06:00", "2024-01-02 11:55")
    lower = (run.frame["L_1"] - run.physical["L_1"])[bias]
    assert lower.mean() == pytest.approx(-4.5, abs=0.2)
    # the PLC believes it and switches on the pump that fills the tank
    normal = names["normal"].physical["L_1"]
    assert run.physical["L_1"][bias].mean() > normal[bias].mean()
    assert (run.frame["S_335"]["2024-01-03 02:00":"2024-01-03 03:55"] == 1).all()
    assert set(run.truth.columns[run.truth.any()]) == {"L_1", "S_335", "F_335"}


def test_detection(tmp_path, monkeypatch):
    """A sum of two channels that is broken, found by a model that trains for seconds."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(5000, 3))
    x[:, 2] = x[:, 0] + x[:, 1]
    frame = pd.DataFrame(
        x, columns=list("abc"), index=pd.date_range("2024", periods=5000, freq="h")
    )
    log = frame[4500:].copy()
    log.iloc[300:320, 2] += 4
    names = {"normal": frame[:1500], "other_normal": frame[1500:4500], "log": log}
    names |= {"row": log.iloc[0], "time": log.index[0]}
    names["quick"] = tsgen.TFDPMEstimator(
        1,
        window=2,
        patterns=Patterns(hidden_size=32),
        network=Dense(layers=1, hidden_size=32),
        max_epochs=10,
        verbose=False,
    )
    code = programs()[3].replace("TFDPMDetector(", "TFDPMDetector(estimator=quick, ")
    exec(compile(code, "README.md", "exec"), names)
    alarms = names["alarms"]
    assert ((alarms["start"] <= log.index[319]) & (alarms["end"] >= log.index[300])).any()
    assert names["alarm"] is None
    names["labels"] = np.isin(np.arange(500), np.arange(300, 320)).astype(int)
    exec(compile(programs()[4], "README.md", "exec"), names)
    assert list(names["detectors"]) == ["tfdpm", "windows"]


@pytest.mark.slow
def test_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    setup = programs()[0].split("dataset, summary")[0]
    names = {}
    exec(compile(setup, "README.md", "exec"), names)
    names["df"].to_csv("demand.csv")
    (commands,) = [block for block in programs("sh") if block.startswith("tsgen train")]
    for command in commands.strip().splitlines():
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(command)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    forecast = pd.read_csv("forecast.csv")
    assert len(forecast) == 48 and {"0.1", "0.5", "0.9"} <= set(forecast)
    scores = pd.read_csv("model/scores.csv").set_index("forecaster")
    assert scores.loc["lowrank", "crps"] < scores.loc["seasonal_naive", "crps"]
    assert (tmp_path / "model" / "report.html").exists()


@pytest.mark.slow
def test_detect_commands(tmp_path, monkeypatch):
    """From two logs to alarms, by a network that trains for a minute."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(6000, 3)).round(4)
    x[:, 2] = x[:, 0] + x[:, 1]
    times = pd.date_range("2024", periods=6000, freq="10min", name="time")
    frame = pd.DataFrame(x, columns=list("abc"), index=times)
    frame.iloc[:4000].to_csv("plant.csv")
    frame.iloc[4500:4600, 2] += 4
    frame.iloc[4000:].to_csv("new.csv")
    commands = [line for block in programs("sh") for line in block.splitlines()]
    for command in commands:
        if command.startswith(("tsgen detect train plant.csv", "tsgen detect score detector/ ")):
            done = subprocess.run(
                [sys.executable, "-m", *shlex.split(command)], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
    alarms = pd.read_csv("alarms.csv", parse_dates=["start", "end"])
    hit = (alarms["start"] <= times[4599]) & (alarms["end"] >= times[4500])
    assert hit.any() and (tmp_path / "alarms.html").exists()


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8")))
def test_links_lead_somewhere(link):
    assert (README.parent / link).exists()
