"""Folders of the commands whose files were changed, with their manifests written anew."""

import itertools
import json
import shutil

import numpy as np
import pytest

from tests.support.commands import run
from tests.support.folders import places, put, rehash
from tests.support.logs import FAST, plant
from tests.support.tables import table
from tests.support.tampering import VALUES, answer, attacks, guarded
from tsgen.cli.app import run as command


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model and a detector as the commands leave them, each with the command that uses it."""
    made = tmp_path_factory.mktemp("tampered")
    table(400).to_csv(made / "table.csv")
    plant("2024-01-01", 3000, 0).to_csv(made / "log.csv")
    train = ["train", made / "table.csv", "--model", "ridge", "--horizon", 24, "--windows", 0]
    detect = ["detect", "train", made / "log.csv", *FAST, "--false-alarms-per-day", 1]
    for words in (
        [*train, "--calibrate", 0, "--baselines", "none", "--out", made / "model", "--quiet"],
        [*detect, "--out", made / "detector", "--quiet"],
    ):
        assert command([str(word) for word in words]) == 0
    plant("2024-03-01", 60, 1).to_csv(made / "new.csv")
    return {
        "model": (made / "model", ["forecast", made / "model", made / "table.csv"]),
        "detector": (made / "detector", ["detect", "score", made / "detector", made / "new.csv"]),
    }


@pytest.mark.parametrize(
    ("kind", "file"), [("model", "table.json"), ("model", "seen.json"), ("detector", "log.json")]
)
def test_a_changed_description_is_used_or_is_one_line(folders, kind, file, tmp_path, capsys):
    """Nothing runs and no traceback is shown, whatever the file says."""
    folder, words = folders[kind]
    path, marker = folder / file, tmp_path / "marker"
    whole = path.read_text()
    tree = json.loads(whole)
    trials = list(itertools.product(places(tree), [*attacks(marker), *VALUES]))
    try:
        for number in np.random.default_rng(0).permutation(len(trials))[:40]:
            way, value = trials[number]
            path.write_text(json.dumps(put(tree, way, value)))
            rehash(folder)
            with guarded():
                code = command([str(word) for word in words])
            errors = capsys.readouterr().err
            assert not marker.exists() and code in (0, 2), (way, value, errors)
            if code:
                lines = [line for line in errors.splitlines() if line.startswith("tsgen: ")]
                assert len(lines) == 1, (way, value, errors)
    finally:
        path.write_text(whole)
        rehash(folder)
    run(capsys, *words)


@pytest.mark.parametrize("kind", ["model", "detector"])
def test_a_damaged_file_of_a_command_is_one_line(folders, kind, tmp_path, capsys):
    """Also of files that the command itself writes beside the model."""
    folder, words = folders[kind]
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    words = [copy if word == folder else word for word in words]
    listed = json.loads((copy / "manifest.json").read_text())["files"]
    assert {"table.json", "seen.json"} <= listed.keys() or "log.json" in listed
    for name in listed:
        path = copy / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        told = run(capsys, *words, code=2).err
        assert str(copy) in told and "damaged" in told and told.count("\n") == 1
        path.write_bytes(whole)
    assert not answer(copy)
