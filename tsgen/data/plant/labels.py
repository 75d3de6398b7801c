"""Labels of a log's rows: which column holds them, and which of its values mean an attack."""

import re

import numpy as np
import pandas as pd

from tsgen.data.plant.source import RowError

LABEL_NAMES = frozenset(
    ["label", "labels", "attack", "anomaly", "att_flag", "is_anomaly", "attack_label"]
)
"""Names, in small letters, of columns that look like labels."""

_NORMAL = frozenset(["normal", "no", "false", "0", "0.0", "ok", "benign"])
_ATTACK = frozenset(["attack", "anomaly", "abnormal", "yes", "true", "1", "1.0"])


def find_label(names: list[str]) -> str | None:
    """The column that looks like labels; the first of several."""
    return next((name for name in names if looks_like_label(name)), None)


def looks_like_label(name: str) -> bool:
    """Whether a column's name is one of :data:`LABEL_NAMES`, or as in SWaT, WADI and HAI."""
    plain = name.strip().lower()
    usual = plain in LABEL_NAMES or plain.startswith(("normal/attack", "attack lable"))
    return usual or re.fullmatch(r"attack_p\d+", plain) is not None


def to_labels(cells: pd.Series, normal: str | float | None = None) -> tuple[np.ndarray, str]:
    """Labels (T,), 1 for an attack and 0 for normal, and the rule in words.

    Of numbers 0 is normal and 1 an attack; with -1 among them, -1 is an attack and 1 normal. Text
    is read without blanks and capitals ("A ttack").

    Args:
        cells: of the column, (T,).
        normal: the value that means normal; all others then mean an attack.

    Raises:
        RowError: for a missing label or another value, with its row by the index.
    """
    if cells.isna().any():
        raise RowError(_first_row(cells.isna()), "the label is missing")
    if pd.api.types.is_bool_dtype(cells.dtype):
        cells = cells.astype(int)
    codes, values = pd.factorize(cells)
    plain = [_plain(value) for value in values]
    if normal is not None:
        meaning = [int(value != _plain(normal)) for value in plain]
        rule = f"{normal!r} is normal, all else an attack"
        return np.asarray(meaning)[codes], rule
    signed = "-1" in plain
    attack = frozenset(["-1"]) if signed else _ATTACK
    usual = _NORMAL - {"0"} | {"1"} if signed else _NORMAL
    for number, value in enumerate(plain):
        if value not in attack | usual:
            row = cells.index[int(np.argmax(codes == number))]
            raise RowError(
                int(row),
                f"label {str(values[number])!r}; expected 0 and 1, or 1 (normal) and -1 (attack), "
                "or Normal and Attack; normal= names the value that means normal",
            )
    meaning = [int(value in attack) for value in plain]
    said = {
        what: sorted({str(v).strip() for v, m in zip(values, meaning, strict=True) if m == number})
        for number, what in ((0, "normal"), (1, "attack"))
    }
    rule = "; ".join(f"{what}: {', '.join(map(repr, v))}" for what, v in said.items() if v)
    return np.asarray(meaning, dtype=int)[codes], rule


def labels_of_intervals(index: pd.Index, intervals: pd.DataFrame) -> np.ndarray:
    """Labels (T,) of rows by a table of attacks.

    Args:
        index: times or numbers of rows, (T,).
        intervals: columns ``start`` and ``end``, which belongs to the attack.

    Raises:
        ValueError: if the table lacks one of them, or an attack ends before it starts.
    """
    absent = {"start", "end"} - set(intervals.columns)
    if absent:
        raise ValueError(f"attacks: there is no column {min(absent)!r}; expected start and end")
    start, end = intervals["start"].to_numpy(), intervals["end"].to_numpy()
    if isinstance(index, pd.DatetimeIndex):
        start, end = (pd.to_datetime(edge).to_numpy() for edge in (start, end))
    wrong = end < start
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"attacks: row {row} ends at {end[row]}, before its start {start[row]}")
    labels = np.zeros(len(index), dtype=int)
    for first, last in zip(
        index.searchsorted(start), index.searchsorted(end, side="right"), strict=True
    ):
        labels[first:last] = 1
    return labels


def _first_row(marks: pd.Series) -> int:
    return int(marks.index.to_numpy()[int(np.argmax(marks.to_numpy()))])


def _plain(value: object) -> str:
    if isinstance(value, int | float | np.number) and float(value).is_integer():
        return str(int(value))
    return "".join(str(value).split()).lower()
