from dataclasses import replace
from typing import Any

import pytest

from tests.support.drill_evidence import (
    BALANCE_NANO,
    clean_evidence,
    cost_nano,
    first,
    record_of,
    swap_call,
    swap_record,
    swap_saw,
    without_record,
)
from tokenbooth.proving.drills.laws import Violation, duplicates, overshoot_nano, violations
from tokenbooth.proving.drills.mixed.checks import CHECKS, Seen
from tokenbooth.proving.malformed import MALFORMED
from tokenbooth.proving.observations import Closing, LedgerSeen, LevelSeen
from tokenbooth.proving.plans import CallKind

CLEAN = clean_evidence()
WHOLE = first(CLEAN, CallKind.WHOLE)
STREAMED = next(c.plan.number for c in CLEAN.calls if c.told_nano and c.plan.stream)
UNTOLD = next(
    c.plan.number
    for c in CLEAN.calls
    if c.plan.kind is CallKind.STREAMED and not c.plan.include_usage
)
CUT = next(c.plan.number for c in CLEAN.calls if c.closing is Closing.CUT and c.texts)
BLIND_CUT = next(c.plan.number for c in CLEAN.calls if c.plan.kind is CallKind.WHOLE_CUT)
OVER_CAP = first(CLEAN, CallKind.OVER_CAP)
BAD = first(CLEAN, CallKind.MALFORMED)
KILL = first(CLEAN, CallKind.ENGINE_KILL)
REVOKE = first(CLEAN, CallKind.KEY_REVOKE)


def found(seen: Seen) -> tuple[Violation, ...]:
    return violations(seen, CHECKS)


def violated(seen: Seen) -> set[str]:
    return {violation.check for violation in found(seen)}


def level(**changed: Any) -> LevelSeen:
    return replace(LevelSeen("project", "p", 100, 50, 0), **changed)


def test_nothing_is_wrong_with_a_clean_drill() -> None:
    assert found(CLEAN) == ()


@pytest.mark.parametrize("text", ["BrokenWire: x", "no end within 120 s"])
def test_a_broken_answer_is_seen(text: str) -> None:
    seen = swap_call(CLEAN, STREAMED, broken=text, closing=Closing.BROKEN)
    assert "answers_are_whole" in violated(seen)


def test_a_call_without_an_answer_is_seen() -> None:
    assert "answers_are_whole" in violated(swap_call(CLEAN, WHOLE, status=None))


def test_a_cut_call_may_have_no_answer() -> None:
    assert CLEAN.calls[BLIND_CUT].status is None
    assert violated(CLEAN) == set()


def test_a_body_instead_of_a_stream_is_seen() -> None:
    assert violated(swap_call(CLEAN, STREAMED, closing=Closing.BODY)) == {"answers_are_whole"}


@pytest.mark.parametrize("status", [200, 500, 502, 403, None])
def test_a_client_fault_with_another_status_is_seen(status: int | None) -> None:
    assert "client_faults_are_named" in violated(swap_call(CLEAN, BAD, status=status))


def test_a_client_fault_without_a_code_is_seen() -> None:
    seen = swap_call(CLEAN, BAD, error_code=None)
    assert violated(seen) == {"client_faults_are_named"}


@pytest.mark.parametrize(
    "changed",
    [
        {"status": 500, "closing": Closing.BODY, "error_code": "internal_error"},
        {"status": 429, "closing": Closing.BODY, "error_code": "rate_limit_exceeded"},
        {"status": 429, "closing": Closing.BODY, "error_code": "spend_limit_reached"},
        {"status": 503, "closing": Closing.BODY, "error_code": "engine_overloaded"},
        {"closing": Closing.ERROR, "error_code": "internal_error"},
        {"closing": Closing.ERROR, "error_code": "revoked_api_key"},
    ],
)
def test_a_paying_call_refused_for_no_reason_of_the_drill_is_seen(changed: Any) -> None:
    assert "paying_calls_are_answered" in violated(swap_call(CLEAN, STREAMED, **changed))


