"""Reading logs of plants: what is found, what is changed, what is refused."""

import gzip
import os

import numpy as np
import pandas as pd
import pytest

from tsgen.data.plant import LogFollower, follow_log, read_log, read_logs
from tsgen.data.plant import source as source_module
from tsgen.data.plant.kinds import count_values
from tsgen.data.plant.labels import labels_of_intervals, to_labels

ISO = pd.date_range("2024-03-01", periods=6, freq="s").strftime("%Y-%m-%d %H:%M:%S").tolist()


def write(path, header, rows, end="\n"):
    path.write_text("\n".join([header, *rows]) + end)
    return path


def column(path, stamps, header="time,a", **options):
    """A log whose only tag counts its rows."""
    rows = [f"{stamp},{i}" for i, stamp in enumerate(stamps)]
    return read_log(write(path, header, rows), **options)


@pytest.fixture
def csv(tmp_path):
    return tmp_path / "plant.csv"


def test_a_log_as_plants_write_it(csv):
    rows = [
        " 28/12/2015 10:00:00 AM,2.5, 1,Normal",
        " 28/12/2015 10:00:01 AM,,1,A ttack",
        " 28/12/2015 10:00:02 PM,3.5,2,Attack",
    ]
    log = read_log(write(csv, " Timestamp, FIT101 , MV101,Normal/Attack", rows))
    assert log.tags == ("FIT101", "MV101") and log.name == "plant" and len(log) == 3
    assert log.frame.index.tolist() == [
        pd.Timestamp("2015-12-28 10:00:00"),
        pd.Timestamp("2015-12-28 10:00:01"),
        pd.Timestamp("2015-12-28 22:00:02"),
    ]
    assert np.array_equal(log.frame, [[2.5, 1], [np.nan, 1], [3.5, 2]], equal_nan=True)
    assert set(log.frame.dtypes) == {np.dtype(float)}
    assert log.labels.tolist() == [0, 1, 1]
    assert log.recorded.tolist() == [[True, True], [False, True], [True, True]]
    told = log.summary
    assert told.dayfirst and told.label == "Normal/Attack" and told.attack_share == 2 / 3
    assert told.missing == {"FIT101": 1 / 3} and told.kinds == {"binary": 2}
    for words in ("3 rows of 2 tags", "days come first", "FIT101 33.33%", "66.67% attack"):
        assert words in str(told)


@pytest.mark.parametrize(
    ("stamps", "dayfirst", "first", "told"),
    [
        (["05/06/2020", "13/06/2020"], True, "2020-06-05", "'13/06/2020' is a day"),
        (["06/05/2020", "06/13/2020"], False, "2020-06-05", "'06/13/2020' is a day"),
        (["03/04/2020", "04/04/2020", "01/05/2020"], True, "2020-04-03", "go backwards"),
        (["04/03/2020", "04/04/2020", "05/01/2020"], False, "2020-04-03", "go backwards"),
        (["01/02/2020", "02/02/2020", "03/02/2020"], True, "2020-02-01", "span 60 days"),
        (["02/01/2020", "02/02/2020", "02/03/2020"], False, "2020-02-01", "span 29 days|span 60"),
        (["3.4.20 13:00", "3.4.20 14:00"], False, "2020-03-04 13:00", "nothing tells"),
        (["2020-04-03", "2020-04-05"], None, "2020-04-03", "^$"),
    ],
)
def test_the_order_of_day_and_month(csv, stamps, dayfirst, first, told):
    log = column(csv, stamps)
    assert log.frame.index[0] == pd.Timestamp(first)
    assert log.summary.dayfirst is dayfirst
    assert pd.Series([log.summary.day_order]).str.contains(told, regex=True).all()


