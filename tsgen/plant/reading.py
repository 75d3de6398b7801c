"""What a network's file says of controls, patterns and neighbours."""

import ctypes
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from tsgen.plant import epanet
from tsgen.plant.epanet import Epanet

State: TypeAlias = float | Literal["open", "closed"]
"""What an actuator is told: open, closed, a pump's relative speed or a valve's setting."""


@dataclass(frozen=True)
class Group:
    """Junctions whose demand moves together: one pattern of the network in one zone.

    Args:
        zone: the name of the nearest tank, "" without tanks.
        pattern: the network's multipliers of a cycle, (K,).
        base: the sum of the base demands, in the network's unit of flow.
        supply: whether the base demands are negative: water comes in here.
    """

    zone: str
    pattern: np.ndarray
    base: float
    supply: bool


@dataclass(frozen=True)
class NetworkControl:
    """A simple control of the network's file.

    Args:
        link: what it switches.
        state: to what.
        kind: "below" and "above" a level or pressure, "timer" since the start, "clock" of the day.
        node: whose level or pressure, "" for times.
        value: that level or pressure in the network's unit, or seconds.
    """

    link: str
    state: State
    kind: str
    node: str
    value: float


def take_controls(
    project: Epanet, nodes: Mapping[int, str], links: Mapping[int, str]
) -> list[NetworkControl]:
    """Read the simple controls and remove them, and the rules, from the project.

    Args:
        project: open.
        nodes: names by EPANET's index.
        links: likewise.
    """
    kinds = {
        epanet.LOW_LEVEL: "below", epanet.HIGH_LEVEL: "above", epanet.TIMER: "timer",
        epanet.TIME_OF_DAY: "clock",
    }  # fmt: skip
    controls = []
    for i in range(1, project.integer("getcount", epanet.CONTROLS) + 1):
        kind, link, node = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        setting, value = ctypes.c_double(), ctypes.c_double()
        project.call(
            "getcontrol", i, ctypes.byref(kind), ctypes.byref(link), ctypes.byref(setting),
            ctypes.byref(node), ctypes.byref(value),
        )  # fmt: skip
        words: dict[float, State] = {0.0: "closed", 1.0: "open"}
        controls.append(
            NetworkControl(
                links[link.value],
                words.get(setting.value, setting.value),
                kinds[kind.value],
                nodes[node.value] if node.value else "",
                round(value.value, 6),  # from feet or metres and back: 17.1, not 17.0999...
            )
        )
    for i in range(len(controls), 0, -1):
        project.call("deletecontrol", i)
    for i in range(project.integer("getcount", epanet.RULES), 0, -1):
        project.call("deleterule", i)
    return controls


def read_pattern(project: Epanet, index: int) -> np.ndarray:
    """A pattern's multipliers, (K,); without one (index 0), 1."""
    if not index:
        return np.ones(1)
    length = project.integer("getpatternlen", index)
    return np.array([project.number("getpatternvalue", index, k + 1) for k in range(length)])


def zones(tanks: Mapping[str, int], passages: Iterable[tuple[int, int]]) -> dict[int, str]:
    """The nearest tank of each node that is joined to any, by the number of links between.

    Args:
        tanks: index of each, by name.
        passages: nodes at both ends of each link that counts.
    """
    beside: dict[int, list[int]] = {}
    for first, last in passages:
        beside.setdefault(first, []).append(last)
        beside.setdefault(last, []).append(first)
    near = {index: name for name, index in tanks.items()}
    waiting = deque(near)
    while waiting:
        node = waiting.popleft()
        for other in beside.get(node, ()):
            if other not in near:
                near[other] = near[node]
                waiting.append(other)
    return near
