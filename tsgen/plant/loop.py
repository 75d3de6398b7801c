"""The loop that closes a plant: process, sensors, attackers, controllers, actuators, process."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tsgen.plant.attacks import Override, SetpointChange, Surface
from tsgen.plant.controllers import Controller, LevelControl, supply_factor
from tsgen.plant.network import Network
from tsgen.plant.plan import Planned
from tsgen.plant.reading import State
from tsgen.plant.reports import ReportAttack, View
from tsgen.plant.sensors import Faults, quantised


class Layout:
    """Which column holds what: levels, pressures, flows, statuses, settings and setpoints.

    Names are "L_" and a tank, "P_" and a junction, "F_" and "S_" and an actuator, "V_" and a valve,
    "LOW_" and "HIGH_" and the actuator whose controller has the setpoint ("_2" follows for the
    second controller of one).

    Args:
        network: whose names are used.
        controllers: whose setpoints are reported.
        gauges: junctions whose pressure is measured.
    """

    def __init__(
        self, network: Network, controllers: Sequence[Controller], gauges: Sequence[str]
    ) -> None:
        self.gauges = list(gauges)
        levels = [f"L_{name}" for name in network.tanks]
        measured = [f"P_{name}" for name in gauges] + [f"F_{name}" for name in network.actuators]
        states = [f"S_{name}" for name in network.actuators] + [f"V_{n}" for n in network.valves]
        self.setpoints: list[tuple[str, str, float]] = []
        count_of: dict[str, int] = {}
        for control in (c for c in controllers if isinstance(c, LevelControl)):
            count_of[control.link] = count_of.get(control.link, 0) + 1
            end = "" if count_of[control.link] == 1 else f"_{count_of[control.link]}"
            for word, value in (("LOW", control.low), ("HIGH", control.high)):
                if value is not None:
                    self.setpoints.append((f"{word}_{control.link}{end}", control.link, value))
        names = (*levels, *measured, *states, *(name for name, _, _ in self.setpoints))
        self.levels = len(levels)
        self.measured = len(levels) + len(measured)
        valves = set(network.valves)
        self.surface = Surface(
            names,
            names[: self.measured],
            {
                name: (f"S_{name}", f"F_{name}", *([f"V_{name}"] if name in valves else []))
                for name in network.actuators
            },
            {
                link: tuple(name for name, other, _ in self.setpoints if other == link)
                for _, link, _ in self.setpoints
            },
            tuple(network.pipes),
        )


class Trace(NamedTuple):
    """What happened, row by row."""

    reported: np.ndarray
    """(T, C)."""
    physical: np.ndarray
    """(T, C)."""
    extra: np.ndarray
    """Net flow into each tank, outflow of each reservoir, total demand, (T, tanks + ... + 1)."""


def run_loop(
    network: Network,
    layout: Layout,
    controllers: Sequence[Controller],
    times: pd.DatetimeIndex,
    multipliers: np.ndarray,
    faults: Faults,
    planned: Sequence[Planned] = (),
) -> Trace:
    """Run the plant over its rows.

    At each row: tanks' levels are read and reported, controllers decide by what has arrived and
    set the actuators, the network is solved, pressures, flows and states are reported, the tanks
    move on. So a controller sees this row's levels and the last row's pressures.

    Args:
        network: fresh.
        layout: of the columns.
        controllers: in the order in which they decide; the last one has the last word on a link.
        times: of the rows, (T,).
        multipliers: of the demand, (T, G).
        faults: of the M measured columns.
        planned: attacks.

    Raises:
        RuntimeError: if EPANET fails, with its code and the time.
    """
    names = layout.surface.channels
    desk = _Desk(layout, len(times), faults, (times[1] - times[0]).total_seconds(), planned)
    extra = np.empty((len(times), len(network.tanks) + len(network.reservoirs) + 1))
    bases = np.array([group.base for group in network.groups])
    supplies = [
        (i, names.index(f"L_{group.zone}"), network.lowest[group.zone], network.highest[group.zone])
        for i, group in enumerate(network.groups)
        if group.supply and group.zone
    ]
    watched = {c.sensor: names.index(c.sensor) for c in controllers if isinstance(c, LevelControl)}
    command: dict[str, State] = dict(network.initial)
    applied = dict(command)
    overrides = [p for p in planned if isinstance(p.attack, Override)]
    shifts = [p for p in planned if isinstance(p.attack, SetpointChange)]
    base_points = np.array([value for _, _, value in layout.setpoints])
    hours = ((times - times.normalize()).total_seconds() / 3600).to_list()
    for row in range(len(times)):
        try:
            levels = network.levels()
            desk.report(row, levels, 0)
            shown = shift = {}  # type: dict[str, float]
            if shifts:
                shift, shown = _shifts(shifts, row)
            arrived = {name: float(desk.last[column]) for name, column in watched.items()}
            for control in controllers:
                link = control.link
                command[link] = control.command(
                    arrived, hours[row], command[link], shift.get(link, 0.0)
                )
            wanted = dict(command)
            for item in overrides:
                if item.first <= row < item.stop:
                    wanted.update((n, item.attack.state) for n in item.attack.targets)  # type: ignore[attr-defined]
            for link, state in wanted.items():
                if state != applied[link]:
                    network.set_state(link, state)
                    applied[link] = state
            factors = multipliers[row]
            if supplies:
                factors = factors.copy()
                for group, column, low, high in supplies:
                    factors[group] *= supply_factor(desk.last[column], low, high)
            network.set_demand(factors)
            network.solve()
            points, hiding = base_points, None
            if shift:
                links = [link for _, link, _ in layout.setpoints]
                points = base_points + [shift.get(link, 0.0) for link in links]
                hiding = base_points + [shown.get(link, 0.0) for link in links]
            rest = np.concatenate(
                [
                    network.pressures(layout.gauges), network.flows(), network.statuses(),
                    network.settings(), points,
                ]
            )  # fmt: skip
            desk.report(row, rest, 1, hiding)
            extra[row] = *network.inflows(), *network.outflows(), factors @ bases
            if row + 1 < len(times):
                network.advance()
        except RuntimeError as error:
            raise RuntimeError(f"{error} (row {row}, {times[row]})") from error
    return Trace(desk.reported, desk.physical, extra)


def _shifts(planned: Sequence[Planned], row: int) -> tuple[dict[str, float], dict[str, float]]:
    """How far setpoints are shifted at a row, and how far the log shows them to be, by link."""
    true: dict[str, float] = {}
    shown: dict[str, float] = {}
    for item in planned:
        attack = item.attack
        if item.first <= row < item.stop and isinstance(attack, SetpointChange):
            for link in attack.targets:
                true[link] = true.get(link, 0.0) + attack.size
                if attack.shown:
                    shown[link] = shown.get(link, 0.0) + attack.size
    return true, shown


class _Desk:
    """Where reports arrive: sensors' faults first, then attackers, then drop-outs.

    A row comes in two parts, 0 the levels and 1 the rest.
    """

    def __init__(
        self, layout: Layout, rows: int, faults: Faults, seconds: float, planned: Sequence[Planned]
    ) -> None:
        size, split = len(layout.surface.channels), layout.levels
        self.parts = (slice(0, split), slice(split, size))
        self.measured, self.faults, self.seconds = layout.measured, faults, seconds
        self.physical = np.empty((rows, size))
        self.sent = np.empty((rows, size))
        self.reported = np.empty((rows, size))
        self.last = np.full(size, np.nan)
        self.steps = np.zeros(size)
        self.steps[: layout.measured] = faults.step
        self.attacks: tuple[list[tuple[Planned, np.ndarray]], ...] = ([], [])
        for item in planned:
            if isinstance(item.attack, ReportAttack):
                for part, mask in enumerate((item.columns < split, item.columns >= split)):
                    if mask.any():
                        self.attacks[part].append((item, item.columns[mask]))

    def report(
        self, row: int, true: np.ndarray, part: int, setpoints: np.ndarray | None = None
    ) -> None:
        """Take true values of one part of a row; the setpoints to show may be others."""
        where = self.parts[part]
        self.physical[row, where] = true
        readings = true.copy()
        low, high = where.start, min(where.stop, self.measured)
        readings[: high - low] += self.faults.error[row, low:high]
        if setpoints is not None:
            readings[len(readings) - len(setpoints) :] = setpoints
        readings = quantised(readings, self.steps[where])
        for item, columns in self.attacks[part]:
            if item.first <= row < item.stop and isinstance(item.attack, ReportAttack):
                view = View(
                    readings[columns - low], self.sent, columns, self.last[columns],
                    row, item.first, item.stop, self.seconds,
                )  # fmt: skip
                readings[columns - low] = item.attack.tampered(view)
        readings = quantised(readings, self.steps[where])
        self.sent[row, where] = readings
        self.reported[row, where] = readings
        missing = self.faults.missing[row, low:high]
        if missing.any():
            self.reported[row, low:high][missing] = np.nan
        arrived = self.reported[row, where]
        self.last[where] = np.where(np.isnan(arrived), self.last[where], arrived)