def test_the_order_of_day_and_month_by_others(csv, tmp_path):
    known = column(csv, ["30/04/2020", "01/05/2020"])
    stamps = ["03/04/2020 10:00", "03/04/2020 11:00"]
    assert column(tmp_path / "b.csv", stamps).frame.index[0].month == 3
    assert column(tmp_path / "b.csv", stamps, like=known).frame.index[0].month == 4
    assert column(tmp_path / "b.csv", stamps, like=known, dayfirst=False).frame.index[0].month == 3
    assert column(tmp_path / "b.csv", stamps, dayfirst=True).frame.index[0].month == 4
    message = r"plant.csv, line 3: .*'04/30/2020' and, before it, '30/04/2020' .* different orders"
    with pytest.raises(ValueError, match=message):
        column(csv, ["30/04/2020", "04/30/2020"])


@pytest.mark.parametrize("written", ["%d/%m/%Y %I:%M:%S.%f %p", "%m/%d/%y %H:%M", "%d.%m.%Y %H:%M"])
def test_how_times_are_written_does_not_matter(csv, written):
    times = pd.date_range("2017-09-25 18:00", periods=300, freq="7min")
    log = column(csv, times.strftime(written))
    assert (log.frame.index == times).all()


def test_gaps_and_period(csv):
    seconds = [0, 1, 2, 5, 6, 66, 67, 68]
    log = column(csv, [pd.Timestamp("2024-01-01") + pd.Timedelta(s, "s") for s in seconds])
    told = log.summary
    assert len(log) == 8, "gaps stay gaps"
    assert (told.gaps, told.longest_gap, told.period) == (
        2, pd.Timedelta("60s"), pd.Timedelta("1s"),
    )  # fmt: skip
    assert "gaps: 2, the longest 0 days 00:01:00" in str(told)


def test_times_that_come_twice(csv):
    equal = ["2024-01-01 00:00,1", "2024-01-01 00:01,2", "2024-01-01 00:01,2"]
    log = read_log(write(csv, "time,a", equal))
    assert log.frame["a"].tolist() == [1, 2] and log.summary.duplicates == 1
    other = [*equal, "2024-01-01 00:01,3"]
    with pytest.raises(ValueError, match="line 5: the time 2024-01-01 00:01:00 comes twice"):
        read_log(write(csv, "time,a", other))
    for keep, value in (("first", 2), ("last", 3)):
        log = read_log(csv, duplicates=keep)
        assert log.frame["a"].tolist() == [1, value] and log.summary.duplicates == 2
    with pytest.raises(ValueError, match="line 3: .* comes twice"):
        read_log(write(csv, "time,a,label", ["2024-01-01,1,0", "2024-01-01,1,1"]))
    with pytest.raises(ValueError, match="duplicates='mean'; expected 'error', 'first' or 'last'"):
        read_log(csv, duplicates="mean")


