"""Rows of one time, and the columns that tell series apart."""

import numpy as np
import pandas as pd
import polars
import pyarrow
import pytest
from gluonts.core.serde import decode, encode
from gluonts.model.forecast import SampleForecast

from tests.support.tables import wide
from tsgen.data.frames import from_dataframe
from tsgen.data.tidy import quantile_frame, sample_frame

DAYS = pd.date_range("2023-01-01", periods=60)


def shops(stores=(1, 2), items=("x", "y")):
    """Sales of each item of each store, which differ by store."""
    rng = np.random.default_rng(0)
    rows = [
        (d, s, p, rng.poisson(5 * i + 9)) for i, s in enumerate(stores) for p in items for d in DAYS
    ]
    return pd.DataFrame(rows, columns=["date", "store", "item", "sold"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"item_id": "item"}, r"120 of 240 rows .* of the same item, such as 2023-01-01 .* of item "
                              r"'x' in row 120; column 'store' tells .* item_id=\['item', 'store'"),
        ({"item_id": "store"}, r"column 'item' tells them apart: pass item_id=\['store', 'item'\]"),
        ({"target": "sold"}, r"columns 'store' and 'item' tell .* item_id=\['store', 'item'\]"),
        ({}, r"180 of 240 rows .* columns 'store' and 'item' tell them apart"),
    ],
)  # fmt: skip
def test_items_that_were_forgotten_are_named(options, message):
    for table in (shops(), shops().astype({"store": "category", "item": "string"})):
        with pytest.raises(ValueError, match=message):
            from_dataframe(table, **options)


def test_numbers_of_shops_are_items():
    table = shops(range(1, 6), "x").drop(columns="item")
    with pytest.raises(ValueError, match="240 of 300 .* column 'store' tells .* item_id='store'"):
        from_dataframe(table)
    layout = from_dataframe(table, item_id="store").summary.layout
    with pytest.raises(ValueError, match="of the same item"):
        layout.read(shops(range(1, 6), "xy"))  # the next table is not merged either


def test_rows_that_nothing_tells_apart():
    table = shops()[["date", "sold"]]
    with pytest.raises(ValueError, match="no other column tells them apart.* duplicates='last'"):
        from_dataframe(table)
    for rule in ("last", "first", "mean", "sum"):  # asked for, it is done
        (entry,), summary = from_dataframe(table, duplicates=rule)
        assert entry["target"].shape == (60,)
        assert any(
            "rows of times that came more than once were merged" in c for c in summary.changes
        )
        assert summary.layout.duplicates == rule
    values = table.groupby("date")["sold"]
    assert np.array_equal(
        from_dataframe(table, duplicates="sum").dataset[0]["target"], values.sum()
    )


def test_a_column_that_holds_the_rest_of_the_time():
    hours = pd.date_range("2023-01-01", periods=72, freq="h")
    table = pd.DataFrame({"date": hours.date, "a": np.arange(72.0)})
    for name, cells in (("hour", hours.hour), ("clock", hours.strftime("%H:%M"))):
        with pytest.raises(ValueError, match=f"column '{name}' seems to hold the rest of the time"):
            from_dataframe(table.assign(**{name: cells}), target="a")
    parts = pd.DataFrame({"year": hours.year, "month": hours.month, "day": hours.day, "a": 1.0})
    for options in ({}, {"time": "year"}):
        with pytest.raises(ValueError, match="divided over columns 'year', 'month', 'day'; join"):
            from_dataframe(parts, **options)
    with pytest.raises(ValueError, match=r"time=\['year', 'month'\]: expected one column; join"):
        from_dataframe(parts, time=["year", "month"])


def test_a_few_slips_and_whole_copies_are_merged():
    table = wide(100)
    slips = pd.concat([table, table.iloc[[3, 9]] + 1])
    (entry,), summary = from_dataframe(slips)
    assert entry["target"][0, 3] == table.iloc[3, 0] + 1
    assert (
        "2 rows of times that came more than once were merged (duplicates='last')"
        in summary.changes
    )
    (entry,), _ = from_dataframe(pd.concat([table, table]))  # nothing is lost
    assert np.array_equal(entry["target"], table.to_numpy().T)
    with pytest.raises(ValueError, match="table: 10 of 110 rows have a time that another row has"):
        from_dataframe(pd.concat([table, table.iloc[:10] + 1]))


def test_many_rows_of_one_item_are_not_hidden_by_the_others():
    table = shops(range(20), "x").drop(columns="item")
    again = table[table["store"] == 7].assign(sold=1000)
    with pytest.raises(ValueError, match="60 of 1260 rows .* of item '7'"):
        from_dataframe(pd.concat([table, again]), item_id="store")


def test_a_coarser_frequency_says_how_rows_are_merged():
    table = wide(240)
    with pytest.raises(
        ValueError, match="240 times .* fall into 10 steps of D.* duplicates='last'"
    ):
        from_dataframe(table, freq="D")
    (entry,), _ = from_dataframe(table, freq="D", duplicates="mean")
    assert np.allclose(entry["target"], table.resample("D").mean().to_numpy().T)


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "csv"])
def test_items_of_several_columns(kind, tmp_path):
    table = shops(("01", "1", "a/b"), ("x", "y, z"))
    expected = table.groupby(["store", "item"])["sold"].first()
    source = {"pandas": table, "polars": polars.from_pandas(table), "csv": tmp_path / "a.csv",
              "arrow": pyarrow.Table.from_pandas(table)}[kind]  # fmt: skip
    table.to_csv(tmp_path / "a.csv", index=False)
    dataset, summary = from_dataframe(source, item_id=["store", "item"], target="sold")
    layout = summary.layout
    assert layout.items == ("store", "item") and decode(encode(layout)) == layout
    assert [e["item_id"] for e in dataset][:3] == ["01/x", "01/y, z", "1/x"]
    forecasts = [
        SampleForecast(np.full((5, 2), e["target"][0]), e["start"], item_id=e["item_id"])
        for e in dataset
    ]
    for frame in (
        quantile_frame(forecasts, items=layout.items),
        sample_frame(forecasts, items=layout.items),
    ):
        assert list(frame)[:3] == ["item_id", "store", "item"]
        value = "mean" if "mean" in frame else "value"
        for (store, item), part in frame.groupby(["store", "item"]):
            assert (part[value] == expected[store, item]).all()
        assert frame.groupby(["store", "item"]).ngroups == 6
    again = layout.read(source)
    assert [e["item_id"] for e in again.dataset] == [e["item_id"] for e in dataset]


