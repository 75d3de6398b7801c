"""Times written as text."""

import pandas as pd
import pytest

from tests.support.tables import stamped
from tsgen.data.frames import from_dataframe

BERLIN = "Europe/Berlin"


def test_offsets_that_change_with_summer_time():
    stamps = pd.date_range("2024-03-30", periods=60, freq="h", tz=BERLIN)
    for table in (
        stamped([s.isoformat() for s in stamps]),
        stamped([s.to_pydatetime() for s in stamps]).astype({"time": object}),
    ):
        (entry,), summary = from_dataframe(table)
        assert entry["start"] == pd.Period("2024-03-29 23:00", "h")
        assert entry["target"].shape == (60,) and " to UTC" in summary.changes[0]


@pytest.mark.parametrize("freq", ["100ms", "6h"])
def test_isoformat_leaves_out_what_is_zero(freq):
    stamps = pd.date_range("2024-01-01", periods=30, freq=freq)
    for texts in (
        [s.isoformat() for s in stamps],
        [str(s).removesuffix(" 00:00:00") for s in stamps],
    ):
        assert from_dataframe(stamped(texts)).summary.layout.freq == freq


def test_the_year_first_is_never_the_day_first():
    stamps = pd.date_range("2024-01-01", periods=12, freq="MS")
    dataset, summary = from_dataframe(stamped(stamps.strftime("%Y-%m-%d")), dayfirst=True)
    assert summary.layout.freq == "M" and dataset[0]["target"].shape == (12,)


def test_bad_stamps():
    hours = [str(s) for s in pd.date_range("2024-01-01", periods=30, freq="h")]
    with pytest.raises(ValueError, match="row 2: 'soon' is not a time written like [^;]*$"):
        from_dataframe(stamped([*hours[:2], "soon", *hours[3:]]))
    with pytest.raises(ValueError, match="no time in row 2"):
        from_dataframe(stamped([*hours[:2], " ", *hours[3:]]))
    with pytest.raises(ValueError, match="row 0: '00:00' is a time of day, expected a date"):
        from_dataframe(stamped([s[11:16] for s in hours]))
    with pytest.raises(ValueError, match="row 0: '2024-01-01 00:00:00 CET' names a zone, expected"):
        from_dataframe(stamped([f"{s} CET" for s in hours]))
    for known in (" UTC", "Z", " GMT"):
        assert from_dataframe(stamped([s + known for s in hours])).summary.changes == ()
