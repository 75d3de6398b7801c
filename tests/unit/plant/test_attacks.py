import numpy as np
import pandas as pd
import pytest

from tests.support.plants import CONSTANT, EXACT, FALL, basin
from tsgen.plant import (
    KINDS,
    Attack,
    Bias,
    Denial,
    Freeze,
    Override,
    Ramp,
    Replay,
    SetpointChange,
    SlowDrift,
    random_attacks,
    simulate_plant,
)
from tsgen.plant.epanet import Epanet

pytest.importorskip("wntr", reason='needs wntr: pip install "tsgen-forecast[plant]"')

START, END = "2024-01-03 00:00", "2024-01-04 00:00"
FIRST, STOP = 2 * 96, 3 * 96  # in rows of a quarter of an hour
INSIDE = slice(FIRST, STOP)


def plant(attacks=(), days=5, sensors=EXACT, **options):
    return simulate_plant(
        days, network="Net3", step="15min", seed=1, attacks=attacks, sensors=sensors, **options
    )


@pytest.fixture(scope="module")
def quiet():
    return plant()


def little(folder, attacks=(), days=3, **options):
    """The plant computed by hand, rows of five minutes."""
    return simulate_plant(
        days, network=basin(folder), attacks=attacks, demand=CONSTANT, sensors=EXACT, **options
    )


EVERY = [
    Bias("L_1", START, END, -3.0),
    Ramp("L_1", START, END, -3.0),
    SlowDrift("L_1", START, END, -3.0),
    Freeze("L_1", START, END),
    Replay("L_1", START, END),
    Denial("L_1", START, END),
    Override("10", START, END),
    SetpointChange(("335", "330"), START, END, 4.0),
]


@pytest.mark.parametrize("attack", EVERY, ids=lambda attack: attack.kind)
def test_until_its_start_a_run_is_the_one_without_the_attack(attack, quiet):
    """And after it the process differs: the attack is inside the loop, not in the table."""
    run = plant([attack])
    for before, after in ((quiet.frame, run.frame), (quiet.physical, run.physical)):
        pd.testing.assert_frame_equal(before.iloc[:FIRST], after.iloc[:FIRST])
    tanks = ["L_1", "L_2", "L_3"]
    later = (quiet.physical[tanks] - run.physical[tanks]).iloc[FIRST:].abs()
    assert later.max().max() > 0.2
    assert (later.iloc[-96:] > 1e-6).any().all()  # the process does not forget at the end


@pytest.mark.parametrize("attack", EVERY, ids=lambda attack: attack.kind)
def test_truth_names_the_rows_and_channels_and_the_table_the_attack(attack):
    run = plant([attack], days=4)
    expected = {
        "Override": ("S_10", "F_10"),
        "SetpointChange": ("LOW_335", "HIGH_335", "LOW_330", "HIGH_330"),
    }.get(attack.kind, ("L_1",))
    rows = np.zeros(len(run.frame), dtype=bool)
    rows[INSIDE] = True
    assert (run.labels == rows).all()
    for name in run.frame:
        assert (run.truth[name] == (rows & (name in expected))).all()
    assert run.targets == [sorted(run.frame.columns.get_loc(name) for name in expected)]
    (row,) = run.attacks.itertuples()
    assert (row.kind, row.start, row.end) == (attack.kind, pd.Timestamp(START), pd.Timestamp(END))
    assert row.channels == expected and row.target == ", ".join(attack.targets)


# --- what is reported -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (Bias, lambda u: np.ones_like(u)),
        (Ramp, lambda u: u),
        (SlowDrift, lambda u: (1 - np.cos(np.pi * u)) / 2),
    ],
)
def test_sensors_are_off_by_the_law_of_the_attack(kind, law):
    run = plant([kind(("L_2", "P_119"), START, END, 1.5)])
    u = (np.arange(96) + 1) / 96
    for name in ("L_2", "P_119"):
        error = (run.frame[name] - run.physical[name]).to_numpy()
        np.testing.assert_allclose(error[INSIDE], 1.5 * law(u), atol=1e-9)
        error[INSIDE] = 0
        assert not error.any()


def test_spoofed_reports_stay_on_the_grid_of_the_sensor():
    sensors = EXACT.replace(resolution=0.01, noise=0.005)
    run = plant([Bias("L_1", START, END, 1.2345)], sensors=sensors)
    steps = run.frame["L_1"] / (0.01 * 32)
    np.testing.assert_allclose(steps, steps.round(), atol=1e-6)


