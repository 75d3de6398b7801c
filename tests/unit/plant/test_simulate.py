import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.plants import CONSTANT, DRAW, EXACT, FALL, basin, total
from tsgen.anomaly.log import read_runs
from tsgen.plant import ClockControl, Demand, LevelControl, Sensors, networks, simulate_plant
from tsgen.plant.controllers import supply_factor
from tsgen.plant.epanet import Epanet, import_toolkit
from tsgen.plant.network import Network
from tsgen.plant.noise import autoregression, drop_outs
from tsgen.plant.reading import Group

wntr = pytest.importorskip("wntr", reason='needs wntr: pip install "tsgen-forecast[plant]"')

GALLONS = 0.002228009  # cubic feet a second in a gallon a minute
SMALL = ("Net1", "Net2", "Net3")


@pytest.fixture(scope="module")
def month():
    return simulate_plant(30, network="Net3", step="15min", seed=4)


# --- physics ----------------------------------------------------------------------------------


def test_a_tank_without_supply_falls_by_the_demand_over_its_area(tmp_path):
    """Closed form: until the pump starts, level = 5 - draw t / area."""
    run = simulate_plant(1, network=basin(tmp_path), demand=CONSTANT, sensors=EXACT)
    level = run.physical["L_T"].to_numpy()
    rows = int(np.ceil(1 / FALL)) + 1  # the row that sees it below 4 is still on the line
    np.testing.assert_allclose(
        level[:rows], 5 - FALL * np.arange(rows), rtol=5e-6
    )  # EPANET's gallons
    assert run.physical["S_PU"].iloc[: rows - 1].eq(0).all()
    assert run.physical["S_PU"].iloc[rows - 1] == 1
    assert run.physical["Q_T"].iloc[0] == pytest.approx(-DRAW, rel=5e-6)
    assert run.summary["units"] == {"level": "m", "pressure": "m", "flow": "CMH"}


def test_two_point_control_keeps_the_level_between_its_setpoints(tmp_path):
    run = simulate_plant(6, network=basin(tmp_path), demand=CONSTANT, sensors=EXACT)
    level, status = run.physical["L_T"].to_numpy(), run.physical["S_PU"].to_numpy()
    change = np.flatnonzero(np.diff(status)) + 1
    assert len(change) >= 6
    for row in change:
        if status[row]:
            assert level[row] < 4 <= level[row - 1]
        else:
            assert level[row - 1] <= 7 < level[row]
    rise = np.diff(level).max()
    assert level.min() > 4 - FALL - 1e-6 and level.max() < 7 + rise + 1e-6


@pytest.mark.parametrize(("network", "diameters"), [("Net1", [50.5]), ("Net3", [85, 50, 164])])
def test_tanks_change_by_what_flows_in(network, diameters):
    """Level change x area = net inflow x time, with the areas read off the file by hand."""
    run = simulate_plant(5, network=network, seed=2)
    tanks = [name for name in run.frame if name.startswith("L_")]
    checked = 0
    for name, diameter in zip(tanks, diameters, strict=True):
        gained = run.physical[name].diff().to_numpy()[1:] * np.pi * diameter**2 / 4
        came = run.physical[name.replace("L_", "Q_")].to_numpy()[:-1] * GALLONS * 300
        off = np.abs(gained - came) > 1e-3 * np.abs(came).max()
        assert off.sum() <= run.summary["substeps"]  # where a tank ran full within a row
        checked += (~off).sum()
    assert checked > 0.98 * len(tanks) * (len(run.frame) - 1)


@pytest.mark.parametrize(
    ("network", "sources"), [("Net1", ["Q_9"]), ("Net3", ["Q_River", "Q_Lake"])]
)
def test_what_leaves_the_reservoirs_is_drawn_or_stored(network, sources):
    run = simulate_plant(3, network=network, seed=2)
    tanks = [n.replace("L_", "Q_") for n in run.frame if n.startswith("L_")]
    left = run.physical[sources].sum(axis=1)
    used = run.physical["demand"] + run.physical[tanks].sum(axis=1)
    np.testing.assert_allclose(left, used, atol=1e-3 * run.physical["demand"].mean())


