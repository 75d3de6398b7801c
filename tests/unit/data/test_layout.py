import numpy as np
import pandas as pd
import pytest
from gluonts.core.serde import decode, encode

from tests.support.tables import long, wide
from tsgen.data.frames import from_dataframe


def test_a_layout_reads_the_next_table_in_the_same_way():
    layout = from_dataframe(
        long(), target="load", item_id="store", static=["kind"], freq="h"
    ).summary.layout
    assert decode(encode(layout)) == layout
    again = layout.read(long().query("store != 'y'"))
    assert [e["feat_static_cat"] for e in again.dataset] == [[1], [0]]
    with pytest.raises(ValueError, match="item 'x': kind='tiny' is none of the names seen before"):
        layout.read(long().assign(kind="tiny"))
    sizes = from_dataframe(long(), target="load", item_id="store", static="size").summary.layout
    with pytest.raises(ValueError, match="static column 'size' is 'x', expected a finite number"):
        sizes.read(long().assign(size="x"))
    joined = from_dataframe(long(), target="load", item_id="store", multivariate=True)
    part = joined.summary.layout.read(long().query("store != 'y'"))
    assert part.dataset[0]["target"].shape == (3, 40)
    assert np.isnan(part.dataset[0]["target"][1]).all()
    assert "channel 'y' has no value in the table: missing throughout" in part.summary.changes
    with pytest.raises(ValueError, match="item 'w' is none of the channels x, y, z"):
        joined.summary.layout.read(long().assign(store="w"))
    columns = from_dataframe(wide()).summary.layout
    with pytest.raises(ValueError, match="there is no column 'south'; the columns are 'north'"):
        columns.read(wide()[["north"]])
    extra = columns.read(wide().assign(note="text"))
    assert extra.dataset[0]["target"].shape == (2, 48)


@pytest.mark.parametrize(("first", "other"), [("h", "D"), ("h", "15min"), ("D", "W-WED")])
def test_a_layout_reads_no_table_of_another_frequency(first, other):
    layout = from_dataframe(wide(freq=first)).summary.layout
    with pytest.raises(ValueError, match=f"table: times from .* have frequency {other}, expected"):
        layout.read(wide(freq=other))
    assert layout.read(wide(2, freq=other)).summary.layout == layout  # they tell no frequency


def test_a_layout_reads_tables_with_gaps_and_jitter():
    layout = from_dataframe(wide()).summary.layout
    rng = np.random.default_rng(0)
    for length in (6, 48, 400):
        table = wide(length)
        jitter = pd.to_timedelta(rng.integers(0, 300, length), unit="s")
        assert layout.read(table.set_axis(table.index + jitter)).dataset[0]["target"].shape[1] > 5
        gappy = table.iloc[sorted({0, length - 1, *np.flatnonzero(rng.random(length) < 0.7)})]
        assert layout.read(gappy).dataset[0]["target"].shape[1] == length


def test_a_layout_that_merges_rows_reads_the_next_table_so_too():
    table = wide(480, freq="15min")
    layout = from_dataframe(table, freq="h", duplicates="mean").summary.layout
    assert layout.freq == "h" and layout.spacing == "15min"
    assert layout.read(table[:240]).dataset[0]["target"].shape == (2, 60)
    office = wide(2000).query("index.dt.dayofweek < 5 and 8 <= index.dt.hour < 17", engine="python")
    layout = from_dataframe(office, freq="h").summary.layout
    assert layout.spacing is None
    assert layout.read(office[:100]).summary.steps > 200