def test_times_that_go_backwards_name_row_and_both_times(csv):
    message = r"line 4: times go backwards, 2024-01-01 00:00:00 follows 2024-01-02 00:00:00$"
    with pytest.raises(ValueError, match=message):
        column(csv, ["2024-01-01", "2024-01-02", "2024-01-01"])
    summer = ["2024-10-27 02:58", "2024-10-27 02:59", "2024-10-27 02:00"]
    with pytest.raises(ValueError, match="line 4: .* follows 2024-10-27 02:59:00; .*summer time"):
        column(csv, summer)
    offsets = [f"{t}+0{z}:00" for t, z in zip(summer, (2, 2, 1), strict=True)]
    log = column(csv, offsets)  # with their offset they are times like others
    assert log.frame.index.tolist() == list(
        pd.date_range("2024-10-27 00:58", periods=3, freq="min")
    )
    assert "to UTC" in str(log.summary)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("time,a,b", ["2024-01-01,1,2", "2024-01-02,1,Bad Input"],
         r"plant.csv, line 3: column 'b': 'Bad Input' is not a number; missing= names"),
        ("time,a", ["2024-01-01,1", "2024-01-02,inf"], "line 3: column 'a': the value is infinite"),
        ("time,a", ["2024-01-01,1", ",2"], "line 3: column 'time' has no time"),
        ("time,a", ["2024-01-01,1", "soon,2"], "line 3: .*'soon' is not a time"),
        ("a,b", ["1,2", "3,4"], "no time column among 'a', 'b'; pass time= .*time=False"),
        ("time,a", ["2024-01-01,1", "2024-01-02,2,3"], "line 3: it has more cells than the header"),
        ("time,a,a", ["2024-01-01,1,1"], "column 'a' is there twice"),
        ("2024-01-01,1", ["2024-01-02,2"], "the first row holds values"),
        ("1,2", ["3,4"], r"the first row holds values \(1, ...\); expected a row of names"),
        ("time,a", [], "there are no rows below the header"),
        ("time,a", [",", ","], "there are no rows below the header"),
        ("time,label", ["2024-01-01,1"], "no column of a tag beside times and labels"),
        ("time,a,label", ["2024-01-01,1,0", "2024-01-02,1,"], "line 3: the label is missing"),
        ("time,a,label", ["2024-01-01,1,0", "2024-01-02,1,-999"], "line 3: label '-999'; expected"),
    ],
)  # fmt: skip
def test_bad_input_is_named(csv, header, rows, message):
    write(csv, header, rows)
    with pytest.raises(ValueError, match=message) as caught:
        read_log(csv)
    assert str(csv) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": "clock"}, "there is no column of times 'clock'; the columns are 'time', 'a'"),
        ({"label": "truth"}, "label: there is no column 'truth'"),
        ({"drop": ["x"]}, "drop: there is no column 'x'"),
        ({"kinds": {"x": "binary"}}, "kinds: there is no tag 'x'; tags are a"),
        ({"kinds": {"a": "analog"}}, "kinds: 'a' is 'analog'; expected one of continuous, binary"),
        ({"warm_up": -1}, "warm_up=-1; expected at least 0"),
        ({"warm_up": "soon"}, "warm_up='soon'; expected a duration such as '10s'"),
        ({"warm_up": 6}, "warm_up=6 leaves nothing of 6 rows"),
        ({"every": "fast"}, "every='fast'; expected a duration"),
        ({"every": 10}, "every=10; expected a duration"),
        ({"every": "-1s"}, "every='-1s'; expected a duration above 0"),
        ({"time": False, "every": "10s", "drop": ["time"]}, "every='10s'; expected a number of ro"),
        ({"time": False, "warm_up": "10s", "drop": ["time"]}, "warm_up='10s'; expected a number"),
        ({"like": ["x", "y"]}, "it has none of the tags expected, x, y"),
        ({"labels": [0, 1]}, "labels: 2 of them for 6 rows"),
        ({"labels": [0] * 6, "label": "a"}, "labels and label: expected one of them"),
        ({"time": False}, "line 2: column 'time': '2024-03-01 00:00:00' is not a number"),
    ],
)
def test_wrong_options_are_named(csv, options, message):
    with pytest.raises(ValueError, match=message):
        column(csv, ISO, **options)


def test_files_that_are_none(tmp_path):
    for name, message in (("gone.csv", "no such file"), (".", "it is a folder")):
        with pytest.raises(ValueError, match=message):
            read_log(tmp_path / name)
    with pytest.raises(ValueError, match="read_logs reads several"):
        read_log([tmp_path / "a.csv"])
    (tmp_path / "e.csv").write_text("")
    with pytest.raises(ValueError, match=r"e\.csv: the file is empty"):
        read_log(tmp_path / "e.csv")
    (tmp_path / "l.csv").write_bytes("time,°C\n2024-01-01,1\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"l\.csv: cannot be read as a log .*save it as UTF-8"):
        read_log(tmp_path / "l.csv")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"time,a\n" + b"2024-01-01,1\n" * 99)[:-20])
    with pytest.raises(ValueError, match=r"t\.csv\.gz: cannot be read as a log"):
        read_log(tmp_path / "t.csv.gz")