def test_closed_pumps_deliver_nothing_and_running_ones_stay_on_their_curve():
    """Net1's curve, one point: 1500 gpm at 250 ft, so the shut-off head is 4/3 of that."""
    run = simulate_plant(4, network="Net1", seed=1, pressures=["10"])
    on = run.physical["S_9"] == 1
    assert 0.2 < on.mean() < 0.8
    assert run.physical.loc[~on, "F_9"].abs().max() < 1e-3
    flow = run.physical.loc[on, "F_9"]
    head = 4 / 3 * 250 - 250 / 3 * (flow / 1500) ** 2
    lifted = (
        710 + run.physical.loc[on, "P_10"] / 0.4333 - 800
    )  # node 10 lies at 710, the source 800
    np.testing.assert_allclose(lifted, head, rtol=2e-3)


def test_controls_of_the_file_become_the_plc_s():
    run = simulate_plant(2, network="Net3", step="15min", demand=CONSTANT, sensors=EXACT)
    by_link = {c.link: c for c in run.controllers}
    pump = by_link["335"]
    assert (pump.sensor, pump.below, pump.above) == ("L_1", "open", "closed")
    assert (pump.low, pump.high) == (pytest.approx(17.1), pytest.approx(19.1))
    assert (by_link["330"].below, by_link["330"].above) == ("closed", "open")
    assert by_link["10"] == ClockControl("10", ((1.0, "open"), (15.0, "closed")))
    hours = run.frame.index.hour
    assert (run.frame["S_10"] == ((hours >= 1) & (hours < 15))).all()
    evening = simulate_plant(
        1, network="Net3", start="2024-01-01 18:00", step="15min", demand=CONSTANT, sensors=EXACT
    )
    hours = evening.frame.index.hour
    assert (evening.frame["S_10"] == ((hours >= 1) & (hours < 15))).all()


def test_pumps_without_controls_fill_the_nearest_tank():
    run = simulate_plant(0.1, network="ky4", step="15min")
    control = next(c for c in run.controllers if c.link == "~@Pump-2")
    low, high = 71.31122, 106.3112  # of T-4, from the file
    assert control.sensor == "L_T-4"
    assert control.low == pytest.approx(low + 0.4 * (high - low))
    assert control.high == pytest.approx(low + 0.85 * (high - low))


def test_rules_of_the_file_are_dropped_and_counted(tmp_path):
    path = basin(tmp_path)
    rule = "[RULES]\nRULE 1\nIF TANK T LEVEL BELOW 4.9\nTHEN PUMP PU STATUS IS OPEN\n[END]"
    path.write_text(path.read_text().replace("[END]", rule))
    ruled = simulate_plant(1, network=path, demand=CONSTANT, sensors=EXACT)
    assert ruled.summary["rules_dropped"] == 1
    plain = simulate_plant(1, network=basin(tmp_path), demand=CONSTANT, sensors=EXACT)
    pd.testing.assert_frame_equal(ruled.physical, plain.physical)


def test_own_controllers_replace_those_of_the_network(tmp_path):
    control = LevelControl("PU", "L_T", low=2.0, high=3.0)
    run = simulate_plant(
        2, network=basin(tmp_path), controllers=[control], demand=CONSTANT, sensors=EXACT
    )
    assert run.physical["L_T"].min() == pytest.approx(2.0, abs=2 * FALL)
    assert run.frame["LOW_PU"].eq(2).all() and run.frame["HIGH_PU"].eq(3).all()
    clock = ClockControl("PU", ((22.0, "open"), (6.0, "closed")))
    run = simulate_plant(2, network=basin(tmp_path), controllers=[clock], sensors=EXACT)
    hours = run.frame.index.hour
    assert (run.frame["S_PU"] == ((hours >= 22) | (hours < 6))).all()


