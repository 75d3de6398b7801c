"""Attacks on what a plant reports: spoofing, freezing, replay and denial."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd

from tsgen.plant.attacks import Attack, Surface


class View(NamedTuple):
    """What an attack on reports works with at one row, for its K channels."""

    values: np.ndarray
    """What the sensors would report, (K,)."""
    sent: np.ndarray
    """What was reported at all rows before, drop-outs aside, (T, C)."""
    columns: np.ndarray
    """Of the attack's channels among C, (K,)."""
    last: np.ndarray
    """The last value that arrived of each, (K,)."""
    row: int
    first: int
    """The attack's first row."""
    stop: int
    """The row after its last one."""
    seconds: float
    """Between rows."""

    def past(self, row: int) -> np.ndarray:
        """What the channels reported at an earlier row, (K,)."""
        return self.sent[row, self.columns]


@dataclass(frozen=True)
class ReportAttack(Attack):
    """An attack on what channels report, so on what controllers and operators see.

    Args:
        target: a channel that is reported, or several.
        start: see :class:`Attack`.
        end: likewise.
    """

    wanted: ClassVar[str] = "a channel this plant reports"

    def channels(self, surface: Surface) -> tuple[str, ...]:
        """The targets."""
        self._check_channels(surface.channels)
        return self.targets

    def tampered(self, view: View) -> np.ndarray:
        """What is reported instead, (K,)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Bias(ReportAttack):
    """A sensor is made to report a constant too much.

    Args:
        target: a measured channel, or several.
        start: see :class:`Attack`.
        end: likewise.
        size: added, in the channel's unit.
    """

    size: float

    wanted: ClassVar[str] = "a measured channel"

    def __post_init__(self) -> None:
        """Check the size."""
        super().__post_init__()
        self._number("size")

    def channels(self, surface: Surface) -> tuple[str, ...]:
        """The targets."""
        self._check_channels(surface.sensors)
        return self.targets

    def tampered(self, view: View) -> np.ndarray:
        """Values with the error of this row."""
        done = (view.row - view.first + 1) / (view.stop - view.first)
        return view.values + self.size * self.share(done)

    def share(self, done: float) -> float:
        """The error over ``size`` when the share ``done`` of the rows, in (0, 1], has come."""
        return 1.0


@dataclass(frozen=True)
class Ramp(Bias):
    """A sensor's error grows evenly from 0 to ``size`` at the last row, then is gone."""

    def share(self, done: float) -> float:
        """A straight line."""
        return done


@dataclass(frozen=True)
class SlowDrift(Bias):
    r"""A sensor drifts away without a kink.

    The error is :math:`size\,(1 - \cos \pi u) / 2` when the share u of the rows has come: neither
    the value nor its slope jumps at the start. Meant for days, below what a forecast of the next
    row can see.
    """

    def share(self, done: float) -> float:
        """Half a wave."""
        return (1 - np.cos(np.pi * done)) / 2


@dataclass(frozen=True)
class Freeze(ReportAttack):
    """A channel goes on reporting its last value before the attack."""

    def tampered(self, view: View) -> np.ndarray:
        """The value of the row before; at the plant's first row, of that row."""
        if view.row == 0:
            return view.values
        held = view.last if view.row == view.first else view.past(view.row - 1)
        return np.where(np.isnan(held), view.values, held)


@dataclass(frozen=True)
class Replay(ReportAttack):
    """Channels report what they reported in an earlier window: conceals another attack.

    Args:
        target: a channel or several; "all" for every one that is reported.
        start: see :class:`Attack`.
        end: likewise.
        source: where the window begins, as long as the attack and over when it starts; by default
            as few whole days before ``start`` as the attack lasts.
    """

    source: pd.Timestamp | str | None = None

    def __post_init__(self) -> None:
        """Check that the window is over before it is replayed."""
        super().__post_init__()
        length, day = self.ends - self.begins, pd.Timedelta(days=1)
        if self.source is None:
            object.__setattr__(self, "source", self.begins - math.ceil(length / day) * day)
        object.__setattr__(self, "source", self._time("source"))
        latest = self.begins - length
        if self.opens > latest:
            self._refuse("source", self.source, f"{latest} or before: a window over at the start")

    @property
    def opens(self) -> pd.Timestamp:
        """``source`` as a time."""
        return pd.Timestamp(self.source)  # type: ignore[arg-type]

    def channels(self, surface: Surface) -> tuple[str, ...]:
        """The targets."""
        return surface.channels if self.target == "all" else super().channels(surface)

    def tampered(self, view: View) -> np.ndarray:
        """What was reported so many rows before."""
        seconds = (self.begins - self.opens).total_seconds()
        return view.past(view.row - round(seconds / view.seconds))


@dataclass(frozen=True)
class Denial(ReportAttack):
    """No value of a channel arrives; controllers go by the last one that did.

    Args:
        target: a channel or several.
        start: see :class:`Attack`.
        end: likewise.
        shown: in the log, "missing" (NaN) or "last", the value that arrived last.
    """

    shown: Literal["missing", "last"] = "missing"

    def __post_init__(self) -> None:
        """Check the choice."""
        super().__post_init__()
        if self.shown not in ("missing", "last"):
            self._refuse("shown", self.shown, "'missing' or 'last'")

    def tampered(self, view: View) -> np.ndarray:
        """Nothing, or what arrived last."""
        return view.last.copy() if self.shown == "last" else np.full(len(view.values), np.nan)
