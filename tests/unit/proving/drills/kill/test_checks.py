"""Every law of the kill drill finds what it is about, planted in evidence that all is well."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.drill_parts import answered, books, broken, recorded, refused
from tokenbooth.proving.drills.kill.checks import (
    CHECKS,
    LATE_US_MAX,
    RECOVERY_US_MAX,
    KillSaw,
    KillSeen,
    Seen,
    overcharged,
    undelivered,
    waived_tokens,
)
from tokenbooth.proving.drills.kill.plan import INPUT_TOKENS, PRICE, prompt_of
from tokenbooth.proving.drills.laws import violations
from tokenbooth.proving.drills.probing import ProbeSeen
from tokenbooth.proving.observations import CallSeen, Closing, Evidence, RefusalSeen
from tokenbooth.proving.plans import CallKind, CallPlan

WALL_US = 1_000_000_000
KILL = KillSeen(
    replica=1,
    killed_us=500,
    dead_wall_us=WALL_US,
    ready_us=700,
    looked_at=2,
    recovered_us=1000,
)
SPENT = RefusalSeen("key", 100, 100, 0, 20)
DURING = {"replica": 1, "began_us": 400, "ended_us": 510}


def plan(number: int, *, stream: bool = True) -> CallPlan:
    return CallPlan(
        number=number,
        kind=CallKind.STREAMED if stream else CallKind.WHOLE,
        key="k",
        prompt=prompt_of(9, 0),
        stream=stream,
        include_usage=stream,
    )


STREAM, WHOLE, CUT, CUT_WHOLE, REFUSED, PROBE = range(6)
CALLS: tuple[CallSeen, ...] = (
    answered(plan(STREAM), PRICE, (INPUT_TOKENS, 9)),
    answered(plan(WHOLE, stream=False), PRICE, (INPUT_TOKENS, 9)),
    broken(plan(CUT), 5, **DURING),
    broken(plan(CUT_WHOLE, stream=False), **DURING),
    refused(plan(REFUSED, stream=False), SPENT),
    refused(plan(PROBE, stream=False), SPENT),
)
RECORDS = {
    STREAM: recorded(plan(STREAM), PRICE, (INPUT_TOKENS, 9)),
    WHOLE: recorded(plan(WHOLE), PRICE, (INPUT_TOKENS, 9)),
    CUT: recorded(plan(CUT), PRICE, (INPUT_TOKENS, 4), "interrupted"),
    CUT_WHOLE: recorded(plan(CUT_WHOLE), PRICE, (INPUT_TOKENS, 0), "interrupted"),
}


def evidence(
    calls: dict[int, dict[str, Any]] | None = None,
    records: dict[int, Any] | None = None,
    **saw: Any,
) -> Seen:
    """All is well but for what is changed; a record of ``None`` is lost."""
    made = tuple(
        replace(call, **(calls or {}).get(number, {})) for number, call in enumerate(CALLS)
    )
    changed = {**RECORDS, **(records or {})}
    kept = [record for record in changed.values() if record is not None]
    probe = ProbeSeen(made[PROBE], left_nano=10, needed_nano=20)
    found = KillSaw(calls=made, probes=(probe,), kills=(KILL,), planned=1)
    return Evidence(saw=replace(found, **saw), **books(kept, PRICE))


def violated(seen: Seen) -> set[str]:
    return {violation.check for violation in violations(seen, CHECKS)}


def charged(number: int, tokens: int, status: str = "interrupted", **more: Any) -> dict[int, Any]:
    record = recorded(plan(number), PRICE, (INPUT_TOKENS, tokens), status)
    return {number: replace(record, **more)}


def test_nothing_is_wrong_when_a_server_died_and_all_is_booked() -> None:
    seen = evidence()
    assert violations(seen, CHECKS) == ()
    assert (overcharged(seen), undelivered(seen), waived_tokens(seen)) == (0, 0, 1)


@pytest.mark.parametrize("number", [STREAM, WHOLE])
def test_a_finished_charge_that_is_lost_is_seen(number: int) -> None:
    assert "answers_match_records" in violated(evidence(records={number: None}))


def test_a_finished_call_that_is_booked_as_interrupted_is_seen() -> None:
    assert "answers_match_records" in violated(evidence(records=charged(STREAM, 9)))


def test_a_call_that_is_booked_twice_is_seen() -> None:
    twice = replace(RECORDS[CUT], id="req_other", cost_nano=0)
    assert "one_record_each" in violated(evidence(records={99: twice}))


@pytest.mark.parametrize("tokens", [8, 10])
def test_a_whole_stream_is_recorded_as_it_came(tokens: int) -> None:
    assert "usage_is_what_came" in violated(evidence(records=charged(STREAM, tokens, "completed")))


def test_another_input_is_seen() -> None:
    other = recorded(plan(STREAM), PRICE, (INPUT_TOKENS + 1, 9))
    assert "usage_is_what_came" in violated(evidence(records={STREAM: other}))


@pytest.mark.parametrize(("tokens", "wrong"), [(0, 0), (4, 0), (5, 0), (6, 1), (500, 1)])
@pytest.mark.parametrize("status", ["interrupted", "completed", "cap_reached"])
def test_an_interrupted_stream_pays_for_no_more_than_came(
    status: str, tokens: int, wrong: int
) -> None:
    seen = evidence(records=charged(CUT, tokens, status))
    free = tokens == 0 and status == "completed"  # its input would be charged, of which none came
    assert ("interrupted_calls_pay_for_delivery" in violated(seen)) is bool(wrong)
    assert overcharged(seen) == wrong
    assert free or waived_tokens(seen) == max(0, 5 - tokens)


@pytest.mark.parametrize("status", ["client_gone", "engine_failed", "timed_out", "running"])
def test_a_broken_call_is_recorded_as_interrupted(status: str) -> None:
    seen = evidence(records=charged(CUT, 5, status))
    assert "interrupted_calls_pay_for_delivery" in violated(seen)


def test_an_interrupted_whole_answer_is_free() -> None:
    seen = evidence(records=charged(CUT_WHOLE, 3))
    assert "interrupted_calls_pay_for_delivery" in violated(seen)
    assert overcharged(seen) == 1


@pytest.mark.parametrize(
    ("ended_us", "allowed"),
    [
        (WALL_US, True),
        (WALL_US - LATE_US_MAX, True),
        (WALL_US - LATE_US_MAX - 1, False),
        (WALL_US + 1, False),
        (None, False),
    ],
)
def test_a_whole_answer_may_be_booked_just_before_its_server_dies(
    ended_us: int | None, allowed: bool
) -> None:
    seen = evidence(records=charged(CUT_WHOLE, 9, "completed", ended_us=ended_us))
    assert ("interrupted_calls_pay_for_delivery" in violated(seen)) is not allowed
    assert (undelivered(seen), overcharged(seen)) == (int(allowed), int(not allowed))


def test_a_broken_call_without_a_record_is_free_if_nothing_came() -> None:
    assert violated(evidence(records={CUT_WHOLE: None})) == set()
    assert violated(evidence(records={CUT: None})) >= {"delivered_calls_are_recorded"}


@pytest.mark.parametrize(
    "changed",
    [
        {"replica": 0},
        {"ended_us": 499},
        {"began_us": 701, "ended_us": 800},
        {"closing": Closing.ERROR, "broken": "", "error_code": "engine_failed"},
    ],
)
def test_an_answer_that_breaks_without_a_kill_of_its_server_is_seen(
    changed: dict[str, Any],
) -> None:
    assert "only_kills_break_answers" in violated(evidence({CUT: changed}))


@pytest.mark.parametrize(
    ("changed", "allowed"),
    [
        ({}, True),
        ({"replica": 0}, True),
        ({"retry_after_s": None}, False),
        ({"status": 500}, False),
        ({"error_code": "engine_overloaded"}, False),
        ({"began_us": 900, "ended_us": 950}, False),
    ],
)
def test_a_server_may_wait_for_the_money_of_a_dead_one(
    changed: dict[str, Any], allowed: bool
) -> None:
    unavailable = {
        "closing": Closing.BODY,
        "broken": "",
        "status": 503,
        "error_code": "billing_unavailable",
        "retry_after_s": 2,
        **changed,
    }
    seen = evidence({CUT_WHOLE: unavailable}, {CUT_WHOLE: None})
    assert ("only_kills_break_answers" in violated(seen)) is not allowed


def test_a_refusal_although_money_was_free_is_seen() -> None:
    """Such as money that lies in the lease of a dead server."""
    false = RefusalSeen("key", 100, 50, 20, 20)
    seen = evidence({REFUSED: {"refusal": false, "retry_after_s": 1}})
    assert violated(seen) == {"refusals_add_up"}


def test_money_that_never_comes_back_is_seen() -> None:
    probe = ProbeSeen(CALLS[PROBE], left_nano=20, needed_nano=20)
    assert violated(evidence(probes=(probe,))) == {"the_last_nano_is_judged_right"}


@pytest.mark.parametrize(
    ("looked_at", "recovered_us", "late"),
    [
        (2, RECOVERY_US_MAX, False),
        (2, RECOVERY_US_MAX + 1, True),
        (2, None, True),
        (0, None, False),
    ],
)
def test_a_recovery_takes_thirty_seconds_at_most(
    looked_at: int, recovered_us: int | None, late: bool
) -> None:
    kill = replace(KILL, looked_at=looked_at, recovered_us=recovered_us)
    found = violated(evidence(kills=(kill,)))
    assert found == ({"leases_are_recovered_in_time"} if late else set())


def test_fewer_kills_than_planned_prove_less() -> None:
    assert violated(evidence(planned=2)) == {"kills_hurt"}


@pytest.mark.parametrize("gone", [STREAM, CUT, REFUSED])
def test_a_drill_in_which_something_never_happened_proves_nothing(gone: int) -> None:
    kinds: dict[int, set[int]] = {STREAM: {STREAM, WHOLE}, CUT: {CUT}, REFUSED: {REFUSED, PROBE}}
    seen = evidence()
    calls = tuple(c for number, c in enumerate(seen.calls) if number not in kinds[gone])
    tame = replace(seen, saw=replace(seen.saw, calls=calls))
    assert "kills_hurt" in violated(tame)


def test_a_kill_without_a_probe_or_an_interrupted_call_proves_nothing() -> None:
    assert violated(evidence(probes=())) == {"kills_hurt"}
    tame = {number: replace(RECORDS[number], status="completed") for number in (CUT, CUT_WHOLE)}
    assert "kills_hurt" in violated(evidence(records=tame))