def test_controllers_may_watch_pressures_that_then_are_reported(tmp_path):
    control = LevelControl("PU", "P_J", low=54.5, high=56.0)
    run = simulate_plant(
        2, network=basin(tmp_path), controllers=[control], pressures=0, demand=CONSTANT,
        sensors=EXACT,
    )  # fmt: skip
    assert "P_J" in run.frame
    starts = np.flatnonzero(run.frame["S_PU"].diff() == 1)
    assert len(starts) and all(run.frame["P_J"].iloc[row - 1] < 54.5 for row in starts)


def test_supply_without_pumps_balances_over_months():
    run = simulate_plant(90, network="Net2", step="1h", seed=1)
    assert 50 < run.physical["L_26"].min() and run.physical["L_26"].max() < 70
    tail = run.physical["L_26"].iloc[-30 * 24 :]
    assert tail.std() > 0.5
    assert [supply_factor(x, 50, 70) for x in (60, 70, 50, np.nan)] == [1, 0, 2, 1]


def test_negative_pressures_are_counted(tmp_path):
    run = simulate_plant(0.5, network=basin(tmp_path, height=-20), demand=CONSTANT)
    assert run.summary["negative_pressure"] == (run.physical["P_J"] < 0).sum() == 144
    assert set(run.summary["warnings"]) == {4, 6}  # of two at once EPANET tells the first
    assert sum(run.summary["warnings"].values()) == 144
    assert "negative pressures" in run.summary["warnings_in_words"][6]


# --- demand -----------------------------------------------------------------------------------

YEAR = pd.date_range("2023-01-01", periods=365 * 24, freq="h")  # starts on a Sunday
FLAT = Group("", np.ones(1), 10.0, False)


def multipliers(demand, group=FLAT, times=YEAR, step=3600, seed=0, offset=0):
    rng = np.random.default_rng(seed)
    return demand.multipliers([group], times, offset, step, rng)[:, 0]


def test_season_and_weekends_have_the_size_they_are_given():
    season = multipliers(CONSTANT.replace(season=0.2))
    assert season.argmax() // 24 + 1 == 201 and season.max() == pytest.approx(1.2, abs=1e-6)
    assert season.min() == pytest.approx(0.8, abs=1e-3)
    week = multipliers(CONSTANT.replace(weekend=0.1))
    assert np.allclose(week[:24], 1.1) and np.allclose(week[24 : 6 * 24], 1.0)


def test_a_constant_pattern_gets_a_day_with_two_peaks_and_mean_one():
    day = multipliers(CONSTANT.replace(daily=0.4))[:24]
    assert day.mean() == pytest.approx(1, abs=1e-12) and day.argmin() == 2
    peaks = [h for h in range(1, 23) if day[h] > max(day[h - 1], day[h + 1])]
    assert peaks == [9, 19]
    shaped = Group("", np.array([0.5, 1.5]), 1.0, False)
    twice = multipliers(CONSTANT.replace(daily=0.4), shaped, step=43200)
    assert twice[:24].mean() == pytest.approx(1, abs=1e-12) and twice[6] == 0.5 and twice[18] == 1.5


def test_long_patterns_are_cut_to_whole_days():
    pattern = np.arange(30.0)
    values = multipliers(CONSTANT, Group("", pattern, 1.0, False))
    np.testing.assert_allclose(values[:24], values[24:48])
    assert values[5] == pytest.approx(4.5)  # between the middles of two hours
    later = multipliers(CONSTANT, Group("", pattern, 1.0, False), offset=3 * 3600)
    np.testing.assert_allclose(later[:20], values[3:23])


def test_demand_noise_is_an_autoregression_of_mean_one():
    noisy = multipliers(CONSTANT.replace(noise=0.1, memory_hours=4.0), seed=5)
    log = np.log(noisy) + 0.1**2 / 2
    effective = len(log) * np.tanh(1 / 8)  # independent values that tell as much of the mean
    assert log.std() == pytest.approx(0.1, rel=4 / np.sqrt(effective))
    for lag in (1, 4):
        found = np.corrcoef(log[:-lag], log[lag:])[0, 1]
        assert found == pytest.approx(np.exp(-lag / 4), abs=4 / np.sqrt(effective))
    assert abs(noisy.mean() - 1) < 4 * 0.1 / np.sqrt(effective)
    white = multipliers(CONSTANT.replace(noise=0.4, memory_hours=0.0))
    assert abs(white.mean() - 1) < 4 * np.sqrt(np.expm1(0.4**2) / len(white))
    supply = Group("", np.ones(1), -10.0, True)
    np.testing.assert_array_equal(multipliers(Demand(), supply), 1)


