"""Raw rows of a log: from CSV (a snapshot, in pieces), parquet, workbooks and frames."""

import csv
import gzip
import importlib.util
import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsgen.data.csv_files import HEAD, LONGER, UNNAMED, Form, find_form, too_long
from tsgen.data.numbers import has_comma_numbers
from tsgen.data.tables import read_table

_PIECE = 50_000  # rows
_TAIL = 2**20  # bytes at the end that hold the last line
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b")
_SAMPLE = 200  # rows that tell what columns hold

IsHeader = Callable[[list[str]], bool]


class RowError(ValueError):
    """What is wrong in a row, counted from 0; a source says where that is."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(f"row {row}: {text}")
        self.row, self.text = row, text


class Source:
    """Rows of a log as they were written; what was left out of them comes into ``notes``.

    Args:
        data: a path of ``.csv`` (or any text), ``.csv.gz``, ``.parquet``, ``.xlsx``; or a frame.
        is_header: tells the row of names, where a preamble may come before it.

    Raises:
        ValueError: if the file is missing, empty or cannot be read.
    """

    def __init__(self, data: str | Path | pd.DataFrame, is_header: IsHeader) -> None:
        self.notes: list[str] = []
        self.first_line: int | None = None  # the line of row 0
        self.form: Form | None = None
        self.frame: pd.DataFrame | None = None
        if isinstance(data, pd.DataFrame):
            self.name, self.frame = "table", _with_names(data)
            self.head = self.frame.head(_SAMPLE)
        else:
            path = self.path = Path(data)
            self.name = str(path)
            if not path.is_file():
                why = "it is a folder" if path.is_dir() else "no such file"
                raise ValueError(f"{path}: {why}")
            if path.suffix in (".xlsx", ".xls"):
                self.frame = _workbook(path, is_header)
            elif path.suffix in (".parquet", ".pq"):
                self.frame = _with_names(read_table(path)[0])
            else:
                self._open(is_header)
            if self.frame is not None:
                self.head = self.frame.head(_SAMPLE)
        self.head = self.head.dropna(how="all")
        if not len(self.head):
            raise ValueError(f"{self.name}: there are no rows below the header")

    @property
    def names(self) -> list[str]:
        """Of the columns, without blanks at their ends."""
        return list(self.head.columns)

    def where(self, row: int) -> str:
        """A row, counted from 0, in the words of its source: the line of a file."""
        return f"row {row}" if self.first_line is None else f"line {self.first_line + row}"

    @contextmanager
    def located(self) -> Iterator[None]:
        """Put the source's name, and of a row its line, before whatever is wrong.

        Raises:
            ValueError: in place of every other.
        """
        try:
            yield
        except RowError as error:
            raise ValueError(f"{self.name}, {self.where(error.row)}: {error.text}") from None
        except ValueError as error:
            text = str(error)
            has_name = text.startswith(self.name)
            raise ValueError(text if has_name else f"{self.name}: {text}") from None

    def pieces(self) -> Iterator[pd.DataFrame]:
        """The rows, some at a time; their index counts them from 0."""
        if self.form is not None:
            yield from self._read()
            return
        assert self.frame is not None
        for first in range(0, len(self.frame), _PIECE):
            yield self.frame.iloc[first : first + _PIECE]

    def _open(self, is_header: IsHeader) -> None:
        self.size = self.path.stat().st_size
        self.cut = self.size
        try:
            with self._text() as handle:
                text = handle.read(HEAD)
            self.form = form = find_form(self.path, text, is_header)
            self.first_line = form.before + 1
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise self._unreadable(error) from None
        if all(map(_is_number, form.names)) or any(map(_DATE.match, form.names)):
            raise ValueError(
                f"{self.path}: the first row holds values ({form.names[0]}, ...); expected a row "
                "of names"
            )
        if self.path.suffix != ".gz":
            self._leave_out_half_a_line(form)
        self.decimal = "."
        self.head = self._sample(form)
        if form.delimiter != "," and any(has_comma_numbers(self.head[n]) for n in self.head):
            self.decimal = ","
            self.notes.append("numbers have decimal commas")
            self.head = self._sample(form)

    def _text(self) -> io.TextIOWrapper:
        """The snapshot as text: what is written to the file from now on is not in it."""
        raw: Any = (
            gzip.open(self.path) if self.path.suffix == ".gz" else io.BufferedReader(
                _Snapshot(self.path, self.cut), 2**20
            )
        )  # fmt: skip
        return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")

    def _leave_out_half_a_line(self, form: Form) -> None:
        with self.path.open("rb") as handle:
            handle.seek(max(self.size - _TAIL, 0))
            tail = handle.read(min(self.size, _TAIL))
        self.last = tail[tail.rfind(b"\n") + 1 :]
        cells = next(
            csv.reader([self.last.decode("utf-8", "replace")], delimiter=form.delimiter), []
        )
        if 0 < len(cells) < len(form.names) and b"\n" in tail:
            self.cut -= len(self.last)
            self.notes.append(
                f"the last line was half written ({len(cells)} of {len(form.names)} cells) and "
                "left out"
            )
            self.last = b""

    def _sample(self, form: Form) -> pd.DataFrame:
        frame = next(iter(self._frames(form, _SAMPLE)), pd.DataFrame(columns=range(form.width)))
        return frame.iloc[:, : len(form.names)].set_axis(form.names, axis=1)

    def _frames(self, form: Form, rows: int) -> Iterator[pd.DataFrame]:
        """Pieces with all cells of the rows; the last cells of long rows have no name."""
        with self._text() as handle:
            for _ in range(form.before):
                handle.readline()
            try:
                yield from pd.read_csv(
                    handle, sep=form.delimiter, skipinitialspace=True, header=None, chunksize=rows,
                    names=range(form.width), index_col=False, skip_blank_lines=False,
                    low_memory=False, decimal=self.decimal,
                )  # fmt: skip
            except pd.errors.EmptyDataError:
                return
            except pd.errors.ParserError as error:
                if (longer := LONGER.search(str(error))) is None:
                    raise self._unreadable(error) from None
                raise too_long(self.path, form, int(longer[1])) from None
            except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
                raise self._unreadable(error) from None

    def _read(self) -> Iterator[pd.DataFrame]:
        """The pieces; a row without an end, to which more was written meanwhile, is left out."""
        assert self.form is not None
        held: pd.DataFrame | None = None
        for piece in self._frames(self.form, _PIECE):
            if held is not None:
                yield self._with_names(held)
            held = piece
        if held is None:
            return
        if self.path.suffix != ".gz" and self._grew() and self.last.strip():
            held = held.iloc[:-1]
            self.notes.append("the last line was half written and left out")
        if len(held):
            yield self._with_names(held)

    def _grew(self) -> bool:
        now = self.path.stat().st_size
        if now < self.size:
            raise ValueError(
                f"{self.path}: it became shorter while it was read, from {self.size:,} to {now:,} "
                "bytes; read it again"
            )
        if now > self.size:
            self.notes.append(
                f"the file grew while it was read: rows after its first {self.size:,} bytes are "
                "not here"
            )
        return now > self.size

    def _with_names(self, piece: pd.DataFrame) -> pd.DataFrame:
        assert self.form is not None
        count = len(self.form.names)
        extra = piece.iloc[:, count:].notna().any(axis=1)
        if extra.any():
            row = piece.index.to_numpy()[int(np.argmax(extra.to_numpy()))]
            raise too_long(self.path, self.form, int(row) + 1)
        return piece.iloc[:, :count].set_axis(self.form.names, axis=1)

    def _unreadable(self, error: Exception) -> ValueError:
        hint = "; save it as UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ValueError(f"{self.path}: cannot be read as a log ({reason}){hint}")


class _Snapshot(io.RawIOBase):
    """The first bytes of a file, whatever is written behind them."""

    def __init__(self, path: Path, size: int) -> None:
        self.file, self.left = path.open("rb", buffering=0), size

    def readable(self) -> bool:
        """Bytes can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes."""
        got = self.file.readinto(memoryview(buffer)[: self.left]) or 0
        self.left -= got
        return got

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        super().close()


def _with_names(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose times may be in its index, with them as a column."""
    if isinstance(frame.index, pd.DatetimeIndex):
        name = "time" if frame.index.name is None else str(frame.index.name)
        frame = frame.rename_axis(name).reset_index()
    names = [str(name).strip() for name in frame.columns]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(f"table: column {twice[0]!r} is there twice")
    return frame.set_axis(names, axis=1).reset_index(drop=True)


def _workbook(path: Path, is_header: IsHeader) -> pd.DataFrame:
    if importlib.util.find_spec("openpyxl") is None:
        raise ValueError(
            f"{path}: reading a workbook needs the package openpyxl; install it, or save the sheet "
            "as .csv"
        )
    cells = pd.read_excel(path, header=None)
    rows = cells.head(50).map(lambda cell: "" if pd.isna(cell) else str(cell).strip())
    header = next((i for i in range(len(rows)) if is_header(list(rows.iloc[i]))), 0)
    names = [name or f"{UNNAMED}{i}" for i, name in enumerate(rows.iloc[header])]
    return _with_names(cells.iloc[header + 1 :].set_axis(names, axis=1).infer_objects())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
