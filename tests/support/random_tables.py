"""Random tables: known series in some disguise, and damage done to them."""

from typing import NamedTuple

import numpy as np
import pandas as pd

FREQUENCIES = ("D", "h", "15min", "W-MON", "MS", "ME", "QS", "YS", "B", "s", "2h", "7min", "2MS")
NAMES = (
    "target", "start", "item_id", "time", "index", "level_0", "value", "known", "level", "sample",
    "mean", "0.5", "all", "sum", "channel", "load, MW", "Ünit", "a b", " x ", "date", "year", "y/z",
    "it's", "[1]", "id", "price", 'say "a"', "7", "2024", "freq", "past", "static", "Größe (m²)",
)  # fmt: skip
ITEMS = (
    "north",
    "7",
    "007",
    "7.0",
    "a/b",
    "a",
    "b/c",
    "NA",
    "nan",
    "x,y",
    "True",
    "2024",
    '"q"',
    " ",
)
TEXTS = (
    "n/a", "-", "#N/A", "1,5", "1.234,5", "12%", "$3", "Total", "", " ", "inf", "-inf", "1e400",
    "nan", "0x1", "1_000", "kW", "soon", "2024-01-01", "Jan-18", "190101", "31.12.9999",
    "1650-01-01",
    "00:00", "2024-W01", "\n", "x" * 300, "'", "TRUE", "١", "−1",
)  # fmt: skip


class Case(NamedTuple):
    """A table, what it is read with, and what must come out."""

    table: pd.DataFrame
    options: dict
    truth: dict | None
    """Values and first period of each item, or of each channel; ``None`` after damage."""


def choose(rng, options):
    """One of several, as it is: numpy would make text of tuples."""
    return options[int(rng.integers(len(options)))]


def column_names(rng, count):
    picked = rng.choice(len(NAMES), count, replace=False)
    return [NAMES[i].strip() for i in picked]


def written_times(rng, times, freq):
    """Time stamps in a form that has one reading, or is told, and the options that tell it."""
    forms = {
        "stamp": lambda: times,
        "text": lambda: times.astype(str),
        "iso": lambda: [t.isoformat() for t in times],
        "string": lambda: pd.array(times.astype(str), dtype="string"),
        "category": lambda: pd.Categorical(times.astype(str)),
        "objects": lambda: pd.Series(list(times.to_pydatetime()), dtype=object).to_numpy(),
        "seconds unit": lambda: times.as_unit("s"),
        "zone": lambda: times.tz_localize("UTC"),
        "unix": lambda: times.as_unit("s").asi8,
        "unix text": lambda: times.as_unit("s").asi8.astype(str),
    }
    told = {"day first": "%d.%m.%Y %H:%M:%S", "american": "%m/%d/%y %I:%M:%S %p"}
    if (times == times.normalize()).all():
        forms["dates"] = lambda: pd.Series(list(times.date), dtype=object).to_numpy()
        forms["digits"] = lambda: times.strftime("%Y%m%d").astype(int)
        told |= {"six": "%y%m%d", "six the other way": "%d%m%y", "named": "%d-%b-%y"}
    if freq == "MS":
        forms["month name"] = lambda: times.strftime("%b %Y")
        forms["month"] = lambda: times.strftime("%Y-%m")
        forms["point"] = lambda: times.strftime("%m.%Y")
        told |= {"short month": "%b-%y", "year and month": "%Y%m"}
    if freq == "QS":
        forms["quarter"] = lambda: [f"{t.year}Q{t.quarter}" for t in times]
        forms["quarter first"] = lambda: [f"Q{t.quarter} {t.year}" for t in times]
    if freq == "W-MON":
        forms["week"] = lambda: times.strftime("%G-W%V")
    if freq == "YS":
        forms["year"] = lambda: times.year
    name = choose(rng, [*forms, *told])
    if name in told:
        return times.strftime(told[name]), {"time_format": told[name]}
    return forms[name](), {}


def written_values(rng, values):
    """Numbers as another type, without loss."""
    text = pd.Series([repr(float(value)) for value in values])
    forms = [
        values, text.to_numpy(dtype=object), pd.array(text, dtype="string"), pd.Categorical(text),
        pd.array(values, dtype="Float64"), pd.Series(list(values), dtype=object).to_numpy(),
        np.array([v if i % 2 else text[i] for i, v in enumerate(values)], dtype=object),
    ]  # fmt: skip
    if (values % 1 == 0).all():
        forms += [values.astype(int), pd.array(values.astype(int), dtype="Int64")]
    return choose(rng, forms)


