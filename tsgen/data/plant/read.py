"""Reading logs of plants: :func:`read_log`."""

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from tsgen.data.plant.clock import (
    Times,
    gaps,
    names_times,
    read_times,
    require_rising,
    time_columns,
    usual_step,
)
from tsgen.data.plant.kinds import Kind, count_values, require_kinds
from tsgen.data.plant.labels import find_label, labels_of_intervals, to_labels
from tsgen.data.plant.log import LogSummary, PlantLog
from tsgen.data.plant.resample import as_duration, down_sample
from tsgen.data.plant.source import RowError, Source
from tsgen.data.plant.table import RawLog, read_raw

Duplicates = Literal["error", "first", "last"]


def read_log(
    path: str | Path | pd.DataFrame,
    *,
    time: str | Sequence[str] | Literal[False] | None = None,
    label: str | Literal[False] | None = None,
    normal: str | float | None = None,
    labels: np.ndarray | pd.DataFrame | None = None,
    dayfirst: bool | None = None,
    like: "PlantLog | Sequence[str] | None" = None,
    kinds: Mapping[str, Kind] | None = None,
    drop: Sequence[str] = (),
    drop_empty: bool = False,
    prefix: str = "",
    missing: Sequence[str] = (),
    warm_up: int | str = 0,
    every: str | int | None = None,
    duplicates: Duplicates = "error",
    name: str | None = None,
) -> PlantLog:
    """Read a table with a column for each tag and a row for each time.

    Nothing is filled in, and nothing changes without a word in the log's ``summary``. Names lose
    the blanks at their ends, text like "N/A" is a missing value, other text an error; rows without
    anything are left out, as is a last line that is half written. A file that grows meanwhile is
    read up to its size at the start.

    Kinds are found by the recorded values that are kept, before down-sampling; the first that
    fits: constant, at most one value; binary, two; discrete, at most 10, all whole numbers;
    setpoint, at most 50, which change in at most a hundredth of the rows; continuous.

    Args:
        path: ``.csv`` (any delimiter, also ``.csv.gz``), ``.parquet``, ``.xlsx`` (needs openpyxl),
            or a frame. Lines before the names are skipped where a later row has the time's name.
        time: the column of times; two of them hold dates and times of day. Found if not given;
            ``False`` if rows are only numbered.
        label: the column of labels; found by its name if not given; ``False`` for none.
        normal: the label that means normal; see :func:`tsgen.data.plant.labels.to_labels`.
        labels: in place of such a column: 0 and 1 for each row of the file, (rows,); or a table of
            attacks with ``start`` and ``end``, which belongs to the attack.
        dayfirst: whether days come before months; told by the whole column if not given, see
            :func:`tsgen.data.plant.clock.read_times`.
        like: a log, whose tags and kinds this one gets (and whose order of day and month where
            nothing else tells), or tags. Of those the file lacks all values are missing; others
            are left out.
        kinds: kinds of tags that are not what the values make believe.
        drop: columns to leave out; a name that is not there is an error.
        drop_empty: leave out tags without any value, too (unless they are those of ``like``).
        prefix: taken off the names that start with it.
        missing: more texts that mean a missing value, as "Bad".
        warm_up: rows to leave out at the start, or for how long, as "6h".
        every: down-sample, as "10s" (or to a number of numbered rows): medians, of binary and
            discrete tags the lower of two middle values; a row is an attack if one of its rows is.
        duplicates: what becomes of rows with the same time: an error unless they are equal; or
            keep the first or the last.
        name: of the log; the file's if not given.

    Returns:
        Channels (T, C) with rising times, labels (T,), kinds and the summary.

    Raises:
        ValueError: naming the file and what is wrong: no column of times, text in a tag (with its
            cell), times that go backwards (with both), a missing label, an unknown name.
    """
    if isinstance(path, list | tuple):
        raise ValueError(f"path holds {len(path)} files; read_logs reads several, each as a run")
    if duplicates not in ("error", "first", "last"):
        raise ValueError(f"duplicates={duplicates!r}; expected 'error', 'first' or 'last'")
    wanted = [time] if isinstance(time, str) else list(time or ())
    keys = {key.strip().lower() for key in wanted}

    def is_header(cells: list[str]) -> bool:
        return keys <= {cell.lower() for cell in cells} if keys else names_times(cells)

    source = Source(path, is_header)
    with source.located():
        stamps = [] if time is False else time_columns(source.head, time)
        labelled = label or None if label is not None else find_label(source.names)
        if labels is not None and labelled is not None:
            if label is not None:
                raise ValueError("labels and label: expected one of them")
            labelled = None
        raw = read_raw(source, stamps, labelled, drop, prefix, missing, like)
        require_kinds(kinds or {}, raw.tags)
        times = None if raw.stamps is None else _times(raw, dayfirst, like)
        mask = np.ones(len(raw.rows), dtype=bool)
        if times is not None:
            mask = _unique(raw, times.stamps, duplicates)
        twice = int(np.count_nonzero(~mask))
        mask &= ~_warm(times, mask, warm_up)
        warm = len(mask) - twice - int(np.count_nonzero(mask))
        if not mask.any():
            raise ValueError(f"warm_up={warm_up!r} leaves nothing of {len(mask)} rows")
        index: pd.Index = pd.RangeIndex(int(mask.sum())) if times is None else times.stamps[mask]
        truth, rule = _labels(raw, mask, index, normal, labels)
        first, last = int(np.argmax(mask)), len(mask) - int(np.argmax(mask[::-1]))
        gapless = bool(mask[first:last].all())  # then it is no copy
        values = raw.values[:, first:last] if gapless else raw.values[:, mask]
        frame = pd.DataFrame(values.T, index=index, columns=raw.tags, copy=False)
        period, (number, longest) = None, (0, None)
        if isinstance(index, pd.DatetimeIndex):
            period, (number, longest) = usual_step(index), gaps(index)
        counts = {tag: count_values(values[i]) for i, tag in enumerate(raw.tags)}
        if drop_empty and like is None and (empty := [t for t, v in counts.items() if not v.rows]):
            raw.dropped |= dict.fromkeys(empty, "without any value")
            frame, counts = frame.drop(columns=empty), {t: v for t, v in counts.items() if v.rows}
        own: dict[str, Kind] = {tag: counted.kind for tag, counted in counts.items()}
        own |= (like.kinds if isinstance(like, PlantLog) else {}) | dict(kinds or {})
        if every is not None:
            frame, truth = down_sample(frame, truth, every, own)
            if isinstance(index, pd.DatetimeIndex):
                period = as_duration("every", every)
    share = {str(tag): float(part) for tag, part in frame.isna().mean().items()}
    summary = LogSummary(
        source=source.name,
        rows_read=len(raw.rows),
        rows=len(frame),
        time=tuple(stamps),
        start=frame.index[0],
        end=frame.index[-1],
        period=period,
        gaps=number,
        longest_gap=longest,
        dayfirst=None if times is None else times.dayfirst,
        day_order="" if times is None else times.order,
        duplicates=twice,
        warm_up=warm,
        every=every,
        label=labelled,
        label_rule=rule,
        attack_share=None if truth is None else float(truth.mean()),
        renamed=raw.renamed,
        dropped=raw.dropped,
        absent=tuple(raw.absent),
        empty=tuple(tag for tag, part in share.items() if part == 1),
        missing={tag: part for tag, part in share.items() if part > 0},
        notes=tuple(source.notes + raw.notes + ([] if times is None else times.changes)),
    )
    if name is None:
        name = "log" if isinstance(path, pd.DataFrame) else Path(path).name.split(".")[0]
    return with_kinds(PlantLog(frame, truth, {}, summary, name, counts), own)