# --- sensors ----------------------------------------------------------------------------------


def test_autoregression_has_the_law_of_its_docstring():
    paths = autoregression(np.random.default_rng(0), (50, 20000), 2.0, 10.0)
    error = 4 * 4 * np.sqrt(2 / 20000)
    for lag in (0, 5, 20):
        found = (paths[7] * paths[7 + lag]).mean()
        assert found == pytest.approx(4 * np.exp(-lag / 10), abs=error)
    assert (paths[0] ** 2).mean() == pytest.approx(4, abs=error)
    white = autoregression(np.random.default_rng(0), (20000, 1), 2.0, 0.0)[:, 0]
    assert abs((white[:-1] * white[1:]).mean()) < 4 * 4 / np.sqrt(20000)


def test_drop_outs_take_the_share_that_follows_from_rate_and_length():
    rate, length = 0.01, 4.0
    generators = map(np.random.default_rng, (1, 2))
    missing = drop_outs(*generators, (400, 2000), rate, length)[200:]
    alive = np.prod(1 - rate * (1 - 1 / length) ** np.arange(200))
    independent = missing.size / (2 * length)
    error = 4 * np.sqrt(alive * (1 - alive) / independent)
    assert missing.mean() == pytest.approx(1 - alive, abs=error)


def sensed(**changes):
    run = simulate_plant(
        30, network="Net3", step="15min", seed=4, sensors=EXACT.replace(**changes),
        controllers=[ClockControl("10", ((1.0, "open"), (15.0, "closed")))],
    )  # fmt: skip
    spans = {"L_1": 32.0, "L_2": 40.3 - 6.5, "L_3": 31.5}
    return run, (run.frame - run.physical[run.frame.columns]), spans


def test_noise_is_white_and_has_the_size_of_its_share_of_the_span():
    run, error, spans = sensed(noise=0.01)
    for name, span in spans.items():
        x = error[name].to_numpy()
        assert x.std() == pytest.approx(0.01 * span, rel=4 / np.sqrt(2 * len(x)))
        assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 4 / np.sqrt(len(x))
    exact = [n for n in run.frame if n[:2] in ("S_", "LO", "HI")]
    assert (error[exact] == 0).all().all()


def test_the_span_of_pressures_and_flows_is_their_largest_value_on_a_quiet_day():
    calm = simulate_plant(1, network="Net1", demand=CONSTANT, sensors=EXACT)
    noisy = simulate_plant(20, network="Net1", sensors=EXACT.replace(noise=0.01), seed=2)
    for name in ("P_10", "P_22", "F_9"):
        error = (noisy.frame[name] - noisy.physical[name]).to_numpy()
        span = error.std() / 0.01
        assert span == pytest.approx(calm.physical[name].max(), rel=0.04)


def test_patterns_follow_the_clock_of_the_first_row():
    """Net2 starts at 8 o'clock, the others at midnight."""
    for name, hour, expected in (("Net2", 8, 0), ("Net2", 9, 1), ("Net2", 0, 16), ("Net1", 5, 5)):
        with Network(networks()[name], 900, hour * 3600) as network:
            assert network.pattern_offset == expected * 3600
    options = {"network": "Net1", "demand": CONSTANT, "sensors": EXACT}
    day = simulate_plant(1, **options).physical["demand"]
    noon = simulate_plant(0.5, start="2024-01-01 12:00", **options).physical["demand"]
    pd.testing.assert_series_equal(day.loc[noon.index], noon, check_freq=False, rtol=1e-9)


