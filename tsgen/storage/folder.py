"""The folder of a saved object: JSON, weights, and a manifest with a hash of every file."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from tsgen._version import __version__
from tsgen.core import seeded_everywhere, single_precision
from tsgen.core.atomic import MANIFEST
from tsgen.storage.decoding import decode
from tsgen.storage.limit import BuildLimit
from tsgen.storage.names import FOREIGN
from tsgen.storage.tensors import plain_file

FORMAT = 2
"""Version of the manifest; raised whenever older ones can no longer be read."""

PREDICTOR_JSON = "predictor.json"
PREDICTOR_FILES = ("gluonts-config.json", PREDICTOR_JSON)
"""What GluonTS writes of a predictor: its class, and what its constructor was given."""

_PIECE = 1 << 20
_SPARE_BYTES, _SPARE_TENSORS = 64 << 20, 1000
"""What building a small network may take; a large one in proportion to its weights."""


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Write the manifest of a folder.

    Args:
        folder: where all files have been written.
        names: files in it; of a folder inside that has a manifest of its own, that manifest.
    """
    _write(folder, {name: _describe(folder / name) for name in names})


def extend_manifest(folder: Path, names: Iterable[str]) -> None:
    """Add files that were written beside a saved object to its manifest."""
    files = _read_manifest(folder / MANIFEST)["files"]
    _write(folder, files | {name: _describe(folder / name) for name in names})


def _write(folder: Path, files: dict[str, Any]) -> None:
    about = {"format": FORMAT, "tsgen": __version__, "files": dict(sorted(files.items()))}
    (folder / MANIFEST).write_text(json.dumps(about, indent=1))


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: if there is none, or its text is none.
    """
    return json.loads(plain_file(path).read_text())


def _describe(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": _hash(path)}


def _hash(path: Path) -> str:
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            whole.update(piece)
    return whole.hexdigest()


def _read_manifest(path: Path) -> dict[str, Any]:
    about = read_json(path)
    if about["format"] != FORMAT:
        raise FolderError(
            f"{str(path.parent)!r} was saved by tsgen {about['tsgen']!r} in format "
            f"{about['format']!r}; this is tsgen {__version__}, which reads format {FORMAT}: train "
            "again, or use the version that saved it"
        )
    return about


@contextmanager
def damage_told(folder: Path, what: str = "model") -> Iterator[None]:
    """Turn whatever reading a folder raises into one ``ValueError`` of one line.

    What a folder describes may be anything, and so may be what building it raises.

    Args:
        folder: named in the line.
        what: the folder holds.
    """
    try:
        yield
    except FolderError:
        raise
    except Exception as error:
        lines = str(error).split("\n")
        reason = " ".join(" ".join(lines).split())[:500]
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise FolderError(f"{str(folder)!r}: the {what} is damaged ({kind}{reason})") from None


class FolderError(ValueError):
    """A folder that cannot be read, in one line that names it."""


class SavedFolder:
    """A saved folder whose files are those that its manifest lists.

    Args:
        path: the folder.
        expected: a file without which the folder holds nothing of the kind.
        what: the folder holds, for messages.

    Raises:
        ValueError: in one line, if a file is missing, has changed, or is no plain file inside the
            folder, or if an earlier version saved the folder.
    """

    def __init__(self, path: Path, expected: str, what: str = "model") -> None:
        self.path, self.what = path, what
        with damage_told(path, what):
            if not (path / MANIFEST).exists():
                if not (path / expected).is_file():
                    raise FolderError(
                        f"{str(path)!r} holds no {what} saved by tsgen ({expected} is missing)"
                    )
                raise FolderError(
                    f"{str(path)!r} has no {MANIFEST}: the file is lost, or an earlier tsgen saved "
                    f"the {what}; train again, or use the version that saved it"
                )
            self._check(expected)

    def _check(self, expected: str) -> None:
        files = _read_manifest(self.path / MANIFEST)["files"]
        if expected not in files:
            raise ValueError(f"{MANIFEST} does not list {expected}")
        for name, about in files.items():
            place = PurePosixPath(name)
            if place.is_absolute() or ".." in place.parts:
                raise ValueError(f"{MANIFEST} lists {name!r}, which is not in the folder")
            file = self.path / place
            if plain_file(file).stat().st_size != about["bytes"] or _hash(file) != about["sha256"]:
                raise ValueError(f"{name} is not as it was written")

    def json(self, name: str) -> Any:
        """The content of a JSON file."""
        return read_json(self.path / name)

    def build(
        self,
        tree: Any,
        kind: type,
        weights: str | None = None,
        foreign: Mapping[str, tuple[str, str]] = FOREIGN,
    ) -> Any:
        """Build what a tree of the folder describes, within a limit that its weights' size sets.

        Args:
            tree: see :func:`tsgen.storage.decode`.
            kind: which class is expected.
            weights: the file that the network's weights will be read from.
            foreign: parts of other packages that may be named.

        Raises:
            ValueError: for a tree that describes anything else, or something too large for the
                weights.
        """
        size = (self.path / weights).stat().st_size if weights else 0
        limit = BuildLimit(_SPARE_BYTES + 8 * size, _SPARE_TENSORS + size // 64)
        # networks draw their first weights, which those of the file replace
        with seeded_everywhere(0), single_precision(), limit:
            built = decode(tree, foreign)
        if not isinstance(built, kind):
            raise ValueError(f"a {type(built).__name__} is described, not a {kind.__name__}")
        return built