def test_an_engine_failure_while_the_engine_was_up_is_seen() -> None:
    seen = swap_call(CLEAN, KILL, began_us=0, ended_us=1)
    assert "paying_calls_are_answered" in violated(seen)


@pytest.mark.parametrize("code", ["engine_failed", "engine_not_ready"])
def test_an_engine_failure_during_an_outage_is_the_drills_own(code: str) -> None:
    assert violated(swap_call(CLEAN, KILL, error_code=code)) == set()


def test_a_refusal_before_the_hold_leaves_no_record_even_in_an_outage() -> None:
    outage = CLEAN.saw.outages[0]
    seen = swap_call(
        without_record(CLEAN, WHOLE),
        WHOLE,
        status=503,
        error_code="engine_not_ready",
        told_nano=None,
        began_us=outage.killed_us,
        ended_us=outage.killed_us + 1,
    )
    assert violated(seen) == set()


def test_an_outage_without_an_end_excuses_whatever_comes_after_it() -> None:
    endless = tuple(replace(outage, up_us=None) for outage in CLEAN.saw.outages)
    seen = swap_call(swap_saw(CLEAN, outages=endless), KILL, began_us=10**9, ended_us=10**9)
    assert violated(seen) == {"drill_shows_enough"}


def test_a_capped_call_may_also_be_answered_from_a_small_balance() -> None:
    assert violated(swap_call(CLEAN, OVER_CAP, error_code="insufficient_quota")) == set()


def test_a_cut_call_that_was_faster_than_its_cut_is_complete() -> None:
    seen = swap_record(swap_call(CLEAN, CUT, closing=Closing.DONE), CUT, status="completed")
    assert "paying_calls_are_answered" not in violated(seen)
    assert "records_match_calls" not in violated(seen)


@pytest.mark.parametrize("number", [WHOLE, STREAMED, UNTOLD, CUT, KILL, REVOKE])
def test_a_lost_record_is_seen(number: int) -> None:
    assert "records_match_calls" in violated(without_record(CLEAN, number))


def test_a_502_without_a_record_is_seen() -> None:
    outage = CLEAN.saw.outages[0]
    seen = swap_call(
        without_record(CLEAN, WHOLE),
        WHOLE,
        status=502,
        error_code="engine_failed",
        told_nano=None,
        began_us=outage.killed_us,
        ended_us=outage.killed_us + 1,
    )
    assert violated(seen) == {"records_match_calls"}


def test_two_records_of_one_call_are_seen() -> None:
    (account,) = CLEAN.accounts
    again = replace(record_of(CLEAN, WHOLE), id="req_other", cost_nano=0, status="engine_failed")
    seen = replace(CLEAN, accounts=(replace(account, records=(*account.records, again)),))
    assert violated(seen) == {"one_record_each"}
    assert duplicates(seen) == 1


def test_a_record_listed_twice_is_seen() -> None:
    (account,) = CLEAN.accounts
    records = (*account.records, record_of(CLEAN, WHOLE))
    seen = replace(CLEAN, accounts=(replace(account, records=records),))
    assert violated(seen) == {"one_record_each", "money_is_conserved"}


def test_a_record_of_nobodys_call_is_seen() -> None:
    seen = swap_record(CLEAN, BLIND_CUT, end_customer="x")
    assert violated(seen) == set()
    seen = swap_record(CLEAN, CUT, end_customer=None)
    assert violated(seen) == {"one_record_each", "records_match_calls"}


def test_a_record_under_another_id_is_seen() -> None:
    assert "one_record_each" in violated(swap_record(CLEAN, CUT, id="req_other"))


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (WHOLE, "client_gone"),
        (STREAMED, "interrupted"),
        (CUT, "engine_failed"),
        (CUT, "interrupted"),
        (KILL, "client_gone"),
        (REVOKE, "completed"),
    ],
)
def test_an_outcome_that_the_client_did_not_see_is_seen(number: int, status: str) -> None:
    assert "records_match_calls" in violated(swap_record(CLEAN, number, status=status))


