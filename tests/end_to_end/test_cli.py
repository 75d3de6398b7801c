"""The commands as a person gives them: results, exit codes, one line where something is wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest

import tsgen
from tests.support.commands import run
from tests.support.tables import table
from tsgen.cli import main
from tsgen.cli.records import described
from tsgen.estimators.options import read_value

QUICK = ["--set", "max_epochs=1", "--set", "num_batches_per_epoch=20", "--set", "device=cpu"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    table().iloc[:-48].to_csv(folder / "past.csv")
    table().to_csv(folder / "all.csv")
    with pytest.raises(SystemExit) as stop:
        main([
            "train", str(folder / "past.csv"), "--model", "gaussian", "--horizon", "24", *QUICK,
            "--out", str(folder / "model"), "--windows", "3", "--calibrate", "20", "--quiet",
        ])  # fmt: skip
    assert stop.value.code == 0
    return folder


def test_training_leaves_a_model_its_scores_and_a_report(trained):
    predictor = tsgen.load(trained / "model")
    assert predictor.calibration.windows == 20 and predictor.prediction_length == 24
    scores = pd.read_csv(trained / "model" / "scores.csv").set_index("forecaster")
    beside = ["last_value", "random_walk", "seasonal_naive", "ridge"]
    assert list(scores.index) == ["gaussian", *beside]
    assert {"crps", "crps_sum", "energy", "variogram", "coverage_90", "mase"} <= set(scores)
    assert scores["crps"].idxmin() != "last_value" and scores.loc["gaussian", "train_s"] > 0
    best = scores["crps"].drop("gaussian").min()
    assert scores.loc["gaussian", "vs_baseline"] == pytest.approx(
        scores.loc["gaussian", "crps"] / best
    )
    page = (trained / "model" / "report.html").read_text()
    assert "gaussian on past.csv" in page and "seasonal_naive" in page


def test_forecasts_are_tidy_tables(trained, capsys):
    arguments = ["forecast", trained / "model", trained / "past.csv"]
    printed = run(capsys, *arguments, "--quantiles", ".1,.5,.9", "--quiet").out
    frame = pd.read_csv(pd.io.common.StringIO(printed), parse_dates=["time"])
    assert list(frame) == ["item_id", "start", "time", "channel", "mean", "0.1", "0.5", "0.9"]
    assert len(frame) == 48 and set(frame["channel"]) == {"north", "south"}
    assert frame["time"].iloc[0] == table().index[-48]
    truth = table().iloc[-48:-24].reset_index().melt("time", var_name="channel")
    both = frame.merge(truth, on=["time", "channel"])
    assert len(both) == 48 and (both["value"].between(both["0.1"], both["0.9"])).mean() > 0.5

    out, paths = trained / "f.csv", trained / "p.parquet"
    run(capsys, *arguments, "--out", out, "--paths", paths, "--sum", "--band", "0.9", "--seed", 1)
    again = pd.read_csv(out)
    assert set(again["channel"]) == {"north", "south", "sum"} and len(again) == 72
    inner = again.query("channel != 'sum'")
    assert (inner["band_0.9_low"] <= inner["0.05"]).mean() > 0.9
    samples = pd.read_parquet(paths)
    assert len(samples) == 200 * 24 * 2 and samples["sample_id"].nunique() == 200
    wide = samples.pivot(index=["sample_id", "time"], columns="channel", values="value")
    summed = wide.sum(axis=1).groupby("time").mean()
    assert np.allclose(summed, again.query("channel == 'sum'")["mean"])
    told = run(capsys, *arguments, "--json", "--out", out)
    rows = json.loads(told.out)
    assert len(rows) == 48 == len(pd.read_csv(out)) and rows[0]["channel"] == "north"
    assert "past.csv: 2 channels, 1392 steps of h" in told.err and "48 forecasts" not in told.err


def test_a_forecast_starts_without_what_trains(trained):
    """Two seconds instead of five, and two thirds of the memory."""
    code = """
import sys
from tsgen.cli import main
try:
    main(["forecast", *sys.argv[1:], "--quiet"])
except SystemExit as stop:
    assert stop.code == 0