def known_series(rng):
    """Series of a random shape, written as a table in a random way."""
    freq, length = choose(rng, FREQUENCIES), int(rng.integers(12, 40))
    times = pd.date_range(
        choose(rng, ["1999-12-31", "2024-03-30", "2010-01-01"]), periods=length, freq=freq
    )
    parts, columns = int(rng.integers(0, 3)), int(rng.integers(1, 3))  # columns of items
    names = column_names(rng, 1 + parts + columns)
    time, items, targets = names[0], names[1 : 1 + parts], names[1 + parts :]
    keys = [()]
    for _ in items:
        picked = rng.choice(len(ITEMS) - 1, int(rng.integers(1, 3)), replace=False)
        keys = [(*key, ITEMS[i]) for key in keys for i in picked]
    shown, options = written_times(rng, times, freq)
    shown = pd.Series(shown)
    blocks, values = [], {}
    for key in keys:
        numbers = rng.normal(size=(length, columns)) * choose(rng, [1, 1000, 1e6])
        numbers = numbers.round(0 if rng.random() < 0.3 else 3) + 0.0
        values[key] = numbers
        block = {time: shown, **dict(zip(items, ([k] * length for k in key), strict=True))}
        blocks.append(pd.DataFrame(block | dict(zip(targets, numbers.T, strict=True))))
    table = pd.concat(blocks, ignore_index=True)
    for name in targets:
        table[name] = written_values(rng, table[name].to_numpy())
    for name in items:
        kind = choose(rng, ["object", "string", "category"])
        table[name] = table[name].astype(kind)
    if rng.random() < 0.5 and not options:
        table = table.sample(frac=1, random_state=int(rng.integers(1000)))
    table = table[list(rng.permutation(table.columns))]
    way = choose(rng, ["columns", "columns", "index", "levels"])
    options |= {"time": time, "target": targets}
    if items:
        options["item_id"] = items if len(items) > 1 or rng.random() < 0.3 else items[0]
    if way == "index":
        table = table.set_index(time)
    elif way == "levels" and items:
        table = table.set_index([*items, time])
    start = times.to_period(pd.Period(times[0], _period(freq)).freqstr)[0]
    return Case(table, options, {"values": values, "start": start, "targets": targets})


def _period(freq):
    from tsgen.data.frequency import period_frequency

    return period_frequency(freq)


def damaged(rng, case):
    """The same table, with something wrong here and there."""
    table, options = case.table.copy(), dict(case.options)
    for _ in range(choose(rng, [1, 1, 1, 2, 3])):
        table = choose(rng, DAMAGES)(rng, table)
        if not len(table) or not len(table.columns):
            break
    for _ in range(choose(rng, [0, 0, 1, 2])):
        choose(rng, CHANGES)(rng, table, options)
    return Case(table, options, None)


def _cells(rng, table):
    """Text in some cells of a column."""
    table = table.astype(object)
    rows = rng.integers(0, len(table), int(rng.integers(1, 4)))
    table.iloc[rows, int(rng.integers(table.shape[1]))] = choose(rng, TEXTS)
    return table


def _missing(rng, table):
    table = table.astype(object)
    rows = rng.random(len(table)) < choose(rng, [0.1, 0.5, 1.0])
    table.iloc[np.flatnonzero(rows), int(rng.integers(table.shape[1]))] = choose(
        rng, [None, np.nan, pd.NA, pd.NaT]
    )
    return table


def _strange_column(rng, table):
    kinds = (
        lambda n: np.ones(n) * 1j, lambda n: pd.timedelta_range("0h", periods=n, freq="h"),
        lambda n: [[1]] * n,
        lambda n: [{}] * n, lambda n: [b"x"] * n, lambda n: pd.date_range("2020", periods=n),
        lambda n: pd.period_range("2020", periods=n, freq="D"), lambda n: ([True, None] * n)[:n],
        lambda n: ["word"] * n, lambda n: np.full(n, np.inf), lambda n: pd.interval_range(0, n),
        lambda n: [object()] * n, lambda n: np.arange(n), lambda n: ["10:00"] * n,
        lambda n: [10**30] * n, lambda n: np.arange(n) % 3,
    )  # fmt: skip
    name = choose(rng, NAMES)
    return table.assign(**{name.strip(): choose(rng, kinds)(len(table))})


