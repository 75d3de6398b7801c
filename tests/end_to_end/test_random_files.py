"""Random CSV files on the command line: a result, or exit code 2 and one readable line."""

import csv
import io
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pandas as pd
import pytest

from tests.support.random_tables import choose, damaged, known_series
from tsgen.cli import main

MODEL = ["--model", "seasonal_naive", "--horizon", "2", "--windows", "0", "--calibrate", "0"]
FORECAST = (
    "item_id", "start", "sample_id", "time", "channel", "mean", "value", "0.05", "0.5", "0.95",
)  # fmt: skip
"""Columns of forecasts."""
BLOCKS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 40))]
"""Seeds of 25 files of known series and 25 damaged ones each; 200 files in the quick run."""


def command(*arguments):
    """Exit code and what was printed on stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code, out.getvalue(), err.getvalue()


def refused(code, err):
    """Whether it was, in one line that says something."""
    if code == 0:
        return False
    lines = err.strip().splitlines()
    assert code == 2 and len(lines) == 1, (code, err[-2000:])
    assert lines[0].startswith("tsgen: ") and 20 < len(lines[0]) <= 700, err
    for inside in ("Traceback", "Error:", "Length of values", "unhashable", "not in index"):
        assert inside not in lines[0], err
    return True


def as_option(names):
    """Names as an option takes them: by commas, in quotes where there is a comma."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([names] if isinstance(names, str) else names)
    return text.getvalue()


def options_of(case):
    """What a table is read with, as options of the command."""
    arguments = []
    for name, value in case.options.items():
        option = "--" + name.replace("_", "-")
        if name == "multivariate":
            arguments.append("--multivariate" if value else "--panel")
        elif name == "dayfirst":
            arguments += [option] if value else []
        elif name in ("target", "item_id", "known", "past", "static"):
            arguments.append(f"{option}={as_option(value)}")
        else:
            arguments.append(f"{option}={value}")
    return arguments


def write_csv(rng, table, path):
    """A table as a file, in one of the ways that files are written."""
    frame = table.reset_index() if not isinstance(table.index, pd.RangeIndex) else table
    mark, decimal = choose(rng, [(",", "."), (";", "."), (";", ","), ("\t", "."), ("|", ".")])
    quoting = choose(rng, [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    encoding = choose(rng, ["utf-8", "utf-8-sig", "utf-16"])
    text = frame.to_csv(index=False, sep=mark, decimal=decimal, quoting=quoting)
    path.write_bytes(text.encode(encoding))


def corrupt(rng, path):
    """A byte, a line or the end of a file changed."""
    data = path.read_bytes()
    at = int(rng.integers(len(data) + 1))
    kind = int(rng.integers(6))
    noise = choose(rng, [b"\n", b'"', b",", b";", b"\0", b"\xff", b"\r", b"x" * 200, b"-", b"1"])
    path.write_bytes(
        (
            data[:at],
            data[:at] + noise + data[at:],
            data[:at] + data[at + 1 :],
            b"\n".join(data.split(b"\n")[1:]),
            b"# a comment\n\n" + data,
            data + b"Total,,,\n",
        )[kind]
    )


@pytest.mark.parametrize("seed", BLOCKS)
def test_known_series_are_forecast(seed, tmp_path):
    rng = np.random.default_rng([3, seed])
    refusals = []
    for number in range(25):
        case = known_series(rng)
        path, out = tmp_path / f"{number}.csv", tmp_path / f"m{number}"
        write_csv(rng, case.table, path)
        arguments = [path, *MODEL, "--baselines", "none", "--quiet", "--out", out]
        code, _, err = command("train", *arguments, *options_of(case))
        if refused(code, err):
            refusals.append(err)
            continue
        code, printed, err = command("forecast", out, path, "--samples", 2, "--quiet")
        assert code == 0, err
        frame = pd.read_csv(io.StringIO(printed), dtype=str, keep_default_na=False)
        keys = case.truth["values"]
        assert len(frame) == 2 * len(keys) * len(case.truth["targets"])
        items = case.options.get("item_id", [])
        if not isinstance(items, str) and len(items) > 1:  # each column of items is back
            shown = [f"item {name}" if name in FORECAST else name for name in items]
            assert {tuple(row) for row in frame[shown].to_numpy()} == set(keys)
    assert len(refusals) <= 4, refusals


@pytest.mark.parametrize("seed", BLOCKS)
def test_damaged_files_end_in_a_result_or_a_line(seed, tmp_path):
    rng = np.random.default_rng([4, seed])
    for number in range(25):
        case = damaged(rng, known_series(rng))
        path, out = tmp_path / f"{number}.csv", tmp_path / f"m{number}"
        try:
            write_csv(rng, case.table, path)
        except (ValueError, OverflowError):  # pandas cannot write it
            continue
        if rng.random() < 0.5:
            corrupt(rng, path)
        arguments = [path, *MODEL, "--baselines", "none", "--quiet", "--out", out]
        code, _, err = command("train", *arguments, *options_of(case))
        if not refused(code, err):
            refused(*command("forecast", out, path, "--samples", 2, "--quiet")[::2])
