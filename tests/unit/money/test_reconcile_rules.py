"""What counters and calls say about each other, without a database."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.money.ledger.values import Verification
from tokenbooth.money.reconcile.rules import (
    CLOCK_SLACK_US,
    PROBLEMS_KEPT,
    SHARED_SPAN_US_MIN,
    beginning,
    compare,
    engine_result,
    follows,
    is_alarming,
    is_fresh,
    ledger_result,
    outside,
    span_of,
)
from tokenbooth.money.reconcile.values import (
    EVERYBODY,
    BalanceCheck,
    Charged,
    LedgerFinding,
    Reading,
    Span,
    Subject,
)

MINUTE_US = 60_000_000
FIRST = Reading(
    deployment_id="dep_1",
    model="demo",
    replica_id="main",
    epoch=3,
    generation="g",
    input_tokens=1000,
    output_tokens=500,
    with_cached=True,
    rounding_tokens=0,
    call_tokens_max=4096,
    from_us=10 * MINUTE_US,
    until_us=10 * MINUTE_US + 5,
)


def later(**changes: object) -> Reading:
    """An hour after, with 10,000 more input and 20,000 more output tokens."""
    more = {
        "input_tokens": 11_000,
        "output_tokens": 20_500,
        "from_us": 70 * MINUTE_US,
        "until_us": 70 * MINUTE_US + 5,
    }
    return replace(FIRST, **(more | changes))


def charged(**changes: int) -> Charged:
    same = {"calls": 7, "input_tokens": 10_000, "output_tokens": 20_000}
    return Charged(**(same | changes))


def test_equal_counts_are_sound():
    found = compare(FIRST, later(), charged())
    assert found.sound
    assert (found.input_difference, found.output_difference) == (0, 0)
    assert found.difference_tokens == 0
    assert (found.counted_input_tokens, found.counted_output_tokens) == (10_000, 20_000)
    assert (found.from_us, found.until_us) == (FIRST.until_us, later().until_us)


@pytest.mark.parametrize(
    ("changes", "difference", "sound"),
    [
        ({"output_tokens": 20_500 + 20}, 20, True),
        ({"output_tokens": 20_500 + 21}, 21, False),
        ({"output_tokens": 20_500 - 20}, -20, True),
        ({"output_tokens": 20_500 - 21}, -21, False),
    ],
)
def test_up_to_one_in_a_thousand_is_no_alarm(changes, difference, sound):
    found = compare(FIRST, later(**changes), charged())
    assert found.output_difference == difference
    assert found.difference_tokens == abs(difference)
    assert found.sound is sound


def test_either_kind_of_tokens_alone_is_an_alarm():
    assert not compare(FIRST, later(input_tokens=11_100), charged()).sound
    assert not compare(FIRST, later(input_tokens=10_900), charged()).sound


@pytest.mark.parametrize(
    ("difference", "of_tokens", "alarming"),
    [
        (0, 0, False),
        (1, 0, True),
        (1, 999, True),
        (1, 1000, False),
        (-1, 999, True),
        (-1, 1000, False),
        (1000, 10**9, False),
        (1001, 10**9, True),
        (-1001, 10**9, True),
    ],
)
def test_an_alarm_is_over_a_thousandth_or_over_a_thousand(difference, of_tokens, alarming):
    assert is_alarming(difference, of_tokens) is alarming


def test_what_nobody_charged_and_what_no_engine_did_differ_in_sign():
    lost = compare(FIRST, later(), charged(output_tokens=0))
    assert lost.output_difference == 20_000
    assert not lost.sound
    invented = compare(FIRST, later(output_tokens=500), charged())
    assert invented.output_difference == -20_000
    assert not invented.sound


def test_unsure_calls_widen_what_is_believed():
    unsure = charged(output_tokens=15_000, unsure_calls=2, unsure_output_tokens=5_000)
    assert compare(FIRST, later(), unsure).output_difference == 0
    less = charged(output_tokens=15_000, unsure_calls=2, unsure_output_tokens=4_000)
    assert compare(FIRST, later(), less).output_difference == 1_000
    more = charged(output_tokens=20_100, unsure_calls=2, unsure_output_tokens=4_000)
    assert compare(FIRST, later(), more).output_difference == -100
    inputs = charged(input_tokens=9_000, unsure_input_tokens=1_000)
    assert compare(FIRST, later(), inputs).input_difference == 0


def test_rounded_counters_are_believed_within_their_rounding():
    first, second = replace(FIRST, rounding_tokens=10), later(rounding_tokens=10)
    for off in (-20, 0, 20):
        assert compare(first, second, charged(output_tokens=20_000 + off)).output_difference == 0
    assert compare(first, second, charged(output_tokens=20_021)).output_difference == -1
    assert compare(first, second, charged(output_tokens=19_979)).output_difference == 1


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 50))
def test_the_distance_from_a_range(counted, low, width):
    found = outside(counted, low, width)
    assert (found == 0) == (low <= counted <= low + width)
    assert low <= counted - found <= low + width


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"generation": "other"}, False),
        ({"epoch": 4}, False),
        ({"input_tokens": 999}, False),
        ({"output_tokens": 499}, False),
        ({"input_tokens": 1000, "output_tokens": 500}, True),
    ],
)
def test_a_restarted_engine_begins_anew(changes, expected):
    assert follows(FIRST, later(**changes)) is expected


def test_a_process_and_its_engines_begin_at_zero():
    found = beginning(later(), 42)
    assert (found.input_tokens, found.output_tokens) == (0, 0)
    assert (found.from_us, found.until_us) == (42, 42)
    assert follows(found, later())


def test_an_own_engine_is_read_by_one_clock():
    assert span_of(FIRST, later()) == Span(
        outer_from_us=FIRST.from_us,
        inner_from_us=FIRST.until_us,
        inner_until_us=later().from_us,
        outer_until_us=later().until_us,
    )


def test_a_shared_engine_is_read_by_clocks_that_differ():
    shared = {"replica_id": EVERYBODY}
    found = span_of(replace(FIRST, **shared), later(**shared))
    assert found.outer_from_us == FIRST.from_us - CLOCK_SLACK_US
    assert found.inner_from_us == FIRST.until_us + CLOCK_SLACK_US
    assert found.inner_until_us == later().from_us - CLOCK_SLACK_US
    assert found.outer_until_us == later().until_us + CLOCK_SLACK_US


def test_the_second_of_two_processes_leaves_the_reading_of_the_first():
    first = replace(FIRST, replica_id=EVERYBODY)
    soon = later(replica_id=EVERYBODY, from_us=FIRST.until_us + SHARED_SPAN_US_MIN - 1)
    assert not is_fresh(first, soon)
    assert is_fresh(first, replace(soon, from_us=soon.from_us + 1))
    assert is_fresh(first, replace(soon, generation="restarted"))
    assert is_fresh(FIRST, later(from_us=FIRST.until_us + 1))
    assert not is_fresh(FIRST, later(from_us=FIRST.until_us))


def test_a_result_keeps_every_figure():
    finding = compare(
        FIRST, later(), charged(unsure_calls=1, unsure_input_tokens=2, unsure_output_tokens=3)
    )
    result = engine_result(finding)
    assert result.subject is Subject.ENGINE
    assert (result.deployment_id, result.replica_id) == ("dep_1", "main")
    assert (result.sound, result.difference) == (True, 0)
    assert json.loads(result.body) == {
        "counted_input_tokens": 10_000,
        "counted_output_tokens": 20_000,
        "charged_input_tokens": 10_000,
        "charged_output_tokens": 20_000,
        "unsure_input_tokens": 2,
        "unsure_output_tokens": 3,
        "calls": 7,
        "unsure_calls": 1,
        "input_difference": 0,
        "output_difference": 0,
    }
    assert engine_result(finding).id == result.id
    assert engine_result(replace(finding, until_us=finding.until_us + 1)).id > result.id
    assert engine_result(replace(finding, replica_id="other")).id != result.id


def ledger_finding(*balances: BalanceCheck, problems: tuple[str, ...] = (), difference: int = 0):
    return LedgerFinding(
        verification=Verification(3, difference, 2, problems),
        balances=balances,
        from_us=5,
        until_us=9,
    )


def test_a_sound_ledger():
    finding = ledger_finding(BalanceCheck("org_1", 7, 7, 9))
    assert finding.sound
    result = ledger_result(finding, "main")
    assert (result.subject, result.sound, result.difference) == (Subject.LEDGER, True, 0)
    body = json.loads(result.body)
    assert (body["accounts"], body["open_holds"], body["organizations"]) == (3, 2, 1)
    assert (body["problems"], body["problem_count"]) == ([], 0)


@pytest.mark.parametrize(
    "finding",
    [
        ledger_finding(difference=1),
        ledger_finding(problems=("a version is gone",)),
        ledger_finding(BalanceCheck("org_1", 7, 8, 9)),
    ],
)
def test_a_ledger_that_is_not_sound(finding):
    assert not finding.sound
    assert not ledger_result(finding, "main").sound


def test_the_problems_of_a_broken_ledger_are_named_and_bounded():
    wrong = ledger_finding(
        *(BalanceCheck(f"org_{i}", 0, i, 9) for i in range(50)), problems=("first",), difference=3
    )
    body = json.loads(ledger_result(wrong, "main").body)
    assert body["problem_count"] == 50
    assert len(body["problems"]) == PROBLEMS_KEPT
    assert body["problems"][:2] == [
        "first",
        "balance of org_1: 0.000000001, expected 0.000000000",
    ]
    assert body["difference"] == "0.000000003"