def _rows(rng, table):
    kind = int(rng.integers(5))
    if kind == 0:
        return pd.concat([table, table.sample(frac=rng.random(), random_state=1)])
    if kind == 1:
        return table.iloc[: int(rng.integers(0, 4))]
    if kind == 2:
        return table.iloc[np.flatnonzero(rng.random(len(table)) < 0.5)]
    if kind == 3:
        return table.iloc[::-1]
    return pd.concat([table, table.iloc[:3].map(lambda _: None)])


def _names(rng, table):
    kind = int(rng.integers(4))
    if kind == 0:
        return table.set_axis([choose(rng, NAMES) for _ in table.columns], axis=1)
    if kind == 1:
        return table.set_axis(range(table.shape[1]), axis=1)
    if kind == 2:
        pairs = [(name, choose(rng, NAMES)) for name in table.columns]
        return table.set_axis(pd.MultiIndex.from_tuples(pairs), axis=1)
    labels = [None, 1.5, pd.Timestamp("2024-01-01"), "", "a\nb", True, "x" * 60, ("p", "q"), b"z"]
    return table.set_axis([choose(rng, labels) for _ in table.columns], axis=1)


def _index(rng, table):
    kinds = (
        lambda n: range(n), lambda n: ["row"] * n, lambda n: np.arange(n) / 3,
        lambda n: pd.date_range("2020", periods=n), lambda n: pd.CategoricalIndex(["a"] * n),
        lambda n: pd.period_range("2020", periods=n, freq="M"), lambda n: pd.interval_range(0, n),
        lambda n: pd.timedelta_range("0h", periods=n, freq="h"), lambda n: [None, *range(1, n)][:n],
        lambda n: pd.MultiIndex.from_arrays([range(n), ["k"] * n]), lambda n: [True] * n,
        lambda n: pd.MultiIndex.from_arrays([["k"] * n, pd.date_range("2020", periods=n)]),
        lambda n: [pd.NaT] * n, lambda n: pd.date_range("2020", periods=n).as_unit("s"),
        lambda n: np.array([f"{1400 + i}-01-01" for i in range(n)], dtype="datetime64[s]"),
    )  # fmt: skip
    index = pd.Index(choose(rng, kinds)(len(table)))
    if index.nlevels == 1 and rng.random() < 0.5:
        index = index.rename(choose(rng, NAMES))
    return table.set_axis(index, axis=0)


def _types(rng, table):
    name = table.columns[int(rng.integers(table.shape[1]))]
    kind = choose(
        rng, ["string", "category", object, str, "Float64", "bool", "int64", "datetime64[s]"]
    )
    try:
        return table.assign(**{str(name): table[name].astype(kind)})
    except (ValueError, TypeError, AttributeError, OverflowError):
        return table


DAMAGES = (_cells, _missing, _missing, _strange_column, _rows, _rows, _rows, _names, _index, _types)


def _drop_option(rng, table, options):
    if options:
        options.pop(choose(rng, list(options)))


def _other_role(rng, table, options):
    names = [str(name) for name in table.columns] or ["none"]
    role = choose(rng, ["known", "past", "static", "target", "item_id", "time"])
    some = [choose(rng, [*names, "absent"]) for _ in range(int(rng.integers(1, 3)))]
    options[role] = some[0] if role == "time" or rng.random() < 0.3 else some


def _other_option(rng, table, options):
    name, values = choose(
        rng,
        (
            ("freq", ("D", "h", "M", "16D", "fortnight", "BME", "ns", "2W", "", "-1h", 5, "0D")),
            ("duplicates", ("last", "first", "mean", "sum", "error", "most", 3)),
            ("irregular", ("nearest", "floor", "error", "none")),
            ("multivariate", (True, False, "yes")),
            ("dayfirst", (True, False)),
            (
                "time_format",
                ("%Y-%m-%d", "%d", "%Q", "excel", "unix_s", "unix_ns", "%y%m%d", 7, "", "%Y %z"),
            ),
        ),
    )
    options[name] = choose(rng, values)


CHANGES = (_drop_option, _other_role, _other_option)