def test_reports_are_multiples_of_the_resolution_and_nearest():
    run, error, spans = sensed(resolution=0.02)
    for name, span in spans.items():
        steps = run.frame[name] / (0.02 * span)
        np.testing.assert_allclose(steps, steps.round(), atol=1e-6)
        assert error[name].abs().max() <= 0.01 * span + 1e-9
        assert error[name].abs().max() > 0.009 * span


def test_drift_is_slow_and_does_not_return_to_zero_at_once():
    _, error, spans = sensed(drift=0.01, drift_days=2.0)
    rows = 2 * 96
    scaled = np.concatenate([(error[n] / (0.01 * s)).to_numpy() for n, s in spans.items()])
    increments = np.concatenate([np.diff(error[n] / (0.01 * s)) for n, s in spans.items()])
    expected = np.sqrt(2 * (1 - np.exp(-1 / rows)))
    assert increments.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * len(increments)))
    assert 0.4 < scaled.std() < 1.7  # 45 independent spells


def test_drop_outs_are_missing_and_controllers_go_by_the_last_value(tmp_path):
    sensors = EXACT.replace(dropout=0.2, dropout_rows=3.0)
    run = simulate_plant(20, network=basin(tmp_path), demand=CONSTANT, sensors=sensors, seed=3)
    level, status = run.frame["L_T"], run.frame["S_PU"]
    assert level.isna().mean() > 0.3 and status.notna().all()
    known = level.ffill()
    kept, wanted = 0.0, []
    for value in known:
        kept = 1.0 if value < 4 else 0.0 if value > 7 else kept
        wanted.append(kept)
    assert list(status) == wanted
    assert Counter(np.diff(status))[1.0] >= 5


# --- runs -------------------------------------------------------------------------------------


def test_a_log_is_what_detectors_read(month):
    (log,) = read_runs(month.frame)
    assert log.period == 900 and log.values.dtype == float
    assert 0 < np.isnan(log.values).mean() < 0.01
    assert month.labels.eq(0).all() and not month.truth.to_numpy().any() and month.targets == []
    assert list(month.truth.columns) == list(month.frame.columns)
    assert set(month.frame.columns) < set(month.physical.columns)
    assert len(month.attacks) == 0
    moving = month.frame.std() > 0
    assert moving[[n for n in month.frame if n[:2] in ("L_", "P_", "F_", "S_")]].all()


def test_equal_seeds_give_equal_runs_and_others_do_not():
    one, two, three = (simulate_plant(2, step="15min", seed=s) for s in (7, 7, 8))
    pd.testing.assert_frame_equal(one.frame, two.frame)
    pd.testing.assert_frame_equal(one.physical, two.physical)
    assert not np.allclose(one.physical["L_1"], three.physical["L_1"])


def test_a_longer_run_begins_like_a_shorter_one(month):
    short = simulate_plant(4, network="Net3", step="15min", seed=4)
    pd.testing.assert_frame_equal(short.frame, month.frame.iloc[: len(short.frame)])
    pd.testing.assert_frame_equal(short.physical, month.physical.iloc[: len(short.frame)])


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """An empty folder for temporary files; the working directory is another one."""
    scratch, here = tmp_path / "scratch", tmp_path / "here"
    scratch.mkdir()
    here.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.chdir(here)
    yield scratch
    assert not list(here.iterdir())
    assert not list(scratch.glob("tsgen-plant-*"))


