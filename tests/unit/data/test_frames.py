import numpy as np
import pandas as pd
import polars
import pyarrow
import pytest

from tests.support.tables import long, wide
from tsgen.data.frames import from_dataframe


def test_wide_tables_are_one_multivariate_series():
    dataset, summary = from_dataframe(wide())
    (entry,) = dataset
    assert entry["start"] == pd.Period("2024-01-01", freq="h")
    assert np.array_equal(entry["target"], wide().to_numpy().T)
    assert summary.channels == ("north", "south") and summary.changes == ()
    assert summary.missing == 0 and summary.layout.freq == "h" and summary.steps == 48
    assert "2 channels, 48 steps of h from 2024-01-01 00:00:00" in str(summary)


def test_wide_tables_can_be_a_panel():
    dataset, summary = from_dataframe(wide(), multivariate=False)
    assert [e["item_id"] for e in dataset] == ["north", "south"]
    assert dataset[1]["target"].shape == (48,) and summary.series == 2
    assert summary.channels == ("value",)


def test_one_column_and_a_series_are_univariate():
    for table in (wide()[["north"]], wide()["north"]):
        (entry,), summary = from_dataframe(table)
        assert entry["target"].shape == (48,) and summary.channels == ("north",)


def test_long_tables_are_a_panel_with_static_features():
    dataset, summary = from_dataframe(
        long(), target="load", item_id="store", static=["size", "kind"]
    )
    assert [e["item_id"] for e in dataset] == ["x", "y", "z"]
    assert [len(e["target"]) for e in dataset] == [30, 35, 40]
    assert [e["feat_static_real"] for e in dataset] == [[1.5], [2.5], [3.5]]
    assert [e["feat_static_cat"] for e in dataset] == [[1], [0], [0]]
    assert summary.layout.categories == (("kind", ("big", "small")),)
    assert summary.series == 3 and summary.steps == 40


def test_long_tables_can_be_one_multivariate_series():
    table = long().sample(frac=1, random_state=0)
    table["price"] = table["when"].dt.hour.astype(float)
    (entry,), summary = from_dataframe(
        table, target="load", item_id="store", multivariate=True, past=["price"]
    )
    assert set(summary.channels) == {"x", "y", "z"} and entry["target"].shape == (3, 40)
    row = summary.channels.index("x")
    assert np.array_equal(entry["target"][row, :30], wide(30, ["load"])["load"])
    assert np.isnan(entry["target"][row, 30:]).all()
    assert np.array_equal(entry["past_feat_dynamic_real"], [np.arange(40) % 24.0])
    two = from_dataframe(
        long(), target=["load", "size"], item_id="store", multivariate=True
    ).summary  # fmt: skip
    assert two.channels == ("x load", "x size", "y load", "y size", "z load", "z size")


def test_known_covariates_reach_into_the_future():
    table = wide(60).assign(price=np.arange(60.0), weather=np.arange(60.0))
    table.iloc[48:, [0, 1, 3]] = np.nan
    dataset, summary = from_dataframe(table, known=["price"], past=["weather"])
    (entry,) = dataset
    assert entry["target"].shape == (2, 48) and summary.channels == ("north", "south")
    assert np.array_equal(entry["feat_dynamic_real"], [np.arange(60.0)])
    assert np.array_equal(entry["past_feat_dynamic_real"], [np.arange(48.0)])
    assert "12 steps without a target at the end are the future" in summary.changes


def test_gaps_repeats_disorder_and_odd_stamps_are_mended_and_reported():
    table = wide()
    table.iloc[5, 0] = np.nan
    odd = table.index.to_series()
    odd.iloc[20] += pd.Timedelta("9min")
    table.index = pd.DatetimeIndex(odd)
    table = table.drop(table.index[[30, 31]])
    again = table.iloc[[10]] + 100
    table = pd.concat([table.iloc[25:], table.iloc[:25], again])
    (entry,), summary = from_dataframe(table)
    assert entry["target"].shape == (2, 48)
    expected = wide().to_numpy().T
    expected[0, 5], expected[:, 30:32] = np.nan, np.nan
    expected[:, 10] += 100
    assert np.allclose(entry["target"], expected, equal_nan=True)
    text = "\n".join(summary.changes)
    for part in (
        "1 series were not in order",
        "1 time stamps off the grid of h were moved to it (irregular='nearest')",
        "1 rows of times that came more than once were merged (duplicates='last')",
        "2 steps without a row were filled in as missing (NaN)",
    ):
        assert part in text, (part, text)
    assert summary.missing == pytest.approx(5 / 96)


