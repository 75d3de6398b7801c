import errno
import gzip
import os
import threading

import pandas as pd
import pytest

from tsgen.cli.output import write_frame
from tsgen.core.atomic import (
    MANIFEST,
    READY,
    FolderInUse,
    WriteError,
    committing,
    discard,
    finish_commit,
    locked,
    replacing,
)


def texts(folder):
    """Every file below a folder and what it holds."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_a_file_is_replaced_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with replacing(path) as part:
        part.write_text("old")
        assert not path.exists()
    path.chmod(0o640)
    with pytest.raises(RuntimeError), replacing(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert texts(tmp_path) == {"deep/a.txt": "old"}
    with replacing(path) as part:
        part.write_text("new")
    assert texts(tmp_path) == {"deep/a.txt": "new"} and path.stat().st_mode & 0o777 == 0o640


def test_a_link_and_a_pipe_stay_what_they_are(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with replacing(tmp_path / "link") as part:
        part.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    with replacing(tmp_path / "pipe") as part:
        part.write_text("through")
    reader.join(10)
    assert read == ["through"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_what_cannot_be_written_is_named(tmp_path, number):
    place = tmp_path / "a.csv"
    with pytest.raises(WriteError) as caught, replacing(place):
        raise OSError(number, os.strerror(number))  # as a write tells it, without a name
    assert str(caught.value) == f"{place}: cannot be written ({os.strerror(number)})"
    with pytest.raises(WriteError, match="cannot be written"), committing(tmp_path / "m"):
        raise OSError(number, os.strerror(number), "inside")
    assert not list(tmp_path.rglob("*.*"))
    with pytest.raises(FileNotFoundError, match="table"), replacing(place):
        raise FileNotFoundError(errno.ENOENT, "no such table", "table")  # which was to be read


def test_tables_keep_their_form_while_they_are_replaced(tmp_path):
    frame = pd.DataFrame({"a": [1, 2]})
    for name, read in (("t.csv", pd.read_csv), ("t.csv.gz", pd.read_csv)):
        write_frame(frame, tmp_path / name)
        assert read(tmp_path / name).equals(frame)
    assert gzip.decompress((tmp_path / "t.csv.gz").read_bytes()) == b"a\n1\n2\n"
    write_frame(frame, tmp_path / "t.json")
    assert pd.read_json(tmp_path / "t.json").equals(frame)
    write_frame(frame, tmp_path / "t.jsonl")
    assert pd.read_json(tmp_path / "t.jsonl", lines=True).equals(frame)
    assert len(list(tmp_path.iterdir())) == 4


def write_model(folder, *names, stale=()):
    with committing(folder, stale) as part:
        for name in names:
            (part / name).parent.mkdir(exist_ok=True)
            (part / name).write_text(f"new {name}")


def test_a_commit_replaces_files_and_folders_and_what_is_stale(tmp_path):
    for name in ("a", "base/old", "gone", "inside"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    (tmp_path / "mine").write_text("mine")
    write_model(tmp_path, "a", "base/b", "inside/c", stale=("gone", "a", "never"))
    new = {name: f"new {name}" for name in ("a", "base/b", "inside/c")}
    assert texts(tmp_path) == {"mine": "mine", **new}


def test_a_commit_that_was_stopped_on_its_way_is_finished(tmp_path, monkeypatch):
    """Wherever: the manifest is there first, so that nothing old is taken for whole."""
    (tmp_path / "a").write_text("old")
    replace, moved = os.replace, []

    def stopped(source, target):
        if len(moved) == count:
            raise KeyboardInterrupt
        moved.append(os.path.basename(target))
        replace(source, target)

    for count in range(3):
        moved.clear()
        monkeypatch.setattr(os, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            write_model(tmp_path, "a", "b", MANIFEST, stale=("old",))
        monkeypatch.undo()
        assert moved == [MANIFEST, "a"][:count] and (tmp_path / READY).is_dir()
        finish_commit(tmp_path)
        assert texts(tmp_path) == {name: f"new {name}" for name in ("a", "b", MANIFEST)}
    finish_commit(tmp_path)
    assert len(texts(tmp_path)) == 3


def test_what_is_discarded_is_gone_at_once(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a").write_text("a")

    def broken(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", broken)
    with pytest.raises(KeyboardInterrupt):
        discard(tmp_path / "run")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["run.part"]
    discard(tmp_path / "run")
    discard(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_folder_has_one_writer(tmp_path):
    with locked(tmp_path / "deep" / "m"):
        with pytest.raises(FolderInUse, match="another process is writing"):
            with locked(tmp_path / "deep" / "m"):
                pass
    assert not list(tmp_path.iterdir())  # nothing was written
    with locked(tmp_path / "m"):
        (tmp_path / "m" / "a").write_text("a")
    assert texts(tmp_path) == {"m/a": "a"}
    entered = []

    def second():
        with locked(tmp_path / "m", wait=True):
            entered.append(texts(tmp_path))

    with locked(tmp_path / "m"):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        assert not entered
        (tmp_path / "m" / "a").write_text("b")
    waiting.join(10)
    assert entered == [{"m/a": "b"}]
