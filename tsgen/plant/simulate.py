"""A water plant of one's own: EPANET's hydraulics, a PLC, sensors and attackers in one loop."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsgen.core import OptionError
from tsgen.plant import epanet
from tsgen.plant.attacks import Attack, Surface, read_time
from tsgen.plant.controllers import Controller, LevelControl, default_controllers
from tsgen.plant.demand import Demand
from tsgen.plant.loop import Layout, Trace, run_loop
from tsgen.plant.network import Network
from tsgen.plant.plan import attack_table, attack_truth, plan_attacks
from tsgen.plant.sensors import Faults, Sensors


@dataclass(frozen=True)
class PlantRun:
    """What a plant recorded and what was true.

    Args:
        frame: what was reported, (T, C) of float, NaN where nothing arrived; the log.
        labels: 1 at rows at which an attack is on, else 0, (T,).
        truth: the channels that attacks act on, (T, C) of bool. Of an :class:`Override` these are
            the actuator's status and flow; what follows from an attack elsewhere is not marked.
        physical: the true values, (T, C + extra): the channels of ``frame``, "Q_" and a tank or
            reservoir (flow into a tank, out of a reservoir) and "demand", the sum of all demands.
        attacks: kind, target, start, end and channels of each, in order of their start.
        summary: network, seed, step (seconds), rows, units, how many rules were dropped, how many
            times EPANET gave each warning by code (of several at once it gives one), the same in
            words, ``negative_pressure``, the number of rows at which a consumer's pressure is below
            0, and ``substeps``, rows within which a tank ran full or empty.
        controllers: the PLC's.
        surface: what can be attacked.
    """

    frame: pd.DataFrame
    labels: pd.Series
    truth: pd.DataFrame
    physical: pd.DataFrame
    attacks: pd.DataFrame
    summary: dict[str, Any]
    controllers: tuple[Controller, ...]
    surface: Surface

    @property
    def targets(self) -> list[list[int]]:
        """Columns that carry each uninterrupted stretch of labels, which is one event."""
        on = self.labels.to_numpy() > 0
        edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(int)))
        truth = self.truth.to_numpy()
        return [
            np.flatnonzero(truth[first:stop].any(0)).tolist()
            for first, stop in zip(edges[::2], edges[1::2], strict=True)
        ]


def simulate_plant(
    days: float,
    *,
    network: str | os.PathLike = "Net3",
    attacks: Sequence[Attack] = (),
    seed: int = 0,
    step: str | pd.Timedelta = "5min",
    start: str | pd.Timestamp = "2024-01-01",
    demand: Demand | None = None,
    sensors: Sensors | None = None,
    controllers: Sequence[Controller] | None = None,
    pressures: int | Sequence[str] = 8,
) -> PlantRun:
    """Run a water plant and record it.

    The hydraulic state runs on without a break. Attacks act inside the loop: controllers see what
    is reported, and process and controllers respond. Equal arguments give equal runs; until its
    start, a run with an attack is the one without it; a longer run begins like a shorter one.

    Args:
        days: to simulate, at least two rows.
        network: a name of those wntr ships, or the path of an .inp file. Its controls become
            those of a PLC (:func:`default_controllers`); rules are dropped.
        attacks: see :mod:`tsgen.plant`; times refer to the span [start, start + days].
        seed: of demand and sensors.
        step: between rows, whole seconds, from a minute to an hour.
        start: time of the first row, without time zone.
        demand: how demand moves.
        sensors: noise, resolution, drift and drop-outs.
        controllers: instead of the network's own.
        pressures: how many junctions have a pressure gauge, chosen beside pumps, valves and large
            consumers; or their names. Those that controllers look at are added.

    Raises:
        ValueError: for bad arguments, before anything is simulated.
        ImportError: if wntr is not installed.
        RuntimeError: if EPANET fails, with its code and the time.
    """
    times, seconds = _times(days, step, start)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OptionError("", "seed", seed, "an integer of at least 0")
    for name, value, kind in (("demand", demand, Demand), ("sensors", sensors, Sensors)):
        if value is not None and not isinstance(value, kind):
            raise OptionError("", name, value, f"a {kind.__name__} or None")
    demand, sensors = demand or Demand(), sensors or Sensors()
    path = epanet.find_network(network)
    clock = int((times[0] - times[0].normalize()).total_seconds())
    with Network(path, seconds, clock) as plant:
        plc = list(default_controllers(plant) if controllers is None else controllers)
        _check_controllers(plc, plant)
        watched = [c.sensor[2:] for c in plc if isinstance(c, LevelControl) and c.sensor[0] == "P"]
        gauges = list(dict.fromkeys([*_gauges(pressures, plant), *watched]))
        layout = Layout(plant, plc, gauges)
        if not layout.surface.channels:
            raise ValueError(
                f"network={str(network)!r} has no tanks, pumps or valves; expected pressures of at "
                f"least 1, not {pressures!r}"
            )
        step = pd.Timedelta(seconds=seconds)
        planned = plan_attacks(attacks, layout.surface, times, step)
        random, faulty = np.random.SeedSequence(seed).spawn(2)
        multipliers = demand.multipliers(
            plant.groups, times, plant.pattern_offset, plant.pattern_step,
            np.random.default_rng(random),
        )  # fmt: skip
        faults = sensors.faults(len(times), _spans(path, layout, plc), seconds, faulty)
        trace = run_loop(plant, layout, plc, times, multipliers, faults, planned)
        summary = _summary(plant, path, seed, len(times))
        extra = [f"Q_{name}" for name in (*plant.tanks, *plant.reservoirs)]
    names = list(layout.surface.channels)
    labels, truth = attack_truth(planned, layout.surface, times)
    return PlantRun(
        pd.DataFrame(trace.reported, times, names),
        labels,
        truth,
        pd.DataFrame(
            np.concatenate([trace.physical, trace.extra], 1), times, [*names, *extra, "demand"]
        ),
        attack_table(planned),
        summary,
        tuple(plc),
        layout.surface,
    )


def _spans(path: Path, layout: Layout, controllers: Sequence[Controller]) -> np.ndarray:
    """The span of each measured channel: see :class:`Sensors`."""
    times = pd.date_range("2024-01-01", periods=48, freq="30min")
    calm = Demand(weekend=0.0, season=0.0, noise=0.0)
    size = layout.measured
    with Network(path, 1800) as plant:
        multipliers = calm.multipliers(
            plant.groups, times, plant.pattern_offset, plant.pattern_step, np.random.default_rng(0)
        )
        faults = Faults(
            np.zeros((len(times), size)), np.zeros(size), np.zeros((len(times), size), dtype=bool)
        )
        trace: Trace = run_loop(plant, layout, controllers, times, multipliers, faults)
        ranges = [plant.highest[name] - plant.lowest[name] for name in plant.tanks]
        largest = np.abs(trace.physical[:, :size]).max(0)
        flows = slice(layout.levels + len(layout.gauges), size)
        pumped = largest[flows].max(initial=0.0)
    largest[flows] = np.maximum(largest[flows], 0.01 * pumped)  # pumps that stood still
    largest[: layout.levels] = ranges
    return np.where(largest > 0, largest, 1.0)


def _times(
    days: float, step: str | pd.Timedelta, start: str | pd.Timestamp
) -> tuple[pd.DatetimeIndex, int]:
    try:
        width = pd.Timedelta(step).total_seconds()
    except (ValueError, TypeError):
        width = np.nan
    if not 60 <= width <= 3600 or width % 1:
        whole = "whole seconds from '1min' to '1h', such as '5min'"
        raise OptionError("", "step", step, whole)
    number = isinstance(days, int | float | np.number) and not isinstance(days, bool)
    if not number or not 0 < days < 20000:
        raise OptionError("", "days", days, "a number above 0 and below 20000")
    first = read_time(start)
    if first is None:
        expected = "a time without time zone, such as '2024-01-01'"
        raise OptionError("", "start", start, expected)
    rows = round(float(days) * 86400 / width)
    if rows < 2:
        raise OptionError("", "days", days, f"enough for two rows of step={step!r}")
    return pd.date_range(first, periods=rows, freq=pd.Timedelta(seconds=width)), int(width)


def _gauges(pressures: int | Sequence[str], network: Network) -> list[str]:
    if isinstance(pressures, int | np.integer) and not isinstance(pressures, bool):
        if pressures < 0:
            raise OptionError("", "pressures", pressures, "at least 0, or names of junctions")
        return network.key_junctions(int(pressures))
    names = [str(name) for name in pressures] if isinstance(pressures, Sequence) else []
    if not isinstance(pressures, Sequence):
        raise OptionError("", "pressures", pressures, "a number or names of junctions")
    for name in names:
        if name not in network.junctions or names.count(name) > 1:
            raise ValueError(
                f"pressures holds {name!r}; expected a number or a list of names of different "
                f"junctions, such as {', '.join(list(network.junctions)[:5])}"
            )
    return names


def _check_controllers(controllers: Sequence[Controller], network: Network) -> None:
    for control in controllers:
        if not isinstance(control, Controller):
            raise ValueError(f"controllers holds {control!r}; expected Controller objects")
        name = type(control).__name__
        if control.link not in network.actuators:
            expected = f"one of {', '.join(network.actuators)}"
            raise OptionError(name, "link", control.link, expected)
        for state in control.states:
            if not isinstance(state, str) and (control.link in network.pipes or not state >= 0):
                raise ValueError(
                    f"{name} of {control.link!r}: state {state!r}; expected 'open', 'closed' or, of"
                    " pumps and valves, a number of at least 0"
                )
        if isinstance(control, LevelControl):
            _check_sensor(name, control.sensor, network)


def _check_sensor(name: str, sensor: str, network: Network) -> None:
    kind, _, place = sensor.partition("_")
    if place not in {"L": network.tanks, "P": network.junctions}.get(kind, {}):
        choices = ", ".join(f"L_{tank}" for tank in network.tanks)
        raise OptionError(name, "sensor", sensor, f"one of {choices}, or 'P_' and a junction")


def _summary(network: Network, path: Path, seed: int, rows: int) -> dict[str, Any]:
    metric = network.units == "SI"
    return {
        "network": path.stem,
        "seed": int(seed),
        "step": network.step,
        "rows": rows,
        "units": {
            "level": "m" if metric else "ft",
            "pressure": "m" if metric else "psi",
            "flow": network.flow_unit,
        },
        "rules_dropped": network.rules,
        "warnings": dict(network.warnings),
        "warnings_in_words": {code: network.say(code) for code in network.warnings},
        "negative_pressure": network.negative_rows,
        "substeps": network.substeps,
    }
