"""Rows of logs that a detector learns from, and options about them."""

from typing import TYPE_CHECKING, Any

from tsgen.cli.detect.folder import words

if TYPE_CHECKING:
    import pandas as pd

    from tsgen.data.plant import PlantLog


def normal_runs(frames: "list[pd.DataFrame]", logs: "list[PlantLog]") -> "list[pd.DataFrame]":
    """The stretches of logs outside attacks.

    Raises:
        ValueError: if there are none.
    """
    from itertools import pairwise

    import numpy as np

    runs = []
    for frame, log in zip(frames, logs, strict=True):
        labels = np.zeros(len(frame), dtype=int) if log.labels is None else log.labels
        edges = [0, *(np.flatnonzero(np.diff(labels)) + 1), len(frame)]
        runs += [frame.iloc[a:b] for a, b in pairwise(edges) if not labels[a]]
    if not runs:
        raise ValueError("the labels call every row an attack; expected rows of normal operation")
    return runs


def as_rows(text: str | None) -> str | int | None:
    """A number of rows, or a duration as it is written."""
    return int(text) if text is not None and text.isdigit() else text


def kinds_in(text: str | None) -> dict[str, Any]:
    """Kinds written ``P1=binary,V2=discrete``."""
    kinds = {}
    for part in words(text):
        name, _, kind = part.partition("=")
        if not kind:
            raise ValueError(f"--kinds {part}: expected TAG=KIND")
        kinds[name.strip()] = kind.strip()
    return kinds


def row_count(option: str, text: str | None, period: "pd.Timedelta | None", usual: int) -> int:
    """A length in rows, of text that says rows or a duration; the usual one if there is none.

    Raises:
        ValueError: naming the option, if it is neither, or a duration of rows without times.
    """
    import pandas as pd

    if text is None:
        return usual
    if text.isdigit():
        return int(text)
    length = pd.to_timedelta(text, errors="coerce")
    if not length >= pd.Timedelta(0) or period is None:
        raise ValueError(f"{option} {text}: expected a number of rows or a duration such as 3h")
    return round(length / period)