def test_runs_of_threads_do_not_collide_and_leave_no_files(scratch):
    expected, found = {seed: total(seed) for seed in (1, 2)}, {}
    threads = [
        threading.Thread(target=lambda seed=seed: found.update({seed: total(seed)}))
        for seed in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_failures_leave_no_files(scratch, monkeypatch):
    monkeypatch.setattr(Network, "set_demand", lambda self, m: self.number("getnodevalue", 0, 9))
    with pytest.raises(RuntimeError, match="EPANET error"):
        simulate_plant(1)
    with pytest.raises(ValueError):
        simulate_plant(1, attacks=["none"])


def test_a_working_directory_that_cannot_be_written_is_no_hindrance(scratch, monkeypatch):
    """EPANET would crash there: it keeps files of random names in the working directory."""
    here, moves, chdir = Path.cwd(), [], contextlib.chdir
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(contextlib, "chdir", lambda path: (moves.append(path), chdir(path))[1])
    total(1)
    assert len(moves) == 2 and all(path.parent == scratch for path in moves)
    assert Path.cwd() == here


@pytest.mark.slow
def test_runs_of_processes_do_not_collide(scratch):
    expected = [total(seed) for seed in (1, 2)]
    code = (
        "import sys; from tests.support.plants import total; print(repr(total(int(sys.argv[1]))))"
    )
    environment = {
        **os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "TMPDIR": str(scratch)
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, str(seed)], stdout=subprocess.PIPE,
            env=environment, text=True,
        )
        for seed in (1, 2)
    ]  # fmt: skip
    printed = [float(process.communicate(timeout=120)[0]) for process in processes]
    assert printed == expected


@pytest.mark.parametrize("network", SMALL)
def test_small_networks_that_wntr_ships_run(network):
    _runs(networks()[network])


@pytest.mark.slow
@pytest.mark.parametrize("network", ["ky4", "ky10", "Net6"])
def test_large_networks_that_wntr_ships_run(network):
    run = _runs(networks()[network])
    assert len(run.controllers) >= 2


@pytest.mark.slow
def test_every_file_in_wntr_runs_or_is_refused_in_words():
    """EPANET itself cannot read some that wntr keeps for its own tests."""
    refused = []
    for path in sorted(Path(wntr.__file__).parent.rglob("*.inp")):
        try:
            _runs(path)
        except ValueError as error:
            assert path.name in str(error)
            refused.append(path.stem)
    assert set(refused) <= {"bad_syntax", "bad_times", "bad_values", "cv_controls"}


def _runs(path):
    run = simulate_plant(1, network=path, step="15min", seed=1)
    assert len(run.frame) == 96 and run.frame.shape[1] > 0
    assert np.isfinite(run.physical.to_numpy()).all()
    with Network(path, 900) as network:
        assert [n for n in run.frame if n.startswith("L_")] == [f"L_{n}" for n in network.tanks]
        for name in network.tanks:
            level = run.physical[f"L_{name}"]
            assert network.lowest[name] - 0.01 <= level.min()
            assert level.max() <= network.highest[name] + 0.01
    return run


