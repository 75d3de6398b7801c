"""Files of data sets: where they are looked for, whether they are whole, and how they are opened.

Files are looked for under the folder that the environment variable ``TSGEN_DATA`` names, in
``forecasting/``.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from tsgen.data.benchmarks import MissingData
from tsgen.data.card import Card
from tsgen.data.card_tables import File

_CHUNK = 1 << 20
_SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz")


class Verified(NamedTuple):
    """What came of comparing a file with its card."""

    file: Path
    ok: bool
    why: str
    """What is wrong, or what could not be compared; empty if all is well."""


def data_folder() -> Path | None:
    """The folder of data files, if ``TSGEN_DATA`` names one."""
    root = os.environ.get("TSGEN_DATA")
    return Path(root) / "forecasting" if root else None


def data_file(name: str) -> Path | None:
    """A file or folder of the data folder, if there is one."""
    folder = data_folder()
    return folder / name if folder is not None and (folder / name).exists() else None


def needed_file(card: Card, name: str) -> Path:
    """A file that a data set is read from.

    Raises:
        MissingData: if it is not here; the message says how to get it.
    """
    path = data_file(name)
    if path is None:
        raise missing(card, f"no file {name} in {looked_in()}")
    return path


def looked_in() -> str:
    """The data folder, in words."""
    folder = data_folder()
    if folder is None:
        return "TSGEN_DATA/forecasting (the environment variable TSGEN_DATA is not set)"
    return f"TSGEN_DATA/forecasting ({folder})"


def missing(card: Card, what: str) -> MissingData:
    """The error for a set that is not here, in one line."""
    return MissingData(f"{card.name} is not on this machine: {what}. {card.get.how}")


@contextmanager
def reading(card: Card, path: Path) -> Iterator[None]:
    """Turn whatever goes wrong in reading a file into one clear error.

    Raises:
        ValueError: naming the file, what went wrong and how to check it.
    """
    try:
        yield
    except (EOFError, OSError, zlib.error, ValueError, KeyError, TypeError) as error:
        if isinstance(error, MissingData):
            raise
        raise ValueError(
            f"{path} cannot be read as {card.name}: {error or type(error).__name__}; "
            f"tsgen.data.registry.verify({card.name!r}) compares it with its checksum"
        ) from error


def opened(path: Path) -> IO[bytes]:
    """A file, unpacked if it is gzip'd."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def parts_of(path: Path) -> list[Path]:
    """The JSON-lines files of a folder, in order."""
    return sorted(
        part
        for part in path.iterdir()
        if part.name.endswith(_SUFFIXES) and not part.name.startswith(".")
    )


def compare(file: File, path: Path) -> Verified:
    """A file with what its card says of it.

    Args:
        file: size and checksum expected.
        path: the file, or for ``of="content"`` a folder of JSON lines.
    """
    total, digest = 0, hashlib.sha256()
    unpacked = file.of == "content"
    try:
        parts = parts_of(path) if path.is_dir() else [path]
        if not parts:
            return Verified(path, False, "holds no file of JSON lines")
        for part in parts:
            with opened(part) if unpacked else part.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    total += len(chunk)
                    digest.update(chunk)
    except (EOFError, OSError, zlib.error) as error:
        return Verified(path, False, f"cannot be read: {error or type(error).__name__}")
    what = " unpacked" if unpacked else ""
    if total != file.bytes:
        return Verified(path, False, f"has {total:,} bytes{what}, the card says {file.bytes:,}")
    if digest.hexdigest() != file.sha256:
        checksum = digest.hexdigest()
        return Verified(path, False, f"has SHA-256 {checksum}{what}, the card says {file.sha256}")
    return Verified(path, True, "")
