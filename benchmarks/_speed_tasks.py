"""What speed.py compares, by how much tsgen must be ahead, and how fast the machine could be."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from _speed_data import Case

CUT = 2
LAYERS, WIDTH = 8, 8
"""Of the denoising network: residual blocks and their channels."""


@dataclass(frozen=True)
class Task:
    """One comparison: what each side does and the least ratio of their seconds, peer to ours.

    Args:
        model: "timegrad", "realnvp" or "maf".
        ours: how tsgen does it: "equal" samples with as many steps as the peer, "default" as the
            estimator does unless told otherwise, "train" trains.
        peer: how pytorch-ts does it: "sample", "train" by its own loop, or "cached" on batches made
            beforehand.
        must: the least ratio for any size.
        musts: the least ratio for a size, where it is another.
        whole_up_to: channels up to which a CPU draws whole horizons; of more, :data:`CUT` steps,
            since the peer takes minutes.
    """

    model: str
    ours: str
    peer: str
    must: float | None = None
    musts: dict[str, float] = field(default_factory=dict)
    whole_up_to: float = 330

    def must_at(self, size: str) -> float | None:
        """The least ratio for a size, if there is one."""
        return self.musts.get(size, self.must)

    @property
    def trains(self) -> bool:
        """Whether it is a training."""
        return self.ours == "train"


TASKS = {
    "timegrad_sample": Task(
        "timegrad", "equal", "sample", musts={"exchange": 4.0, "uci": 2.5}
    ),
    "timegrad_sample_default": Task("timegrad", "default", "sample", 20.0),
    "timegrad_train": Task("timegrad", "train", "train", 3.0),
    "timegrad_train_cached": Task("timegrad", "train", "cached", 1.5),
    "realnvp_sample": Task("realnvp", "default", "sample", 1.5, whole_up_to=math.inf),
    "maf_sample": Task(
        "maf", "default", "sample", musts={"exchange": 2.0, "uci": 3.0}, whole_up_to=400
    ),
}  # fmt: skip
Member = tuple[str, str]
"""A side, "ours" or "peer", and how it does it."""


def groups(names: list[str]) -> list[list[str]]:
    """Tasks that are measured together, because one side does the same in them."""
    by_model: dict[tuple[str, bool], list[str]] = {}
    for name in names:
        by_model.setdefault((TASKS[name].model, TASKS[name].trains), []).append(name)
    return list(by_model.values())


def turns(names: list[str]) -> list[Member]:
    """In which order the members of a group take turns: those compared stand side by side."""
    pairs = [{("ours", TASKS[n].ours), ("peer", TASKS[n].peer)} for n in names]
    if len(pairs) == 1:
        return sorted(pairs[0])
    (middle,) = pairs[0] & pairs[1]
    (first,), (last,) = (pair - {middle} for pair in pairs)
    return [first, middle, last]


class Floor(NamedTuple):
    """What drawing with the denoising network takes at least, in operations and in bytes."""

    flop: float
    """Of its convolutions, without padding and without what nobody reads."""
    bytes: float
    """Moved by one kernel a block: its state and the sum of skips in and out, conditioning in. A
    kernel for several blocks can do with less, and a CPU's caches hold them."""

    def seconds(self, flop_rate: float, byte_rate: float, device: str) -> float:
        """On a machine with these rates; a GPU's is the longer of the two."""
        arithmetic = self.flop / flop_rate
        return arithmetic if device == "cpu" else max(arithmetic, self.bytes / byte_rate)


def floor_of(case: Case, evaluations: int) -> Floor:
    """Of drawing all windows of a case with so many evaluations a step."""
    places = case.windows * case.samples * case.steps * case.channels * evaluations
    block = 3 * WIDTH * 2 * WIDTH + WIDTH * 2 * WIDTH
    unread = WIDTH * WIDTH  # the last block's residual half
    ends = WIDTH + 3 * WIDTH * WIDTH + 3 * WIDTH  # input, skip and output
    products = LAYERS * block - unread + ends
    moved = LAYERS * (4 * WIDTH + 1) + 2 * (WIDTH + 1)
    return Floor(2.0 * products * places, 4.0 * moved * places)


def floor_columns(
    case: Case, about: dict[str, Any], machine: dict[str, float], device: str
) -> dict[str, Any]:
    """Of a task that draws with the denoising network, for its row."""
    if about.get("evaluations") is None:
        return {}
    floor = floor_of(case, about["evaluations"])
    return {
        "evaluations": about["evaluations"], "sampler": about.get("sampler"),
        "flop": floor.flop, "bytes": floor.bytes,
        "floor_s": floor.seconds(machine["flop_rate"], machine["byte_rate"], device),
    }  # fmt: skip