def test_a_frozen_channel_repeats_its_last_value():
    run = plant([Freeze(("L_1", "P_119"), START, END)])
    for name in ("L_1", "P_119"):
        assert (run.frame[name].iloc[INSIDE] == run.frame[name].iloc[FIRST - 1]).all()
        assert run.frame[name].iloc[STOP] == run.physical[name].iloc[STOP]
    assert run.physical["L_1"].iloc[INSIDE].std() > 1


def test_replay_of_everything_conceals_an_override():
    """The reported day is the one before, while the pump runs and nobody sees it."""
    hidden = plant([Override("335", START, END, "open"), Replay("all", START, END)])
    before = slice(FIRST - 96, FIRST)
    np.testing.assert_array_equal(hidden.frame.iloc[INSIDE], hidden.frame.iloc[before])
    assert (hidden.physical["S_335"].iloc[INSIDE] == 1).all()
    assert (hidden.frame["S_335"].iloc[INSIDE] != 1).any()
    assert (hidden.physical["F_335"] - hidden.frame["F_335"]).iloc[INSIDE].abs().max() > 1000
    assert len(hidden.targets) == 1 and len(hidden.attacks) == 2
    shown = plant([Override("335", START, END, "open")])
    assert (shown.frame["S_335"].iloc[INSIDE] == 1).all()


def test_replay_can_start_from_any_window_that_is_over():
    attack = Replay(("L_3", "F_10"), START, END, source="2024-01-01 12:00")
    run = plant([attack])
    for name in ("L_3", "F_10"):
        replayed = run.frame[name].iloc[INSIDE].to_numpy()
        np.testing.assert_array_equal(replayed, run.frame[name].iloc[48:144])
    other = run.frame[["L_1", "P_119"]].iloc[INSIDE]
    np.testing.assert_array_equal(other, run.physical[other.columns].iloc[INSIDE])


def test_a_replay_longer_than_a_day_goes_back_whole_days():
    attack = Replay("L_1", "2024-01-04", "2024-01-05 06:00")
    assert attack.opens == pd.Timestamp("2024-01-02")


@pytest.mark.parametrize("shown", ["missing", "last"])
def test_a_denied_sensor_reports_nothing_and_the_controller_keeps_the_last_value(shown, tmp_path):
    """By hand: the pump starts at row 21, fills; with the level denied it never stops."""
    begin, end = "2024-01-01 02:00", "2024-01-01 14:00"  # rows 24 to 167, the pump is on
    run = little(tmp_path, [Denial("L_T", begin, end, shown=shown)])
    inside = run.frame["L_T"].iloc[24:168]
    if shown == "missing":
        assert inside.isna().all()
    else:
        assert (inside == run.frame["L_T"].iloc[23]).all()
    assert (run.physical["S_PU"].iloc[24:168] == 1).all()
    assert run.physical["L_T"].iloc[24:168].max() == pytest.approx(10, abs=0.01)  # brim-full
    assert run.physical["S_PU"].iloc[168] == 0  # the first report is above 7
    assert little(tmp_path).physical["L_T"].max() < 7.5


def test_frozen_and_denied_channels_hold_what_arrived_before_a_drop_out():
    sensors = EXACT.replace(dropout=0.3, dropout_rows=4.0)
    attacks = [Freeze(("L_1", "L_2", "L_3"), START, END)]
    attacks += [Denial(n, START, END, shown="last") for n in ("P_119", "P_10", "F_10", "F_330")]
    run = plant(attacks, sensors=sensors)
    attacked = list(run.truth.columns[run.truth.any()])
    before = run.frame[attacked].iloc[FIRST - 1]
    assert before.isna().any() and before.notna().any()
    held = run.frame[attacked].iloc[:FIRST].ffill().iloc[-1]
    for name in attacked:
        shown = run.frame[name].iloc[INSIDE].dropna()
        assert 0 < len(shown) < 96 and (shown == held[name]).all()


# --- what controllers make of it --------------------------------------------------------------


