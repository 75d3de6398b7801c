"""CSV files as frames: delimiter, header and numbers as the file itself tells them."""

import codecs
import csv
import gzip
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd

from tsgen.data.numbers import as_numbers, has_comma_numbers, present, unmarked

_DELIMITERS = ",;\t|"
_DATA = re.compile(rf"(^|[{_DELIMITERS}])\s*\"?[+-]?\d")
HEAD = 2**20
"""Characters that tell how a file is written."""
LONGER = re.compile(r"Expected \d+ fields in line (\d+), saw")
"""How pandas says that a row is too long."""
_PREAMBLE = 50  # lines in which a header is looked for
UNNAMED = "Unnamed: "
"""What columns without a name are called, before their number."""


class Form(NamedTuple):
    """How a file is written."""

    delimiter: str
    before: int
    """Lines up to the end of the header."""
    names: list[str]
    width: int
    """Cells of the longest row seen."""


def read_csv(
    path: Path, text: Sequence[str] = (), times: Collection[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Read a CSV (also ``.gz``, ``.tsv``, semicolons, decimal commas), and what was changed.

    Columns of numbers are numbers; others are text, of which only empty cells are missing.

    Args:
        path: the file.
        text: columns that are text even where they hold digits, such as names of items.
        times: small names of columns that are text, too: a date such as 010218 begins with a zero.

    Raises:
        ValueError: for an empty file, rows that are longer than the header, columns of one name
            or none, and numbers whose marks can be read in two ways.
    """
    with opened(path) as handle:
        form = find_form(path, handle.read(HEAD))
    text = [name for name in form.names if name in text or name.lower() in times]
    frame = _cells(path, form, text)
    changes: list[str] = []
    free = [name for name in form.names if name not in text]
    if any(has_comma_numbers(frame[name]) for name in free):
        frame = _cells(path, form, form.names)
        frame[free], changes = unmarked(frame[free])
    else:
        changes = _dotted(path, form, frame, text)
    for name in free:
        frame[name] = as_numbers(frame[name])
    return _without_unnamed(frame, path, changes)


def find_form(path: Path, head: str, is_header: Callable[[list[str]], bool] | None = None) -> Form:
    """How a file is written, as its beginning tells.

    Args:
        path: the file, for messages.
        head: its first :data:`HEAD` characters, or all of it.
        is_header: tells the row of names by its cells, where rows of something else may come
            before it. Without such a row, as without this, it is the first that is no comment.

    Raises:
        ValueError: for an empty file, and a name that is there twice.
    """
    if not head.strip():
        raise ValueError(f"{path}: the file is empty")
    if "\0" in head:
        raise OSError("it holds binary data")
    lines = head.splitlines()
    if len(head) == HEAD and len(lines) > 1:
        del lines[-1]  # it is cut off
    skip = _first_line(lines)
    if is_header is not None:
        headers = (i for i, line in enumerate(lines[:_PREAMBLE]) if _any_form(line, is_header))
        skip = next(headers, skip)
    sample = lines[skip : skip + 200]

    def fit(delimiter: str) -> tuple[bool, float, int]:
        counts = [
            len(row)
            for row in csv.reader(sample, delimiter=delimiter, skipinitialspace=True)
            if row
        ]
        same = sum(count == counts[0] for count in counts) / len(counts)
        return counts[0] > 1, same, counts[0]

    delimiter = max(_DELIMITERS, key=fit)
    rows = csv.reader(sample, delimiter=delimiter, skipinitialspace=True)
    header = [name.strip() for name in next(rows)]
    before = skip + rows.line_num
    for number, name in enumerate(header):
        if name and name in header[:number]:
            hint = "; is the row of names missing?" if name.replace(".", "").isdigit() else ""
            raise ValueError(f"{path}: column {name!r} is there twice{hint}")
    names = [name or f"{UNNAMED}{number}" for number, name in enumerate(header)]
    return Form(delimiter, before, names, max([len(names), *map(len, rows)]))


def _first_line(lines: list[str]) -> int:
    """The first line that is neither empty nor a comment above a row of names."""
    skip = 0
    while skip < len(lines) - 1 and (
        not lines[skip].strip()
        or (lines[skip].startswith("#") and not _DATA.search(lines[skip + 1]))
    ):
        skip += 1
    return skip


def _any_form(line: str, is_header: Callable[[list[str]], bool]) -> bool:
    ways = (
        next(csv.reader([line], delimiter=mark, skipinitialspace=True), []) for mark in _DELIMITERS
    )
    return any(is_header([cell.strip() for cell in cells]) for cells in ways)


def _cells(path: Path, form: Form, text: Sequence[str]) -> pd.DataFrame:
    """The rows that hold anything; some columns as text."""
    with opened(path) as handle:
        for _ in range(form.before):
            handle.readline()
        try:
            frame = pd.read_csv(
                handle, sep=form.delimiter, skipinitialspace=True, low_memory=False, header=None,
                names=range(form.width), index_col=False, keep_default_na=False, na_values=[""],
                dtype={i: str for i, name in enumerate(form.names) if name in text},
            )  # fmt: skip
        except pd.errors.EmptyDataError:
            frame = pd.DataFrame(columns=range(form.width))
        except pd.errors.ParserError as error:
            if (longer := LONGER.search(str(error))) is None:
                raise
            raise too_long(path, form, int(longer[1])) from None
    count = len(form.names)
    filled = frame.iloc[:, count:].notna().any(axis=1).to_numpy()
    if filled.any():
        raise too_long(path, form, int(filled.argmax()) + 1)
    frame = frame.iloc[:, :count].set_axis(form.names, axis=1)
    return frame.dropna(how="all").reset_index(drop=True)


def _dotted(path: Path, form: Form, frame: pd.DataFrame, text: Sequence[str]) -> list[str]:
    """What to say of dots that may be marks between thousands, in files that semicolons divide.

    There 1.234 may be a thousand and more, if all numbers with a dot have three digits after it and
    none of them is below one.

    Raises:
        ValueError: where whole numbers below a thousand have no dot, and larger ones a zero at the
            end, which decimals are not written with.
    """
    names = [n for n in form.names if n not in text and pd.api.types.is_float_dtype(frame[n])]
    if form.delimiter != ";" or not names:
        return []
    written, changes = _cells(path, form, form.names), []
    for name in names:
        cells = present(written[name])
        dotted = cells[cells.str.contains(".", regex=False)]
        if not len(dotted) or not dotted.str.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}").all():
            continue
        whole = pd.to_numeric(cells.drop(dotted.index), errors="coerce").abs()
        if (whole >= 1000).any():
            continue
        if len(whole) and dotted.str.endswith("0").any():
            raise ValueError(
                f"{path}: column {name!r}: {dotted.iloc[0]!r} may have a decimal point or a dot "
                "between thousands; write it without the one between thousands, or with four "
                "decimals"
            )
        changes.append(f"column {name!r}: {dotted.iloc[0]!r} was read with a decimal point")
    return changes


def too_long(path: Path, form: Form, row: int) -> ValueError:
    """The error for a row, counted from 1, that has more cells than the header."""
    return ValueError(
        f"{path}, line {form.before + row}: it has more cells than the header, which has "
        f"{len(form.names)}; a cell with {form.delimiter!r} in it needs quotes"
    )


def opened(path: Path) -> IO[str]:
    """The text of a file, unpacked if it is gzip'd."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as handle:
        wide = handle.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return opener(path, "rt", encoding="utf-16" if wide else "utf-8-sig", newline="")


def _without_unnamed(
    frame: pd.DataFrame, path: Path, changes: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Leave out columns without a name that are empty or count the rows."""
    for name in [n for n in frame.columns if n.startswith(UNNAMED)]:
        cells = frame[name]
        if cells.isna().all():
            frame = frame.drop(columns=name)
        elif pd.api.types.is_numeric_dtype(cells):
            if not (np.diff(cells) == 1).all() or cells.iloc[0] not in (0, 1):
                number = name.removeprefix(UNNAMED)
                raise ValueError(
                    f"{path}: column number {number}, which holds numbers, has no name"
                )
            frame = frame.drop(columns=name)
            changes.append("a column without a name that counts the rows was left out")
    return frame, changes