@pytest.mark.parametrize("length", [20, 120_000])
def test_pieces_preambles_blank_lines_and_where_an_error_is(csv, length):
    """Of one piece and of three, with nothing in the rows beside the edge between two."""
    stamps = pd.date_range("2024-01-01", periods=length, freq="s")
    rows = [f"{stamp},{i},{i % 2}" for i, stamp in enumerate(stamps.astype(str))]
    rows.insert(4, "")
    rows.insert(12, ",,")
    rows[49_998:49_998] = [",,", "", ",,"] if length > 50_000 else []
    text = "\n".join(["Plant 7", "exported,by,someone", "", "Time,a,Attack", *rows, "", ""])
    log = read_log(write(csv, text, []))
    assert log.frame["a"].tolist() == list(range(length)) and log.labels.sum() == length // 2
    assert (log.frame.index == stamps).all() and (log.labels == np.arange(length) % 2).all()
    blank = 7 if length > 50_000 else 4
    assert f"{blank} rows without anything were left out" in str(log.summary)
    row = f"{stamps[-5]},off,1"
    csv.write_text(text.replace(f"{stamps[-5]},{length - 5},1", row))
    line = csv.read_text().splitlines().index(row) + 1
    with pytest.raises(ValueError, match=f"line {line}: column 'a': 'off' is not a number"):
        read_log(csv)


def test_a_last_line_half_written_is_left_out(csv):
    log = read_log(write(csv, "time,a,b", ["2024-01-01,1,2", "2024-01-02,3"], end=""))
    assert log.frame.to_numpy().tolist() == [[1, 2]]
    assert "last line was half written (2 of 3 cells) and left out" in str(log.summary)
    log = read_log(write(csv, "time,a,b", ["2024-01-01,1,2", "2024-01-02,3,4"], end=""))
    assert len(log) == 2 and not log.summary.notes, "whole, though without an end"


@pytest.mark.parametrize(("end", "rows"), [("\n", 3), ("", 2)])
def test_a_file_that_grows_while_it_is_read(csv, monkeypatch, end, rows):
    write(csv, "time,a", [f"{stamp},1" for stamp in ISO[:3]], end=end)
    begin = source_module.Source.pieces

    def grow(self):
        with csv.open("a") as handle:
            handle.write(f"25{'' if end else chr(10)}{ISO[3]},7\n{ISO[4]},")
        return begin(self)

    monkeypatch.setattr(source_module.Source, "pieces", grow)
    log = read_log(csv)
    assert log.frame["a"].tolist() == [1] * rows, "125 is not 1"
    assert "the file grew while it was read" in str(log.summary)


def test_a_file_that_shrinks_while_it_is_read(csv, monkeypatch):
    write(csv, "time,a", [f"{stamp},1" for stamp in ISO])
    begin = source_module.Source.pieces

    def shrink(self):
        os.truncate(csv, 30)
        return begin(self)

    monkeypatch.setattr(source_module.Source, "pieces", shrink)
    with pytest.raises(ValueError, match="it became shorter while it was read, from 139 to 30"):
        read_log(csv)


def test_kinds_by_their_rules():
    rows, noise = 1000, np.random.default_rng(0).normal(size=1000)
    codes = np.arange(rows) % 10
    steps = np.repeat([1.5, 2.5, 3.5], [400, 300, 300])
    for values, kind in (
        (np.full(rows, 7.0), "constant"),
        (np.full(rows, np.nan), "constant"),
        (np.where(noise > 0, 1.5, 2.5), "binary"),
        (codes, "discrete"),
        (codes + 0.5, "continuous"),
        (np.arange(rows) % 11, "continuous"),
        (steps, "setpoint"),
        (np.repeat(np.arange(8) * 1.1, 125), "setpoint"),
        (np.repeat(np.arange(20) * 1.1, 50), "continuous"),  # changes in 19 of 1000 rows
        (noise, "continuous"),
    ):
        assert count_values(np.asarray(values, float)).kind == kind
        holes = np.where(noise > 1.2, np.nan, values)
        assert count_values(holes).kind == kind, "missing values are no value"


