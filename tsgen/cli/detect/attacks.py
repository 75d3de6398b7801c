"""Tables of attacks: when they were, and on which tags."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from tsgen.data.plant import PlantLog


def attack_table(path: Path, tags: tuple[str, ...]) -> "pd.DataFrame":
    """A table of attacks with times, and lists of tags in ``target`` where it has that.

    Raises:
        ValueError: for columns that are missing or tags that the model does not know.
    """
    import pandas as pd

    table = pd.read_csv(path)
    missing = [name for name in ("start", "end") if name not in table]
    if missing:
        raise ValueError(
            f"--attacks {path}: column {missing[0]!r} is missing; expected start, end, target"
        )
    for name in ("start", "end"):
        try:
            table[name] = pd.to_datetime(table[name])
        except (ValueError, TypeError) as error:
            raise ValueError(f"--attacks {path}: column {name!r}: {error}") from None
    if "target" in table:
        table["target"] = [
            [] if pd.isna(text) else str(text).replace(",", " ").split() for text in table["target"]
        ]
        for names in table["target"]:
            unknown = [name for name in names if name not in tags]
            if unknown:
                raise ValueError(f"--attacks {path}: target {unknown[0]!r} is no tag of the model")
    return table


def targets_of(read: "PlantLog", attacks: Path | None) -> list[list[str]] | None:
    """Tags attacked in each stretch of labels; ``None`` unless all are known."""
    import numpy as np

    from tsgen.anomaly.metrics import segments

    if attacks is None or read.labels is None:
        return None
    table = attack_table(attacks, read.tags)
    if "target" not in table or not all(map(len, table["target"])):
        return None
    index, targets = read.frame.index, []
    for first, stop in segments(read.labels):
        inside = (table["start"] <= index[stop - 1]) & (table["end"] >= index[first])
        targets.append(sorted(set(np.concatenate(table["target"][inside].to_list()))))
    return targets
