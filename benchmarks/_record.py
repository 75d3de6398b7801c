"""Where a figure was measured: versions, machine, command."""

import csv
import datetime
import importlib.metadata
import platform
import re
import sys
from pathlib import Path
from typing import Any

import torch

import tsgen

RESULTS = Path(__file__).parent / "results"


def circumstances() -> dict[str, Any]:
    """What a reader needs to repeat a measurement."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":")[1].strip()
            for line in info.read_text().splitlines()
            if "model name" in line
        ]
        cpu = f"{names[0]} x{len(names)}" if names else cpu
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "date": datetime.date.today().isoformat(),
        "tsgen": tsgen.__version__,
        "torch": torch.__version__,
        "gluonts": importlib.metadata.version("gluonts"),
        "python": platform.python_version(),
        "cpu": cpu,
        "gpu": gpu,
        "threads": torch.get_num_threads(),
        "command": "python benchmarks/"
        + " ".join([Path(sys.argv[0]).name, *(_relative(a) for a in sys.argv[1:])]),
    }


def _relative(argument: str) -> str:
    """The argument, of an absolute path the last part only."""
    return re.sub("(^|=)/.*/", r"\1", argument)


def append(file: str, row: dict[str, Any]) -> None:
    """Add a row to a table of results and print it; a table whose columns differ is extended."""
    row = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} | circumstances()
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
    print("  ".join(f"{k}={v}" for k, v in row.items() if k not in circumstances()), flush=True)