def test_kinds_are_kept_overridden_and_shared(csv, tmp_path):
    rows = [f"{stamp},{i},{i % 2},5" for i, stamp in enumerate(ISO * 2)]
    first = write(csv, "time,a,b,c", rows[:6])
    log = read_log(first, kinds={"c": "setpoint"})
    assert log.kinds == {"a": "discrete", "b": "binary", "c": "setpoint"}
    assert log.summary.kinds == {"discrete": 1, "binary": 1, "setpoint": 1}
    assert log.of_kind("binary", "setpoint") == ["b", "c"] and not log.summary.constants
    assert read_log(first).summary.constants == ("c",)
    other = write(tmp_path / "o.csv", "time,a,b,c", [row[:-1] + "9" for row in rows[6:]])
    assert read_log(other, like=log).kinds == log.kinds
    both = read_logs([first, other])
    assert [run.kinds["c"] for run in both] == ["binary"] * 2, "5 in one run, 9 in the other"
    assert [run.name for run in both] == ["plant", "o"]
    write(other, "time,a,b", [row[:-2] for row in rows[6:]])
    with pytest.raises(ValueError, match=r"o\.csv: its tags are not those .*plant.csv.* in c;"):
        read_logs([first, other])
    with pytest.raises(ValueError, match="read_log has no option 'evry'"):
        read_logs([first], evry="2s")


def test_a_log_like_another_has_its_tags(csv, tmp_path):
    train = read_log(write(csv, "time,a,b,c", [f"{stamp},1,2,3" for stamp in ISO]))
    test = write(tmp_path / "t.csv", "time,x,c,a", [f"{stamp},7,30,10" for stamp in ISO])
    log = read_log(test, like=train)
    assert log.tags == ("a", "b", "c") and log.summary.absent == ("b",)
    assert np.array_equal(log.frame.iloc[0], [10, np.nan, 30], equal_nan=True)
    assert not log.recorded[:, 1].any() and log.recorded[:, [0, 2]].all()
    assert log.summary.dropped == {"x": "not expected"}
    assert "not in the source, missing in every row: b" in str(log.summary)
    assert read_log(test, like=["c", "x"]).frame.iloc[0].tolist() == [30, 7]


def test_columns_left_out_and_renamed(csv):
    rows = [f"{i},{stamp},1,2,,0,0" for i, stamp in enumerate(ISO)]
    write(csv, ",time,PLC\\a,PLC\\b,c,attack,attack_P1", rows)
    log = read_log(csv, prefix="PLC\\", drop=["b"], drop_empty=True)
    assert log.tags == ("a",) and log.labels.tolist() == [0] * 6
    assert log.summary.dropped == {
        "Unnamed: 0": "without a name",
        "PLC\\b": "as asked for",
        "attack_P1": "looks like a label",
        "c": "without any value",
    }
    assert log.summary.renamed == {"PLC\\a": "a", "PLC\\b": "b"}
    kept = read_log(csv, label=False, drop=["PLC\\a"])
    assert kept.labels is None and kept.tags == ("PLC\\b", "c") and kept.summary.empty == ("c",)


def test_texts_that_mean_a_missing_value(csv):
    cells = ["1", "N/A", "", " bad", "NULL", "6"]
    rows = [f"{stamp},{cell}" for stamp, cell in zip(ISO, cells, strict=True)]
    log = read_log(write(csv, "time,a", rows), missing=["Bad"])
    assert log.frame["a"].isna().tolist() == [False, True, True, True, True, False]
    assert log.summary.missing == {"a": 4 / 6}
    cells = ["true", "FALSE", "", "True", "", ""]
    rows = [f"{stamp},{cell}" for stamp, cell in zip(ISO, cells, strict=True)]
    log = read_log(write(csv, "time,a", rows))
    assert log.frame["a"].dropna().tolist() == [1, 0, 1]


def test_warm_up(csv):
    for warm_up, left in ((2, 2), ("2s", 2), ("2500ms", 3), (0, 0)):
        log = column(csv, ISO, warm_up=warm_up)
        assert log.frame["a"].tolist() == list(range(6))[left:], warm_up
        assert log.summary.warm_up == left and log.summary.rows_read == 6


