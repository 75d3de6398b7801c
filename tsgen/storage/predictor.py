"""Predictors that are saved as JSON."""

from pathlib import Path
from typing import Any, Self

from gluonts.model.predictor import RepresentablePredictor

from tsgen.storage.folder import (
    PREDICTOR_FILES,
    PREDICTOR_JSON,
    SavedFolder,
    damage_told,
    write_manifest,
)


class SavedPredictor(RepresentablePredictor):
    """A predictor whose constructor arguments are written as JSON, with a manifest of hashes."""

    def serialize(self, path: Path) -> None:
        """Write the predictor into a folder: JSON, and a manifest with a hash of each file."""
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        super().serialize(path)
        write_manifest(path, (*PREDICTOR_FILES, *self._write_more(path)))

    def _write_more(self, path: Path) -> tuple[str, ...]:
        """Write what JSON does not hold, and return the names of its files."""
        return ()

    @classmethod
    def deserialize(cls, path: Path, **kwargs: Any) -> Self:
        """Read a predictor from a folder.

        Raises:
            ValueError: in one line, if the folder holds none, is damaged, or names what is no part
                of this library.
        """
        path = Path(path)
        with damage_told(path):
            folder = SavedFolder(path, PREDICTOR_JSON)
            return folder.build(folder.json(PREDICTOR_JSON), cls)