@pytest.mark.parametrize(
    ("rule", "value"), [("first", 1.0), ("last", 3.0), ("mean", 2.0), ("sum", 4.0)]
)
def test_rules_for_repeated_times(rule, value):
    index = pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03"])
    table = pd.DataFrame({"a": [0.0, 1, 3, 5], "b": [0.0, np.nan, 2, 5]}, index)
    (entry,), _ = from_dataframe(table, duplicates=rule)
    assert list(entry["target"][0]) == [0, value, 5] and entry["target"][1, 1] == 2


@pytest.mark.parametrize("rule", ["mean", "sum"])
@pytest.mark.parametrize("joined", [False, True])
def test_repeated_covariates_are_not_added_up(rule, joined):
    table = wide(columns=("a", "price", "wind")).rename_axis("t").reset_index()
    table = pd.concat([table, table.assign(price=5.0, wind=6.0)]).assign(id="x")
    options = {"item_id": "id", "multivariate": True} if joined else {"target": "a"}
    table = table if joined else table.drop(columns="id")
    (entry,), _ = from_dataframe(table, known="price", past="wind", duplicates=rule, **options)
    assert (entry["feat_dynamic_real"] == 5).all() and (entry["past_feat_dynamic_real"] == 6).all()
    assert np.allclose(entry["target"], (2 if rule == "sum" else 1) * table["a"][:48])


def test_covariates_without_a_beginning():
    table = wide().assign(price=np.arange(48.0))
    table.iloc[:5, 2] = np.nan
    (entry,), summary = from_dataframe(table, known=["price"])
    assert (entry["feat_dynamic_real"][0, :6] == 5).all()
    assert summary.changes == ("covariates have their first value in the steps before it, too",)


def test_rows_without_a_target_at_the_end_are_left_out():
    table = wide().assign(wind=1.0)
    table.iloc[40:, :2] = np.nan
    (entry,), summary = from_dataframe(table, past=["wind"])
    assert entry["target"].shape == (2, 40) and entry["past_feat_dynamic_real"].shape == (1, 40)
    assert summary.changes == ("8 steps without a target at the end were left out",)
    assert summary.end == table.index[39]


@pytest.mark.parametrize("multivariate", [True, False])
def test_channels_without_a_value_are_named(multivariate):
    table = wide().assign(north=np.nan)
    summary = from_dataframe(table, multivariate=multivariate).summary
    assert summary.changes == ("channel 'north' has no value in the table: missing throughout",)


def test_disorder_of_joined_items_is_reported():
    table = long().sort_values("when", ascending=False)
    summary = from_dataframe(table, target="load", item_id="store", multivariate=True).summary
    assert summary.changes == ("time stamps of 3 series were not in order and were sorted",)


def test_covariates_go_on_over_gaps():
    table = wide().assign(price=1.0)
    table.iloc[3:5, 2] = np.nan
    table = table.drop(table.index[7])
    (entry,), summary = from_dataframe(table, known=["price"])
    assert (entry["feat_dynamic_real"] == 1).all()
    assert "covariates were carried over their gaps from the value before" in summary.changes


@pytest.mark.parametrize("freq", ["MS", "ME", "W-WED", "B", "15min", "250ms"])
def test_any_period(freq):
    (entry,), summary = from_dataframe(wide(freq=freq))
    assert entry["target"].shape == (2, 48) and not summary.changes
    assert summary.layout.stamp == ("end" if freq in ("ME", "W-WED") else "start")