@pytest.mark.slow
def test_months_of_five_minutes_take_seconds():
    """The hydraulic state runs on: no restart, so the cost grows with the days alone."""
    import time

    begin = time.process_time()
    run = simulate_plant(180, network="Net3", seed=1)
    assert time.process_time() - begin < 60
    assert len(run.frame) == 180 * 288 and run.summary["negative_pressure"] == 0
    assert run.physical[["L_1", "L_2", "L_3"]].iloc[-288 * 30 :].std().min() > 0.5


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"days": 0}, "days=0 must be a number above 0"),
        ({"days": -1.5}, "days=-1.5 must be"),
        ({"days": float("nan")}, "days=nan must be"),
        ({"days": "3"}, "days='3' must be"),
        ({"days": 0.001}, "days=0.001 must be enough for two rows"),
        ({"network": "Net9"}, "network='Net9' must be one of Net1, Net2, Net3"),
        ({"network": "/nowhere/at_all.inp"}, "path of an .inp file that exists"),
        ({"step": "30s"}, "step='30s' must be whole seconds from '1min' to '1h'"),
        ({"step": "2h"}, "step='2h' must be"),
        ({"step": "often"}, "step='often' must be"),
        ({"start": "some day"}, "start='some day' must be a time"),
        ({"start": pd.Timestamp("2024-01-01", tz="UTC")}, "without time zone"),
        ({"seed": -1}, "seed=-1 must be an integer"),
        ({"seed": 1.5}, "seed=1.5 must be an integer"),
        ({"pressures": -1}, "pressures=-1 must be at least 0"),
        ({"pressures": ["105", "nowhere"]}, "pressures holds 'nowhere'"),
        ({"pressures": ["105", "105"]}, "pressures holds '105'"),
        ({"demand": 0.1}, "demand=0.1 must be a Demand"),
        ({"sensors": "good"}, "sensors='good' must be a Sensors"),
        ({"controllers": [LevelControl("330", "L_1", 1.0, 2.0, below=0.5)]}, "state 0.5; expected"),
        ({"controllers": [ClockControl("10", ((1.0, -1.0),))]}, "state -1.0; expected"),
        ({"controllers": ["pump"]}, "controllers holds 'pump'"),
        ({"controllers": [LevelControl("9", "L_1", 1.0, 2.0)]}, "link='9' must be one of"),
        ({"controllers": [LevelControl("10", "L_9", 1.0, 2.0)]}, "sensor='L_9' must be one of"),
        ({"controllers": [LevelControl("10", "F_10", 1.0, 2.0)]}, "sensor='F_10' must be one of"),
    ],
)
def test_bad_arguments_are_named(arguments, words, monkeypatch):
    monkeypatch.setattr(Epanet, "run", lambda self: pytest.fail("simulated before checking"))
    with pytest.raises(ValueError) as caught:
        simulate_plant(**{"days": 1, **arguments})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Demand(season=1.0), "Demand: season=1.0 must be in [0, 1)"),
        (lambda: Demand(weekend=-1.0), "Demand: weekend=-1.0 must be above -1 and finite"),
        (lambda: Demand(noisy=1.0), "did you mean 'noise'"),
        (lambda: Sensors(noise=-0.1), "Sensors: noise=-0.1 must be in [0, 1)"),
        (
            lambda: Sensors(dropout_rows=0.5),
            "Sensors: dropout_rows=0.5 must be at least 1 and finite",
        ),
        (
            lambda: LevelControl("9", "L_2", 3.0, 2.0),
            "LevelControl of '9': low=3.0 must be below high=2",
        ),
        (lambda: LevelControl("9", "L_2", None, None), "low=None must be a number with high=None"),
        (lambda: LevelControl("9", "L_2", float("nan"), 2.0), "low=nan must be finite"),
        (lambda: ClockControl("9", ()), "must be at least one (hour, state)"),
        (lambda: ClockControl("9", ((24.0, "open"),)), "hours in [0, 24)"),
    ],
)
def test_bad_options_are_named(make, words):
    with pytest.raises(ValueError) as caught:
        make()
    assert words in str(caught.value)


def test_files_that_epanet_cannot_read_are_refused(tmp_path):
    path = basin(tmp_path)
    path.write_text(path.read_text().replace(" P J T 10", " P J nowhere 10"))
    with pytest.raises(ValueError, match="EPANET cannot read it, error 20"):
        simulate_plant(1, network=path)
    path = basin(tmp_path)
    path.write_text(path.read_text().replace("DURATION 24:00", "DURATION 0:00:00:00"))
    with pytest.raises(ValueError, match="time '0:00:00:00', expected hours:minutes"):
        simulate_plant(1, network=path)


def test_errors_of_epanet_carry_code_and_time(monkeypatch):
    """A node that is none stands for whatever fails inside."""

    def broken(self, multipliers):
        if self.time >= 7200:
            self.number("getnodevalue", 10**6, 9)

    monkeypatch.setattr(Network, "set_demand", broken)
    with pytest.raises(
        RuntimeError, match=r"EPANET error 203 .* after 7200 s .*row 5, 2024-01-01 02:30"
    ):
        simulate_plant(1, step="1h", network="Net1", demand=CONSTANT)


def test_without_wntr_the_error_says_what_to_install(monkeypatch):
    import_toolkit.cache_clear()
    monkeypatch.setitem(sys.modules, "wntr.epanet.toolkit", None)
    with pytest.raises(ImportError, match=r'pip install "tsgen-forecast\[plant\]"'):
        simulate_plant(1)
    import_toolkit.cache_clear()
