"""Where a figure was measured: versions, machine, command."""

import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tsgen.anomaly.registry import detector_parts
from tsgen.circumstances import circumstances
from tsgen.estimators.options import read_options

RESULTS = Path(__file__).parent / "results"


def command() -> str:
    """The command that measures, of absolute paths the last part only."""
    arguments = (re.sub("(^|=)/.*/", r"\1", argument) for argument in sys.argv[1:])
    return " ".join(["python benchmarks/" + Path(sys.argv[0]).name, *arguments])


def append(file: str, row: dict[str, Any]) -> None:
    """Add a row to a table of results and print it; a table whose columns differ is extended."""
    figures = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
    row = figures | circumstances() | {"command": command()}
    path = RESULTS / file
    rows: list[dict[str, Any]] = []
    if path.exists():
        with path.open(newline="") as handle:
            rows = list(csv.DictReader(handle))
    rows.append(row)
    columns = list(dict.fromkeys(name for r in rows for name in r))
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print("  ".join(f"{k}={v}" for k, v in figures.items()), flush=True)


def named_options(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Options by the detectors they are for, from texts ``name.option=value``."""
    options: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, _, setting = text.partition(".")
        options.setdefault(name, {}).update(read_options([setting], detector_parts))
    return options
