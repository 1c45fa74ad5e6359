"""Which thresholds spending crosses, without a database."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.gateway.options import TillOptions
from tokenbooth.money.alerts.rules import alerts_of, checked_percents, counted_from, crossed
from tokenbooth.money.alerts.values import DEFAULT_PERCENTS, CountedFrom, SpendMove
from tokenbooth.money.outbox.values import Event, Topic

MOVE = SpendMove(
    scope=LimitScope.KEY,
    owner_id="key_1",
    window_id="",
    org_id="org_1",
    limit_nano=1000,
    before_nano=0,
    after_nano=0,
)


def alerts(percents=DEFAULT_PERCENTS, begin=None, **changes) -> list[Event]:
    return list(alerts_of(replace(MOVE, **changes), begin, percents, 7))


@pytest.mark.parametrize(
    ("before", "after", "limit", "expected"),
    [
        (0, 499, 1000, ()),
        (0, 500, 1000, (50,)),
        (499, 500, 1000, (50,)),
        (500, 799, 1000, ()),
        (500, 800, 1000, (80,)),
        (0, 1000, 1000, (50, 80, 95, 100)),
        (949, 999, 1000, (95,)),
        (999, 1000, 1000, (100,)),
        (1000, 1000, 1000, ()),
        (0, 0, 0, ()),
        (0, 1, 1, (50, 80, 95, 100)),
        (1, 2, 3, (50,)),
        (0, 2, 3, (50,)),
    ],
)
def test_a_threshold_is_crossed_when_it_is_reached_to_the_nano(before, after, limit, expected):
    assert crossed(before, after, limit, DEFAULT_PERCENTS) == expected


PERCENTS = st.lists(st.integers(1, 100), unique=True, max_size=10).map(sorted)


@given(st.lists(st.integers(0, 10**12), max_size=20), st.integers(1, 10**12), PERCENTS)
def test_however_spending_is_cut_each_threshold_is_crossed_once(steps, limit, percents):
    """The sum of all steps crosses what its pieces cross together, each threshold once."""
    spent, seen = 0, []
    for step in steps:
        seen += crossed(spent, spent + step, limit, percents)
        spent += step
    assert seen == sorted(set(seen))
    assert tuple(seen) == crossed(0, spent, limit, percents)
    assert seen == [p for p in percents if spent * 100 >= p * limit]


def test_an_alert_says_which_limit_and_how_far():
    (event,) = alerts(before_nano=700, after_nano=810, window_id="2026-11")
    assert event.topic is Topic.SPEND_ALERT
    assert event.org_id == "org_1"
    assert event.key == "spend_alert:key:key_1@2026-11:1000:80"
    assert (event.created_us, event.sent_us) == (7, None)
    assert json.loads(event.body) == {
        "limit_source": "key",
        "owner_id": "key_1",
        "window": "2026-11",
        "threshold_percent": 80,
        "limit": "0.000001000",
        "limit_nano": 1000,
        "spent": "0.000000810",
        "spent_nano": 810,
        "remaining": "0.000000190",
        "remaining_nano": 190,
        "counted_from": "0.000000000",
        "counted_from_nano": 0,
    }


def test_each_crossed_threshold_is_an_event_of_its_own():
    found = alerts(after_nano=1000)
    assert [json.loads(e.body)["threshold_percent"] for e in found] == [50, 80, 95, 100]
    assert len({e.id for e in found} | {e.key for e in found}) == 8


def test_another_window_or_another_height_is_another_alert():
    def key_of(**changes):
        return alerts(percents=(50,), after_nano=900, **changes)[0].key

    keys = {key_of(), key_of(window_id="2026-11"), key_of(window_id="2026-12")}
    assert len(keys | {key_of(limit_nano=1200), key_of(owner_id="key_2")}) == 5
    assert key_of() == key_of()


def test_no_limit_no_thresholds_no_alert():
    assert alerts(limit_nano=None, after_nano=10**9) == []
    assert alerts(percents=(), after_nano=1000) == []


BALANCE = replace(MOVE, scope=LimitScope.BALANCE, owner_id="org_1")


def test_a_balance_counts_from_its_last_credit():
    spent = replace(BALANCE, before_nano=400, after_nano=450)
    first = counted_from(spent, None)
    assert first == CountedFrom(1000, 400)
    later = replace(spent, before_nano=450, after_nano=720)
    assert counted_from(later, first) == first
    (event,) = alerts_of(later, first, DEFAULT_PERCENTS, 7)
    body = json.loads(event.body)
    assert (body["threshold_percent"], body["counted_from_nano"]) == (50, 400)
    credited = replace(later, limit_nano=2000, before_nano=720, after_nano=730)
    assert counted_from(credited, first) == CountedFrom(2000, 720)


def test_a_cap_counts_from_zero_however_often_it_is_raised():
    assert counted_from(replace(MOVE, before_nano=400), CountedFrom(1, 1)) is None
    assert counted_from(replace(BALANCE, limit_nano=None), None) is None


@pytest.mark.parametrize(
    "percents",
    [(0,), (101,), (-5,), (50, 50), (80, 50), (True,), ("50",), (50.0,), tuple(range(1, 12))],
)
def test_what_is_no_list_of_rising_percentages_is_refused(percents):
    with pytest.raises(Problem) as refused:
        checked_percents(percents, param="percents")
    assert refused.value.code is Code.INVALID_VALUE
    assert refused.value.param == "percents"
    with pytest.raises(Problem):
        TillOptions(alert_percents=percents)


@pytest.mark.parametrize("percents", [(), (1,), (100,), (50, 80, 95, 100), tuple(range(1, 11))])
def test_rising_percentages_are_taken_as_they_are(percents):
    assert checked_percents(list(percents), param="x") == percents
    assert TillOptions(alert_percents=percents).alert_percents == percents


def test_a_limit_is_named_as_the_ledger_names_it():
    assert MOVE.limit_id == MOVE.level_id == "key:key_1"
    assert replace(MOVE, window_id="2026-11").limit_id == "key:key_1@2026-11"
    assert replace(MOVE, window_id="2026-11").level_id == "key:key_1"
