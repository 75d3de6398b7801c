"""CSV tables: a column of times, and a column for each channel or series."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from tsgen.data.benchmarks import Benchmark
from tsgen.data.card import Card
from tsgen.data.card_tables import Table
from tsgen.data.entries import Entry
from tsgen.data.files import needed_file, reading
from tsgen.data.splits import length_of, rolling, until


def load(card: Card) -> Benchmark:
    """Read the rows that a card's protocol uses: ``length`` and the test windows after them.

    Raises:
        MissingData: if a file is not here.
        ValueError: if a file cannot be read, lacks a column, is too short or has gaps in time.
    """
    table = card.table
    assert table is not None
    path = needed_file(card, table.file)
    masked = needed_file(card, table.masked) if table.masked else None
    with reading(card, path):
        frame = pd.read_csv(path)
        names, known, past = _columns(frame, table)
        start_of_file = _first_time(frame, table, card.freq)
        rows, start = _rows(len(frame), start_of_file, card)
        targets = _values(frame, names, table, rows)
        covariates = {
            "feat_dynamic_real": _values(frame, known, table, rows),
            "past_feat_dynamic_real": _values(frame, past, table, rows),
        }
    if table.sum_by:
        names, targets = _summed(names, targets, table.sum_by)
    fields = {"start": start} | {k: v for k, v in covariates.items() if len(v)}
    whole: list[Entry] = [{**fields, "item_id": "all", "target": targets}]
    if card.kind == "panel":
        whole = [
            {**fields, "item_id": name, "target": row}
            for name, row in zip(names, targets, strict=True)
        ]
    test = rolling(whole, card.windows, card.prediction_length)
    if masked is not None:
        cells = _cells(masked, card, names, start, targets.shape[1])
        test = [_without(entry, cells, card.prediction_length) for entry in test]
    return Benchmark(
        card.name,
        card.freq,
        card.prediction_length,
        [until(entry, card.lengths[1]) for entry in whole],
        test,
        names if card.kind == "multivariate" else None,
    )


def steps_between(first: pd.Period, second: pd.Period) -> int:
    """Steps from one period to another; pandas itself counts those of "30min" in minutes."""
    return int((second.ordinal - first.ordinal) // first.freq.n)


def _columns(frame: pd.DataFrame, table: Table) -> tuple[list[str], list[str], list[str]]:
    """Names of the columns to forecast, known and past-only."""
    used = {table.index, *table.known, *table.past}
    names = list(table.values) or [str(c) for c in frame.columns if c not in used]
    absent = {*used, *names} - set(frame.columns)
    if absent or not names:
        raise ValueError(f"it has no column {', '.join(sorted(absent)) or 'to forecast'}")
    return names, list(table.known), list(table.past)


def _first_time(frame: pd.DataFrame, table: Table, freq: str) -> pd.Period:
    """The time of the first row; times must be one step apart."""
    if table.start:
        return pd.Period(table.start, freq=freq)
    times = pd.DatetimeIndex(pd.to_datetime(frame[table.index], utc=True)).tz_localize(None)
    if table.shift:
        times = times + pd.Timedelta(table.shift)
    periods = times.to_period(freq)
    apart = np.diff(periods.asi8) != periods[0].freq.n
    if apart.any():
        row = int(np.argmax(apart))
        raise ValueError(f"after {periods[row]} comes {periods[row + 1]}, expected every {freq}")
    return periods[0]


def _rows(length: int, first: pd.Period, card: Card) -> tuple[slice, pd.Period]:
    """The rows that the protocol uses, and the time of the first of them."""
    assert card.table is not None
    end = card.table.end
    stop = steps_between(first, pd.Period(end, freq=card.freq)) + 1 if end else length
    begin = stop - card.lengths[1] - card.windows * card.prediction_length
    if begin < 0 or stop > length:
        raise ValueError(
            f"it has {length} rows from {first} on; the protocol uses rows {begin} to {stop - 1}"
        )
    return slice(begin, stop), first + begin


def _values(frame: pd.DataFrame, names: list[str], table: Table, rows: slice) -> np.ndarray:
    """Columns as rows of numbers, (F, T) float64."""
    part = frame.iloc[rows][names]
    for name in set(names) & set(table.codes):
        unknown = set(part[name]) - set(table.codes[name])
        if unknown:
            raise ValueError(f"column {name} holds {sorted(map(str, unknown))}, not in the card")
        part = part.assign(**{name: part[name].map(table.codes[name].index)})
    return np.ascontiguousarray(part.to_numpy(dtype=np.float64).T)


def _summed(names: list[str], values: np.ndarray, pattern: str) -> tuple[list[str], np.ndarray]:
    """Channels with the same first group of a pattern summed."""
    matches = [re.match(pattern, name) for name in names]
    groups = [match.group(1) if match else name for match, name in zip(matches, names, strict=True)]
    sensors = list(dict.fromkeys(groups))
    sums = np.zeros((len(sensors), values.shape[1]))
    np.add.at(sums, [sensors.index(group) for group in groups], values)
    return sensors, sums


def _cells(path: Path, card: Card, names: list[str], start: pd.Period, length: int) -> np.ndarray:
    """Which cells a table names, (C, T)."""
    assert card.table is not None
    marks = np.zeros((len(names), length), dtype=bool)
    with reading(card, path):
        cells = pd.read_csv(path)
        times = pd.DatetimeIndex(pd.to_datetime(cells[card.table.index], utc=True))
        after = times.tz_localize(None).to_period(card.freq).asi8 - start.ordinal
        steps = after // start.freq.n
        rows = pd.Index(names).get_indexer(pd.Index(cells["series"]))
    inside = (rows >= 0) & (steps >= 0) & (steps < length)
    marks[rows[inside], steps[inside]] = True
    return marks


def _without(entry: Entry, cells: np.ndarray, horizon: int) -> Entry:
    """A test entry whose truth lacks some cells; its history is left as it is."""
    end, target = length_of(entry), entry["target"].copy()
    truth = target[:, -horizon:]
    truth[cells[:, end - horizon : end]] = np.nan
    return {**entry, "target": target}
