"""Two thousand random tables end in the truth, in a result, or in one readable line."""

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.support.random_tables import damaged, known_series
from tsgen.data.frames import from_dataframe
from tsgen.data.items import item_names, item_parts

BLOCKS = range(10)
"""Seeds, each of 70 tables of known series and 130 damaged ones."""


def read(case):
    """What comes of a table: data set and summary, or the sentence that refuses it."""
    before = case.table.copy(deep=True) if len(case.table) % 8 == 0 else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return from_dataframe(case.table, **case.options)
        except ValueError as error:
            return str(error)
        finally:
            if before is not None:  # the table is not changed
                pd.testing.assert_frame_equal(case.table, before)


def readable(text):
    assert text.strip() and "\n" not in text and len(text) <= 600, text
    for inside in ("Traceback", "Length of values", "not in index", "out-of-bounds", "unhashable"):
        assert inside not in text, text


@pytest.mark.parametrize("seed", BLOCKS)
def test_known_series_come_out_as_they_were(seed):
    rng = np.random.default_rng([1, seed])
    refused = []
    for _ in range(70):
        case = known_series(rng)
        result = read(case)
        if isinstance(result, str):
            readable(result)
            refused.append(result)
            continue
        dataset, summary = result
        truth = case.truth
        items = summary.layout.items
        assert len(dataset) == len(truth["values"]) and summary.channels == tuple(truth["targets"])
        for entry in dataset:
            key = item_parts(entry["item_id"], items) if items else ()
            target = np.atleast_2d(entry["target"])
            assert np.array_equal(target, truth["values"][key].T), (case, entry)
            assert entry["start"] == truth["start"], (case, entry)
        assert not [c for c in summary.changes if "merged" in c or "missing" in c], summary.changes
    assert len(refused) <= 2, refused


@pytest.mark.parametrize("seed", BLOCKS)
def test_damaged_tables_end_in_a_result_or_a_line(seed):
    rng = np.random.default_rng([2, seed])
    results = 0
    for _ in range(130):
        case = damaged(rng, known_series(rng))
        result = read(case)
        if isinstance(result, str):
            readable(result)
            continue
        results += 1
        dataset, summary = result
        assert str(summary) and len(dataset) == summary.series
        channels = len(summary.channels)
        for entry in dataset:
            target = np.atleast_2d(entry["target"])
            assert target.shape[0] == channels and not np.isinf(target).any()
            for name in ("feat_dynamic_real", "past_feat_dynamic_real"):
                assert np.isfinite(np.asarray(entry.get(name, 0.0), dtype=float)).all()
        nothing_lost_in_silence(case, dataset, summary)
    assert results > 10  # damage that is always refused would test messages only


def nothing_lost_in_silence(case, dataset, summary):
    """Unless rows were merged or left out, and that was said, every number is in the data set."""
    if any("merged" in change or "left out" in change for change in summary.changes):
        return
    names = list(case.table.index.names)
    if len({*names, *case.table.columns}) < len(names) + len(case.table.columns):
        return
    frame = case.table.reset_index()
    frame.columns = [" ".join(map(str, c)).strip() if isinstance(c, tuple) else str(c).strip()
                     for c in frame.columns]  # fmt: skip
    targets = list(summary.layout.target)
    if not set(targets) <= set(frame.columns) or frame.columns.duplicated().any():
        return
    numbers = frame[targets].apply(lambda c: pd.to_numeric(c.astype(object), errors="coerce"))
    whole = int(np.isfinite(numbers.to_numpy(dtype=float)).sum())
    inside = sum(int(np.isfinite(entry["target"]).sum()) for entry in dataset)
    assert inside == whole, (case, summary)


def test_names_of_items_are_told_apart():
    parts = ["a", "a/b", "b", "", '"', "a b", "/", "\n", "1"]
    frame = pd.DataFrame([(p, q) for p in parts for q in parts if p and q], columns=["s", "p"])
    names = item_names(frame.replace("\n", "x\ny"), ["s", "p"])
    assert names.is_unique
    back = [item_parts(name, ["s", "p"]) for name in names]
    assert back == [tuple(row) for row in frame.replace("\n", "x\ny").to_numpy()]
