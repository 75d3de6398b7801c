"""What commands print: tables for people, JSON and CSV for programs, notes beside them."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsgen.core.atomic import replacing

if TYPE_CHECKING:
    import pandas as pd

SCORES = {
    "crps": "CRPS",
    "crps_sum": "CRPS-sum",
    "energy": "energy",
    "variogram": "variogram",
    "nd": "ND",
    "coverage_90": "90 % cov.",
}
"""Columns of a score table on the screen; files and JSON have every figure."""


def note(text: str) -> None:
    """Say something on stderr, so that stdout stays what was asked for."""
    print(text, file=sys.stderr, flush=True)


def complain(text: str, error: BaseException) -> None:
    """Say in one line what went wrong, with the notes of the error."""
    line = " ".join(" ".join([text, *getattr(error, "__notes__", [])]).split())
    print(f"tsgen: {line}", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print JSON; numbers that are none become null."""
    print(json.dumps(_plain(value), indent=1, default=str))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(
    rows: Sequence[Mapping[str, Any]], title: str = "", lowest: Sequence[str] = ()
) -> None:
    """Print a table for people, the smallest value of some columns in bold."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        number = any(isinstance(row.get(name), int | float) for row in rows)
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    best = {
        name: min(values)
        for name in lowest
        if (values := [r[name] for r in rows if _is_number(r.get(name))])
    }
    for row in rows:
        cells = []
        for name in names:
            text = escape(shown(row.get(name, "")))
            best_here = name in best and row.get(name) == best[name]
            cells.append(f"[bold]{text}[/bold]" if best_here else text)
        table.add_row(*cells)
    width = None if sys.stdout.isatty() else 220
    Console(width=width, soft_wrap=False).print(table)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def shown(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return "-"
        return f"{value:.4g}"
    return "" if value is None else str(value)


def write_frame(frame: "pd.DataFrame", path: Path) -> None:
    """Write a table as CSV, parquet or JSON lines, by the path's ending, whole or not at all."""
    with replacing(path) as part:
        if path.suffix in (".parquet", ".pq"):
            with part.open("wb") as file:
                frame.to_parquet(file)
        elif path.suffix in (".json", ".jsonl"):
            lines = path.suffix == ".jsonl"
            frame.to_json(part, orient="records", lines=lines, date_format="iso")
        else:
            frame.to_csv(part, index=False, compression="gzip" if path.suffix == ".gz" else None)
