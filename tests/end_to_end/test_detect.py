"""``tsgen detect`` as an operator gives it: results, exit codes, one line on what is wrong."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from tests.support.commands import run
from tests.support.logs import FAST, plant
from tsgen.anomaly import Detector, Readout

ATTACKS = [("2024-03-02 10:00", "2024-03-02 14:00"), ("2024-03-04 03:00", "2024-03-04 09:00")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("detect")
    plant("2024-01-01", 6000, 0).to_csv(made / "normal.csv")
    attacked = plant("2024-03-01", 800, 1, ATTACKS)
    attacked.to_csv(made / "new.csv")
    labels = pd.Series(0, attacked.index)
    for first, last in ATTACKS:
        labels[first:last] = 1
    attacked.assign(attack=labels).to_csv(made / "labelled.csv")
    with pytest.raises(SystemExit) as stop:
        from tsgen.cli import main

        main([
            "detect", "train", str(made / "normal.csv"), "--out", str(made / "model"), *FAST,
            "--false-alarms-per-day", "0.5", "--quiet",
        ])  # fmt: skip
    assert stop.value.code == 0
    return made


def test_training_keeps_the_budget_and_says_so(folder, tmp_path, capsys):
    out = run(
        capsys, "detect", "train", folder / "normal.csv", "--out", tmp_path / "m", *FAST,
        "--false-alarms-per-day", "1", "--json",
    )  # fmt: skip
    told = json.loads(out.out)
    assert told["rows"] == 6000 and told["channels"] == 4 and not told["extrapolated"]
    assert told["days"] == pytest.approx(1800 / 144, rel=0.01) and told["likely"][0] < 1
    assert "learns from 4,200 rows; 1,800 others calibrate" in out.err
    assert "1 binary" in out.err and "false alarms a day" in out.err
    made = Detector.load(tmp_path / "m")
    quiet = plant("2024-06-01", 14400, 7)
    assert 50 < len(made.detect(quiet)) < 200  # a hundred days


def test_attacks_are_found_and_named(folder, tmp_path, capsys):
    files = [tmp_path / name for name in ("alarms.csv", "scores.csv", "page.html")]
    arguments = ["detect", "score", folder / "model", folder / "new.csv", "--out", files[0]]
    told = run(capsys, *arguments, "--scores", files[1], "--report", files[2])
    alarms = pd.read_csv(files[0], parse_dates=["start", "end", "raised", "peak"])
    for first, last in ATTACKS:
        inside = alarms[(alarms["start"] <= last) & (alarms["end"] >= first)]
        assert len(inside) and (inside["raised"] < pd.Timestamp(first) + pd.Timedelta("2h")).any()
        assert set(inside["channel_1"]) <= {"L2", "F"} and inside["p_value"].min() < 0.05
    assert len(alarms) < 12 and "alarms in 800 rows" in told.err
    scores = pd.read_csv(files[1], parse_dates=["time"]).set_index("time")
    assert len(scores) == 800
    flagged = scores["alarm"].to_numpy() == 1
    covered = np.zeros(800, dtype=bool)
    for _, alarm in alarms.iterrows():
        covered |= (scores.index >= alarm["raised"]) & (scores.index <= alarm["end"])
    assert (flagged == covered).all()
    page = files[2].read_text()
    assert "Alarms in new" in page and page.count("data:image/png") >= 4 and 'src="http' not in page


def test_alarms_are_printed_and_can_be_the_exit_code(folder, tmp_path, capsys):
    arguments = ["detect", "score", folder / "model", folder / "new.csv", "--quiet"]
    printed = run(capsys, *arguments, "--exit-code", code=3).out
    frame = pd.read_csv(pd.io.common.StringIO(printed))
    told = json.loads(run(capsys, *arguments, "--json").out)
    assert len(frame) == len(told["alarms"]) > 0 and told["rows"] == 800
    quiet = plant("2024-03-01", 60, 5)
    quiet.to_csv(tmp_path / "quiet.csv")
    run(capsys, "detect", "score", folder / "model", tmp_path / "quiet.csv", "--exit-code")


def test_labels_give_the_honest_table(folder, tmp_path, capsys):
    arguments = ["detect", "score", folder / "model", folder / "labelled.csv", "--json"]
    told = json.loads(run(capsys, *arguments).out)["measures"]
    assert list(told) == ["random score", "everything flagged", "plain PCA", "this detector"]
    share = sum(25 + 12 * (i == 1) for i in range(2)) / 800
    assert told["everything flagged"]["auc_pr"] == pytest.approx(share, abs=0.01)
    assert told["random score"]["auc_pr"] == pytest.approx(share, abs=0.03)
    assert told["this detector"]["auc_pr"] > 3 * share
    assert told["this detector"]["event_recall"] == 1
    table = pd.DataFrame(ATTACKS, columns=["start", "end"]).assign(target=["L2", "L2 F"])
    table.to_csv(tmp_path / "attacks.csv", index=False)
    arguments[3] = folder / "new.csv"
    named = json.loads(run(capsys, *arguments, "--attacks", tmp_path / "attacks.csv").out)
    assert named["measures"]["this detector"]["rc_top3"] == 1
    assert named["measures"]["this detector"]["auc_pr"] == told["this detector"]["auc_pr"]


def test_the_report_stands_alone(folder, tmp_path, capsys):
    arguments = ["detect", "report", folder / "model", folder / "labelled.csv", "--out"]
    run(capsys, *arguments, tmp_path / "page.html", "--drawn", "1")
    page = (tmp_path / "page.html").read_text()
    for text in (
        "Against the labels",
        "plain PCA",
        "random score",
        "Channels",
        "floods",
        "log.csv",
    ):
        assert text in page or text == "log.csv"
    assert "carried by" in page and "L2" in page and page.count("<h3>") == 1
    run(capsys, *arguments, tmp_path / "page.txt", code=2)


def test_watching_is_scoring_with_a_stop_in_between(folder, tmp_path, capsys):
    """Rows come in pieces, one of them half; the second command goes on after the first."""
    model, log = tmp_path / "model", tmp_path / "log.csv"
    subprocess.run(["cp", "-r", folder / "model", model], check=True)
    text = (folder / "new.csv").read_text()
    cut = text.index("2024-03-02 12:10") + 24  # in the middle of a row, while an alarm is on
    log.write_text(text[:cut])
    watch = ["detect", "watch", model, "--follow", log, "--idle", "0"]
    first = run(capsys, *watch)
    log.write_text(text)
    second = run(capsys, *watch)
    assert "goes on after 2024-03-02 12:00:00" in second.err
    heard = [json.loads(line) for line in (first.out + second.out).splitlines()]
    alarms = Detector.load(folder / "model").detect(pd.read_csv(log, index_col=0, parse_dates=True))
    raised = [line for line in heard if line["state"] == "raised"]
    assert [line["time"] for line in raised] == list(map(str, alarms["raised"]))
    assert [line["start"] for line in raised] == list(map(str, alarms["start"]))
    assert all(len(line["channels"]) == 3 for line in heard)
    assert run(capsys, *watch).out == ""  # nothing is told twice


def test_a_bad_row_does_not_end_the_watch(folder, tmp_path, capsys):
    """A clock that is set back, and text: told, left out, and what follows is scored."""
    model, log = tmp_path / "model", tmp_path / "log.csv"
    subprocess.run(["cp", "-r", folder / "model", model], check=True)
    lines = (folder / "new.csv").read_text().splitlines(keepends=True)
    log.write_text("".join([*lines[:50], lines[30], *lines[50:100]]))
    watch = ["detect", "watch", model, "--follow", log, "--idle", "0"]
    told = run(capsys, *watch)
    assert "1 rows left out, they are late" in told.err and "99 rows" in told.err
    with log.open("a") as file:
        file.write(lines[100].replace(lines[100].split(",")[1], "broken"))
    bad = run(capsys, *watch)
    assert "warning: rows left out" in bad.err and "'broken'" in bad.err
    assert Detector.load(model).stream_.time == pd.Timestamp(lines[99].split(",")[0])
    log.write_text("".join(lines[:3]).replace("L2", "LX"))
    assert "missing L2; unknown LX" in run(capsys, *watch, code=2).err
    log.write_text("a,b\n1,2\n3,4\n")
    assert "log.csv" in run(capsys, *watch, code=2).err


def test_watching_ends_with_its_state_saved(folder, tmp_path):
    """By Ctrl-C, while rows are being added."""
    model, log = tmp_path / "model", tmp_path / "log.csv"
    subprocess.run(["cp", "-r", folder / "model", model], check=True)
    lines = (folder / "new.csv").read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:100]))
    command = [sys.executable, "-m", "tsgen", "detect", "watch", model, "--follow", log]
    process = subprocess.Popen(
        [*command, "--poll", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    begun = (model / "stream.safetensors").stat().st_mtime
    with log.open("a") as file:
        for line in lines[100:400]:
            file.write(line)
            file.flush()
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())  # an alarm of the attack comes by itself
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "state is in" in errors
    assert first["state"] == "raised" and (model / "stream.safetensors").stat().st_mtime > begun
    assert Detector.load(model).stream_.time > pd.Timestamp(ATTACKS[0][0])


def test_down_sampled_logs_are_watched_as_they_are_scored(folder, tmp_path, capsys):
    model = tmp_path / "model"
    run(
        capsys, "detect", "train", folder / "normal.csv", "--out", model, *FAST,
        "--false-alarms-per-day", "0.5", "--every", "30min", "--warm-up", "6h", "--quiet",
    )  # fmt: skip
    told = json.loads((model / "log.json").read_text())
    assert told["every"] == "30min" and Detector.load(model).period_ == 1800
    arguments = ["--follow", folder / "new.csv", "--idle", "0", "--quiet"]
    heard = run(capsys, "detect", "watch", model, *arguments).out.splitlines()
    found = run(capsys, "detect", "score", model, folder / "new.csv", "--quiet", "--json").out
    alarms = json.loads(found)["alarms"]
    raised = [json.loads(line)["time"] for line in heard if '"raised"' in line]
    assert len(alarms) > 0 and raised == [alarm["raised"] for alarm in alarms]


def test_alarms_that_are_close_are_one(folder, tmp_path, capsys):
    arguments = ["detect", "train", folder / "normal.csv", "--out", tmp_path / "m", *FAST]
    arguments += ["--false-alarms-per-day", "0.5", "--merge", "3h", "--on-delay", "20min"]
    run(capsys, *arguments, "--quiet")
    policy = Detector.load(tmp_path / "m").policy
    assert policy.merge_gap == 18 and policy.min_duration == 2
    more = ["--overwrite", "--set", "readout=Readout('gaussian',smooth=3)"]
    run(capsys, *arguments, *more, "--quiet")
    assert Detector.load(tmp_path / "m").readout == Readout("gaussian", smooth=3)


def test_labelled_rows_are_not_learnt_from(folder, tmp_path, capsys):
    frame = plant("2024-01-01", 6000, 0)
    frame["attack"] = 0
    frame.iloc[1000:1100, frame.columns.get_loc("L2")] += 50
    frame.iloc[1000:1100, frame.columns.get_loc("attack")] = 1
    frame.to_csv(tmp_path / "log.csv")
    out = run(
        capsys, "detect", "train", tmp_path / "log.csv", "--out", tmp_path / "m", *FAST,
        "--false-alarms-per-day", "0.5",
    )  # fmt: skip
    assert "left out: 100 rows that the labels call attacks" in out.err
    assert Detector.load(tmp_path / "m").scale_[1] < 2


def test_a_training_that_was_stopped_goes_on(folder, tmp_path, capsys):
    """By Ctrl-C after an epoch: that epoch is not trained again."""
    arguments = [
        "detect", "train", folder / "normal.csv", "--out", tmp_path / "m", "--detector", "lowrank",
        "--false-alarms-per-day", "0.5", "--quiet", "--device", "cpu",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "tsgen", *map(str, arguments), "--epochs", "3"],
        stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    checkpoint = tmp_path / "m" / "checkpoints" / "last.ckpt"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.2)  # it may be being written
    process.send_signal(signal.SIGINT)
    assert "stopped" in process.communicate(timeout=60)[1] and process.returncode == 130
    assert not (tmp_path / "m" / "detector.json").exists()
    done = torch.load(checkpoint, weights_only=False)["epoch"] + 1
    assert 1 <= done < 3
    told = run(capsys, *arguments, "--epochs", "4", code=2)  # another training
    assert f"--out {tmp_path / 'm'}: it holds an unfinished training" in told.err
    arguments.remove("--quiet")
    told = run(capsys, *arguments, "--epochs", "3")
    assert "epoch=1/3" not in told.err and "epoch=3/3" in told.err
    assert not checkpoint.parent.exists() and Detector.load(tmp_path / "m").calibration_
    assert "--overwrite" in run(capsys, *arguments, "--epochs", "3", code=2).err


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f: f.rename(columns={"L2": "LX"}), "missing L2; unknown LX"),
        (lambda f: f.drop(columns="F"), "missing F"),
        (lambda f: f.assign(extra=1.0), "unknown extra"),
        (lambda f: f.iloc[::-1], "backwards"),
        (lambda f: f.astype(object).replace(f.iloc[5, 1], "open"), "'open'"),
        (lambda f: f.reset_index(drop=True), "time"),
    ],
)
def test_logs_that_do_not_fit_are_refused(folder, tmp_path, capsys, change, text):
    change(plant("2024-03-01", 50, 1)).to_csv(tmp_path / "log.csv", index="index" not in text)
    told = run(capsys, "detect", "score", folder / "model", tmp_path / "log.csv", code=2)
    assert text in told.err and told.err.count("\n") == 1 and "log.csv" in told.err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--false-alarms-per-day", "0"], "--false-alarms-per-day 0"),
        (["--calibrate", "1"], "--calibrate 1"),
        (["--detector", "tfdmp"], "tfdm"),
        (["--epochs", "3"], "has no network"),
        (["--set", "readout=Readuot()"], "no part is called Readuot"),
        (["--kinds", "P"], "expected TAG=KIND"),
        (["--kinds", "Q=binary"], "no tag 'Q'"),
        (["--drop", "Z"], "'Z'"),
        (["--every", "soon"], "soon"),
        (["--merge", "soon"], "--merge soon"),
        (["--on-delay", "0"], "min_duration=0"),
        (["--time", "clock"], "clock"),
        (["--label", "bad"], "bad"),
    ],
)
def test_options_that_do_not_fit_are_refused(folder, tmp_path, capsys, options, text):
    arguments = ["detect", "train", folder / "normal.csv", "--out", tmp_path / "m", *FAST]
    if "--false-alarms-per-day" not in options:
        arguments += ["--false-alarms-per-day", "0.5"]
    told = run(capsys, *arguments, *options, "--quiet", code=2)
    assert text in told.err and told.err.count("\n") == 1 and not (tmp_path / "m").exists()


def test_prefixes_are_taken_off_everywhere(folder, tmp_path, capsys):
    """In training, scoring and watching."""
    for name in ("normal", "new"):
        frame = pd.read_csv(folder / f"{name}.csv", index_col=0)
        frame.add_prefix("SCADA/").to_csv(tmp_path / f"{name}.csv")
    arguments = ["--out", tmp_path / "m", *FAST, "--prefix", "SCADA/", "--quiet"]
    train = ["detect", "train", tmp_path / "normal.csv", "--false-alarms-per-day", "0.5"]
    run(capsys, *train, *arguments)
    assert Detector.load(tmp_path / "m").names_ == ("L1", "L2", "F", "P")
    found = run(capsys, "detect", "score", tmp_path / "m", tmp_path / "new.csv", "--json").out
    watch = ["detect", "watch", tmp_path / "m", "--follow", tmp_path / "new.csv", "--idle", "0"]
    heard = [json.loads(line) for line in run(capsys, *watch).out.splitlines()]
    raised = [line["time"] for line in heard if line["state"] == "raised"]
    assert raised and raised == [alarm["raised"] for alarm in json.loads(found)["alarms"]]


@pytest.mark.parametrize(
    "name", ["detector.json", "log.json", "arrays.safetensors", "stream.safetensors"]
)
def test_damaged_detectors_are_named(folder, tmp_path, capsys, name):
    model = tmp_path / "model"
    subprocess.run(["cp", "-r", folder / "model", model], check=True)
    for damage in ((model / name).unlink, lambda: (model / name).write_text("{")):
        damage()
        told = run(capsys, "detect", "score", model, folder / "new.csv", "--quiet", code=2)
        assert str(model) in told.err and told.err.count("\n") == 1


def test_folders_without_a_detector_are_named(folder, tmp_path, capsys):
    told = run(capsys, "detect", "score", tmp_path, folder / "new.csv", code=2)
    assert "holds no detector" in told.err
    arguments = ["detect", "score", folder / "model", folder / "new.csv", "--device", "tpu9"]
    assert "--device tpu9" in run(capsys, *arguments, code=2).err
    told = run(
        capsys, "detect", "train", folder / "normal.csv", "--out", folder / "model", *FAST,
        "--false-alarms-per-day", "0.5", code=2,
    )  # fmt: skip
    assert "--overwrite" in told.err
