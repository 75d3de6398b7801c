"""Where and with what a figure was measured."""

import datetime
import importlib.metadata
import platform
from pathlib import Path

import tsgen

_PACKAGES = ("torch", "gluonts", "lightning", "numpy", "pandas")


def circumstances() -> dict[str, str]:
    """Date, versions, processor, GPU and threads: what it takes to repeat a measurement."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "date": datetime.date.today().isoformat(),
        "tsgen": tsgen.__version__,
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "system": platform.system(),
        "cpu": _processor(),
        "gpu": gpu,
        "threads": str(torch.get_num_threads()),
    }


def _processor() -> str:
    """Its name and the number of cores."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        if names:
            return f"{names[0]} x{len(names)}"
    return platform.processor() or platform.machine()