def read_logs(paths: Sequence[str | Path | pd.DataFrame], **options: Any) -> list[PlantLog]:
    """Read several files as runs of one plant, with the tags of the first and common kinds.

    Args:
        paths: see :func:`read_log`.
        **options: of :func:`read_log`, for all of them.

    Raises:
        ValueError: if there is none, or one has not the tags of the first; see :func:`read_log`.
    """
    if isinstance(paths, str | Path | pd.DataFrame) or not len(paths):
        raise ValueError(f"paths={paths!r}; expected a list of at least one file")
    unknown = set(options) - set(read_log.__kwdefaults__ or {})
    if unknown:
        raise ValueError(f"read_log has no option {min(unknown)!r}")
    like, kinds = options.get("like"), options.get("kinds") or {}
    logs: list[PlantLog] = []
    for path in paths:
        log = read_log(path, **options)
        if logs and like is None and log.tags != logs[0].tags:
            odd = sorted(set(log.tags) ^ set(logs[0].tags)) or ["their order"]
            raise ValueError(
                f"{log.summary.source}: its tags are not those of {logs[0].summary.source}, they "
                f"differ in {', '.join(odd[:5])}; like= names the tags wanted"
            )
        logs.append(log)
    if isinstance(like, PlantLog):
        return logs
    values_by_tag = [[log.values[tag] for log in logs] for tag in logs[0].tags]
    both = [functools.reduce(operator.or_, values) for values in values_by_tag]
    common = {tag: values.kind for tag, values in zip(logs[0].tags, both, strict=True)}
    return [with_kinds(log, {**common, **kinds}) for log in logs]


