"""What Lightning would refuse in the middle, or write where nobody looks."""

import lightning.pytorch as pl
import pytest

from tests.support.trainings import train
from tsgen import GaussianEstimator


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"logger": "csv"}, "must be True, False or loggers"),
        ({"logger": True}, "has no folder to write into"),
        ({"min_epochs": 50}, "from 0 to max_epochs=20"),
        ({"limit_val_batches": 1.5}, "a share from 0.0 to 1.0"),
        ({"max_time": "00:00:00:00"}, "must be a timedelta above 0"),
        ({"max_time": "soon"}, "must be a timedelta"),
        ({"enable_checkpointing": False, "callbacks": pl.callbacks.ModelCheckpoint("x")}, "contra"),
    ],
)
def test_what_lightning_would_refuse_later_is_refused_in_one_line(given, words):
    with pytest.raises(ValueError, match=words) as caught:
        GaussianEstimator(2, trainer_kwargs=given)
    assert "\n" not in str(caught.value)


def test_what_only_lightning_can_tell_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for given in ({"profiler": "fastest"}, {"limit_val_batches": 0.001}):
        with pytest.raises(ValueError, match="trainer_kwargs") as caught:
            train(given)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
