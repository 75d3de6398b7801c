"""The plant's PLC: controllers that see what is reported, not what is true."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated

import numpy as np
from typing_extensions import override

from tsgen.core import FINITE, OptionError, Options
from tsgen.plant.network import Network
from tsgen.plant.reading import NetworkControl, State


class Controller(Options, ABC):
    """Decides the state of one actuator at each row.

    Args:
        link: the actuator, a name of the network.
    """

    link: str

    @property
    @abstractmethod
    def states(self) -> tuple[State, ...]:
        """All states it may command."""

    @abstractmethod
    def command(
        self, reported: Mapping[str, float], hour: float, last: State, shift: float
    ) -> State:
        """The state to bring about.

        Args:
            reported: the last value that arrived of each channel; NaN if none ever did.
            hour: of the day, in [0, 24).
            last: the command before.
            shift: added to the setpoints, 0 unless they are attacked.
        """


class LevelControl(Controller):
    """Two-point control with hysteresis: one state below ``low``, another one above ``high``.

    Between the two, and while no value has ever arrived, the last command stands.

    Args:
        link: the actuator.
        sensor: the channel it looks at, "L_" and a tank or "P_" and a junction. Of levels it sees
            this row's report, of pressures the last row's.
        low: in the channel's unit; ``None`` for no lower switch.
        high: likewise, above ``low``.
        below: state under ``low``.
        above: state over ``high``.
    """

    sensor: str
    low: Annotated[float, FINITE] | None
    high: Annotated[float, FINITE] | None
    below: State = "open"
    above: State = "closed"

    def __post_init__(self) -> None:
        """Check the setpoints."""
        name = f"LevelControl of {self.link!r}"
        if self.low is None and self.high is None:
            raise OptionError(name, "low", None, "a number with high=None")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise OptionError(name, "low", self.low, f"below high={self.high:g}")

    @override
    @property
    def states(self) -> tuple[State, ...]:
        return (self.below, self.above)

    def command(
        self, reported: Mapping[str, float], hour: float, last: State, shift: float
    ) -> State:
        """See the class."""
        value = reported[self.sensor]
        if self.low is not None and value < self.low + shift:
            return self.below
        if self.high is not None and value > self.high + shift:
            return self.above
        return last


class ClockControl(Controller):
    """Switches by the time of day.

    Args:
        link: the actuator.
        times: (hour, state), hours in [0, 24); a state lasts until the next one, over midnight.
    """

    times: tuple[tuple[float, State], ...]

    def __post_init__(self) -> None:
        """Check the hours."""
        hours = [hour for hour, _ in self.times]
        if not hours or not all(0 <= hour < 24 for hour in hours) or len(set(hours)) < len(hours):
            expected = "at least one (hour, state), hours in [0, 24), none twice"
            raise OptionError(f"ClockControl of {self.link!r}", "times", self.times, expected)

    @property
    def states(self) -> tuple[State, ...]:
        """One of each time."""
        return tuple(state for _, state in self.times)

    def command(
        self, reported: Mapping[str, float], hour: float, last: State, shift: float
    ) -> State:
        """See the class."""
        ordered = sorted(self.times, key=lambda item: item[0])
        return [ordered[-1], *(item for item in ordered if item[0] <= hour)][-1][1]


def default_controllers(network: Network) -> list[Controller]:
    """The controllers that a network's file asks for, and sensible ones for its other pumps.

    A pair of simple controls by level becomes a :class:`LevelControl`; timers and times of day
    become a :class:`ClockControl`, folded to one day (where the days differ, the last one counts).
    A pump without any fills the nearest tank: it runs from 40 % of the tank's range up to 85 %,
    each further pump of the tank from 8 % lower. A file's rules are not read.
    """
    controllers: list[Controller] = []
    timed: dict[str, dict[float, State]] = {}
    levels: dict[tuple[str, str], dict[str, NetworkControl]] = {}
    for control in network.controls:
        if control.link not in network.actuators:
            continue
        if control.kind in ("timer", "clock"):
            start = network.start_clock if control.kind == "timer" else 0
            hour = (control.value + start) % 86400 / 3600
            timed.setdefault(control.link, {})[hour] = control.state
        else:
            levels.setdefault((control.link, control.node), {})[control.kind] = control
    controllers += [ClockControl(link, tuple(sorted(t.items()))) for link, t in timed.items()]
    for (link, node), pair in levels.items():
        low, high = pair.get("below"), pair.get("above")
        if low and high and low.value >= high.value:
            continue
        controllers.append(
            LevelControl(
                link,
                f"L_{node}" if node in network.tanks else f"P_{node}",
                low.value if low else None,
                high.value if high else None,
                low.state if low else "open",
                high.state if high else "closed",
            )
        )
    controlled = {controller.link for controller in controllers}
    served: dict[str, int] = {}
    for pump in network.pumps:
        tank = network.nearest_tank(pump)
        if pump in controlled or tank is None:
            continue
        lowest, span = network.lowest[tank], network.highest[tank] - network.lowest[tank]
        lower = 0.08 * (served.get(tank, 0) % 5)
        served[tank] = served.get(tank, 0) + 1
        controllers.append(
            LevelControl(
                pump, f"L_{tank}", lowest + (0.4 - lower) * span, lowest + (0.85 - lower) * span
            )
        )
    return controllers


def supply_factor(level: float, lowest: float, highest: float) -> float:
    r"""How far a supply without pumps (negative base demand) follows its tank.

    :math:`1 + 2 (m - y) / (b - a)` in [0, 2], m the middle of the tank's range [a, b] and y its
    reported level: 1 for a tank half full, 0 for a full one. Without it nothing would balance
    supply and demand over months. 1 while no level has arrived.
    """
    if np.isnan(level):
        return 1.0
    middle = (lowest + highest) / 2
    return float(np.clip(1 + 2 * (middle - level) / (highest - lowest), 0, 2))
