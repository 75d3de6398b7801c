"""Commands that are killed at any file operation, and given again, end as if nothing had been."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.kills import Ended, Forge, State, restore

COMMAND = "tests.support.kills:command"
CHEAP = ["--set", "max_epochs=2", "--set", "num_batches_per_epoch=1", "--set", "batch_size=4",
         "--set", "lags_seq=(1,)", "--set", "device=cpu"]  # fmt: skip
DONE = re.compile(r"it holds a model; pass --overwrite to replace it$", re.MULTILINE)
_TIMINGS = ("train_s", "forecast_s", "seconds")


@pytest.fixture(scope="module")
def forge():
    made = Forge()
    yield made
    made.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A table to forecast, and a log of a plant."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    hours = pd.date_range("2024-01-01", periods=120, freq="h")
    values = generator.normal(10, 1, (120, 2)) + np.sin(np.arange(120) / 4)[:, None]
    pd.DataFrame(values, hours, ["a", "b"]).rename_axis("time").to_csv(folder / "table.csv")
    rows = 1500
    index = pd.date_range("2024-01-01", periods=rows, freq="h")
    log = pd.DataFrame(generator.normal(size=(rows, 2)), index, ["p", "q"]).rename_axis("time")
    log["q"] += log["p"]
    log.to_csv(folder / "log.csv")
    log.iloc[300:310] += 9
    log.iloc[700:705] -= 9
    log.iloc[:900].to_csv(folder / "new.csv")
    return folder


def train(data, out, model="gaussian", *more):
    cheap = CHEAP if model == "gaussian" else []
    return ["train", data / "table.csv", "--model", model, "--horizon", 4, "--out", out, *cheap,
            "--windows", 2, "--calibrate", 8, "--samples", 20, "--baselines", "last_value",
            "--quiet", *more]  # fmt: skip


def detect(data, out, detector="pca", *more):
    return ["detect", "train", data / "log.csv", "--out", out, "--false-alarms-per-day", 1,
            "--detector", detector, "--quiet", *more]  # fmt: skip


def value(name: str, data: bytes):
    """What a file says, without times; of a page only that it is there."""
    if name.endswith(".csv"):
        frame = pd.read_csv(pd.io.common.BytesIO(data), dtype=str)
        return frame.drop(columns=[c for c in _TIMINGS if c in frame]).to_csv(index=False)
    if name.endswith("manifest.json"):
        return sorted(json.loads(data)["files"])
    if name.endswith(".json"):
        return json.loads(re.sub(rb'"seconds": [0-9.e-]+', b'"seconds": 0', data))
    if name.endswith(".html"):
        return len(data) > 1000
    if name.endswith(".ckpt"):
        return True
    return data


def contents(*folders: Path):
    """Every file below folders, and the folders."""
    return {
        f"{folder.name}/{path.relative_to(folder)}": None
        if path.is_dir()
        else value(path.name, path.read_bytes())
        for folder in folders
        for path in sorted(folder.rglob("*"))
    }


def some(states: list, number: int) -> list:
    """So many of a list, spread over it, with the first and the last."""
    places = np.unique(np.linspace(0, len(states) - 1, number).round().astype(int))
    return [states[place] for place in places]


class Case:
    """A command with a folder, whose start is the same for every trial."""

    def __init__(self, forge: Forge, tmp_path: Path, arguments: list, call: str = COMMAND) -> None:
        self.forge, self.arguments, self.call = forge, arguments, call
        self.below, self.begin = tmp_path / "work", tmp_path / "begin"
        self.copies = tmp_path / "copies"

    def prepare(self, *arguments: list) -> None:
        """Commands that have been given before."""
        for each in arguments:
            ended = self.forge.run(COMMAND, each, self.below)
            assert ended.code == 0, ended.err
        shutil.copytree(self.below, self.begin)

    def undisturbed(self) -> tuple[list[State], Ended]:
        """What kills leave, and how the command ends without one."""
        states, ended = self.forge.states(self.call, self.arguments, self.below, self.copies)
        assert ended.code == 0, ended.err
        self.end = contents(self.below)
        assert not [name for name in self.end if re.search(r"\.(part|ready|unfinished)$", name)]
        return states, ended

    def again(self, state: State) -> Ended:
        """The same command after a kill; it ends like the undisturbed one."""
        state.restore(self.below)
        ended = self.forge.run(self.call, self.arguments, self.below)
        done = ended.code == 2 and DONE.search(ended.err)
        assert ended.code == 0 or done, f"{state.where}: {ended.code} {ended.err}"
        after = contents(self.below)
        assert after.keys() == self.end.keys(), f"{state.where}: {set(after) ^ set(self.end)}"
        odd = [name for name in after if after[name] != self.end[name]]
        assert not odd, f"{state.where}: {odd}"
        return ended


def case_of(forge, tmp_path, data, name):
    out = tmp_path / "work" / "m"
    if name == "train":
        return Case(forge, tmp_path, train(data, out))
    if name == "train a baseline":
        return Case(forge, tmp_path, train(data, out, "seasonal_naive"))
    if name == "train over another":
        case = Case(forge, tmp_path, train(data, out, "seasonal_naive", "--overwrite"))
        case.prepare(train(data, out, "gaussian", "--calibrate", 0))
        return case
    if name == "detect train":
        return Case(forge, tmp_path, detect(data, out))
    if name == "detect train a network":
        return Case(forge, tmp_path, detect(data, out, "tiny"), "tests.support.tiny:detect")
    if name == "train by hand":
        (tmp_path / "work").mkdir()
        return Case(forge, tmp_path, [tmp_path / "work"], "tests.support.tiny:train")
    if name == "benchmark":
        below = tmp_path / "work"
        arguments = ["benchmark", "--data", "simulated_ou", "--baselines", "last_value",
                     "--models", "gaussian", "--samples", 10, "--out", below / "runs.csv",
                     "--report", below / "pages", "--cache", below / "cache", "--quiet",
                     "--set", "gaussian.max_epochs=1", "--set", "gaussian.device=cpu",
                     "--set", "gaussian.num_batches_per_epoch=1"]  # fmt: skip
        return Case(forge, tmp_path, arguments)
    raise ValueError(name)


CASES = {  # and how many of its states are tried in a quick run
    "train": 5,
    "train a baseline": 3,
    "train over another": 3,
    "detect train": 3,
    "detect train a network": 3,
    "train by hand": 5,
}


@pytest.mark.parametrize("name", CASES)
def test_killed_at_some_operations(forge, tmp_path, data, name):
    case = case_of(forge, tmp_path, data, name)
    states, _ = case.undisturbed()
    for state in some(states, CASES[name]):
        case.again(state)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CASES, "benchmark"])
def test_killed_at_every_operation(forge, tmp_path, data, name):
    case = case_of(forge, tmp_path, data, name)
    states, _ = case.undisturbed()
    for state in states:
        case.again(state)


def test_a_watch_that_is_killed_tells_every_alarm(forge, tmp_path, data):
    """A line may come twice, none is lost, and the state is the same in the end."""
    model = tmp_path / "work"
    case = Case(forge, tmp_path, ["detect", "watch", model, "--follow", data / "new.csv",
                                  "--idle", 0, "--quiet"])  # fmt: skip
    case.prepare(detect(data, model))
    states, ended = case.undisturbed()
    lines = ended.out.splitlines()
    assert len(lines) >= 4 and any(state.printed for state in states)
    for state in states:
        again = case.again(state).out.splitlines()
        told = [*state.printed.splitlines(), *again]
        assert list(dict.fromkeys(told)) == lines, state.where


@pytest.mark.parametrize("name", ["train", "detect train"])
def test_a_full_disk_and_a_read_only_one_are_one_line(forge, tmp_path, data, name):
    """And leave nothing that looks whole: the command given again ends like an undisturbed one."""
    case = case_of(forge, tmp_path, data, name)
    _, ended = case.undisturbed()
    places = [n for n, (event, *_) in enumerate(ended.operations) if event == "open"]
    trials = [{"full_at": n} for n in some(places, 4)]
    trials += [{"read_only_at": n} for n in some(range(len(ended.operations) - 8), 3)]
    trials += [{"limit": size} for size in (0, 300)]
    for trial in trials:
        restore(case.begin, case.below)
        broken = forge.run(case.call, case.arguments, case.below, **trial)
        assert broken.code == 2, f"{trial}: {broken.code} {broken.err}"
        assert broken.err.count("\n") == 1 and "cannot be written (" in broken.err, broken.err
        assert "Traceback" not in broken.err and str(case.below) in broken.err, broken.err
        case.again(State(f"{trial}", _copied(case.below, tmp_path / "left"), "", None))


def _copied(folder: Path, place: Path) -> Path:
    restore(folder, place)
    return place


def test_an_old_model_stays_whole_where_a_new_one_cannot_be_written(forge, tmp_path, data):
    case = case_of(forge, tmp_path, data, "train over another")
    before = contents(case.begin / "m")
    for trial in ({"full_at": 0}, {"limit": 0}, {"read_only_at": 0}):
        restore(case.begin, case.below)
        assert forge.run(case.call, case.arguments, case.below, **trial).code == 2
        assert contents(case.below / "m") == before, trial
