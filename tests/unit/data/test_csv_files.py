"""Files without a header, of another encoding, with dots; covariates that are names or missing."""

import numpy as np
import pandas as pd
import pytest

from tests.support.tables import wide
from tsgen.data.frames import from_dataframe

DAYS = pd.date_range("2023-01-01", periods=60)
MONTHS = pd.date_range("2018-01-01", periods=60, freq="MS")


def file(folder, lines, encoding="utf-8"):
    path = folder / "a.csv"
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


@pytest.mark.parametrize(
    "times",
    [
        DAYS.strftime("%Y-%m-%d %H:%M"), DAYS.strftime("%d.%m.%Y"), DAYS.strftime("%Y%m%d"),
        MONTHS.strftime("%b-%y"), MONTHS.strftime("%Y-%m"), [str(1950 + i) for i in range(60)],
        [f"{1950 + i // 4}Q{i % 4 + 1}" for i in range(60)],
        [str(1700000000 + i) for i in range(60)],
    ],
)  # fmt: skip
def test_a_first_observation_is_no_header(times, tmp_path):
    for lines in (
        [f"{t},{i}.5,{2 * i}" for i, t in enumerate(times)],
        [f"a;{t};{i}" for i, t in enumerate(times)],
    ):
        path = file(tmp_path, lines)
        with pytest.raises(
            ValueError, match=f"the header is missing: .* called '{times[0]}'; write"
        ):
            from_dataframe(path)
        names = "x;time;y" if ";" in lines[0] else "time,x,y"
        assert "header" not in read(file(tmp_path, [names, *lines]))


def read(path):
    """What is said of a table, or against it."""
    try:
        return str(from_dataframe(path).summary)
    except ValueError as error:
        return str(error)


def test_names_that_are_numbers_are_names():
    table = pd.DataFrame(np.ones((60, 3)), DAYS, ["2018", "2019", "20240101"])
    counts = table.assign(**{"1950": np.arange(60) % 7 + 1900, "2000": 2000}).astype({"2019": int})
    assert from_dataframe(table).summary.channels == ("2018", "2019", "20240101")
    assert len(from_dataframe(counts).summary.channels) == 5


def test_a_table_with_a_column_for_each_day_is_to_be_turned():
    table = pd.DataFrame(np.ones((2, 60)), columns=DAYS).assign(shop=["a", "b"])
    with pytest.raises(
        ValueError, match="and 53 more; the columns are named by times: turn the ta"
    ):
        from_dataframe(table)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_files_of_two_bytes_a_letter(mark, tmp_path):
    lines = [f"date{mark}Größe", *(f"{d:%Y-%m-%d}{mark}{i}" for i, d in enumerate(DAYS))]
    dataset, summary = from_dataframe(file(tmp_path, lines, "utf-16"))
    assert summary.channels == ("Größe",) and np.array_equal(dataset[0]["target"], np.arange(60.0))


def test_dots_between_thousands_are_not_taken_for_decimals_in_silence(tmp_path):
    def lines(values):
        return ["date;a", *(f"{d:%Y-%m-%d};{v}" for d, v in zip(DAYS, values, strict=True))]

    grouped = [f"{700 + 37 * i:,}".replace(",", ".") for i in range(60)]
    with pytest.raises(
        ValueError, match="column 'a': '1.033' may have a decimal point or a dot bet"
    ):
        from_dataframe(file(tmp_path, lines(grouped)))
    summary = from_dataframe(file(tmp_path, lines(f"{1 + i / 100:.3f}" for i in range(60)))).summary
    assert summary.changes == ("column 'a': '1.000' was read with a decimal point",)
    for values in ([f"{i / 7:.3f}" for i in range(60)], [f"{i / 4:g}" for i in range(60)]):
        (entry,), summary = from_dataframe(file(tmp_path, lines(values)))
        assert summary.changes == () and np.allclose(entry["target"], np.array(values, dtype=float))


def test_dates_keep_their_zeros_in_a_file(tmp_path):
    lines = ["date,year,a", *(f"{d:%d%m%y},{d.year},{i}" for i, d in enumerate(DAYS))]
    with pytest.raises(
        ValueError, match="column 'date': '010123' and the like may be year month d"
    ):
        from_dataframe(file(tmp_path, lines))
    (entry,), summary = from_dataframe(file(tmp_path, lines), time_format="%d%m%y", known="year")
    assert (
        entry["start"] == pd.Period("2023-01-01", "D") and entry["feat_dynamic_real"][0, 0] == 2023
    )
    again = summary.layout.read(file(tmp_path, lines[:4]))
    assert again.dataset[0]["start"] == pd.Period("2023-01-01", "D")