def test_names_of_items_that_frames_have_themselves():
    one = SampleForecast(np.ones((5, 2)), pd.Period("2024-01-01", "D"), item_id="a/b")
    frame = quantile_frame(one, items=["start", "mean"])
    assert list(frame)[:4] == ["item_id", "item start", "item mean", "start"]
    assert (frame["item mean"] == "b").all() and (frame["mean"] == 1).all()
    assert "store" not in sample_frame(one, items=["store"])
    with pytest.raises(
        ValueError, match="item 'a/b' has 2 parts, expected one for each of 's', 't'"
    ):
        quantile_frame(one, items=["s", "t", "u"])


def test_joined_items_of_several_columns():
    (entry,), summary = from_dataframe(
        shops(), item_id=["store", "item"], target="sold", multivariate=True
    )
    assert summary.channels == ("1/x", "1/y", "2/x", "2/y") and entry["target"].shape == (4, 60)
    table = shops().assign(item=lambda f: f["item"] + " c").rename(columns={"sold": "b"})
    both = table.assign(**{"c b": 1.0}).replace({"x c": "x", "y c": "x c"})
    with pytest.raises(ValueError, match="two channels would be called '1/x c b'"):
        from_dataframe(both, item_id=["store", "item"], multivariate=True, time="date")


LEVELS = pd.MultiIndex.from_product([["a", "b", "c"], DAYS], names=["item_id", "timestamp"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"item_id": "item_id"},
        {"time": "timestamp"},
        {"item_id": ["item_id"], "time": "timestamp"},
    ],
)
def test_two_levels_of_an_index(options):
    table = pd.DataFrame({"target": np.arange(180.0)}, LEVELS)
    for frame in (table, table["target"], table.sample(frac=1, random_state=0)):
        dataset, summary = from_dataframe(frame, **options)
        values = {e["item_id"]: e["target"] for e in dataset}
        assert all(np.array_equal(values[n], np.arange(60.0) + 60 * i) for i, n in enumerate("abc"))
        said = "items are told apart by 'item_id', which the index holds" in summary.changes
        assert said == ("item_id" not in options)
        assert len(summary.layout.read(frame).dataset) == 3
        assert len(summary.layout.read(table.reset_index()).dataset) == 3
    joined = from_dataframe(table, multivariate=True, **options)
    assert joined.summary.channels == ("a", "b", "c")


@pytest.mark.parametrize(
    "name", ["target", "start", "item_id", "time", "index", "level_0", "value", "level", None]
)
def test_levels_and_columns_called_like_anything(name):
    table = pd.DataFrame({"y": np.arange(180.0)}, LEVELS.rename([name, "when"]))
    assert len(from_dataframe(table).dataset) == 3
    deeper = pd.concat({"p": table, "q": table + 1}, names=["more"])
    dataset, summary = from_dataframe(deeper)
    assert len(dataset) == 6 and len(summary.layout.items) == 2
    with pytest.raises(ValueError, match="tells? them apart: pass item_id="):
        from_dataframe(deeper, item_id="more")
    if name is not None:
        wide_one = pd.DataFrame({"date": DAYS, name: np.arange(60.0)})
        (entry,), summary = from_dataframe(wide_one, target=name)
        assert summary.channels == (name,) and np.array_equal(entry["target"], np.arange(60.0))
        with pytest.raises(ValueError, match=f"column '{name}' is there twice"):
            from_dataframe(table.rename(columns={"y": name}))


def test_an_index_that_is_named():
    table = pd.DataFrame({"store": [1] * 60 + [2] * 60, "t": [*DAYS, *DAYS], "y": np.arange(120.0)})
    for frame, options in (
        (table.set_index("store"), {}),
        (table.set_index("store"), {"item_id": "store"}),
        (table.set_index("t"), {"item_id": "store", "time": "t"}),
        (table.astype({"store": "category"}).set_index("store"), {"item_id": "store"}),
    ):
        dataset, _ = from_dataframe(frame, **options)
        assert [e["item_id"] for e in dataset] == ["1", "2"]
        assert np.array_equal(dataset[1]["target"], 60 + np.arange(60.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": ["date", "store"]}, "expected one column; join the parts"),
        (
            {"target": {"sold": 1}},
            r"target=\{'sold': 1\}: expected the name of a column, or a list",
        ),
        ({"known": 1.5}, "known=1.5: expected the name of a column"),
        ({"freq": 3}, "freq=3: expected a text such as 'h'"),
        ({"item_id": ["store", "store"]}, "column 'store' is named for two things"),
        ({"item_id": ["store", "shelf"]}, "there is no column 'shelf'; the columns are 'date'"),
        ({"duplicates": "most"}, "duplicates='most'"),
    ],
)
def test_arguments_of_another_kind(options, message):
    with pytest.raises(ValueError, match=message):
        from_dataframe(shops(), **options)
