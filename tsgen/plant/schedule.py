"""Attacks at random: a reproducible plan, sized by what a plant does when nobody attacks it."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from tsgen.core import OptionError
from tsgen.plant.attacks import Attack, Override, SetpointChange
from tsgen.plant.controllers import LevelControl
from tsgen.plant.reports import Bias, Denial, Freeze, Ramp, Replay, SlowDrift
from tsgen.plant.simulate import PlantRun

KINDS: tuple[type[Attack], ...] = (
    Bias, Ramp, SlowDrift, Freeze, Denial, Override, SetpointChange, Replay
)  # fmt: skip
"""All kinds of attack."""


def random_attacks(
    normal: PlantRun,
    count: int,
    *,
    days: float | None = None,
    seed: int = 0,
    amplitude: tuple[float, float] = (0.5, 2.0),
    kinds: Sequence[type[Attack]] = KINDS,
    hours: tuple[float, float] = (1.0, 12.0),
    lead_days: float = 1.0,
) -> list[Attack]:
    """Plan attacks one after the other, a stretch of the span for each.

    Kinds come equally often, in random order. Sensors are targets of what acts on reports, levels,
    pressures and flows equally often; actuators of ``Override``, which brings about the state that
    the actuator of ``normal`` is in less often at those hours of the day. ``SetpointChange``
    concerns all actuators that switch at the same values of one sensor. ``Replay`` conceals an
    override on the actuator's own channels, so it makes two attacks of one event. A ``SlowDrift``
    lasts four times as long as the others, if its stretch allows.

    Args:
        normal: a run without attacks of the plant to attack: it gives channels, rows and sizes.
        count: of events.
        days: from the start of ``normal``; by default its own length.
        seed: of the plan.
        amplitude: least and largest size of a bias, ramp, drift or shift of setpoints, in standard
            deviations of the channel in ``normal``; the sign is drawn.
        kinds: to choose from; those for which the plant has no target are left out.
        hours: least and largest length.
        lead_days: without attacks at the start, at least 1 if ``kinds`` has ``Replay``.

    Raises:
        ValueError: for a bad argument, a run with attacks, or more events than the span has room
            for.
    """
    if len(normal.attacks):
        raise ValueError(f"normal has {len(normal.attacks)} attacks; expected a run without any")
    step = normal.frame.index[1] - normal.frame.index[0]
    length = len(normal.frame) * step if days is None else pd.Timedelta(days=days)
    lead, shortest, longest = (
        pd.Timedelta(days=lead_days), pd.Timedelta(hours=hours[0]), pd.Timedelta(hours=hours[1])
    )  # fmt: skip
    _check(count, amplitude, kinds, hours, lead_days)
    room = (length - lead) / count
    if room < 2 * shortest or shortest < step:
        most = max(int((length - lead) / (2 * shortest)), 0)
        raise ValueError(
            f"count={count}: {length} with {lead} free at the start has no room for so many attacks"
            f" of {shortest} and as much quiet; expected at most {most}, and hours[0] of at least "
            f"{step}"
        )
    rng = np.random.default_rng(seed)
    picker = _Picker(normal, rng, amplitude)
    usable = [kind for kind in kinds if picker.serves(kind)]
    if not usable:
        raise ValueError(f"kinds={[k.__name__ for k in kinds]}: this plant has no target for any")
    rounds = [rng.permutation(len(usable)) for _ in range(math.ceil(count / len(usable)))]
    plan: list[Attack] = []
    for number, chosen in enumerate(np.concatenate(rounds)[:count]):
        kind = usable[chosen]
        lasting = shortest + rng.random() * (longest - shortest)
        lasting = min(lasting * (4 if kind is SlowDrift else 1), 0.6 * room).floor(step)
        opens = normal.frame.index[0] + lead + number * room
        start = (opens + rng.random() * (0.8 * room - lasting)).ceil(step)
        plan += picker.pick(kind, start, start + max(lasting, step))
    return plan


def _check(
    count: int,
    amplitude: tuple[float, float],
    kinds: Sequence[type[Attack]],
    hours: tuple[float, float],
    lead_days: float,
) -> None:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise OptionError("", "count", count, "an integer of at least 1")
    for name, pair in (("amplitude", amplitude), ("hours", hours)):
        if len(pair) != 2 or not 0 < pair[0] <= pair[1] < np.inf:
            raise OptionError("", name, pair, "(least, largest), both above 0")
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(
                f"kinds holds {kind!r}; expected {', '.join(k.__name__ for k in KINDS)}"
            )
    least = 1.0 if Replay in kinds else 0.0
    if not lead_days >= least or (Replay in kinds and hours[1] > 24):
        raise ValueError(
            f"lead_days={lead_days}, hours={hours}; expected a lead of at least {least} days and, "
            "for Replay, at most 24 hours, or no window lies before the first replay"
        )


class _Picker:
    """Draws targets and sizes."""

    def __init__(
        self, normal: PlantRun, rng: np.random.Generator, amplitude: tuple[float, float]
    ) -> None:
        self.rng, self.amplitude, self.surface = rng, amplitude, normal.surface
        self.sigma = normal.frame.std()
        moving = [name for name in normal.surface.sensors if self.sigma[name] > 0]
        groups = (([n for n in moving if n[0] == letter]) for letter in "LPF")
        self.sensors = [group for group in groups if group]
        self.states = normal.frame.filter(regex="^S_")
        times = pd.DatetimeIndex(normal.frame.index)
        self.seconds = (times - times.normalize()).total_seconds().to_numpy()
        self.loops: dict[tuple[str, float | None, float | None], list[str]] = {}
        for control in normal.controllers:
            if isinstance(control, LevelControl):
                key = (control.sensor, control.low, control.high)
                self.loops.setdefault(key, []).append(control.link)

    def serves(self, kind: type[Attack]) -> bool:
        """Whether the plant has a target for it."""
        if kind is SetpointChange:
            return bool(self.surface.setpoints)
        return bool(self.surface.actuators if kind in (Override, Replay) else self.sensors)

    def pick(self, kind: type[Attack], start: pd.Timestamp, end: pd.Timestamp) -> list[Attack]:
        """One event."""
        if kind is SetpointChange:
            keys = list(self.loops)
            key = keys[int(self.rng.integers(len(keys)))]
            links = tuple(dict.fromkeys(self.loops[key]))
            return [SetpointChange(links, start, end, self._size(key[0]))]
        if kind in (Override, Replay):
            link = self._one(list(self.surface.actuators))
            override = Override(link, start, end, self._unusual(link, start, end))
            hidden = Replay(self.surface.actuators[link], start, end)
            return [override] if kind is Override else [override, hidden]
        name = self._one(self.sensors[self.rng.integers(len(self.sensors))])
        if issubclass(kind, Bias):
            return [kind(name, start, end, self._size(name))]
        return [kind(name, start, end)]

    def _unusual(
        self, link: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> Literal["open", "closed"]:
        """The rarer state of an actuator at the hours from start to end."""
        opens = (start - start.normalize()).total_seconds()
        within = (self.seconds - opens) % 86400 < (end - start).total_seconds()
        return "closed" if self.states.loc[within, f"S_{link}"].mean() > 0.5 else "open"

    def _one(self, names: Sequence[str]) -> str:
        return names[int(self.rng.integers(len(names)))]

    def _size(self, channel: str) -> float:
        share = self.rng.uniform(*self.amplitude)
        return float(self.rng.choice([-1, 1]) * share * self.sigma[channel])
