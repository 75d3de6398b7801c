"""Attacks on a plant: what an attacker changes on the way between process and controllers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
import pandas as pd

from tsgen.core import OptionError
from tsgen.plant.reading import State


class Surface(NamedTuple):
    """What of a plant can be attacked."""

    channels: tuple[str, ...]
    """All that is reported."""
    sensors: tuple[str, ...]
    """Measured channels: levels, pressures, flows."""
    actuators: Mapping[str, tuple[str, ...]]
    """Pumps, valves and switched pipes, and the channels of each."""
    setpoints: Mapping[str, tuple[str, ...]]
    """Actuators under level control, and the channels of their setpoints."""
    pipes: tuple[str, ...] = ()
    """Actuators that are pipes: open or closed, and no other state."""


def read_time(value: Any) -> pd.Timestamp | None:
    """A time without time zone, ``None`` for anything else."""
    try:
        time = pd.Timestamp(value)
    except (ValueError, TypeError):
        return None
    return None if pd.isna(time) or time.tzinfo is not None else time


@dataclass(frozen=True)
class Attack:
    """One attack, in force at rows with ``start <= time < end``.

    Args:
        target: what is attacked; see the class.
        start: a time, or text that pandas reads as one, without time zone.
        end: likewise.

    Raises:
        ValueError: if a time cannot be read, or ``start`` is not before ``end``.
    """

    target: str | tuple[str, ...]
    start: pd.Timestamp | str
    end: pd.Timestamp | str

    wanted: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Read the times."""
        for name in ("start", "end"):
            object.__setattr__(self, name, self._time(name))
        if not self.begins < self.ends:
            self._refuse("end", self.end, f"a time after start={self.start}")

    @property
    def begins(self) -> pd.Timestamp:
        """``start`` as a time."""
        return pd.Timestamp(self.start)

    @property
    def ends(self) -> pd.Timestamp:
        """``end`` as a time."""
        return pd.Timestamp(self.end)

    @property
    def kind(self) -> str:
        """The name of the class."""
        return type(self).__name__

    @property
    def targets(self) -> tuple[str, ...]:
        """The target or targets."""
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

    def channels(self, surface: Surface) -> tuple[str, ...]:
        """Reported channels the attack acts on.

        Raises:
            ValueError: if the target is none of this plant's, or of the wrong kind.
        """
        raise NotImplementedError

    def points(self, surface: Surface) -> set[tuple[str, str]]:
        """What no two attacks may hold at once."""
        return {("report", name) for name in self.channels(surface)}

    def _time(self, name: str) -> pd.Timestamp:
        time = read_time(getattr(self, name))
        if time is None:
            self._refuse(
                name, getattr(self, name), "a time without time zone, such as '2024-01-03 06:00'"
            )
        return time

    def _number(self, name: str, low: float = -np.inf) -> None:
        value = getattr(self, name)
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not np.isfinite(value) or value < low:
            bound = "" if low == -np.inf else f" of at least {low:g}"
            self._refuse(name, value, f"a finite number{bound}")

    def _check_channels(self, names: Sequence[str]) -> None:
        for name in self.targets:
            if name not in names:
                self._refuse("target", name, f"{self.wanted}: {', '.join(names) or 'it has none'}")

    def _refuse(self, name: str, value: object, expected: str) -> NoReturn:
        raise OptionError(self.kind, name, str(value), expected)


@dataclass(frozen=True)
class Override(Attack):
    """An actuator is driven past its controller, whose commands have no effect until the end.

    Its status and flow are reported as they are: what conceals them is a :class:`Replay`.

    Args:
        target: a pump, a valve or a switched pipe, by its name in the network.
        start: see :class:`Attack`.
        end: likewise.
        state: "open", "closed", a pump's relative speed or a valve's setting.
    """

    state: State = "closed"

    wanted: ClassVar[str] = "an actuator"

    def __post_init__(self) -> None:
        """Check the state."""
        super().__post_init__()
        if isinstance(self.state, str):
            if self.state not in ("open", "closed"):
                self._refuse("state", self.state, "'open', 'closed' or a number")
        else:
            self._number("state", 0.0)

    def channels(self, surface: Surface) -> tuple[str, ...]:
        """The actuator's channels."""
        self._check_channels(tuple(surface.actuators))
        if not isinstance(self.state, str) and set(self.targets) & set(surface.pipes):
            self._refuse("state", self.state, "'open' or 'closed' for a pipe")
        return tuple(name for target in self.targets for name in surface.actuators[target])

    def points(self, surface: Surface) -> set[tuple[str, str]]:
        """The actuator."""
        return {("actuator", name) for name in self.targets}


@dataclass(frozen=True)
class SetpointChange(Attack):
    """The setpoints of a level controller are shifted.

    Args:
        target: the actuator whose controller it is, by its name in the network.
        start: see :class:`Attack`.
        end: likewise.
        size: added to both setpoints, in the sensor's unit.
        shown: whether the log shows the setpoints as they are, or as they were.
    """

    size: float
    shown: bool = True

    wanted: ClassVar[str] = "an actuator under level control"

    def __post_init__(self) -> None:
        """Check the size."""
        super().__post_init__()
        self._number("size")

    def channels(self, surface: Surface) -> tuple[str, ...]:
        """The setpoints' channels; the actuator's where the log hides the change."""
        self._check_channels(tuple(surface.setpoints))
        where = surface.setpoints if self.shown else surface.actuators
        return tuple(name for target in self.targets for name in where[target])

    def points(self, surface: Surface) -> set[tuple[str, str]]:
        """The controller."""
        return {("setpoint", name) for name in self.targets}
