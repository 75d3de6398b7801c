"""The data that speed.py measures on: what there is, and made-up series of the published shapes."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import lfilter

from tsgen.data.registry import datasets


class Size(NamedTuple):
    """A shape of data and how much of it is worked through."""

    channels: int
    freq: str
    horizon: int
    length: int
    windows: int
    batches: int
    """Of a training on a CPU."""
    data: str | None = None
    """A name of the registry; ``None`` is made up."""


SIZES = {
    "exchange": Size(8, "B", 30, 6071, 5, 20, "exchange_rate_nips"),
    "uci": Size(321, "h", 24, 672, 1, 4, "uci_electricity_5weeks"),
    "electricity": Size(370, "h", 24, 5833, 1, 4),
    "traffic": Size(963, "h", 24, 4001, 1, 2),
    "wiki": Size(2000, "D", 30, 792, 1, 2),
}
GPU_BATCHES = 20
"""Of a training on a GPU. The peer's own loop works on the whole series for each window."""


@dataclass(frozen=True)
class Case:
    """What both sides are told to work through."""

    size: str
    channels: int
    horizon: int
    windows: int
    steps: int
    batches: int
    samples: int
    path: str


def made_up(channels: int, length: int, season: int) -> np.ndarray:
    """Positive series with a season of their own and a shared disturbance, (channels, length)."""
    rng = np.random.default_rng(channels)
    phase = rng.uniform(0, 2 * np.pi, (channels, 1))
    wave = 0.4 * np.sin(2 * np.pi * np.arange(length) / season + phase)
    shared = lfilter([0.1], [1, -0.9], rng.standard_normal(length))
    own = 0.1 * rng.standard_normal((channels, length))
    level = rng.normal(4, 1, (channels, 1))
    return np.exp(level + wave + rng.uniform(0, 1, (channels, 1)) * shared + own).astype(np.float32)


def write_series(
    path: Path, freq: str, horizon: int, start: str, train: np.ndarray, histories: list[np.ndarray]
) -> None:
    """For both workers: plain arrays, since their pandas differ."""
    about = {"freq": freq, "horizon": horizon, "start": start, "windows": len(histories)}
    arrays: dict[str, Any] = {f"history_{k}": history for k, history in enumerate(histories)}
    np.savez(path, about=json.dumps(about), train=train, **arrays)


def prepare(name: str, size: Size, folder: Path, windows: int | None, samples: int) -> Case:
    """Write the data of a size and say what is worked through, on a CPU.

    Raises:
        MissingData: if a set of the registry is not on this machine.
    """
    path = folder / f"{name}.npz"
    count = windows or size.windows
    if size.data is None:
        season = {"h": 24, "D": 7}[size.freq]
        series = made_up(size.channels, size.length + (count - 1) * size.horizon, season)
        ends = [size.length + k * size.horizon for k in range(count)]
        train, histories = series[:, : size.length], [series[:, :end] for end in ends]
        start = "2012-01-01"
    else:
        data = datasets[size.data]()
        train = np.asarray(data.train[0]["target"], dtype=np.float32)
        start = str(data.train[0]["start"])
        if not data.test[0]["target"].shape[0] == len(train) == size.channels:
            raise AssertionError(f"{size.data}: {len(train)} channels, not {size.channels}")
        ready = [np.asarray(e["target"], dtype=np.float32) for e in data.test[:count]]
        histories = [target[:, : -size.horizon] for target in ready]
    write_series(path, size.freq, size.horizon, start, train, histories)
    return Case(
        name, size.channels, size.horizon, len(histories), size.horizon, size.batches, samples,
        str(path),
    )  # fmt: skip


def growth(folder: Path, samples: int) -> list[tuple[str, Case]]:
    """Cases along each axis: channels, steps of the horizon, samples."""
    size = Size(8, "h", 24, 1000, 1, 2)
    channels = {
        count: prepare(f"made_up_{count}", size._replace(channels=count), folder, 1, samples)
        for count in (8, 32, 128, 512)
    }
    base = channels[8]
    return [
        *(("channels", replace(case, steps=2)) for case in channels.values()),
        *(("steps", replace(base, steps=steps)) for steps in (1, 2, 4, 8, 24)),
        *(("samples", replace(base, steps=2, samples=count)) for count in (1, 10, 100, 1000)),
    ]
