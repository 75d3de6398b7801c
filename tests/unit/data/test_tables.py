import datetime

import numpy as np
import pandas as pd
import pyarrow
import pytest

from tsgen.data.frames import from_dataframe
from tsgen.data.numbers import decimal_mark

HOURS = pd.date_range("2024-01-01", periods=48, freq="h")
VALUES = np.arange(48.0)


def csv(folder, row, header, before="", after=""):
    """A file with a row for each hour, of its time and number."""
    path = folder / "a.csv"
    lines = [row.format(t=time, i=i) for i, time in enumerate(HOURS)]
    path.write_text(before + "\n".join([header, *lines]) + "\n" + after)
    return path


@pytest.mark.parametrize(
    ("row", "header", "before", "after"),
    [
        ("{t},{i},0,", "time,a,b", "", ""),
        ("{t},{i},0,", "time,a,b,", "", ""),
        ("{t},{i},0", "time,a,b", "\n\n", ""),
        ("{t},{i},0", "time,a,b", "# by a logger, 2024\n# of two channels\n", ""),
        ("{t},{i},0", "time,a,b", "", ",,\n,,\n"),
        ("{t};{i},0;0", "time;a;b", "\n", ""),
        ('{t};{i};"0"', '"time";a;b', "", ""),
        ("{t};{i};0", 'time;a;"b"', "", "2024-01-03 00:00:00;48,00;0\n"),
    ],
)
def test_how_files_are_written(tmp_path, row, header, before, after):
    dataset, summary = from_dataframe(csv(tmp_path, row, header, before, after))
    assert summary.channels == ("a", "b") and summary.changes == ()
    assert np.array_equal(dataset[0]["target"][0][:48], VALUES)


def test_commas_in_a_quoted_header_are_no_delimiters(tmp_path):
    path = csv(tmp_path, "{t};{i}", 'time;"load, MW, net, all"')
    assert from_dataframe(path).summary.channels == ("load, MW, net, all",)


@pytest.mark.parametrize(
    ("row", "header", "after", "message"),
    [
        (
            "{t},{i},5",
            "time,a",
            "",
            "a.csv, line 2: it has more cells than the header, which has 2",
        ),
        ("2024-01-01 00:00:{i:02d},000,{i}", "time,a", "", "line 2: it has more cells"),
        ("{t},{i}", "time,a", "2024-01-03 00:00,4,5,6\n", "line 50: it has more cells"),
        ("{t},{i},5", "time,a,a", "", "column 'a' is there twice"),
        ("{t},{i},5", "time,a,a ", "", "column 'a' is there twice"),
        ("{t},{i},7{i}", "time,a,", "", "column number 2, which holds numbers, has no name"),
        ('{t},"1,{i:03d}"', "time,a", "", "column 'a': '1,000' may have a decimal mark or one bet"),
        ("{t};{i},5;0.5", "time;a;b", "1;2.5;1\n", "'0,5' has a decimal comma, '2.5' a point"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path, row, header, after, message):
    with pytest.raises(ValueError, match=message):
        from_dataframe(csv(tmp_path, row, header, after=after))


def test_an_unnamed_column_that_counts_rows_is_left_out(tmp_path):
    frame = pd.DataFrame({"time": HOURS, "a": VALUES})
    frame.to_csv(tmp_path / "a.csv")
    _, summary = from_dataframe(tmp_path / "a.csv")
    assert summary.channels == ("a",)
    assert summary.changes == ("a column without a name that counts the rows was left out",)


def test_marks_between_thousands(tmp_path):
    path = csv(tmp_path, "{t};1.{i:03d};1.{i:03d},25;{i},5", "time;a;b;c")
    dataset, summary = from_dataframe(path)
    assert np.array_equal(dataset[0]["target"], [1000 + VALUES, 1000.25 + VALUES, VALUES + 0.5])
    assert "column 'a': '1.000' was read with '.' between thousands" in summary.changes
    path = csv(tmp_path, '{t},"1,{i:03d}.5"', "time,a")
    assert np.array_equal(from_dataframe(path).dataset[0]["target"], 1000.5 + VALUES)


@pytest.mark.parametrize(
    ("cell", "mark"),
    [
        ("1,5", ","), ("1.5", "."), ("0,123", ","), ("-1.234,5", ","), ("1,234,567", "."),
        ("1,234", "?"), ("1.234", "?"), ("1,234.5", "."), (",5", ","), ("1.5e-3", "."),
        ("15", None), ("1.2.3", None), ("01.02.2024", None), (".", None), ("a,b", None),
    ],
)  # fmt: skip
def test_decimal_marks(cell, mark):
    assert decimal_mark(cell) == mark


def test_items_are_names_even_where_they_look_like_numbers(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{t},{c},{i}" for c in ("007", "7", "NA") for i, t in enumerate(HOURS)]
    path.write_text("\n".join(["time,id,y", *rows]))
    table = from_dataframe(path, item_id="id")
    assert [e["item_id"] for e in table.dataset] == ["007", "7", "NA"]
    assert table.summary.changes == ()
    again = table.summary.layout.read(path)
    assert [e["item_id"] for e in again.dataset] == ["007", "7", "NA"]


def test_missing_numbers_and_names_called_na(tmp_path):
    path = tmp_path / "a.csv"
    rows = [
        f"{t},{c},{'NA' if i == 3 else i},{c}" for c in ("NA", "DE") for i, t in enumerate(HOURS)
    ]
    path.write_text("\n".join(["time,id,y,country", *rows]))
    dataset, summary = from_dataframe(path, item_id="id", static="country")
    assert summary.layout.categories == (("country", ("DE", "NA")),)
    assert all(np.flatnonzero(np.isnan(e["target"])) == [3] for e in dataset)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (HOURS, "datetime64"), (pd.to_timedelta(VALUES, unit="h"), "timedelta64"),
        (VALUES + 1j, "complex128"),
    ],
)  # fmt: skip
def test_columns_of_another_kind_are_no_targets(column, kind):
    frame = pd.DataFrame({"t": HOURS, "a": VALUES, "b": column})
    with pytest.raises(ValueError, match=rf"column 'b' holds {kind}.*expected numbers"):
        from_dataframe(frame, time="t")


def test_labels_that_are_no_text_become_names():
    numbered = pd.DataFrame(np.ones((48, 3)), HOURS)
    assert from_dataframe(numbered, target=[0, 2]).summary.channels == ("0", "2")
    pairs = numbered.set_axis(pd.MultiIndex.from_product([["load"], ["x", "y", "z"]]), axis=1)
    assert from_dataframe(pairs).summary.channels == ("load x", "load y", "load z")
    with pytest.raises(ValueError, match="column 'a' is there twice"):
        from_dataframe(numbered.set_axis(["a", "a ", "b"], axis=1))


def test_dates_of_any_type_are_found():
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(i) for i in range(48)]
    arrow = pyarrow.table({"d": pyarrow.array(days), "a": VALUES})
    typed = pd.DataFrame({"d": pd.DatetimeIndex(days), "a": VALUES})
    for table in (
        arrow,
        arrow.to_pandas(types_mapper=pd.ArrowDtype),
        pd.DataFrame({"d": days, "a": VALUES}),
        pd.DataFrame({"a": VALUES}, index=days),
        typed.convert_dtypes(dtype_backend="pyarrow"),
    ):
        dataset, summary = from_dataframe(table)
        assert summary.layout.freq == "D" and dataset[0]["start"] == pd.Period("2024-01-01", "D")


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(ValueError, match="it is a folder"):
        from_dataframe(tmp_path)
