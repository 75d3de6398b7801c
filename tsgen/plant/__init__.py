"""A water plant of one's own: hydraulics of EPANET, a PLC, sensors, and attacks inside the loop.

Needs wntr: ``pip install "tsgen-forecast[plant]"``.

>>> from tsgen.plant import Bias, simulate_plant
>>> attack = Bias("L_1", "2024-01-03 06:00", "2024-01-03 12:00", size=-1.5)
>>> run = simulate_plant(7, attacks=[attack], seed=1)  # doctest: +SKIP
>>> run.frame, run.labels, run.truth, run.physical  # doctest: +SKIP
"""

from tsgen.plant.attacks import Attack, Override, SetpointChange, Surface
from tsgen.plant.controllers import ClockControl, Controller, LevelControl
from tsgen.plant.demand import Demand
from tsgen.plant.epanet import networks
from tsgen.plant.reports import Bias, Denial, Freeze, Ramp, Replay, ReportAttack, SlowDrift
from tsgen.plant.schedule import KINDS, random_attacks
from tsgen.plant.sensors import Sensors
from tsgen.plant.simulate import PlantRun, simulate_plant

__all__ = [
    "KINDS",
    "Attack",
    "Bias",
    "ClockControl",
    "Controller",
    "Demand",
    "Denial",
    "Freeze",
    "LevelControl",
    "Override",
    "PlantRun",
    "Ramp",
    "Replay",
    "ReportAttack",
    "Sensors",
    "SetpointChange",
    "SlowDrift",
    "Surface",
    "networks",
    "random_attacks",
    "simulate_plant",
]