def test_down_sampling(csv):
    """Bins of 3 s from the first row: seconds 0 1 2 | 3 5 | none | 9 10 11 | 12."""
    seconds = [0, 1, 2, 3, 5, 9, 10, 11, 12]
    times = pd.Timestamp("2024-01-01 00:00:01") + pd.to_timedelta(seconds, unit="s")
    flow = [1, 9, 2, 4, 7, np.nan, 5, np.nan, np.nan]
    pump = [0, 1, 1, 0, 1, 1, 0, np.nan, 1]
    mode = [0, 2, 2, 0, 2, 1, 0, 2, 2]
    attack = [0, 0, 1, 0, 0, 0, 0, 0, 1]
    frame = pd.DataFrame({"time": times, "flow": flow, "pump": pump, "mode": mode, "label": attack})
    frame.to_csv(csv, index=False)
    log = read_log(csv, every="3s", kinds={"flow": "continuous"})
    assert (log.frame.index == times[[0, 3, 5, 8]]).all()
    wanted = [[2, 1, 2], [5.5, 0, 0], [5, 0, 1], [np.nan, 1, 2]]
    assert np.array_equal(log.frame, wanted, equal_nan=True)
    assert log.labels.tolist() == [1, 0, 0, 1]
    assert log.summary.every == "3s" and log.summary.rows == 4 and log.summary.rows_read == 9
    assert log.summary.period == pd.Timedelta("3s")
    later = read_log(csv, every="3s", warm_up=1)
    assert later.frame.index[0] == times[1], "bins start at the first row that is kept"
    rows = read_log(csv, time=False, drop=["time"], every=4, kinds={"flow": "continuous"})
    assert rows.frame["flow"].tolist()[:2] == [3, 6] and rows.labels.tolist() == [1, 0, 1]
    assert rows.frame.index.tolist() == [0, 1, 2]


def test_down_sampling_is_that_of_numpy(csv):
    rng = np.random.default_rng(3)
    values = np.where(rng.random((1000, 2)) < 0.2, np.nan, rng.normal(size=(1000, 2)))
    index = pd.date_range("2024-01-01", periods=1000, freq="s", name="time")
    log = read_log(pd.DataFrame(values, index, ["a", "b"]), every="10s")
    assert np.allclose(log.frame, np.nanmedian(values.reshape(100, 10, 2), axis=1))


def test_other_files_and_frames(csv, tmp_path):
    frame = pd.DataFrame({"time": pd.to_datetime(ISO), "a": np.arange(6) * 1.5})
    frame.to_parquet(tmp_path / "p.parquet")
    frame.to_csv(tmp_path / "p.csv.gz", index=False)
    frame.to_csv(tmp_path / "p.tsv", index=False, sep="\t")
    frame.to_csv(tmp_path / "comma.csv", index=False, sep=";", decimal=",")
    frame.to_csv(tmp_path / "windows.csv", index=False, lineterminator="\r\n")
    frame.set_index("time").to_parquet(tmp_path / "index.parquet")
    for data in (*sorted(tmp_path.iterdir()), frame, frame.set_index("time")):
        log = read_log(data)
        assert log.frame["a"].tolist() == frame["a"].tolist(), data
        assert (log.frame.index == frame["time"]).all()
    assert "decimal commas" in str(read_log(tmp_path / "comma.csv").summary)
    with pytest.raises(ValueError, match="table, row 2: column 'a': 'x' is not a number"):
        read_log(frame.assign(a=["1", "2", "x", "4", "5", "6"]))


def test_workbooks(tmp_path, monkeypatch):
    book = tmp_path / "log.xlsx"
    book.write_bytes(b"")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"log\.xlsx: .* needs the package openpyxl; .*as .csv"):
        read_log(book)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    cells = [["P1", None], [" Timestamp", "a "], ["28/12/2015 1:00:00 PM", 3], ["", None]]
    cells.append(["28/12/2015 1:00:01 PM", 4])
    monkeypatch.setattr(
        pd, "read_excel", lambda path, header: pd.DataFrame(cells).replace("", None)
    )
    log = read_log(book)
    assert log.frame["a"].tolist() == [3, 4]
    assert log.frame.index[1] == pd.Timestamp("2015-12-28 13:00:01")


