"""Logs of plants: :func:`read_log` for one's own, :func:`load_plant` for published ones.

>>> log = read_log("plant.csv", every="10s")
>>> print(log.summary)  # what was found and changed
>>> detector.fit(log.frame)
"""

from tsgen.core.lazy import imported_on_use

_LAZY = {
    "LogCard": "cards",
    "LogFollower": "follow",
    "LogSummary": "log",
    "PlantData": "sets",
    "PlantLog": "log",
    "follow_log": "follow",
    "load_batadal": "stored",
    "load_hai": "hai",
    "load_plant": "registry",
    "load_psm": "public",
    "load_pump": "public",
    "load_skab": "stored",
    "load_smap_msl": "stored",
    "load_smd": "stored",
    "load_swat": "itrust",
    "load_tep": "stored",
    "load_wadi": "itrust",
    "log_cards": "cards",
    "plant_names": "registry",
    "read_log": "read",
    "read_logs": "read",
}

__all__ = sorted(_LAZY)  # noqa: PLE0605

__getattr__ = imported_on_use(__name__, _LAZY)