heavy = {"lightning", "gluonts.torch", "torch._dynamo", "scipy", "sklearn", "matplotlib"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    files = [str(trained / "model"), str(trained / "all.csv")]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("item_id,start,time,channel,mean")


def test_evaluation_of_a_saved_model(trained, capsys):
    out, report = trained / "e.csv", trained / "e.html"
    arguments = ["evaluate", trained / "model", trained / "all.csv", "--windows", 2]
    printed = run(capsys, *arguments, "--out", out, "--report", report, "--baselines",
                  "random_walk,seasonal_naive").out  # fmt: skip
    assert "CRPS (19 q.)" in printed and "seasonal_naive" in printed
    assert list(pd.read_csv(out)["forecaster"]) == ["model", "random_walk", "seasonal_naive"]
    assert report.stat().st_size > 50_000
    rows = json.loads(run(capsys, *arguments, "--json", "--quiet", "--baselines", "none").out)
    assert [row["forecaster"] for row in rows["scores"]] == ["model"]
    assert 0 < rows["scores"][0]["crps"] < 0.2


def test_panels_covariates_and_categories(tmp_path, capsys):
    rows = []
    for i, shop in enumerate(["a", "b", "c"]):
        one = table(400, ["sold"]).assign(shop=shop, kind="big" if i else "small")
        one["price"] = np.where(one.index.hour < 12, 1.0, 2.0)
        one["sold"] = np.round(np.abs(one["sold"]) * (i + 1))
        one.loc[one.index[-24:], "sold"] = np.nan
        rows.append(one.reset_index())
    pd.concat(rows).to_csv(tmp_path / "sales.csv", index=False)
    run(
        capsys, "train", tmp_path / "sales.csv", "--item-id", "shop", "--target", "sold",
        "--known", "price", "--static", "kind", "--model", "timegrad", "--horizon", 24, *QUICK,
        "--set", "support=count", "--set", "sampler=DPMSolverPP(5)", "--out", tmp_path / "model",
        "--quiet",
    )  # fmt: skip
    printed = run(capsys, "forecast", tmp_path / "model", tmp_path / "sales.csv", "--quiet").out
    frame = pd.read_csv(pd.io.common.StringIO(printed), parse_dates=["time"])
    assert list(frame["item_id"].unique()) == ["a", "b", "c"] and len(frame) == 72
    assert frame["time"].min() == table(400).index[-24] and (frame["0.05"] >= 0).all()


def test_a_baseline_is_a_model_too(tmp_path, capsys):
    table(600).to_csv(tmp_path / "a.csv")
    run(capsys, "train", tmp_path / "a.csv", "--model", "seasonal_naive", "--horizon", 24,
        "--set", "season=24", "--out", tmp_path / "m", "--quiet")  # fmt: skip
    assert len(run(capsys, "forecast", tmp_path / "m", tmp_path / "a.csv", "--quiet").out) > 1000
    again = run(capsys, "train", tmp_path / "a.csv", "--model", "seasonal_naive", "--horizon", 24,
                "--out", tmp_path / "m", code=2)  # fmt: skip
    assert "it holds a model; pass --overwrite to replace it" in again.err


def test_benchmark_of_simulated_data(tmp_path, capsys):
    out = tmp_path / "runs.csv"
    arguments = [
        "benchmark", "--data", "simulated_ou", "--models", "gaussian", "--seeds", 2, "--out", out,
        "--set", "gaussian.max_epochs=1", "--set", "gaussian.num_batches_per_epoch=5",
        "--set", "gaussian.device=cpu", "--baselines", "random_walk", "--cache", tmp_path / "c",
        "--quiet",
    ]  # fmt: skip
    printed = run(capsys, *arguments, "--report", tmp_path / "pages").out
    assert "simulated_ou: 400 windows, 2 seeds" in printed and "exact" in printed and "±" in printed
    rows = pd.read_csv(out)
    assert list(rows["forecaster"]) == ["gaussian"] * 2 + ["random_walk"] * 2 + ["exact"] * 2
    assert rows.groupby("forecaster")["crps"].mean().idxmin() == "exact"
    assert rows["command"].str.contains("gaussian.max_epochs=1").all()
    assert not rows["command"].str.contains(str(tmp_path)).any()
    assert (tmp_path / "pages" / "simulated_ou.html").exists()
    again = json.loads(run(capsys, *arguments, "--json").out)
    figures = {row["forecaster"]: row for row in again["results"]}
    assert figures["gaussian"]["crps"] == pytest.approx(
        rows.query("forecaster == 'gaussian'")["crps"].mean(), rel=1e-4
    )  # from the cache: not trained again, and the same
    assert len(pd.read_csv(out)) == 12


def test_data_sets(capsys, monkeypatch):
    monkeypatch.delenv("TSGEN_DATA", raising=False)
    assert "electricity_nips" in run(capsys, "datasets", "list").out
    rows = {row["name"]: row for row in json.loads(run(capsys, "datasets", "list", "--json").out)}
    assert rows["eia_demand_hourly"]["state"] == "missing" and rows["solar_nips"]["channels"] == 137
    told = run(capsys, "datasets", "info", "eia_demand_hourly").out
    assert "CC BY 4.0" in told and "10.5281/zenodo.3517196" in told and "how to get it" in told
    assert json.loads(run(capsys, "datasets", "info", "simulated_ou", "--json").out)["freq"] == "h"
    assert "nothing to get" in run(capsys, "datasets", "get", "simulated_ou").out
    missing = run(capsys, "datasets", "get", "eia_demand_hourly", code=2).err
    assert "Zenodo record 3517196" in missing and missing.count("\n") == 1
    assert rows["swat"]["kind"] == "log" and rows["swat"]["state"] == "missing"
    assert "it must not be passed on" in run(capsys, "datasets", "info", "swat").out
    missing = run(capsys, "datasets", "get", "swat", code=2).err
    assert "itrust.sutd.edu.sg" in missing and missing.count("\n") == 1


def write(path, text):
    path.write_text(text)
    return path


TRAIN = ["--model", "gaussian", "--horizon", "24"]
BAD = {
    "no file": (
        lambda p: ["train", p / "no.csv", *TRAIN, "--out", p / "m"], "no.csv: no such file"
    ),
    "empty file": (
        lambda p: ["train", write(p / "a.csv", ""), *TRAIN, "--out", p / "m"], "the file is empty"
    ),
    "no time": (
        lambda p: ["train", write(p / "a.csv", "a,b\n1,2\n3,4\n"), *TRAIN, "--out", p / "m"],
        "no time column among 'a', 'b'; pass --time",
    ),
    "text": (
        lambda p: ["train", text_in(p), *TRAIN, "--out", p / "m"],
        "column 'north', row 7 (2024-01-01 07:00:00): 'broken' is not a number",
    ),
    "mixed": (
        lambda p: ["train", mixed(p), *TRAIN, "--out", p / "m"], "mixed frequencies: the time"
    ),
    "one short series": (
        lambda p: ["train", panel(p, 300, 40), "--item-id", "shop", *TRAIN, "--out", p / "m"],
        "--horizon 24: the shortest series, 'b', has 40 steps, expected more than two horizons",
    ),
    "one short series for the windows": (
        lambda p: ["train", panel(p, 300, 60), "--item-id", "shop", *TRAIN, "--out", p / "m",
                   "--windows", 2, "--calibrate", 0],
        "leave 12 of 60 steps of 'b' for training, expected more than 24",
    ),
    "no horizon": (
        lambda p: ["train", p / "no.csv", "--model", "ridge", "--horizon", 0, "--out", p / "m"],
        "Invalid value for '--horizon': 0, expected at least 1",
    ),
    "samples": (
        lambda p: ["evaluate", p, p / "no.csv", "--samples", 1], "'--samples': 1, expected at least"
    ),
    "levels": (
        lambda p: ["evaluate", p, p / "no.csv", "--levels", 0], "'--levels': 0, expected at least 1"
    ),
    "seed": (
        lambda p: ["forecast", p, p / "no.csv", "--seed", 2**63], "expected less than 2**63"
    ),
    "horizon": (
        lambda p: ["train", good(p), "--model", "gaussian", "--horizon", 500, "--out", p / "m"],
        "--horizon 500: the shortest series has 300 steps, expected more than two horizons",
    ),
    "windows": (
        lambda p: ["train", good(p), *TRAIN, "--out", p / "m", "--windows", 12],
        "leave 0 of 300 steps for training, expected more than 24",
    ),
    "model": (
        lambda p: ["train", good(p), "--model", "timegard", "--horizon", 24, "--out", p / "m"],
        "unknown estimator 'timegard'; known are",
    ),
    "option": (
        lambda p: ["train", good(p), *TRAIN, "--set", "epochs=3", "--out", p / "m"],
        "GaussianEstimator has no option 'epochs' (given 3); ",
    ),
    "setting": (
        lambda p: ["train", good(p), *TRAIN, "--set", "lr", "--out", p / "m"],
        "--set 'lr': expected option=value",
    ),
    "part": (
        lambda p: ["train", good(p), *TRAIN, "--set", "encoder=gnu(hidden_size=3)", "--out", p],
        "no part is called gnu; known are gru, lstm, transformer, bnaf",
    ),
    "baseline": (
        lambda p: ["train", good(p), *TRAIN, "--out", p / "m", "--baselines", "naive"],
        "unknown baseline 'naive'; known are",
    ),
    "output": (
        lambda p: ["train", good(p), *TRAIN, "--out", write(p / "file", "") / "m"],
        "file/m: cannot be written (Not a directory)",
    ),
    "report": (
        lambda p: ["train", good(p), *TRAIN, "--out", p / "m", "--report", p / "r.doc"],
        "r.doc: expected a name that ends in .html",
    ),
    "report that is no page": (
        lambda p: ["evaluate", p, good(p), "--report", p / "r.csv"],
        "r.csv: expected a name that ends in .html, .htm",
    ),
    "table that is a page": (
        lambda p: ["forecast", p, good(p), "--paths", p / "r.html"],
        "r.html: expected a name that ends in .csv, .csv.gz, .parquet",
    ),
    "table that is a folder": (
        lambda p: ["evaluate", p, good(p), "--out", folder(p / "a.csv")], "(it is a folder)"
    ),
    "runs that are no CSV": (
        lambda p: ["benchmark", "--data", "simulated_ou", "--out", p / "runs.json"],
        "runs.json: expected a name that ends in .csv, .csv.gz",
    ),
    "device": (lambda p: ["forecast", p, good(p), "--device", "foo"], "--device foo: device='foo'"),
    "quantiles twice": (
        lambda p: ["forecast", p, good(p), "--quantiles", ".1,.1"], "two of them are 0.1, expected"
    ),
    "quantiles too near": (
        lambda p: ["forecast", p, good(p), "--quantiles", ".12345678,.123456789"],
        "two of them are 0.123457, expected levels that differ",
    ),
    "band": (lambda p: ["forecast", p, good(p), "--band", 90], "--band 90: expected a level"),
    "no model": (lambda p: ["forecast", p, good(p)], "holds no model saved by tsgen"),
    "quantiles": (
        lambda p: ["forecast", p, good(p), "--quantiles", "10,50"], "expected levels between 0 and"
    ),
    "no number": (
        lambda p: ["forecast", p, good(p), "--quantiles", "a"], "expected numbers with commas"
    ),
    "data set": (
        lambda p: ["benchmark", "--data", "electricty", "--models", "gaussian"],
        "unknown data set 'electricty'; known are ETTh1",
    ),
    "benchmark model": (
        lambda p: ["benchmark", "--data", "simulated_ou", "--models", "x"], "unknown estimator 'x'"
    ),
    "benchmark option": (
        lambda p: ["benchmark", "--data", "simulated_ou", "--models", "gaussian", "--set", "lr=1"],
        "--set lr=...: expected MODEL.OPTION=VALUE with one of gaussian, last_value",
    ),
    "sampler": (
        lambda p: ["benchmark", "--data", "simulated_ou", "--models", "gaussian", "--sampler",
                   "DDIM(5)"],
        "none of the models has a sampler",
    ),
    "no sampler": (
        lambda p: ["benchmark", "--data", "simulated_ou", "--models", "timegrad", "--sampler", "x"],
        "expected a sampler such as 'DPMSolverPP(20)'",
    ),
    "no card": (lambda p: ["datasets", "info", "x"], "unknown data set 'x'; known are"),
    "usage": (lambda p: ["train"], "Missing argument"),
    "no command": (
        lambda p: ["predict"], "No such command 'predict'. Try 'tsgen --help'"
    ),
    "empty column": (
        lambda p: ["train", write(p / "a.csv", table(300).assign(x=float("nan")).to_csv()), *TRAIN,
                   "--out", p / "m"],
        "column 'x' has no value; leave it out: name others in --target",
    ),
    "days or months": (
        lambda p: ["train", write(p / "a.csv", "time,x\n" + "".join(
            f"01.{m:02d}.2024,{m}\n" for m in range(1, 13))), *TRAIN, "--out", p / "m"],
        "pass --dayfirst or --freq D",
    ),
    "item": (
        lambda p: ["train", write(p / "a.csv", table(300).assign(x="a").to_csv()), *TRAIN, "--out",
                   p / "m"],
        "naming the targets (--target), or name it as --item-id or --static",
    ),
    "names before data": (
        lambda p: ["benchmark", "--data", "electricity_nips", "--models", "gaussain"],
        "unknown estimator 'gaussain'",
    ),
    "choice": (
        lambda p: ["train", good(p), *TRAIN, "--out", p / "m", "--duplicates", "all"], "'all'"
    ),
}  # fmt: skip


def good(folder):
    table(300).to_csv(folder / "good.csv")
    return folder / "good.csv"


def folder(path):
    path.mkdir()
    return path


def panel(folder, *lengths):
    parts = [table(n, ["sold"]).assign(shop=s) for n, s in zip(lengths, "abc", strict=False)]
    pd.concat(parts).to_csv(folder / "panel.csv")
    return folder / "panel.csv"


def text_in(folder):
    frame = table(300).astype(object)
    frame.iloc[7, 0] = "broken"
    frame.to_csv(folder / "text.csv")
    return folder / "text.csv"


def mixed(folder):
    days = table(40).set_axis(pd.date_range("2024-02-01", periods=40, freq="D", name="time"))
    pd.concat([table(300), days]).to_csv(folder / "mixed.csv")
    return folder / "mixed.csv"


@pytest.mark.parametrize("case", BAD)
def test_wrong_use_is_one_line_and_exit_code_2(case, tmp_path, capsys):
    make, message = BAD[case]
    captured = run(capsys, *make(tmp_path), code=2)
    assert message in captured.err and captured.err.startswith("tsgen: ")
    assert captured.err.count("\n") == 1 and captured.out == ""


def test_failures_are_one_line_and_exit_code_1(trained, capsys, monkeypatch):
    monkeypatch.setattr("tsgen.cli.forecast.open_model", lambda *a: 1 / 0)
    captured = run(capsys, "forecast", trained / "model", trained / "past.csv", code=1)
    assert captured.err == "tsgen: ZeroDivisionError: division by zero\n"


def test_what_fails_after_the_checks_is_no_wrong_use(trained, capsys, monkeypatch):
    def broken(*args, **kwargs):
        raise ValueError("samples are not finite")

    for place, command in (
        ("tsgen.evaluation.backtest", ["evaluate", "all.csv", "--quiet"]),
        ("tsgen.cli.forecast.write_frame", ["forecast", "past.csv", "--out", trained / "x.csv"]),
    ):
        monkeypatch.setattr(place, broken)
        name, file, *others = command
        captured = run(capsys, name, trained / "model", trained / file, *others, code=1)
        assert captured.err.splitlines()[-1] == "tsgen: samples are not finite"


def test_a_forecast_checks_its_model_first(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tsgen.evaluation.CalibratedPredictor.predict", lambda *a, **k: 1 / 0)
    arguments = ["forecast", trained / "model", trained / "past.csv", "--quiet"]
    band = run(capsys, *arguments, "--band", 0.99, code=2)
    assert "--band 0.99: expected one of the calibrated levels, 0.5, 0.8, 0.9, 0.95" in band.err
    for name, where in (("table.json", "table.json is not as"), ("gluonts-config.json", "holds")):
        copy = tmp_path / name.partition(".")[0]
        shutil.copytree(trained / "model", copy)
        (copy / name).write_text("{'a'")
        told = run(capsys, "forecast", copy, trained / "past.csv", code=2).err
        assert "damaged" in told and where in told and str(copy) in told and told.count("\n") == 1


def test_what_was_mended_is_told(trained, tmp_path, capsys):
    table().iloc[:-48].drop(table().index[[100, 101]]).to_csv(tmp_path / "gap.csv")
    arguments = ["forecast", trained / "model", tmp_path / "gap.csv", "--samples", 20]
    assert "2 steps without a row were filled in" in run(capsys, *arguments).err
    assert run(capsys, *arguments, "--quiet").err == ""


def test_a_model_is_not_mistaken_for_its_baseline(tmp_path, capsys, monkeypatch):
    table(600).to_csv(tmp_path / "a.csv")
    run(capsys, "train", tmp_path / "a.csv", "--model", "ridge", "--horizon", 24, "--quiet",
        "--baselines", "seasonal_naive,ridge", "--out", tmp_path / "ridge", "--windows", 2,
        "--calibrate", 10)  # fmt: skip
    scores = pd.read_csv(tmp_path / "ridge" / "scores.csv").set_index("forecaster")
    assert list(scores.index) == ["ridge", "seasonal_naive", "ridge (baseline)"]
    assert scores.loc["ridge", "coverage_90"] != scores.loc["ridge (baseline)", "coverage_90"]
    assert scores.loc["ridge", "baseline"] == "ridge (baseline)"
    printed = run(capsys, "evaluate", tmp_path / "ridge", tmp_path / "a.csv", "--json", "--report",
                  tmp_path / "r.html", "--baselines", "ridge", "--quiet").out  # fmt: skip
    rows = json.loads(printed)["scores"]
    assert [row["forecaster"] for row in rows] == ["ridge", "ridge (baseline)"]
    assert "vs_baseline" in rows[0] and rows[0]["crps"] != rows[1]["crps"]
    assert "ridge (baseline)" in (tmp_path / "r.html").read_text()
    monkeypatch.setattr("tsgen.cli.folder.check_device", lambda device: None)  # as with a GPU
    device = run(capsys, "forecast", tmp_path / "ridge", tmp_path / "a.csv", "--device", "cuda",
                 code=2).err  # fmt: skip
    assert "--device cuda: a baseline runs on the CPU only" in device


def test_a_model_that_cannot_be_calibrated_is_kept(tmp_path, capsys):
    table(600).to_csv(tmp_path / "a.csv")
    command = ["train", tmp_path / "a.csv", "--model", "last_value", "--horizon", 24, "--out",
               tmp_path / "m", "--baselines", "none"]  # fmt: skip
    told = run(capsys, *command, "--json")
    assert "warning: not calibrated, the model is kept as it was trained (calibration: " in told.err
    assert "the model is in" in told.err and len(json.loads(told.out)["scores"]) == 1
    assert type(tsgen.load(tmp_path / "m")).__name__ == "BaselinePredictor"
    run(capsys, *command, "--calibrate", 0, "--overwrite")
    assert run(capsys, *command, "--calibrate", 0, "--overwrite", "--quiet").err == ""


def test_a_calibrated_model_is_in_its_folder_once(trained):
    assert {path.name for path in (trained / "model").iterdir()} == {
        "base", "calibration.safetensors", "gluonts-config.json", "manifest.json", "report.html",
        "scores.csv", "seen.json", "table.json",
    }  # fmt: skip


def test_sums_of_single_series(tmp_path, capsys):
    even, odd = folder(tmp_path / "even"), folder(tmp_path / "odd")
    command = ["--item-id", "shop", "--model", "ridge", "--horizon", 24, "--quiet", "--windows", 0]
    run(capsys, "train", panel(even, 300, 250), *command, "--out", even / "m")
    refused = run(capsys, "forecast", even / "m", panel(even, 300, 250), "--sum", code=2).err
    assert "--sum: 'a' ends at 2024-01-13 11:00 and 'b' at 2024-01-11 09:00, expected" in refused
    forecast = ["forecast", even / "m", panel(even, 300, 300), "--sum", "--quiet", "--paths",
                even / "p.csv"]  # fmt: skip
    frame = pd.read_csv(pd.io.common.StringIO(run(capsys, *forecast).out))
    assert list(frame["item_id"].unique()) == ["a", "b", "sum"] and len(frame) == 72
    paths = pd.read_csv(even / "p.csv").groupby(["sample_id", "time"])["value"].sum()
    sums = frame.query("item_id == 'sum'")
    assert np.allclose(paths.groupby("time").mean(), sums["mean"])
    one = run(capsys, "forecast", even / "m", panel(odd, 300), "--sum", code=2).err
    assert "--sum: the table has one series of one channel, expected several" in one


def test_nothing_is_made_for_a_command_that_is_refused(tmp_path, capsys):
    run(capsys, "train", tmp_path / "no.csv", *TRAIN, "--out", tmp_path / "new" / "deep", code=2)
    assert not list(tmp_path.iterdir())


def test_warnings_are_lines_without_a_place(trained, capsys, monkeypatch):
    def warned(*args):
        warnings.warn("some windows\nare short", stacklevel=2)

    monkeypatch.setattr("tsgen.cli.evaluate.check_history", warned)
    captured = run(capsys, "evaluate", trained / "model", trained / "all.csv", "--quiet",
                   "--baselines", "none")  # fmt: skip
    assert captured.err == "some windows are short\n"


def test_interrupted_training_goes_on(tmp_path, capsys, monkeypatch):
    from tsgen.forecasting.training.module import ForecastModule

    table(600).to_csv(tmp_path / "a.csv")
    command = ["train", tmp_path / "a.csv", "--model", "gaussian", "--horizon", 24, "--set",
               "max_epochs=2", "--set", "num_batches_per_epoch=5", "--set", "device=cpu",
               "--windows", 0, "--out", tmp_path / "m", "--quiet"]  # fmt: skip
    step = ForecastModule.training_step

    def broken(self, batch, index):
        if self.current_epoch == 1 and index == 3:
            raise KeyboardInterrupt
        return step(self, batch, index)

    monkeypatch.setattr(ForecastModule, "training_step", broken)
    stopped = run(capsys, *command, code=130)
    assert "stopped. 1 epochs are safe in" in stopped.err and stopped.err.count("\n") == 1
    monkeypatch.undo()
    run(capsys, *command)
    history = tsgen.load(tmp_path / "m").base.history
    assert [row["epoch"] for row in history] == [0, 1]
    assert not (tmp_path / "m" / "checkpoints").exists()
    assert "it holds a model" in run(capsys, *command, code=2).err
    run(capsys, *command, "--overwrite", "--set", "max_epochs=1")  # other options, from the start
    assert len(tsgen.load(tmp_path / "m").base.history) == 1


def test_an_unfinished_training_is_told_from_another(tmp_path, capsys, monkeypatch):
    from tsgen.forecasting.training.module import ForecastModule

    table(600).to_csv(tmp_path / "a.csv")
    out = tmp_path / "m"

    def command(model="gaussian", length=600):
        table(length).to_csv(tmp_path / "a.csv")
        return ["train", tmp_path / "a.csv", "--model", model, "--horizon", 24, "--windows", 0,
                "--calibrate", 0, "--out", out, "--quiet"]  # fmt: skip

    step = ForecastModule.training_step

    def broken(self, batch, index):
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        return step(self, batch, index)

    few = ["--set", "num_batches_per_epoch=5", "--set", "device=cpu", "--set"]
    monkeypatch.setattr(ForecastModule, "training_step", broken)
    run(capsys, *command(), *few, "max_epochs=2", code=130)
    monkeypatch.undo()
    held = f"tsgen: --out {out}: it holds an unfinished training "
    end = "; pass --overwrite to replace it\n"
    for model, length, others, differences in (
        ("gaussian", 600, ["max_epochs=2", "--seed", 1], "seed: 0 there, 1 here"),
        ("gaussian", 600, ["max_epochs=3"], "max_epochs: 2 there, 3 here"),
        (
            "timegrad", 600, ["max_epochs=2"],
            "estimator: 'GaussianEstimator' there, 'TimeGradEstimator' here",
        ),
        ("gaussian", 700, ["max_epochs=2"], "data: num_steps 600 there, num_steps 700 here"),
    ):  # fmt: skip
        told = run(capsys, *command(model, length), *few, *others, code=2).err
        assert told == f"{held}with other options ({differences}){end}"
    assert run(capsys, *command("ridge"), code=2).err == f"{held}of another model{end}"
    run(capsys, *command(), *few, "max_epochs=1", "--seed", 1, "--overwrite")
    assert len(tsgen.load(out).history) == 1 and not (out / "checkpoints").exists()


def test_as_a_module():
    for arguments, code in ((["--version"], 0), ([], 2), (["datasets"], 2)):
        done = subprocess.run(
            [sys.executable, "-m", "tsgen", *arguments], capture_output=True, text=True
        )
        assert done.returncode == code and "Traceback" not in done.stderr
    assert "Usage: tsgen datasets" in done.stdout


SLOW = """
import sys
class Slow:
    def find_spec(self, name, *rest):
        if name == {module!r}:
            print("now", flush=True)
            exec("import time; time.sleep(60)")  # as dataclasses do; Python remembers what came
sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize("module", ["typer", "gluonts", "torch"])
def test_ctrl_c_while_python_imports_is_one_line(module, tmp_path):
    write(tmp_path / "sitecustomize.py", SLOW.format(module=module))
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-m", "tsgen", "train", good(tmp_path), *TRAIN, "--out", tmp_path / "m"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout.readline() == "now\n"
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    told = process.communicate(timeout=50)[1]
    assert process.returncode == 130 and told == "tsgen: stopped.\n"


@pytest.mark.parametrize("text", ["DPMSolverPP(20)", "DDIM(20,eta=0.5)", "Ancestral()"])
def test_samplers_are_named_as_they_are_given(text):
    """Two samplers that differ are two rows of the table."""
    assert described(read_value(text)) == text


def test_nonsense_is_text_or_wrong_use():
    for text in (
        "{[]:1}",
        "(" * 300 + ")" * 300,
        "-" * 20_000 + "1",
        "[" * 90,
        "\0",
        "{1: {}, [1]}",
    ):
        assert read_value(text) == text
    for text in (
        "gru({[]:1})",
        "DDIM(**{'a': 1})",
        "DDIM(1, 2, 3, 4)",
    ):
        with pytest.raises(ValueError, match=r"arguments must be|DDIM"):
            read_value(text)


def test_windows_that_training_may_know(capsys, trained, tmp_path):
    """A table that goes two windows further than the one of training."""
    one = run(capsys, "evaluate", trained / "model", trained / "all.csv", "--windows", 2,
              "--baselines", "none")  # fmt: skip
    assert "warning" not in one.err
    more = run(capsys, "evaluate", trained / "model", trained / "all.csv", "--windows", 5,
               "--baselines", "none")  # fmt: skip
    assert "warning: 3 of 5 windows begin before 2024-02-27 23:00:00, where the table" in more.err


def test_baselines_say_what_they_fall_back_to(capsys, tmp_path):
    table(30).to_csv(tmp_path / "a.csv")
    done = run(capsys, "train", tmp_path / "a.csv", "--model", "last_value", "--horizon", 10,
               "--out", tmp_path / "m", "--calibrate", 0, "--baselines", "ridge")  # fmt: skip
    assert "20 steps are too few for a regression: seasonal naive instead" in done.err
    assert "20 steps are too few for errors of 10 steps" in done.err and "no spread" in done.err


def test_covariates_must_be_known_as_far_as_the_horizon(capsys, tmp_path):
    known = table(200).assign(price=1.0)
    known.to_csv(tmp_path / "a.csv")
    run(capsys, "train", tmp_path / "a.csv", *TRAIN, *QUICK, "--known", "price", "--windows", 0,
        "--calibrate", 0, "--out", tmp_path / "m")  # fmt: skip
    wrong = run(capsys, "forecast", tmp_path / "m", tmp_path / "a.csv", code=2)
    assert "price are known for 0 steps after the last target, at 2024-01-09 07:00" in wrong.err
    assert "expected 24: add rows" in wrong.err


def test_a_reader_that_has_seen_enough(trained):
    command = [sys.executable, "-m", "tsgen", "forecast", str(trained / "model"),
               str(trained / "past.csv"), "--quiet", "--samples", "400", "--quantiles",
               ",".join(f"{k / 1000}" for k in range(1, 1000))]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 1
