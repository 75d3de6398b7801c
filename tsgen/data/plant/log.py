"""A plant's log as it was read, and what was found and changed on the way."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tsgen.data.plant.kinds import KINDS, Kind, Values


@dataclass(frozen=True)
class LogSummary:
    """What was found in a log and what was changed; ``str`` of it is a text to read.

    Args:
        source: the file, or "table".
        rows_read: rows in the source that held anything.
        rows: rows of the log.
        time: columns of times; empty where rows are only numbered.
        start: time (or number) of the first row.
        end: of the last row.
        period: median step between rows.
        gaps: steps longer than 1.5 periods.
        longest_gap: the longest of them.
        dayfirst: whether days were read before months; ``None`` where the order does not matter.
        day_order: what told so.
        duplicates: rows left out because their time was there before (or comes again).
        warm_up: rows left out at the start.
        every: the time, or number of rows, that each row now stands for; ``None`` if as recorded.
        label: the column of labels.
        label_rule: what its values mean.
        attack_share: of the rows.
        renamed: names with stray blanks (or a prefix), and what they are now.
        dropped: columns that are no tags of the log, with the reason.
        absent: tags expected that the source lacks; they are missing in every row.
        empty: tags without any value.
        missing: share of missing values of each tag that has some.
        kinds: number of tags of each kind.
        constants: constant tags.
        notes: whatever else was changed.
    """

    source: str
    rows_read: int
    rows: int
    time: tuple[str, ...] = ()
    start: pd.Timestamp | int = 0
    end: pd.Timestamp | int = 0
    period: pd.Timedelta | None = None
    gaps: int = 0
    longest_gap: pd.Timedelta | None = None
    dayfirst: bool | None = None
    day_order: str = ""
    duplicates: int = 0
    warm_up: int = 0
    every: str | int | None = None
    label: str | None = None
    label_rule: str = ""
    attack_share: float | None = None
    renamed: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    missing: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    constants: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One fact a line; what did not happen is not told."""
        step = f", every {_short(self.period)}" if self.period is not None else ""
        lines = [
            f"{self.source}: {self.rows:,} rows of {sum(self.kinds.values())} tags, {self.start} "
            f"to {self.end}{step}"
        ]
        if not self.time:
            lines.append("times: none, rows are numbered")
        elif self.dayfirst is not None:
            leading = "days" if self.dayfirst else "months"
            lines.append(f"dates: {leading} come first ({self.day_order})")
        if self.gaps:
            lines.append(f"gaps: {self.gaps:,}, the longest {self.longest_gap}")
        if self.duplicates:
            lines.append(f"duplicates: {self.duplicates:,} rows left out")
        if self.warm_up:
            lines.append(f"warm-up: {self.warm_up:,} rows left out")
        if self.every is not None:
            unit = f"{self.every} rows" if isinstance(self.every, int) else self.every
            lines.append(f"down-sampled: {self.rows_read:,} rows read, one for each {unit} kept")
        counts = [f"{n} {kind}" for kind in KINDS if (n := self.kinds.get(kind))]
        lines.append(f"kinds: {', '.join(counts)}")
        if self.attack_share is not None:
            column = f"column {self.label!r}, " if self.label is not None else ""
            lines.append(f"labels: {column}{self.label_rule}; {self.attack_share:.2%} attack")
        most = sorted(self.missing.items(), key=lambda item: -item[1])
        share = [f"{tag} {part:.2%}" for tag, part in most if tag not in self.empty]
        for what, names in (
            ("constant", self.constants),
            ("without any value", self.empty),
            ("not in the source, missing in every row", self.absent),
            ("missing values", share),
            ("left out", [f"{name} ({why})" for name, why in self.dropped.items()]),
            ("renamed", [f"{old!r} to {new!r}" for old, new in self.renamed.items()]),
        ):
            if names:
                more = f" and {len(names) - 12} more" if len(names) > 12 else ""
                lines.append(f"{what}: {', '.join(list(names)[:12])}{more}")
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True, eq=False)
class PlantLog:
    """One recording of a plant: what detectors read is ``frame``.

    Args:
        frame: float64 channels (T, C); NaN where nothing was recorded. The index holds rising
            times, or numbers of rows where there are no times; gaps of the clock stay gaps.
        labels: 1 inside attacks, else 0, (T,); ``None`` if they are not known.
        kinds: of each tag.
        summary: what was found and changed.
        name: of the recording.
        values: what is known of each tag's values, before down-sampling, which tells its kind.
    """

    frame: pd.DataFrame
    labels: np.ndarray | None
    kinds: dict[str, Kind]
    summary: LogSummary
    name: str
    values: dict[str, Values]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def tags(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(self.frame.columns)

    @property
    def recorded(self) -> np.ndarray:
        """Which values are there, (T, C)."""
        return self.frame.notna().to_numpy()

    def of_kind(self, *kinds: Kind) -> list[str]:
        """The tags of some kinds, as ``of_kind("binary", "discrete")`` for actuators."""
        return [tag for tag in self.tags if self.kinds[tag] in kinds]


def _short(step: pd.Timedelta) -> str:
    """A time step without days that it does not have."""
    return str(step).removeprefix("0 days ")
