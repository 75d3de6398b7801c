"""The hydraulics of a plant: a network of EPANET, stepped row by row from within."""

import ctypes
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tsgen.plant import epanet
from tsgen.plant.epanet import Epanet
from tsgen.plant.reading import Group, State, read_pattern, take_controls, zones


class Network(Epanet):
    """A network without the controls of its file, and with demands that are set row by row.

    Units are those of the file. Base demands are kept; each category of demand is given a pattern
    of :attr:`groups`, of length 1, that :meth:`set_demand` sets.

    Args:
        path: of an .inp file.
        step: seconds between rows.
        clock: seconds after midnight at the first row. Patterns of reservoirs and pumps, which
            EPANET evaluates itself, are shifted to it.

    Attributes:
        tanks, reservoirs, junctions: EPANET's index of each, by name.
        actuators: of pumps, valves and the pipes that controls of the file switch.
        pumps, valves, pipes: names of the actuators of each sort.
        lowest, highest: level of each tank, by name.
        controls: that the file has; EPANET no longer knows them.
        rules: how many rules the file had.
        groups: of the demand.
        pattern_offset: seconds into the cycle of the patterns at the first row.
        pattern_step: seconds that a value of a pattern holds.
        negative_rows: rows at which the pressure of a consumer is below 0.
        substeps: rows that EPANET cut into several steps, since a tank ran full or empty.
    """

    def __init__(self, path: Path, step: int, clock: int = 0) -> None:
        super().__init__(path)
        try:
            self._read(step, clock)
        except BaseException:
            self.close()
            raise

    def _read(self, step: int, clock: int) -> None:
        self.step, self.substeps, self.negative_rows, self._row = step, 0, 0, 0
        nodes = range(1, self.integer("getcount", epanet.NODES) + 1)
        links = range(1, self.integer("getcount", epanet.LINKS) + 1)
        self._nodes = {i: self.text("getnodeid", i) for i in nodes}
        self._links = {i: self.text("getlinkid", i) for i in links}
        kinds = {i: self.integer("getnodetype", i) for i in nodes}
        self._types = {i: self.integer("getlinktype", i) for i in links}
        self._ends = {i: self.integers("getlinknodes", i) for i in links}
        self.junctions, self.reservoirs, self.tanks = (
            {self._nodes[i]: i for i in nodes if kinds[i] == kind}
            for kind in (epanet.JUNCTION, epanet.RESERVOIR, epanet.TANK)
        )
        self.lowest = {n: self._node(i, epanet.MIN_LEVEL) for n, i in self.tanks.items()}
        self.highest = {n: self._node(i, epanet.MAX_LEVEL) for n, i in self.tanks.items()}
        self.rules = self.integer("getcount", epanet.RULES)
        self.controls = take_controls(self, self._nodes, self._links)
        switched = {control.link for control in self.controls}
        fixed = (epanet.CHECK_VALVE, epanet.GENERAL_VALVE)
        self.actuators = {
            self._links[i]: i
            for i in links
            if self._types[i] not in (*fixed, epanet.PIPE) or self._links[i] in switched
        }
        self.pumps = [n for n, i in self.actuators.items() if self._types[i] == epanet.PUMP]
        self.valves = [n for n, i in self.actuators.items() if self._types[i] > epanet.PUMP]
        self.pipes = [n for n, i in self.actuators.items() if self._types[i] == epanet.PIPE]
        self._set_times(step, clock)
        passages = [ends for i, ends in self._ends.items() if self._types[i] != epanet.PUMP]
        self._near = zones(self.tanks, passages)
        self._make_groups()
        self._elevations = {i: self._node(i, epanet.ELEVATION) for i in self.tanks.values()}
        self.call("setoption", 14, ctypes.c_double(10))  # UNBALANCED: go on after 10 more trials
        self.call("setreport", b"MESSAGES NO")
        self.units = "SI" if self.integer("getflowunits") >= 5 else "US"
        self.flow_unit = epanet.FLOW_UNITS[self.integer("getflowunits")]
        self.call("openH")
        self.call("initH", 0)
        self.initial: dict[str, State] = {n: self.state(n) for n in self.actuators}

    # --- one row ------------------------------------------------------------------------------

    def set_demand(self, multipliers: Iterable[float]) -> None:
        """Set what the base demands of each group are multiplied by, (G,)."""
        for pattern, value in zip(self._patterns, multipliers, strict=True):
            self.call("setpatternvalue", pattern, 1, ctypes.c_double(value))

    def set_state(self, actuator: str, state: State) -> None:
        """Open, close or set a pump, valve or pipe."""
        index = self.actuators[actuator]
        if state in ("open", "closed"):
            self.link(index, epanet.STATUS, float(state == "open"))
        else:
            self.link(index, epanet.SETTING, float(state))

    def state(self, actuator: str) -> State:
        """What an actuator is at."""
        index = self.actuators[actuator]
        if self.number("getlinkvalue", index, epanet.STATUS) == 0:
            return "closed"
        setting = self.number("getlinkvalue", index, epanet.SETTING)
        if self._types[index] == epanet.PIPE or (
            self._types[index] == epanet.PUMP and setting == 1
        ):
            return "open"
        return setting

    def levels(self) -> np.ndarray:
        """Level of each tank, known before the row is solved, (tanks,)."""
        return np.array([self._node(i, epanet.HEAD) - e for i, e in self._elevations.items()])

    def solve(self) -> None:
        """Solve the row: pressures and flows at its time.

        EPANET tells one of several warnings; another one may hide negative pressures.
        """
        code = self.run()
        self.negative_rows += code == epanet.NEGATIVE_PRESSURE or (code > 0 and self._negative())

    def advance(self) -> None:
        """Move the tanks on to the next row.

        Raises:
            RuntimeError: if EPANET stops, or for an error of it.
        """
        self._row += 1
        end, steps = self._row * self.step, 0
        while True:
            moved, steps = self.next(), steps + 1
            if moved <= 0:
                raise RuntimeError(f"EPANET stopped after {self.time} s; expected {end} s and more")
            if self.time + moved >= end:
                break
            self.run()
        self.substeps += steps > 1

    def pressures(self, junctions: Iterable[str]) -> list[float]:
        """Pressure at junctions."""
        return [self._node(self.junctions[name], epanet.PRESSURE) for name in junctions]

    def flows(self) -> list[float]:
        """Flow through each actuator."""
        return [self.number("getlinkvalue", i, epanet.FLOW) for i in self.actuators.values()]

    def statuses(self) -> list[float]:
        """1 where an actuator is open, 0 where it is closed."""
        return [self.number("getlinkvalue", i, epanet.STATUS) for i in self.actuators.values()]

    def settings(self) -> list[float]:
        """Setting of each valve."""
        indices = (self.actuators[name] for name in self.valves)
        return [self.number("getlinkvalue", i, epanet.SETTING) for i in indices]

    def inflows(self) -> list[float]:
        """Net flow into each tank."""
        return [self._node(i, epanet.DEMAND) for i in self.tanks.values()]

    def outflows(self) -> list[float]:
        """What leaves each reservoir."""
        return [-self._node(i, epanet.DEMAND) for i in self.reservoirs.values()]

    # --- where things lie ---------------------------------------------------------------------

    def nearest_tank(self, pump: str) -> str | None:
        """The tank with the fewest links from a pump's outlet, no pump between."""
        return self._near.get(self._ends[self.actuators[pump]][1])

    def key_junctions(self, number: int) -> list[str]:
        """Junctions worth a pressure gauge: in turn an actuator's outlet and a large consumer.

        Consumers come zone by zone, the largest base demand of each first.
        """
        names = {i: n for n, i in self.junctions.items()}
        outlets = [self._ends[i][1] for i in self.actuators.values()]
        zones: dict[str, list[int]] = {}
        for i in sorted(names, key=lambda i: (-self._bases[i], i)):
            zones.setdefault(self._near.get(i, ""), []).append(i)
        deepest = max(map(len, zones.values()), default=0)
        consumers = [z[k] for k in range(deepest) for z in zones.values() if k < len(z)]
        longest = max(len(outlets), len(consumers))
        both = [part[k] for k in range(longest) for part in (outlets, consumers) if k < len(part)]
        return [names[i] for i in dict.fromkeys(both) if i in names][:number]

    # --- reading the file ---------------------------------------------------------------------

    def _node(self, index: int, parameter: int) -> float:
        return self.number("getnodevalue", index, parameter)

    def _negative(self) -> bool:
        return any(
            self._node(i, epanet.PRESSURE) < 0 and self._node(i, epanet.DEMAND) > 0
            for i in self.junctions.values()
        )

    def _set_times(self, step: int, clock: int) -> None:
        start = self.seconds("gettimeparam", epanet.START_CLOCK)
        shift = self.seconds("gettimeparam", epanet.PATTERN_START)
        self.start_clock, self.pattern_offset = start, shift + (clock - start) % 86400
        self.pattern_step = self.seconds("gettimeparam", epanet.PATTERN_STEP)
        for parameter, value in (
            (epanet.PATTERN_START, self.pattern_offset),
            (epanet.DURATION, 2**31 - 1),
            (epanet.REPORT_STEP, step),
            (epanet.HYDRAULIC_STEP, step),
        ):
            self.call("settimeparam", parameter, ctypes.c_long(value))

    def _make_groups(self) -> None:
        self._bases = dict.fromkeys(self.junctions.values(), 0.0)
        members: dict[tuple[int, str, bool], list[tuple[int, int, float]]] = {}
        for node in self.junctions.values():
            for k in range(1, self.integer("getnumdemands", node) + 1):
                base = self.number("getbasedemand", node, k)
                if base != 0:
                    pattern = self.integer("getdemandpattern", node, k)
                    key = (pattern, self._near.get(node, ""), base < 0)
                    members.setdefault(key, []).append((node, k, base))
                    self._bases[node] += base
        self.groups, self._patterns = [], []
        for number, ((pattern, zone, supply), rows) in enumerate(members.items()):
            name = f"tsgen-{number}".encode()
            self.call("addpattern", name)
            index = self.integer("getpatternindex", name)
            for node, k, _ in rows:
                self.call("setdemandpattern", node, k, index)
            base = sum(row[2] for row in rows)
            self.groups.append(Group(zone, read_pattern(self, pattern), base, supply))
            self._patterns.append(index)