def test_times_in_two_columns_as_numbers_and_none(csv):
    rows = [f"{i},10/9/17,{6 + i}:30:00.000 PM,{i}" for i in range(3)]
    log = read_log(write(csv, "Row,Date ,Time,a", rows), dayfirst=False, drop=["Row"])
    assert log.frame.index[2] == pd.Timestamp("2017-10-09 20:30") and log.tags == ("a",)
    assert log.summary.time == ("Date", "Time")
    with pytest.raises(ValueError, match="line 3: column 'Time' has no time"):
        read_log(write(csv, "Date,Time,a", ["10/9/17,1:00,1", "10/9/17,,1"]))
    log = column(csv, range(1_700_000_000, 1_700_000_003))
    assert log.frame.index[0] == pd.Timestamp("2023-11-14 22:13:20")
    log = read_log(write(csv, "a,b", ["1,2", "3,4"]), time=False)
    assert log.frame.index.tolist() == [0, 1] and log.summary.period is None
    assert "rows are numbered" in str(log.summary)


@pytest.mark.parametrize(
    ("cells", "normal", "wanted"),
    [
        ([0, 1, 0], None, [0, 1, 0]),
        ([1, -1, 1], None, [0, 1, 0]),
        ([1.0, -1.0], None, [0, 1]),
        ([1, 1], 1, [0, 0]),
        ([True, False], None, [1, 0]),
        ([" Normal", "A ttack", "Attack "], None, [0, 1, 1]),
        (["NORMAL", "BROKEN", "RECOVERING"], "NORMAL", [0, 1, 1]),
        (["no", "YES"], None, [0, 1]),
    ],
)
def test_what_labels_mean(cells, normal, wanted):
    assert to_labels(pd.Series(cells), normal)[0].tolist() == wanted


def test_labels_from_elsewhere(csv):
    attacks = pd.DataFrame({"start": [ISO[1], ISO[5]], "end": [ISO[2], ISO[5]]})
    assert column(csv, ISO, labels=attacks).labels.tolist() == [0, 1, 1, 0, 0, 1]
    log = column(csv, ISO, labels=np.array([0, 0, 0, 1, 0, 0]), warm_up=1, every="2s")
    assert log.labels.tolist() == [0, 1, 0]
    numbers = pd.DataFrame({"start": [2], "end": [3]})
    assert labels_of_intervals(pd.RangeIndex(5), numbers).tolist() == [0, 0, 1, 1, 0]
    with pytest.raises(ValueError, match="attacks: there is no column 'end'"):
        column(csv, ISO, labels=attacks[["start"]])
    with pytest.raises(ValueError, match="attacks: row 0 ends at .* before its start"):
        column(csv, ISO, labels=attacks.rename(columns={"start": "end", "end": "start"}))


def test_detectors_read_what_is_returned(csv):
    from tsgen.anomaly.baselines import PCADetector

    rng = np.random.default_rng(0)
    index = pd.date_range("2024-01-01", periods=300, freq="s", name="time")
    pd.DataFrame(rng.normal(size=(300, 3)), index, list("abc")).to_csv(csv)
    log = read_log(csv)
    assert PCADetector().fit(log.frame).decision_function(log.frame).shape == (300,)


def add(path, text):
    with path.open("a") as handle:
        handle.write(text)


def test_following_a_log(csv):
    follower = LogFollower(csv)
    assert follower.read() is None, "there is no file yet"
    add(csv, "time, a,b,label\n2024-01-01 00:00,1,2,0\n2024-01-01 00:01,3")
    first = follower.read()
    assert first.columns.tolist() == ["a", "b"] and first.to_numpy().tolist() == [[1, 2]]
    assert follower.read() is None, "half a line waits"
    add(csv, "5,4,0\n\n2024-01-01 00:02,5,6,0\n")
    rows = follower.read()
    assert rows.to_numpy().tolist() == [[35, 4], [5, 6]]
    assert rows.index.tolist() == list(pd.date_range("2024-01-01 00:01", periods=2, freq="min"))
    add(csv, "2024-01-01 00:03,5,stuck,0\n")
    with pytest.raises(ValueError, match=r"plant\.csv, line 6: column 'b': 'stuck' is not a num"):
        follower.read()
    add(csv, "2024-01-01 00:02,5,6,0\n")
    with pytest.raises(ValueError, match="line 7: the time 2024-01-01 00:02:00 comes twice"):
        follower.read()
    add(csv, "2024-01-01 00:01,5,6,0\n")
    with pytest.raises(ValueError, match="line 8: times go backwards, .*01:00 follows .*02:00"):
        follower.read()


