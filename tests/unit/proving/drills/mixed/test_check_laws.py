"""Laws of the checks: a fault of any size, planted anywhere, is always seen."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.support.drill_evidence import (
    clean_evidence,
    cost_nano,
    record_of,
    swap_call,
    swap_record,
    without_record,
)
from tokenbooth.core.delta import Usage
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Meter, Price
from tokenbooth.proving.drills.laws import overshoot_nano, violations
from tokenbooth.proving.drills.mixed.checks import CHECKS, Seen
from tokenbooth.proving.observations import LevelSeen
from tokenbooth.proving.plans import CLIENT_FAULTS

CLEAN = clean_evidence()
RECORDED = [
    call.plan.number
    for call in CLEAN.calls
    if any(record.end_customer == call.plan.mark for record in CLEAN.records)
]
ANSWERED = [number for number in RECORDED if CLEAN.calls[number].status == 200]
CHARGED = [number for number in RECORDED if record_of(CLEAN, number).cost_nano]
TOLD = [call.plan.number for call in CLEAN.calls if call.told_nano is not None]
FAULTS = [call.plan.number for call in CLEAN.calls if call.plan.kind in CLIENT_FAULTS]
nonzero = st.integers(-(10**12), 10**12).filter(bool)


def violated(seen: Seen) -> set[str]:
    return {violation.check for violation in violations(seen, CHECKS)}


@given(st.sampled_from(CHARGED), nonzero)
def test_any_wrong_cost_is_seen_twice(number: int, more: int) -> None:
    """Once against usage and price, once against the balance."""
    seen = swap_record(CLEAN, number, cost_nano=record_of(CLEAN, number).cost_nano + more)
    assert {"costs_are_recomputable", "money_is_conserved"} <= violated(seen)


@given(st.sampled_from(TOLD), nonzero)
def test_any_cost_told_wrongly_is_seen(number: int, more: int) -> None:
    told = CLEAN.calls[number].told_nano
    assert told is not None
    assert violated(swap_call(CLEAN, number, told_nano=told + more)) == {"told_costs_are_booked"}


@given(st.sampled_from(ANSWERED))
def test_any_lost_record_of_an_answer_is_seen_though_the_money_agrees(number: int) -> None:
    assert violated(without_record(CLEAN, number)) >= {"records_match_calls"}


@given(st.sampled_from(RECORDED), st.text(max_size=8))
def test_any_record_of_a_stranger_is_seen(number: int, mark: str) -> None:
    assert "one_record_each" in violated(swap_record(CLEAN, number, end_customer=mark))


@given(st.sampled_from(FAULTS), st.integers(500, 599))
def test_any_5xx_on_a_client_fault_is_seen(number: int, status: int) -> None:
    assert "client_faults_are_named" in violated(swap_call(CLEAN, number, status=status))


@given(st.sampled_from(CHARGED), st.integers(1, 10**6))
def test_any_charge_for_a_failure_is_seen(number: int, cost: int) -> None:
    seen = swap_record(CLEAN, number, status="interrupted", cost_nano=cost)
    assert "failures_are_free" in violated(seen)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_level_is_over_exactly_when_its_limit_is_passed(
    limit: int, spent: int, held: int
) -> None:
    state = LevelSeen("project", "p", limit, spent, held)
    seen = replace(CLEAN, levels=(*CLEAN.levels, state))
    over = max(0, spent + held - limit)
    assert overshoot_nano(seen) == over
    assert ("caps_hold" in violated(seen)) == (over > 0)


@given(st.permutations(RECORDED))
def test_the_order_of_the_records_is_nobodys_business(order: list[int]) -> None:
    (account,) = CLEAN.accounts
    records = tuple(record_of(CLEAN, number) for number in order)
    seen = replace(CLEAN, accounts=(replace(account, records=records),))
    assert violations(seen, CHECKS) == ()


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_the_drills_own_arithmetic_agrees_with_the_products(
    input_tokens: int, output_tokens: int
) -> None:
    """Two ways to the same nano: exact fractions here, integers there."""
    (price,) = CLEAN.prices.values()
    lines = {
        Meter.INPUT: price.input_pico,
        Meter.CACHED_INPUT: price.cached_pico,
        Meter.OUTPUT: price.output_pico,
    }
    theirs = prices.cost_nano(Price("pv", "m", lines), Usage(input_tokens, output_tokens))
    assert theirs == cost_nano(input_tokens, output_tokens)