@pytest.mark.parametrize("size", [-0.5, 0.5, 1.0])
def test_a_biased_level_makes_the_pump_switch_at_another_true_level(size, tmp_path):
    """By hand: the level falls from 5 by FALL a row, and the pump starts once it reads below 4."""
    run = little(tmp_path, [Bias("L_T", "2024-01-01", "2024-01-03", size)])
    row = int(np.floor((5 + size - 4) / FALL)) + 1
    status = run.physical["S_PU"].to_numpy()
    assert not status[:row].any() and status[row] == 1
    assert run.physical["L_T"].iloc[row] == pytest.approx(5 - row * FALL, abs=1e-4)
    assert run.frame["L_T"].iloc[row] == pytest.approx(run.physical["L_T"].iloc[row] + size)
    stops = [r for r in np.flatnonzero(np.diff(status) < 0) + 1 if r < 2 * 288]
    assert stops
    for stop in stops:
        assert run.physical["L_T"].iloc[stop - 1] <= 7 - size < run.physical["L_T"].iloc[stop]


@pytest.mark.parametrize("shown", [True, False])
def test_shifted_setpoints_move_the_level_whether_or_not_the_log_shows_them(shown, tmp_path):
    attack = SetpointChange("PU", "2024-01-02", "2024-01-03", -2.0, shown=shown)
    run = little(tmp_path, [attack])
    inside = slice(288, 576)
    assert run.physical["L_T"].iloc[288 + 60 : 576].max() < 5.5 < 7
    assert run.physical["L_T"].iloc[inside].min() < 2
    assert (run.physical["LOW_PU"].iloc[inside] == 2).all()
    assert (run.frame["LOW_PU"].iloc[inside] == (2 if shown else 4)).all()
    assert (run.frame["HIGH_PU"].iloc[576:] == 7).all()
    marked = run.truth.columns[run.truth.any()]
    assert set(marked) == ({"LOW_PU", "HIGH_PU"} if shown else {"S_PU", "F_PU"})
    if not shown:
        pd.testing.assert_frame_equal(
            run.physical,
            little(tmp_path, [SetpointChange("PU", "2024-01-02", "2024-01-03", -2.0)]).physical,
        )


def test_an_override_stops_a_pump_and_what_lies_behind_it(quiet):
    """Pump 10 draws from the lake into node 10; at 06:00 its clock would have it run."""
    run = plant([Override("10", START, END)])
    at = FIRST + 24
    assert quiet.physical["F_10"].iloc[at] > 2000
    assert run.physical["F_10"].iloc[INSIDE].abs().max() < 1e-3
    assert run.physical["Q_Lake"].iloc[INSIDE].abs().max() < 1e-3
    assert run.physical["P_10"].iloc[at] < quiet.physical["P_10"].iloc[at] - 10
    assert run.physical["Q_River"].iloc[at] > quiet.physical["Q_River"].iloc[at]
    hour = run.frame.index.hour
    assert (run.physical["S_10"].iloc[STOP:] == ((hour >= 1) & (hour < 15))[STOP:]).all()


def test_an_override_sets_speed_and_the_pump_follows_the_affinity_laws(tmp_path):
    """Head at no flow grows with speed squared: H = s^2 4/3 70 - 70/3 (Q / 600)^2."""
    run = little(tmp_path, [Override("PU", "2024-01-01", "2024-01-02", 1.1)], pressures=["J"])
    flow, head = run.physical["F_PU"].iloc[:24], run.physical["P_J"].iloc[:24]
    assert (flow > 200).all()
    expected = 1.1**2 * 4 / 3 * 70 - 70 / 3 * (flow / 600) ** 2
    np.testing.assert_allclose(head, expected, rtol=1e-3)


def test_an_override_of_a_valve_moves_the_pressure_behind_it():
    options = {"network": "ky10", "step": "1h", "sensors": EXACT, "pressures": ["O-RV-3"]}
    start, end = "2024-01-01 12:00", "2024-01-01 18:00"
    normal = simulate_plant(1, **options)
    run = simulate_plant(1, attacks=[Override("~@RV-3", start, end, 25.0)], **options)
    assert normal.physical["P_O-RV-3"].iloc[12] == pytest.approx(39.99, abs=0.01)
    assert run.physical["P_O-RV-3"].iloc[12:18].max() == pytest.approx(25, abs=0.01)
    assert (run.frame["V_~@RV-3"].iloc[12:18] == 25).all()
    assert (run.frame["V_~@RV-3"].iloc[18:].round(6) == 39.99).all()
    assert list(run.truth.columns[run.truth.any()]) == ["F_~@RV-3", "S_~@RV-3", "V_~@RV-3"]


