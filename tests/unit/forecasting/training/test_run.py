import json
import pickle

import pytest
import torch

from tsgen.core.atomic import FolderInUse
from tsgen.forecasting.training.run import STATE, OtherRun, TrainingRun


def make(folder, fingerprint=None, **options):
    return TrainingRun(str(folder), fingerprint or {"seed": 0}, **options)


def epoch(number, val_loss):
    return {"epoch": number, "val_loss": val_loss}


def save(run, number, val_loss, write=None):
    """What a training does after an epoch."""
    run.history.append(epoch(number, val_loss))
    run.save(write or (lambda path: torch.save({"epoch": number, STATE: run.state}, path)))


def number(path):
    return torch.load(path, weights_only=True)["epoch"]


@pytest.fixture
def folder(tmp_path):
    """Of a run with three epochs, the second of which is the best."""
    run = make(tmp_path / "run")
    run.start()
    for i, loss in enumerate((3.0, 1.0, 2.0)):
        save(run, i, loss)
    return run.folder


def test_the_best_checkpoint_has_the_lowest_loss(folder):
    assert (number(folder / "last.ckpt"), number(folder / "best.ckpt")) == (2, 1)
    run = make(folder)
    run.start()
    assert run.resume_from == run.last and run.history == [epoch(0, 3), epoch(1, 1), epoch(2, 2)]


def test_what_was_to_follow_the_last_checkpoint_is_made_good(folder):
    """The process was killed before the copy of the best one, or before the record."""
    run = make(folder)
    run.start()
    run.history.append(epoch(3, 0.5))
    torch.save({"epoch": 3, STATE: {**run.state, "finished": True}}, run.last)
    again = make(folder)
    again.start()
    assert number(again.best) == 3 and again.finished and len(again.history) == 4
    assert json.loads((folder / "run.json").read_text())["history"] == again.history


@pytest.mark.parametrize("missing", ["last.ckpt", "best.ckpt"])
def test_a_run_that_lacks_a_checkpoint_begins_anew(folder, missing):
    (folder / missing).unlink()
    run = make(folder)
    run.start()
    assert run.resume_from is None and not run.history and not run.finished
    assert not run.best.exists()


def test_a_folder_that_was_killed_before_its_record_is_free(tmp_path):
    (tmp_path / "run.json.part").write_text("{")
    run = make(tmp_path)
    run.start()
    assert not run.history
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no run of this library"):
        make(tmp_path / "other")


def test_a_damaged_checkpoint_and_another_run_are_refused(folder):
    with pytest.raises(OtherRun, match="holds a run with seed=0, this one has 1"):
        make(folder, {"seed": 1})
    (folder / "last.ckpt").write_bytes(b"torn")
    with pytest.raises(ValueError, match="last.ckpt: the checkpoint is damaged .* to begin anew"):
        make(folder).start()


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(folder):
    def broken(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    run = make(folder)
    run.start()
    with pytest.raises(OSError, match=r"last.ckpt: cannot be written \(No space left on device"):
        save(run, 3, 0.5, broken)
    again = make(folder)
    again.start()
    assert len(again.history) == 3 and number(again.last) == 2 and number(again.best) == 1


def test_a_folder_has_one_training(folder):
    with make(folder).lock():
        with pytest.raises(FolderInUse), make(folder).lock():
            pass


def test_an_earlier_checkpoint_leaves_nothing_of_the_epochs_after_it(folder, tmp_path):
    """Else the best epoch of the run that was left would be what predicts in the end."""
    earlier = tmp_path / "epoch_0.ckpt"
    torch.save({"epoch": 0, STATE: {"history": [epoch(0, 3)], "finished": False}}, earlier)
    run = make(folder, resume_from=str(earlier))
    run.start()
    assert run.history == [epoch(0, 3)] and run.resume_from == earlier
    assert number(run.best) == 0
    save(run, 1, 2.5)
    assert number(run.best) == 1


def test_an_earlier_checkpoint_without_a_loss_leaves_no_best_epoch(folder, tmp_path):
    path = tmp_path / "epoch_0.ckpt"
    torch.save({"epoch": 0, STATE: {"history": [{"epoch": 0}], "finished": False}}, path)
    run = make(folder, resume_from=str(path))
    run.start()
    assert run.history == [{"epoch": 0}] and not run.best.exists()


def test_a_later_checkpoint_keeps_the_best_epoch_before_it(folder):
    run = make(folder, resume_from=str(folder / "last.ckpt"))
    run.start()
    save(run, 3, 1.5)
    assert number(run.best) == 1
    save(run, 4, 0.5)
    assert number(run.best) == 4


def test_a_checkpoint_of_a_callback_goes_on_with_the_epochs_before_it(folder, tmp_path):
    """It may be written before its epoch is recorded, or know nothing of records."""
    early = {"history": [epoch(0, 3)], "finished": False}
    for number_, content in enumerate(({STATE: early}, {})):
        path = tmp_path / f"{number_}.ckpt"
        torch.save({"epoch": 1, **content}, path)
        run = make(folder, resume_from=str(path))
        run.start()
        assert run.history == [epoch(0, 3), epoch(1, 1)] and number(run.best) == 1


def test_what_is_no_checkpoint_is_one_line(folder, tmp_path):
    torch.save({"weights": 1}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match="other.ckpt: the checkpoint is damaged"):
        make(folder, resume_from=str(tmp_path / "other.ckpt")).start()


def test_the_error_about_another_run_can_be_sent_to_other_processes(folder):
    with pytest.raises(OtherRun) as caught:
        make(folder, {"seed": 1})
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.differences == caught.value.differences
