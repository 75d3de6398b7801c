"""Saved folders: JSON that may name only the library's parts, safetensors, a manifest of hashes."""

from tsgen.core.atomic import MANIFEST
from tsgen.storage.decoding import decode
from tsgen.storage.folder import (
    PREDICTOR_FILES,
    PREDICTOR_JSON,
    FolderError,
    SavedFolder,
    damage_told,
    extend_manifest,
    read_json,
    write_manifest,
)
from tsgen.storage.names import FOREIGN, allow, resolve
from tsgen.storage.predictor import SavedPredictor
from tsgen.storage.tensors import (
    check_zip,
    load_arrays,
    load_weights,
    save_arrays,
    save_weights,
)

__all__ = [
    "FOREIGN",
    "MANIFEST",
    "PREDICTOR_FILES",
    "PREDICTOR_JSON",
    "FolderError",
    "SavedFolder",
    "SavedPredictor",
    "allow",
    "check_zip",
    "damage_told",
    "decode",
    "extend_manifest",
    "load_arrays",
    "load_weights",
    "read_json",
    "resolve",
    "save_arrays",
    "save_weights",
    "write_manifest",
]