@pytest.mark.parametrize("order", [1, -1])
def test_several_attacks_may_follow_each_other_on_one_target(order):
    half = "2024-01-03 12:00"
    attacks = [Bias("L_1", START, half, 2.0), Denial("P_119", START, END), Freeze("L_1", half, END)]
    run = plant(attacks[::order], days=4)
    assert set(run.attacks["kind"].iloc[:2]) == {"Bias", "Denial"}
    assert run.attacks["kind"].iloc[2] == "Freeze"
    assert len(run.targets) == 1
    assert (run.frame["L_1"].iloc[FIRST + 48 : STOP] == run.frame["L_1"].iloc[FIRST + 47]).all()


# --- bad input --------------------------------------------------------------------------------

EARLY = ("2024-01-01 06:00", "2024-01-01 09:00")


@pytest.mark.parametrize(
    ("attacks", "words"),
    [
        ([Bias("L_1", "2023-12-31", END, 1.0)], "Bias of 'L_1': start='2023-12-31 00:00:00' lies"),
        ([Bias("L_1", START, "2024-02-01", 1.0)], "end='2024-02-01 00:00:00' lies outside the sim"),
        ([Replay("L_1", *EARLY)], "source='2023-12-31 06:00:00' lies outside the simulated span"),
        ([Bias("L_9", START, END, 1.0)], "Bias: target='L_9' must be a measured channel: L_1"),
        ([Bias("S_10", START, END, 1.0)], "target='S_10' must be a measured channel"),
        ([Ramp("10", START, END, 1.0)], "Ramp: target='10' must be a measured channel"),
        ([Freeze("10", START, END)], "Freeze: target='10' must be a channel this plant reports"),
        ([Override("L_1", START, END)], "Override: target='L_1' must be an actuator: 330, 10"),
        ([Override("20", START, END)], "Override: target='20' must be an actuator"),
        ([SetpointChange("10", START, END, 1.0)], "target='10' must be an actuator under level"),
        (
            [Bias("L_1", START, END, 1.0), Freeze("L_1", START, END)],
            "both hold the report of 'L_1'",
        ),
        (
            [Bias("L_1", START, END, 1.0), Replay("all", "2024-01-03 20:00", "2024-01-04 02:00")],
            "both hold the report of 'L_1'; expected one at a time",
        ),
        (
            [Override("10", START, END), Override(("335", "10"), START, END)],
            "both hold the actuator of '10'",
        ),
        (
            [SetpointChange("335", START, END, 1.0), SetpointChange("335", START, END, 2.0)],
            "both hold the setpoint of '335'",
        ),
        (
            [Bias("L_1", "2024-01-03 00:01", "2024-01-03 00:02", 1.0)],
            "no row lies in [2024-01-03 00:01:00, 2024-01-03 00:02:00)",
        ),
        ([Override("330", START, END, 0.5)], "state='0.5' must be 'open' or 'closed' for a pipe"),
        (Bias("L_1", START, END, 1.0), "attacks is one Bias; expected a list"),
        (["bias"], "attacks holds 'bias'; expected Bias, Ramp"),
    ],
)
def test_attacks_that_cannot_be_are_refused_before_anything_runs(attacks, words, monkeypatch):
    monkeypatch.setattr(Epanet, "run", lambda self: pytest.fail("simulated before checking"))
    with pytest.raises(ValueError) as caught:
        plant(attacks)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Bias("L_1", END, START, 1.0), "Bias: end='2024-01-03 00:00:00' must be a time"),
        (lambda: Bias("L_1", START, START, 1.0), "must be a time after start=2024-01-03"),
        (lambda: Bias("L_1", "soon", END, 1.0), "Bias: start='soon' must be a time without"),
        (lambda: Bias("L_1", START, None, 1.0), "Bias: end='None' must be a time"),
        (lambda: Bias("L_1", START + "+01:00", END, 1.0), "must be a time without time zone"),
        (lambda: Bias("L_1", START, END, np.nan), "Bias: size='nan' must be a finite number"),
        (lambda: Ramp("L_1", START, END, "2"), "Ramp: size='2' must be a finite number"),
        (lambda: SetpointChange("335", START, END, np.inf), "SetpointChange: size='inf'"),
        (lambda: Override("10", START, END, "off"), "state='off' must be 'open', 'closed' or"),
        (lambda: Override("10", START, END, -1.0), "state='-1.0' must be a finite number of at"),
        (lambda: Denial("L_1", START, END, "none"), "shown='none' must be 'missing' or 'last'"),
        (
            lambda: Replay("L_1", START, END, "2024-01-02 06:00"),
            "Replay: source='2024-01-02 06:00:00' must be 2024-01-02 00:00:00 or before",
        ),
    ],
)
def test_attacks_name_their_bad_values(make, words):
    with pytest.raises(ValueError) as caught:
        make()
    assert words in str(caught.value)