def _labels(
    raw: RawLog,
    mask: np.ndarray,
    index: pd.Index,
    normal: str | float | None,
    labels: np.ndarray | pd.DataFrame | None,
) -> tuple[np.ndarray | None, str]:
    """Labels of the rows kept, and the rule in words."""
    if isinstance(labels, pd.DataFrame):
        return labels_of_intervals(index, labels), f"a table of {len(labels)} attacks"
    if labels is not None:
        if len(labels) != len(mask):
            raise ValueError(f"labels: {len(labels)} of them for {len(mask)} rows")
        cells = pd.Series(np.asarray(labels)[mask], index=raw.rows[mask])
    elif raw.labels is not None:
        cells = raw.labels[mask]
    else:
        return None, ""
    return to_labels(cells, normal)


def _times(raw: RawLog, dayfirst: bool | None, like: PlantLog | Sequence[str] | None) -> Times:
    assert raw.stamps is not None
    times = read_times(raw.stamps, dayfirst)
    dayfirst_of_like = like.summary.dayfirst if isinstance(like, PlantLog) else None
    if (
        dayfirst is None
        and dayfirst_of_like is not None
        and times.order.startswith("nothing tells")
    ):
        times = read_times(raw.stamps, dayfirst_of_like)._replace(
            order="as in the log that this one is like"
        )
    require_rising(times.stamps, raw.rows)
    return times


def _unique(raw: RawLog, times: pd.DatetimeIndex, duplicates: Duplicates) -> np.ndarray:
    """Which rows are kept of those with the same time, (T,)."""
    mask = ~times.duplicated(keep="last" if duplicates == "last" else "first")
    if duplicates != "error" or mask.all():
        return mask
    for row in np.flatnonzero(~mask):
        same = np.array_equal(raw.values[:, row], raw.values[:, row - 1], equal_nan=True)
        if raw.labels is not None:
            same = same and raw.labels.iloc[row] == raw.labels.iloc[row - 1]
        if not same:
            raise RowError(
                int(raw.rows[row]),
                f"the time {times[int(row)]} comes twice, with other values; duplicates='first' or "
                "'last' keeps one of them",
            )
    return mask


def _warm(times: Times | None, mask: np.ndarray, warm_up: int | str) -> np.ndarray:
    """Rows of the warm-up, (T,)."""
    if isinstance(warm_up, int) and not isinstance(warm_up, bool):
        if warm_up < 0:
            raise ValueError(f"warm_up={warm_up}; expected at least 0")
        return mask & (np.cumsum(mask) <= warm_up)
    if times is None:
        raise ValueError(f"warm_up={warm_up!r}; expected a number of rows: they have no times")
    early = times.stamps < times.stamps[0] + as_duration("warm_up", warm_up)
    return mask & np.asarray(early)


def with_kinds(log: PlantLog, kinds: Mapping[str, Kind]) -> PlantLog:
    """A log whose tags have other kinds, and its summary with them.

    Raises:
        ValueError: for a tag that is not there or a kind that does not exist.
    """
    require_kinds(dict(kinds), list(log.tags))
    both = {**log.kinds, **kinds}
    counts: dict[str, int] = {
        kind: list(both.values()).count(kind) for kind in dict.fromkeys(both.values())
    }
    empty = set(log.summary.empty)
    constant = [tag for tag, kind in both.items() if kind == "constant" and tag not in empty]
    summary = replace(log.summary, kinds=counts, constants=tuple(constant))
    return replace(log, kinds=both, summary=summary)