def test_time_zones_become_utc():
    table = wide()
    table.index = table.index.tz_localize("Europe/Berlin")
    (entry,), summary = from_dataframe(table)
    assert str(entry["start"]) == "2023-12-31 23:00"
    assert "times were converted from Europe/Berlin to UTC" in summary.changes
    clean = wide()
    clean.index = clean.index.tz_localize("UTC")
    assert from_dataframe(clean).summary.changes == ()


def test_other_libraries_frames_and_periods():
    table = wide().rename_axis("time").reset_index()
    expected = from_dataframe(table).dataset[0]
    for other in (polars.from_pandas(table), pyarrow.Table.from_pandas(table)):
        found = from_dataframe(other).dataset[0]
        assert found["start"] == expected["start"]
        assert np.array_equal(found["target"], expected["target"])
    periods = wide().to_period()
    assert np.array_equal(from_dataframe(periods).dataset[0]["target"], expected["target"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.csv", {}),
        ("a.csv.gz", {}),
        ("a.tsv", {"sep": "\t"}),
        ("a.csv", {"sep": ";", "decimal": ","}),
        ("a.csv", {"encoding": "utf-8-sig"}),
        ("a.csv", {"date_format": "%d.%m.%Y %H:%M"}),
        ("a.parquet", None),
    ],
)
def test_files(tmp_path, name, options):
    path = tmp_path / name
    if options is None:
        wide().rename_axis("time").to_parquet(path)
    else:
        wide().rename_axis("time").to_csv(path, **options)
    found, summary = from_dataframe(str(path), dayfirst="date_format" in (options or {}))
    assert np.allclose(found[0]["target"], wide().to_numpy().T)
    assert summary.layout.time in (None, "time") and summary.channels == ("north", "south")


def text_in(column="north", row=17, value="n/a?"):
    table = wide().astype(object)
    table.loc[table.index[row], column] = value
    return table


def dated():
    return wide().reset_index(names="t").astype({"t": str})