def test_following_a_log_that_is_cut_or_replaced(csv, tmp_path):
    follower = LogFollower(csv)
    write(csv, "time,a", [f"{stamp},1" for stamp in ISO[:3]])
    assert len(follower.read()) == 3
    write(csv, "time,a", [f"{ISO[3]},2"])  # shorter
    assert follower.read()["a"].tolist() == [2] and follower.restarts == 1
    other = write(tmp_path / "new.csv", "time,b,a", [f"{s},8,9" for s in ISO[4:]] + ["", "", ""])
    os.replace(other, csv)
    rows = follower.read()
    assert rows.columns.tolist() == ["b", "a"] and len(rows) == 2 and follower.restarts == 2


def test_following_with_what_training_knew(csv, tmp_path):
    train = column(tmp_path / "train.csv", ["30/04/2020", "01/05/2020"], header="when,a")
    assert train.summary.time == ("when",)
    write(csv, "b,when,a", ["7,02/05/2020,1", "7,03/05/2020,2"])
    (rows,) = follow_log(csv, train, stop=lambda: True)
    assert rows.columns.tolist() == ["a"] and rows.index[0] == pd.Timestamp("2020-05-02")
    follower = LogFollower(csv, ["a", "z"], from_end=True, dayfirst=True, time="when")
    assert follower.read() is None
    add(csv, "7,04/05/2020,3\n")
    rows = follower.read()
    assert rows.index[0] == pd.Timestamp("2020-05-04") and rows["a"].tolist() == [3]
    assert rows["z"].isna().all()
    add(csv, "7,05/05/2020,x\n")
    with pytest.raises(ValueError, match="line 5: column 'a'"):
        follower.read()
    with pytest.raises(ValueError, match="a packed file cannot be followed"):
        LogFollower(tmp_path / "a.csv.gz")


def test_following_waits_where_nothing_is_new(csv, monkeypatch):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        add(csv, f"{ISO[len(slept)]},{len(slept)}\n")

    monkeypatch.setattr("time.sleep", sleep)
    write(csv, "time,a", [f"{ISO[0]},0"])
    found = follow_log(csv, poll=0.25, stop=lambda: len(slept) == 3)
    assert [rows["a"].tolist() for rows in found] == [[0], [1], [2], [3]]
    assert slept == [0.25] * 3


def test_following_reads_decimal_commas(csv):
    write(csv, "time;a", [f"{ISO[0]};1,5"])
    follower = LogFollower(csv)
    assert follower.read()["a"].tolist() == [1.5]
    add(csv, f"{ISO[1]};2\n{ISO[2]};2,25\n")
    assert follower.read()["a"].tolist() == [2, 2.25]


def test_following_line_ends_of_windows(csv):
    csv.write_bytes(b"time,a\r\n2024-01-01 00:00,1\r\n2024-01-01 00:01,2\r\n2024-01")
    follower = LogFollower(csv)
    assert follower.read()["a"].tolist() == [1, 2]
    with csv.open("ab") as handle:
        handle.write(b"-01 00:02,3\r\n2024-01-01 00:03,x\r\n")
    with pytest.raises(ValueError, match="line 5: column 'a'"):
        follower.read()


def test_late_rows_are_left_out_where_that_is_wanted(tmp_path):
    """Within what is read at once, and against what was read before."""
    path = tmp_path / "log.csv"
    path.write_text("time,a\n2024-01-01 00:00,0\n2024-01-01 02:00,2\n2024-01-01 01:00,1\n")
    follower = LogFollower(path, skip_late=True)
    assert follower.read()["a"].to_list() == [0, 2] and follower.late == 1
    with path.open("a") as file:
        file.write("2024-01-01 02:00,9\n")
    assert follower.read() is None and follower.late == 2
    with path.open("a") as file:
        file.write("2024-01-01 01:30,9\n2024-01-01 03:00,3\n2024-01-01 03:00,9\n")
    assert follower.read()["a"].to_list() == [3] and follower.late == 4
