from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tsgen.data.benchmarks import MissingData
from tsgen.data.loaders import load
from tsgen.data.registry import cards

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The data folder."""
    monkeypatch.setenv("TSGEN_DATA", str(tmp_path))
    made = tmp_path / "forecasting"
    made.mkdir()
    return made


def table_card(**changes):
    return replace(cards["ETTh1"], **{"length": 20, "windows": 2, "prediction_length": 4} | changes)


def write_table(folder, rows=40, start="2016-07-01", freq="h", columns="HUFL HULL MUFL MULL OT"):
    frame = pd.DataFrame(
        RNG.normal(size=(rows, len(columns.split()))),
        index=pd.date_range(start, periods=rows, freq=freq),
        columns=columns.split(),
    )
    frame.to_csv(folder / "ETTh1.csv.gz", index_label="date")
    return frame


def test_table_to_one_series_of_channels(folder):
    frame = write_table(folder)
    card = table_card(channels=5, table=replace(cards["ETTh1"].table, end="2016-07-02 11:00"))
    data = load(card)
    used = frame[(frame.index <= "2016-07-02 11:00")].to_numpy().T[:, -28:]
    (train,) = data.train
    assert train["target"].dtype == np.float64 and np.allclose(train["target"], used[:, :20])
    assert train["start"] == pd.Period("2016-07-01 08:00", freq="h")
    assert [e["target"].shape for e in data.test] == [(5, 24), (5, 28)]
    assert np.allclose(data.test[1]["target"], used)
    assert data.channels == list(frame.columns) and data.card is card and data.season == 24
    assert data.test[0]["item_id"] == train["item_id"] == "all"
    assert np.shares_memory(data.test[0]["target"], data.test[1]["target"])


def test_table_to_a_panel_keeps_gaps_and_names(folder):
    frame = write_table(folder, columns="a b c")
    frame.iloc[:3, 1] = np.nan
    frame.to_csv(folder / "ETTh1.csv.gz", index_label="date")
    table = replace(cards["ETTh1"].table, end="")
    data = load(table_card(kind="panel", series=3, channels=1, length=32, table=table))
    assert [e["item_id"] for e in data.test] == ["a", "b", "c"] * 2 and data.channels is None
    assert data.train[1]["target"].shape == (32,) and np.isnan(data.train[1]["target"][:3]).all()
    assert [len(e["target"]) for e in data.test] == [36] * 3 + [40] * 3


def test_table_with_covariates_of_both_kinds_words_and_flags(folder):
    frame = write_table(folder, columns="y k p")
    frame["k"] = frame["k"] > 0
    frame["p"] = ["dry", "wet"] * 20
    frame.to_csv(folder / "ETTh1.csv.gz", index_label="date")
    table = replace(
        cards["ETTh1"].table,
        end="",
        values=("y",),
        known=("k",),
        past=("p",),
        codes={"p": ("dry", "wet")},
        shift="10h",
    )
    card = table_card(kind="panel", channels=1, length=32, table=table)
    data = load(card)
    (train,), last = data.train, data.test[-1]
    assert train["target"].shape == (32,) and train["start"] == pd.Period("2016-07-01 10:00", "h")
    assert train["feat_dynamic_real"].shape == train["past_feat_dynamic_real"].shape == (1, 32)
    assert np.array_equal(last["feat_dynamic_real"][0], frame["k"])  # to the end of the window
    assert np.array_equal(last["past_feat_dynamic_real"][0], [0, 1] * 20)
    wrong = replace(table, codes={"p": ("dry",)})
    with pytest.raises(ValueError, match=r"ETTh1.csv.gz .*column p holds \['wet'\]"):
        load(replace(card, table=wrong))


def test_half_hours_and_months_and_nominal_times(folder):
    for freq, start in (("30min", "2020-01-01"), ("M", "2020-01-31"), ("W", "2020-01-05")):
        write_table(folder, start=start, freq="ME" if freq == "M" else freq)
        table = replace(cards["ETTh1"].table, end="")
        data = load(table_card(freq=freq, channels=5, table=table))
        first = pd.Period(start, freq=freq)
        assert data.train[0]["start"] == first + 12, freq
        table = replace(table, start="2001-01-01", end=str(pd.Period("2001-01-01", freq) + 30))
        if freq != "W":  # whose periods read as two dates
            data = load(table_card(freq=freq, channels=5, table=table))
            assert data.train[0]["start"] == pd.Period("2001-01-01", freq) + 3


def test_sums_of_columns(folder):
    write_table(folder, columns="p00_a p00_b p01_a p01_b p01_c")
    frame = pd.read_csv(folder / "ETTh1.csv.gz", index_col=0)
    table = replace(cards["ETTh1"].table, end="", sum_by=r"(p\d+)_")
    data = load(table_card(channels=2, length=32, table=table))
    assert data.channels == ["p00", "p01"]
    assert np.allclose(data.test[-1]["target"][1], frame.iloc[:, 2:].sum(1))


def test_imputed_cells_are_missing_in_the_truth_only(folder):
    write_table(folder, rows=28, columns="a b")
    cells = [("2016-07-01 05:00", "a"), ("2016-07-01 22:00", "b"), ("2016-07-02 03:00", "a")]
    cells += [("2016-07-02 01:00", "gone"), ("2015-07-02 01:00", "a"), ("2018-01-01 00:00", "a")]
    pd.DataFrame(cells, columns=["date", "series"]).to_csv(folder / "cells.csv", index=False)
    table = replace(cards["ETTh1"].table, end="", masked="cells.csv")
    data = load(table_card(channels=2, table=table))
    assert np.isfinite(data.train[0]["target"]).all()
    found = [np.argwhere(np.isnan(e["target"])).tolist() for e in data.test]
    assert found == [[[1, 22]], [[0, 27]]]
    (folder / "cells.csv").unlink()
    with pytest.raises(MissingData, match="no file cells.csv in TSGEN_DATA/forecasting"):
        load(table_card(channels=2, table=table))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="OT"), r"channels \[4\]; the card says \[5\]"),
        (lambda f: f.iloc[:30].rename_axis("date"), "it has 30 rows from 2016-07-01 00:00 on; the"),
        (lambda f: f.drop(f.index[5]), "after 2016-07-01 04:00 comes 2016-07-01 06:00, expected"),
        (lambda f: f.assign(OT="x"), "could not convert string to float"),
        (lambda f: f.rename_axis("time"), "it has no column date"),
    ],
)
def test_tables_that_do_not_fit_their_card(folder, change, message):
    change(write_table(folder).rename_axis("date")).to_csv(folder / "ETTh1.csv.gz")
    card = table_card(channels=5, table=replace(cards["ETTh1"].table, end="2016-07-02 15:00"))
    with pytest.raises(ValueError, match=message) as caught:
        load(card)
    assert "ETTh1" in str(caught.value)


@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b"no gzip", lambda b: b""])
def test_broken_tables_are_named(folder, spoil):
    write_table(folder)
    path = folder / "ETTh1.csv.gz"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match="ETTh1.csv.gz cannot be read as ETTh1: .*verify"):
        load(table_card(channels=5))