BAD = {
    "missing file": (lambda p: p / "no.csv", {}, r"no.csv: no such file"),
    "empty file": (lambda p: write(p, ""), {}, "the file is empty"),
    "header only": (lambda p: write(p, "time,a\n"), {}, r"the table is empty \(2 columns, no rows"),
    "binary": (lambda p: write(p, b"\x00\x01\x02" * 50), {}, "cannot be read as a table"),
    "not parquet": (lambda p: write(p, b"PAR1" * 9, "a.parquet"), {}, "cannot be read as a table"),
    "latin": (lambda p: write(p, b"time,\xe9\n1,2\n"), {}, "cannot be read as a table"),
    "no time": (lambda p: wide().reset_index(drop=True), {}, "no time column among 'north', 'so"),
    "two times": (
        lambda p: wide().reset_index(names="a").assign(b=lambda f: f["a"]), {},
        "columns 'a', 'b' all hold times.*pass time=",
    ),
    "number time": (
        lambda p: wide().reset_index(drop=True), {"time": "north"}, "column 'north' holds numbers"
    ),
    "bad time": (
        lambda p: dated().replace("2024-01-01 05:00:00", "x"),
        {"time": "t"}, "column 't', row 5: 'x' is not a time written like '2024-01-01 00:00:00'",
    ),
    "no stamp": (
        lambda p: wide().reset_index(names="t").assign(t=lambda f: f["t"].where(f.index != 3)),
        {"time": "t"}, "column 't' has no time in row 3",
    ),
    "text": (
        lambda p: text_in(), {},
        r"column 'north', row 17 \(2024-01-01 17:00:00\): 'n/a\?' is not a number",
    ),
    "infinite": (
        lambda p: wide().replace(wide().iloc[4, 1], np.inf), {}, "'south', row 4 .*infinite"
    ),
    "mixed": (
        lambda p: pd.concat([wide(200), wide(60, freq="D").shift(9, freq="D")]), {},
        "mixed frequencies: the time stamps are",
    ),
    "mixed items": (
        lambda p: pd.concat([wide().assign(i="a"), wide(freq="D").assign(i="b")]),
        {"item_id": "i"}, "mixed frequencies: item 'a' has 'h', item 'b' has 'D'",
    ),
    "no period": (lambda p: wide(), {"freq": "BME"}, "nearest that has one is 'M'"),
    "business months": (lambda p: wide(freq="BME"), {}, "'BME' has no pandas period.*'M'"),
    "short": (lambda p: wide(2), {}, "2 time stamps do not tell a frequency; pass freq="),
    "days for months": (
        lambda p: wide(288).pipe(lambda f: f.set_axis(f.index.strftime("%d/%m/%Y %H:%M"))), {},
        r"288 times from 2024-01-01 00:00:00 to 2024-12-01 23:00:00 fill 4% .*dayfirst=",
    ),
    "far stamp": (
        lambda p: pd.concat([wide(), wide(1).shift(-500_000, freq="h")]), {"freq": "h"},
        "49 rows from 1966.* would make a series of 500048 steps of h; is the first or last",
    ),
    "no column": (lambda p: wide(), {"target": "east"}, "no column 'east'; the columns are"),
    "twice": (lambda p: wide(), {"target": ["north"], "known": ["north"]}, "named for two things"),
    "no target": (lambda p: wide(), {"known": ["north", "south"]}, "no column is left for the t"),
    "static wide": (lambda p: wide(), {"static": ["north"]}, "static columns tell items apart"),
    "static moves": (
        lambda p: long().assign(size=np.arange(105.0)),
        {"target": "load", "item_id": "store", "static": ["size"]},
        "item 'x': static column 'size' changes from",
    ),
    "no item": (
        lambda p: long().assign(store=None), {"target": "load", "item_id": "store"},
        "column 'store' is empty in row 0",
    ),
    "unlike covariates": (
        lambda p: long(), {"target": "load", "item_id": "store", "multivariate": True,
                           "known": ["size"]}, "covariate 'size' differs between items",
    ),
    "empty covariate": (
        lambda p: wide().assign(price=np.nan), {"known": ["price"]}, "covariate 'price' has no v"
    ),
    "item like a covariate": (
        lambda p: long().assign(x=1.0), {"target": "load", "item_id": "store", "known": ["x"],
                                         "multivariate": True},
        "'x' is both an item and a covariate",
    ),
    "no target value": (lambda p: wide() * np.nan, {}, "table: it has no target value"),
    "item without values": (
        lambda p: long().assign(load=lambda f: f["load"].where(f["store"] != "y")),
        {"target": "load", "item_id": "store"}, "item 'y': it has no target value",
    ),
    "infinite static": (
        lambda p: long().assign(size=np.inf),
        {"target": "load", "item_id": "store", "static": "size"},
        "item 'x': static column 'size' is inf, expected a finite number",
    ),
    "office hours": (
        lambda p: wide(2000).pipe(lambda f: f[(f.index.dayofweek < 5) & (f.index.hour < 9)]), {},
        "fill 28% of .*dayfirst=True.*long pauses.* pass freq='h'",
    ),
    "repeats": (
        lambda p: pd.concat([wide(), wide().iloc[[7]]]), {"duplicates": "error"},
        r"1 times come more than once",
    ),
    "irregular": (
        lambda p: pd.concat([wide(), wide(1).shift(90, freq="min")]), {"irregular": "error"},
        "1 time stamps are off the grid of h, first 2024-01-01 01:30:00",
    ),
    "not a table": (lambda p: 3, {}, "int is neither a data frame, nor a path of one"),
    "empty frame": (lambda p: wide().iloc[:0], {}, r"it is empty \(2 columns, 0 rows\)"),
    "same names": (lambda p: wide().set_axis(["a", "a"], axis=1), {}, "column 'a' is there twice"),
}  # fmt: skip


def write(folder, content, name="a.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_days_before_months():
    table = wide(288).pipe(lambda f: f.set_axis(f.index.strftime("%d/%m/%Y %H:%M")))
    dataset, summary = from_dataframe(table, dayfirst=True)
    assert dataset[0]["target"].shape == (2, 288) and not summary.changes


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_named(case, tmp_path):
    make, options, message = BAD[case]
    with pytest.raises(ValueError, match=message) as found:
        from_dataframe(make(tmp_path), **options)
    assert "\n" not in str(found.value)