@pytest.mark.parametrize(("limit", "wrong"), [(None, set()), (9, {"records_match_calls"})])
def test_only_a_call_without_a_stated_limit_may_run_out_of_money_on_its_way(
    limit: int | None, wrong: set[str]
) -> None:
    plan = replace(CLEAN.calls[WHOLE].plan, output_tokens_max=limit)
    seen = swap_record(swap_call(CLEAN, WHOLE, plan=plan), WHOLE, status="cap_reached")
    assert violated(seen) == wrong


def test_a_record_of_a_refused_call_is_seen() -> None:
    (account,) = CLEAN.accounts
    bad = next(
        call
        for call in CLEAN.calls
        if call.plan.kind is CallKind.MALFORMED and not MALFORMED[call.plan.way].engine_decides
    )
    extra = replace(
        record_of(CLEAN, WHOLE),
        id=bad.request_id or "",
        end_customer=bad.plan.mark,
        cost_nano=0,
        status="refused",
    )
    seen = replace(CLEAN, accounts=(replace(account, records=(*account.records, extra)),))
    assert violated(seen) == {"records_match_calls"}


def test_what_only_the_engine_can_refuse_is_recorded_as_refused() -> None:
    way = next(way for way, bad in enumerate(MALFORMED) if bad.engine_decides)
    plan = replace(CLEAN.calls[BAD].plan, way=way, statuses=frozenset({400}))
    (account,) = CLEAN.accounts
    refused = replace(
        record_of(CLEAN, WHOLE),
        id=CLEAN.calls[BAD].request_id or "",
        end_customer=plan.mark,
        cost_nano=0,
        status="refused",
    )
    seen = swap_call(CLEAN, BAD, plan=plan, status=400)
    records = tuple(r for r in account.records if r.end_customer != plan.mark)
    seen = replace(seen, accounts=(replace(account, records=(*records, refused)),))
    assert violated(seen) == set()


def test_a_cut_call_in_an_outage_may_be_recorded_as_failed() -> None:
    outage = CLEAN.saw.outages[0]
    seen = swap_call(CLEAN, CUT, began_us=outage.killed_us, ended_us=outage.killed_us)
    seen = swap_record(seen, CUT, status="engine_failed", cost_nano=0)
    assert "records_match_calls" not in violated(seen)


@pytest.mark.parametrize("number", [WHOLE, STREAMED])
def test_a_cost_told_wrongly_by_one_nano_is_seen(number: int) -> None:
    told = CLEAN.calls[number].told_nano
    assert told is not None
    assert violated(swap_call(CLEAN, number, told_nano=told + 1)) == {"told_costs_are_booked"}


@pytest.mark.parametrize("number", [WHOLE, STREAMED])
def test_a_cost_that_is_not_told_is_seen(number: int) -> None:
    assert violated(swap_call(CLEAN, number, told_nano=None)) == {"told_costs_are_booked"}


@pytest.mark.parametrize("more", [1, -1])
def test_a_cost_wrong_by_one_nano_is_seen(more: int) -> None:
    right = record_of(CLEAN, UNTOLD).cost_nano
    seen = swap_record(CLEAN, UNTOLD, cost_nano=right + more)
    assert violated(seen) == {"costs_are_recomputable", "money_is_conserved"}


def test_a_completed_call_for_nothing_is_seen() -> None:
    seen = swap_record(CLEAN, UNTOLD, cost_nano=0)
    assert "costs_are_recomputable" in violated(seen)


def test_a_cost_above_the_hold_is_seen() -> None:
    cost = record_of(CLEAN, UNTOLD).cost_nano
    assert violated(swap_record(CLEAN, UNTOLD, held_nano=cost - 1)) == {"costs_are_recomputable"}


def test_a_cost_is_clamped_to_the_hold_and_no_lower() -> None:
    right = swap_record(CLEAN, UNTOLD, output_tokens=10**6, cost_nano=10**7)
    assert "costs_are_recomputable" not in violated(right)
    low = swap_record(CLEAN, UNTOLD, output_tokens=10**6, cost_nano=10**7 - 1)
    assert "costs_are_recomputable" in violated(low)


def test_cached_input_has_its_own_price() -> None:
    seen = swap_record(CLEAN, UNTOLD, cached_tokens=10)
    assert violated(seen) == {"costs_are_recomputable"}