# --- random plans -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def normal():
    return simulate_plant(8, network="Net3", step="15min", seed=3)


def test_random_plans_are_reproducible_and_sized_in_sigmas(normal):
    options = {"days": 120, "amplitude": (0.5, 2.0)}
    plan = random_attacks(normal, 80, seed=5, **options)
    assert plan == random_attacks(normal, 80, seed=5, **options)
    assert plan != random_attacks(normal, 80, seed=6, **options)
    sigma, shares = normal.frame.std(), []
    for attack in plan:
        if isinstance(attack, Bias):
            shares.append(attack.size / sigma[attack.target])
        if isinstance(attack, SetpointChange):
            assert attack.targets == ("335", "330")
            shares.append(attack.size / sigma["L_1"])
    assert len(shares) == 40 and min(shares) < 0 < max(shares)
    assert 0.5 <= np.abs(shares).min() < 0.8 and 1.7 < np.abs(shares).max() <= 2.0


def test_random_plans_hit_every_kind_and_every_sort_of_target_equally_often(normal):
    plan = random_attacks(normal, 160, days=300, seed=1)
    counts = {kind: sum(type(attack) is kind for attack in plan) for kind in KINDS}
    assert counts.pop(Override) == 40  # 20 of them concealed
    assert set(counts.values()) == {20} and len(plan) == 180
    sensors = [a.target for a in plan if isinstance(a, Bias | Freeze | Denial)]
    for letter in "LPF":
        share = np.mean([name[0] == letter for name in sensors])
        assert share == pytest.approx(1 / 3, abs=4 * np.sqrt(2 / 9 / len(sensors)))
    assert {a.target for a in plan if isinstance(a, Override)} == {"10", "335", "330"}


def test_random_plans_run_as_one_event_each(normal):
    plan = random_attacks(normal, 24, days=40, seed=2)
    run = simulate_plant(40, network="Net3", step="15min", seed=9, attacks=plan)
    assert len(run.targets) == 24
    assert not run.labels.iloc[:96].any()
    assert 0.05 < run.labels.mean() < 0.4
    lengths = run.attacks["end"] - run.attacks["start"]
    fast = run.attacks["kind"] != "SlowDrift"
    assert lengths.min() >= pd.Timedelta("45min") and lengths[fast].max() <= pd.Timedelta("12h")


def test_random_overrides_change_what_the_actuator_does(normal):
    """Pump 10 runs from 1 to 15 o'clock: closing it at night would be no attack."""
    plan = random_attacks(normal, 60, days=90, seed=4, kinds=[Override], hours=(1.0, 2.0))
    for attack in (a for a in plan if a.target == "10"):
        hours = attack.begins.hour + attack.begins.minute / 60
        if 1 <= hours < 13:
            assert attack.state == "closed"
        if 15 <= hours < 23:
            assert attack.state == "open"


def test_kinds_without_a_target_are_left_out():
    normal = simulate_plant(3, network="Net2", step="1h")
    plan = random_attacks(normal, 10, days=30)
    assert not any(isinstance(a, Override | SetpointChange | Replay) for a in plan)
    with pytest.raises(ValueError, match="this plant has no target for any"):
        random_attacks(normal, 3, days=30, kinds=[Override])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"count": 0}, "count=0 must be an integer of at least 1"),
        ({"count": 500}, "count=500: 8 days 00:00:00 with 1 days 00:00:00 free at the start"),
        ({"amplitude": (2.0, 1.0)}, "amplitude=(2.0, 1.0) must be (least, largest)"),
        ({"hours": (0.0, 1.0)}, "hours=(0.0, 1.0) must be"),
        ({"hours": (0.1, 1.0)}, "hours[0] of at least 0 days 00:15:00"),
        ({"hours": (1.0, 30.0)}, "for Replay, at most 24 hours"),
        ({"lead_days": 0.0}, "lead_days=0.0"),
        ({"kinds": [Attack]}, "expected Bias, Ramp, SlowDrift, Freeze, Denial"),
    ],
)
def test_bad_plans_are_refused(arguments, words, normal):
    with pytest.raises(ValueError) as caught:
        random_attacks(normal, **{"count": 4, **arguments})
    assert words in str(caught.value)


def test_plans_need_a_run_without_attacks():
    run = plant([Bias("L_1", START, END, 1.0)], days=4)
    with pytest.raises(ValueError, match="normal has 1 attacks"):
        random_attacks(run, 2)