def test_several_columns_of_times_are_asked_for(tmp_path):
    lines = ["begin,end,a", *(f"{d:%Y-%m-%d},{d:%Y-%m-%d},{i}" for i, d in enumerate(DAYS))]
    with pytest.raises(ValueError, match="columns 'begin', 'end' all hold times .*pass time="):
        from_dataframe(file(tmp_path, lines), target="a")
    assert from_dataframe(file(tmp_path, lines), target="a", time="end").summary.steps == 60


@pytest.mark.parametrize("role", ["known", "past"])
def test_covariates_of_names_say_what_to_do(role):
    kind = np.where(DAYS.dayofweek == 6, "rest", np.where(DAYS.day == 1, "sale", "work"))
    table = pd.DataFrame({"date": DAYS, "sold": np.arange(60.0), "kind": kind})
    for frame in (table, table.astype({"kind": "category"}), table.astype({"kind": "string"})):
        with pytest.raises(
            ValueError,
            match=f"'rest' is not a number; {role}= takes numbers: .* 0 and 1 for each of the 3 na",
        ):
            from_dataframe(frame, target="sold", **{role: "kind"})
    names = pd.get_dummies(table["kind"])
    (entry,), _ = from_dataframe(
        pd.concat([table, names], axis=1), target="sold", **{role: list(names)}
    )
    field = "feat_dynamic_real" if role == "known" else "past_feat_dynamic_real"
    assert np.array_equal(entry[field], names.to_numpy(dtype=float).T)
    odd = table.assign(kind=["?", *map(str, range(59))])
    with pytest.raises(
        ValueError, match=rf"'\?' is not a number; {role}= takes numbers; leave missing"
    ):
        from_dataframe(odd, target="sold", **{role: "kind"})
    with pytest.raises(ValueError, match=f"column 'date' holds datetime64.*; {role}= takes numb"):
        from_dataframe(
            table.set_index("date", drop=False).rename_axis("t"), target="sold", **{role: "date"}
        )


def ahead(price, rows=7):
    """Sixty hours with a price, and some rows to come with these prices."""
    table = wide(60 + rows, ("sold",)).assign(price=1.0)
    table.iloc[60:, 0] = np.nan
    table.iloc[60:, 1] = price
    return table


@pytest.mark.parametrize(
    ("price", "hour"), [([np.nan] * 7, "12:00"), ([1, 2, np.nan, 4, 5, np.nan, 7], "14:00")]
)
def test_the_future_of_a_covariate_is_not_made_up(price, hour):
    message = f"known covariate 'price' has no value at 2024-01-03 {hour}, the first step without"
    with pytest.raises(ValueError, match=f"table: {message}"):
        from_dataframe(ahead(price), target="sold", known="price")
    layout = from_dataframe(ahead(2.0), target="sold", known="price").summary.layout
    with pytest.raises(ValueError, match=message):
        layout.read(ahead(price))
    panel = pd.concat([ahead(2.0).assign(i="a"), ahead(price).assign(i="b")])
    for options in ({}, {"multivariate": True}):
        both = panel.assign(price=[*ahead(price)["price"]] * 2) if options else panel
        with pytest.raises(ValueError, match=message):
            from_dataframe(both, target="sold", known="price", item_id="i", **options)


def test_rows_to_come_that_are_not_there_are_not_made_up():
    table = ahead(2.0)
    with pytest.raises(ValueError, match="'price' has no value at 2024-01-03 15:00"):
        from_dataframe(table.drop(table.index[63]), target="sold", known="price")
    (entry,), _ = from_dataframe(table, target="sold", known="price")
    assert np.array_equal(entry["feat_dynamic_real"], [[1.0] * 60 + [2.0] * 7])
    past = ahead([np.nan] * 7)
    (entry,), summary = from_dataframe(past, target="sold", past="price")  # known up to now
    assert entry["past_feat_dynamic_real"].shape == (1, 60)
    assert "7 steps without a target at the end were left out" in summary.changes
