"""Every law of the stampede finds what it is about, planted in evidence that all is well."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.drill_parts import answered, books, recorded, refused
from tokenbooth.proving.drills.laws import violations
from tokenbooth.proving.drills.probing import ProbeSeen
from tokenbooth.proving.drills.stampede.checks import (
    CHECKS,
    RushSeen,
    Seen,
    StampedeSaw,
    false_refusals,
    passes,
    spent_by,
    used_ppm,
)
from tokenbooth.proving.drills.stampede.plan import (
    ANSWER_TOKENS,
    CALL_NANO,
    CAP_NANO,
    FITTING,
    PRICE,
    PROMPT_TOKENS,
    Rush,
    exact_calls,
    last_calls,
)
from tokenbooth.proving.observations import CallSeen, Closing, Evidence, RefusalSeen

FULL = (PROMPT_TOKENS, ANSWER_TOKENS)
EXACT, RANDOM = Rush(0, "key", True), Rush(1, "key", False)
SPENT = RefusalSeen("key", CAP_NANO, CAP_NANO, 0, CALL_NANO)
WAITING = RefusalSeen("key", CAP_NANO, CAP_NANO - CALL_NANO, CALL_NANO, CALL_NANO)


def crowd(rush: Rush, refusal: RefusalSeen = SPENT, calls: int = 60) -> tuple[CallSeen, ...]:
    """As many as fit pass, the others are refused."""
    plans = exact_calls(rush, calls)
    passed = (answered(plan, PRICE, FULL) for plan in plans[:FITTING])
    return (*passed, *(refused(plan, refusal) for plan in plans[FITTING:]))


def clean(exact: tuple[CallSeen, ...] = crowd(EXACT), **more: Any) -> Seen:
    """Also the callers of the random rush all cost their worst case, which is random enough."""
    random = crowd(RANDOM)
    plan, _tokens = last_calls(RANDOM)[0]
    probe = ProbeSeen(refused(plan, replace(SPENT, needed_nano=1)), left_nano=0, needed_nano=1)
    rushes = (
        RushSeen(rush=EXACT, calls=exact),
        RushSeen(rush=RANDOM, calls=random, probes=(probe,)),
    )
    calls = (*exact, *random, probe.call)
    records = [recorded(call.plan, PRICE, FULL) for call in calls if call.complete]
    saw = StampedeSaw(calls=calls, probes=(probe,), rushes=rushes, parallel=60)
    return Evidence(saw=replace(saw, **more), **books(records, PRICE))


def violated(seen: Seen) -> set[str]:
    return {violation.check for violation in violations(seen, CHECKS)}


def swapped(number: int, **changed: Any) -> Seen:
    """One call of the exact rush is another one."""
    calls = crowd(EXACT)
    return clean((*calls[:number], replace(calls[number], **changed), *calls[number + 1 :]))


def test_nothing_is_wrong_when_exactly_what_fits_has_passed() -> None:
    assert violations(clean(), CHECKS) == ()
    assert false_refusals(clean()) == 0


def test_one_call_too_many_is_seen_though_the_sum_is_right() -> None:
    """Fifty-one calls, of which two cost half: that is what lowering one of them would do."""
    plans = exact_calls(EXACT, 60)
    half = (PROMPT_TOKENS, ANSWER_TOKENS // 2)
    calls = (
        *(answered(plan, PRICE, FULL) for plan in plans[:49]),
        *(answered(plan, PRICE, half) for plan in plans[49:51]),
        *(refused(plan, SPENT) for plan in plans[51:]),
    )
    assert "exactly_what_fits_passes" in violated(clean(calls))


def test_one_call_too_few_is_seen() -> None:
    calls = list(crowd(EXACT))
    calls[0] = refused(calls[0].plan, SPENT)
    seen = clean(tuple(calls))
    # Whoever was refused was told that more is spent than is.
    assert violated(seen) == {"exactly_what_fits_passes", "refusals_are_true"}


@pytest.mark.parametrize(
    "changed",
    [
        {"status": 503, "error_type": "server_error", "refusal": None},
        {"error_type": "rate_limit_error"},
        {"refusal": None},
        {"broken": "BrokenWire: x", "closing": Closing.BROKEN},
        {"status": None, "closing": Closing.BROKEN, "broken": "OSError: x"},
    ],
)
def test_whoever_does_not_pass_is_refused_by_name(changed: dict[str, Any]) -> None:
    assert violated(swapped(55, **changed)) == {"refusals_are_named"}


def test_a_refusal_of_what_fits_is_seen_and_counted() -> None:
    false = replace(WAITING, needed_nano=0)
    seen = swapped(55, refusal=false, retry_after_s=1)
    assert violated(seen) == {"refusals_add_up"}
    assert false_refusals(seen) == 1


def test_waiting_for_holds_is_said_and_nothing_else_is() -> None:
    assert violated(clean(crowd(EXACT, WAITING))) == set()
    assert violated(swapped(55, retry_after_s=1)) == {"refusals_add_up"}
    assert violated(swapped(55, refusal=WAITING)) == {"refusals_add_up"}


@pytest.mark.parametrize(
    "changed",
    [{"spent_nano": CAP_NANO + 1}, {"scope": "project"}, {"limit_nano": CAP_NANO - 1}],
)
def test_a_refusal_that_makes_up_numbers_is_seen(changed: dict[str, Any]) -> None:
    seen = swapped(55, refusal=replace(SPENT, **changed))
    assert "refusals_are_true" in violated(seen)


def test_money_that_nobody_could_get_is_seen() -> None:
    seen = clean()
    exact, random = seen.saw.rushes
    idle = replace(random, calls=random.calls[1:])
    assert used_ppm(seen, random) == 1_000_000
    assert used_ppm(seen, idle) == 980_000
    assert "caps_are_used_up" in violated(clean(rushes=(exact, idle)))


def test_callers_that_are_never_refused_for_good_are_seen() -> None:
    exact, random = clean().saw.rushes
    endless = replace(random, endless=True)
    assert violated(clean(rushes=(exact, endless))) == {"caps_are_used_up"}


def test_a_last_call_that_fits_and_is_refused_is_seen_and_counted() -> None:
    (probe,) = clean().saw.probes
    seen = clean(probes=(replace(probe, left_nano=1),))
    assert violated(seen) == {"the_last_nano_is_judged_right"}
    assert false_refusals(seen) == 1


@pytest.mark.parametrize("changed", [{"parallel": FITTING}, {"parallel": 1}])
def test_a_trickle_is_no_stampede(changed: dict[str, Any]) -> None:
    assert violated(clean(**changed)) == {"stampede_was_one"}


def test_a_rush_that_fits_whole_and_one_without_a_quiet_end_prove_nothing() -> None:
    exact, random = clean().saw.rushes
    few = replace(exact, calls=exact.calls[:FITTING])
    assert violated(clean(rushes=(few, random))) == {"stampede_was_one"}
    assert violated(clean(rushes=(exact, replace(random, probes=())))) == {"stampede_was_one"}


def test_the_books_are_looked_at_too() -> None:
    seen = clean()
    (account,) = seen.accounts
    lost = replace(account, records=account.records[1:])
    assert {"answers_match_records", "exactly_what_fits_passes", "money_is_conserved"} <= violated(
        replace(seen, accounts=(lost,))
    )


def test_a_rush_counts_its_own() -> None:
    seen = clean()
    exact, random = seen.saw.rushes
    assert passes(exact) == passes(random) == FITTING
    assert spent_by(seen, exact.all_calls) == CAP_NANO
    assert len(random.all_calls) == len(random.calls) + 1