def test_a_cut_stream_charged_for_less_than_it_read_is_seen() -> None:
    seen = swap_record(CLEAN, CUT, output_tokens=2, cost_nano=cost_nano(10, 2))
    assert "cut_calls_pay_for_delivery" in violated(seen)
    seen = swap_record(CLEAN, CUT, cost_nano=0)
    assert "cut_calls_pay_for_delivery" in violated(seen)


@pytest.mark.parametrize("status", ["engine_failed", "interrupted", "timed_out", "refused"])
def test_a_failure_that_costs_is_seen(status: str) -> None:
    cost = cost_nano(10, 3)
    seen = swap_record(CLEAN, KILL, status=status, cost_nano=cost)
    assert "failures_are_free" in violated(seen)


@pytest.mark.parametrize("more", [1, -1])
def test_money_that_left_the_balance_unrecorded_is_seen(more: int) -> None:
    (account,) = CLEAN.accounts
    moved = replace(account, after_nano=account.after_nano + more)
    assert violated(replace(CLEAN, accounts=(moved,))) == {"money_is_conserved"}


@pytest.mark.parametrize("more", [1, -1])
def test_a_key_that_spent_something_else_is_seen(more: int) -> None:
    levels = tuple(
        replace(each, spent_nano=each.spent_nano + more) if each.scope == "key" else each
        for each in CLEAN.levels
    )
    assert violated(replace(CLEAN, levels=levels)) == {"money_is_conserved"}


@pytest.mark.parametrize(
    ("state", "over"),
    [
        (level(), 0),
        (level(spent_nano=100), 0),
        (level(spent_nano=101), 1),
        (level(held_nano=51), 1),
        (level(limit_nano=None, spent_nano=10**18), 0),
    ],
)
def test_a_level_over_its_limit_by_one_nano_is_seen(state: LevelSeen, over: int) -> None:
    told = swap_call(CLEAN, WHOLE, levels=(state,))
    assert ("caps_hold" in violated(told)) == bool(over)
    assert overshoot_nano(told) == over
    final = replace(CLEAN, levels=(*CLEAN.levels, state))
    assert ("caps_hold" in violated(final)) == bool(over)


def test_money_still_held_is_seen() -> None:
    state = LevelSeen("balance", "org", BALANCE_NANO, 0, 1)
    seen = replace(CLEAN, levels=(*CLEAN.levels, state))
    assert violated(seen) == {"nothing_is_left_open"}


@pytest.mark.parametrize(
    "changed",
    [
        {"quiet": False},
        {"exit_statuses": (1,)},
        {"exit_statuses": (0, -9)},
        {"exit_statuses": (None, 0)},
        {"ledger": LedgerSeen(0, 1, ())},
    ],
)
def test_what_is_left_open_is_seen(changed: Any) -> None:
    assert violated(replace(CLEAN, **changed)) == {"nothing_is_left_open"}


def test_a_running_record_is_seen() -> None:
    seen = swap_record(CLEAN, CUT, status="running", cost_nano=0)
    assert "nothing_is_left_open" in violated(seen)


@pytest.mark.parametrize("found", [LedgerSeen(1, 0, ()), LedgerSeen(0, 0, ("a posting is odd",))])
def test_an_unsound_ledger_is_seen(found: LedgerSeen) -> None:
    assert violated(replace(CLEAN, ledger=found)) == {"ledger_is_sound"}


def test_a_drill_without_its_faults_proves_nothing() -> None:
    assert violated(swap_saw(CLEAN, outages=CLEAN.saw.outages[:1])) >= {"drill_shows_enough"}
    tame = swap_record(CLEAN, REVOKE, status="client_gone")
    assert "drill_shows_enough" in violated(tame)


def test_an_empty_drill_is_no_proof() -> None:
    nothing = replace(
        swap_saw(CLEAN, calls=(), outages=(), kills_planned=0), accounts=(), levels=()
    )
    texts = [violation.text for violation in found(nothing)]
    assert len(texts) == 6
    assert all(text.startswith("not once seen") for text in texts)
    assert overshoot_nano(nothing) == 0
