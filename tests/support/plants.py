"""A plant small enough to be computed by hand, and sensors without faults."""

import numpy as np

from tsgen.plant import Demand, Sensors, simulate_plant

EXACT = Sensors(noise=0.0, resolution=0.0, drift=0.0, dropout=0.0)
CONSTANT = Demand(daily=0.0, weekend=0.0, season=0.0, noise=0.0)

DRAW = 180.0  # m3/h
AREA = np.pi * 10**2  # m2
FALL = DRAW / AREA / 12  # m in five minutes while the pump is off

BASIN = """[TITLE]
one tank that a pump fills and a customer empties
[JUNCTIONS]
 J 0 {draw}
[RESERVOIRS]
 R 0
[TANKS]
 T {height} 5 0 10 20 0
[PIPES]
 P J T 10 800 100 0 Open
[PUMPS]
 PU R J HEAD C
[CURVES]
 C 600 70
[CONTROLS]
 LINK PU OPEN IF NODE T BELOW 4
 LINK PU CLOSED IF NODE T ABOVE 7
[STATUS]
 PU Closed
[OPTIONS]
 UNITS CMH
 HEADLOSS H-W
[TIMES]
 DURATION 24:00
 HYDRAULIC TIMESTEP 1:00
 PATTERN TIMESTEP 1:00
[END]
"""


def basin(folder, draw=DRAW, height=50):
    path = folder / "basin.inp"
    path.write_text(BASIN.format(draw=draw, height=height))
    return path


def total(seed):
    """What two days of the default plant add up to."""
    return float(simulate_plant(2, step="15min", seed=seed).frame.sum().sum())
