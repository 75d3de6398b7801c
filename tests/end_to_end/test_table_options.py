"""How a table is read, said on the command line."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from tests.support.commands import run

DAYS = pd.date_range("2023-01-01", periods=80)
TRAIN = ["--model", "seasonal_naive", "--horizon", 7, "--windows", 0, "--calibrate", 0,
         "--baselines", "none", "--quiet"]  # fmt: skip


@pytest.fixture
def sold(tmp_path):
    """Four series of two columns of items, a price and a target that has a comma in its name."""
    blocks = [
        pd.DataFrame({"date": DAYS, "store": s, "mean": p, "price": 1.0, "Sold, units": 10.0 * i})
        for i, (s, p) in enumerate([("01", "x"), ("01", "y"), ("2", "x"), ("2", "y")])
    ]
    path = tmp_path / "sold.csv"
    pd.concat(blocks).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    "items", [["--item-id", "store,mean"], ["--item-id", "store", "--item-id", "mean"]]
)
def test_items_of_two_columns_and_a_name_with_a_comma(sold, items, capsys, tmp_path):
    out = tmp_path / "m"
    run(capsys, "train", sold, *items, "--target", '"Sold, units"', *TRAIN, "--out", out)
    told = json.loads((out / "table.json").read_text())
    assert "Sold, units" in json.dumps(told)
    paths = tmp_path / "paths.csv"
    printed = run(capsys, "forecast", out, sold, "--paths", paths, "--quiet", "--sum").out
    frame = pd.read_csv(io.StringIO(printed), dtype={"store": str})
    assert list(frame)[:4] == ["item_id", "store", "item mean", "start"]
    items = frame[frame["item_id"] != "sum"]
    means = items.groupby(["store", "item mean"])["mean"].mean()
    assert means.to_dict() == {("01", "x"): 0, ("01", "y"): 10, ("2", "x"): 20, ("2", "y"): 30}
    assert set(pd.read_csv(paths)["item mean"]) == {"x", "y"}
    assert (frame.loc[frame["item_id"] == "sum", "mean"] == 60).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "Sold, units"], "no column 'Sold'; the columns are 'date', 'store', 'mean', "
         "'price', 'Sold, units'; on the command line a name with a comma is put in quotes"),
        (["--target", '"Sold, units'], "expected names of columns with commas between them, quot"),
        (["--item-id", "mean"], "column 'store' tells them apart: pass --item-id mean,store; else "
         "say which counts with --duplicates last, 'first', 'mean' or 'sum'"),
        (["--item-id", "store,shelf"], "there is no column 'shelf'"),
        (["--time-format", "%d.%m."], "--time-format %d.%m. has no year"),
        (["--time-format", "%d.%m.%Y"], "is not a time written as --time-format %d.%m.%Y says"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_words_of_the_command_line(
    sold, options, message, capsys, tmp_path
):
    err = run(capsys, "train", sold, *options, *TRAIN, "--out", tmp_path / "m", code=2).err
    assert message in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "m").exists()


def test_dates_that_have_several_readings(capsys, tmp_path):
    path, out = tmp_path / "a.csv", tmp_path / "m"
    pd.DataFrame({"day": DAYS.strftime("%d%m%y"), "a": np.arange(80.0)}).to_csv(path, index=False)
    command = ["train", path, "--time", "day", *TRAIN, "--out", out]
    err = run(capsys, *command, code=2).err
    assert "or day month year (%d%m%y: 2023-01-01); pass --time-format %y%m%d or the like" in err
    run(capsys, *command, "--time-format", "%d%m%y")
    frame = pd.read_csv(io.StringIO(run(capsys, "forecast", out, path, "--quiet").out))
    assert frame["time"].iloc[0] == "2023-03-22"


def test_the_price_of_the_days_to_come_is_not_made_up(sold, capsys, tmp_path):
    out, later = tmp_path / "m", tmp_path / "later.csv"
    options = ["--item-id", "store,mean", "--target", '"Sold, units"', "--known", "price"]
    run(capsys, "train", sold, *options, *TRAIN, "--out", out)
    table = pd.read_csv(sold, dtype={"store": str}, parse_dates=["date"])
    ahead = table.groupby(["store", "mean"]).tail(7).assign(**{"Sold, units": np.nan, "price": 2.0})
    ahead["date"] += pd.Timedelta("7D")
    pd.concat([table, ahead]).to_csv(later, index=False)
    assert len(run(capsys, "forecast", out, later, "--quiet").out.splitlines()) == 29
    ahead.iloc[9, ahead.columns.get_loc("price")] = np.nan
    pd.concat([table, ahead]).to_csv(later, index=False)
    err = run(capsys, "forecast", out, later, "--quiet", code=2).err
    assert "item '01/y': known covariate 'price' has no value at 2023-03-24, the first step" in err


def test_a_sum_beside_a_series_that_is_called_sum(capsys, tmp_path):
    table = pd.DataFrame({"sum": 1.0, "other": 2.0}, DAYS).rename_axis("date")
    table.to_csv(tmp_path / "a.csv")
    for way, column in (("--multivariate", "channel"), ("--panel", "item_id")):
        out = tmp_path / way
        run(capsys, "train", tmp_path / "a.csv", *TRAIN, way, "--out", out)
        printed = run(capsys, "forecast", out, tmp_path / "a.csv", "--sum", "--quiet").out
        means = pd.read_csv(io.StringIO(printed)).groupby(column)["mean"].mean()
        assert means.to_dict() == {"sum": 1, "other": 2, "sum of all": 3}
