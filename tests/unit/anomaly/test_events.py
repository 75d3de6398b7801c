import json

import numpy as np
import pytest

from tsgen.anomaly.events import AlarmPolicy, AlarmState, Event, find_events, flags

POLICIES = [
    AlarmPolicy(release, duration, gap, cool)
    for release in (1.0, 0.6)
    for duration in (1, 3)
    for gap in (0, 2)
    for cool in (0, 4)
]


def rows(scores, **options):
    return [
        (e.start, e.raised, e.stop)
        for e in find_events(np.array(scores), 1.0, AlarmPolicy(**options))
    ]


def test_an_excursion_is_an_event():
    assert find_events(np.array([0, 2, 3, 0.5, 0, 4.0]), 1.0) == [
        Event(1, 1, 3, 2, 3.0, 3.0),
        Event(5, 5, 6, 5, 4.0, 4.0),
    ]


def test_the_threshold_itself_is_an_alarm():
    assert rows([0.999, 1.0, 0]) == [(1, 1, 2)]


def test_release_keeps_an_alarm_on():
    assert rows([2, 0.7, 0.7, 0.5, 2], release=0.6) == [(0, 0, 3), (4, 4, 5)]


def test_release_of_a_negative_threshold_lies_below_it():
    found = find_events(np.array([-1.0, -1.3, -1.5, -3]), -1.0, AlarmPolicy(release=0.5))
    assert [(e.start, e.stop) for e in found] == [(0, 3)]


def test_short_excursions_are_no_alarms():
    assert rows([2, 2, 0, 2, 2, 2, 0], min_duration=3) == [(3, 5, 6)]


def test_excursions_near_each_other_are_one():
    assert rows([2, 0, 0, 2, 0, 0, 0, 2], merge_gap=2) == [(0, 0, 4), (7, 7, 8)]
    assert rows([2, 0, 2], merge_gap=1, min_duration=2) == []
    assert rows([2, 0, 2, 2], merge_gap=1, min_duration=2) == [(0, 3, 4)]


def test_cool_down_keeps_quiet():
    assert rows([2, 0, 2, 2, 2, 0], cool_down=2) == [(0, 0, 1), (4, 4, 5)]


def test_rows_without_a_score_count_for_nothing():
    nan = np.nan
    assert rows([2, nan, 2, nan, nan, 0], min_duration=2) == [(0, 2, 3)]
    assert rows([nan, nan]) == []
    assert rows([2, nan, nan, nan, 2, 0], merge_gap=1) == [(0, 0, 5)]


def test_events_do_not_cross_runs():
    found = find_events(np.full(6, 2.0), 1.0, boundaries=[2, 4])
    assert [(e.start, e.stop) for e in found] == [(0, 2), (2, 4), (4, 6)]


def test_flags_begin_when_an_alarm_is_raised():
    found = find_events(np.array([0, 2, 2, 2, 0.0]), 1.0, AlarmPolicy(min_duration=2))
    assert flags(found, 5).tolist() == [False, False, True, True, False]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_stream_has_the_events_of_the_batch(policy):
    """Row by row, through JSON after each row."""
    random = np.random.default_rng(0)
    for _ in range(60):
        scores = random.normal(0.3, 0.8, 80)
        scores[random.random(80) < 0.1] = np.nan
        state, heard, onset = AlarmState(1.0, policy), [], None
        for score in scores:
            fresh = AlarmState(1.0, policy)
            fresh.load_state_dict(json.loads(json.dumps(state.state_dict())))
            state, onset = fresh, fresh.onset
            change = state.update(score)
            if change == "raised":
                heard.append((state.onset, state.raised))
            elif change == "ended":
                assert heard[-1][0] == onset
        expected = find_events(scores, 1.0, policy)
        assert heard == [(e.start, e.raised) for e in expected]
        for event in expected:
            inside = scores[event.start : event.stop]
            assert event.score == np.nanmax(inside) == scores[event.peak]
            known = inside[~np.isnan(inside)]
            windows = np.lib.stride_tricks.sliding_window_view(known, policy.min_duration)
            assert event.sustained == windows.min(1).max()


def test_half_a_million_rows_take_no_time():
    scores = np.random.default_rng(0).normal(size=500_000)
    assert len(find_events(scores, 3.0)) > 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"release": 0.0}, r"release=0.0 must be in \(0, 1\]"),
        ({"release": 1.5}, r"release=1.5 must be in \(0, 1\]"),
        ({"min_duration": 0}, "min_duration=0 must be at least 1"),
        ({"merge_gap": -1}, "merge_gap=-1 must be at least 0"),
        ({"cool_down": -2}, "cool_down=-2 must be at least 0"),
    ],
)
def test_policies_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        AlarmPolicy(**options)
