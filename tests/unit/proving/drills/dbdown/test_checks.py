"""Every law of the dbdown drill finds what it is about."""

from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from tests.support.drill_parts import answered, books, recorded
from tokenbooth.proving.drills.dbdown.checks import (
    CHECKS,
    RETURN_US_MAX,
    DbdownSaw,
    Seen,
    first_stranger_us,
    served_inside,
)
from tokenbooth.proving.drills.dbdown.plan import (
    INPUT_TOKENS,
    PRICE,
    regular_calls,
    stranger_calls,
)
from tokenbooth.proving.drills.laws import violations
from tokenbooth.proving.observations import CallSeen, Closing, Evidence
from tokenbooth.proving.plans import CallPlan

DOWN_US, UP_US = 1_000_000, 8_000_000
TOKENS = (INPUT_TOKENS, 7)
BEFORE, MEANWHILE, AFTER, TURNED_AWAY, RETURNED = range(5)
_REGULAR = tuple(islice(regular_calls(1), 3))
_STRANGER = tuple(islice(stranger_calls(1, 0), 2))


def turned_away(plan: CallPlan, **more: Any) -> CallSeen:
    return CallSeen(
        plan=plan,
        closing=Closing.BODY,
        status=503,
        request_id=f"req_{plan.number}",
        error_code="billing_unavailable",
        retry_after_s=2,
        **more,
    )


def at(began_us: int) -> dict[str, int]:
    return {"began_us": began_us, "ended_us": began_us + 1000}


CALLS: tuple[CallSeen, ...] = (
    answered(_REGULAR[0], PRICE, TOKENS, **at(5000)),
    answered(_REGULAR[1], PRICE, TOKENS, **at(DOWN_US + 10)),
    answered(_REGULAR[2], PRICE, TOKENS, **at(UP_US + 5000)),
    turned_away(_STRANGER[0], **at(DOWN_US + 20)),
    answered(_STRANGER[1], PRICE, TOKENS, **at(UP_US + 2000)),
)


def evidence(calls: dict[int, dict[str, Any] | None] | None = None, **saw: Any) -> Seen:
    """All is well but for what is changed; a call of ``None`` was never made."""
    changes = calls or {}
    made = tuple(
        replace(call, **(changes.get(n) or {}))
        for n, call in enumerate(CALLS)
        if changes.get(n, {}) is not None
    )
    records = [recorded(call.plan, PRICE, TOKENS) for call in made if call.complete]
    found = DbdownSaw(calls=made, down_us=DOWN_US, up_us=UP_US)
    return Evidence(saw=replace(found, **saw), **books(records, PRICE))


def violated(seen: Seen) -> set[str]:
    return {violation.check for violation in violations(seen, CHECKS)}


def test_nothing_is_wrong_when_leased_money_served_and_strangers_waited() -> None:
    seen = evidence()
    assert violations(seen, CHECKS) == ()
    assert served_inside(seen) == 1
    assert first_stranger_us(seen) == 3000


@pytest.mark.parametrize(
    "changed",
    [
        {"status": 500, "error_code": "internal_error"},
        {"error_code": "engine_overloaded"},
        {"retry_after_s": None},
        {"status": None, "closing": Closing.BROKEN, "broken": "OSError: reset"},
        {"closing": Closing.BROKEN, "broken": "BrokenWire: x"},
        {"status": 429},
    ],
)
def test_whoever_is_turned_away_is_told_why_and_to_come_back(changed: dict[str, Any]) -> None:
    assert "refusals_are_named" in violated(evidence({TURNED_AWAY: changed}))


def test_a_stream_that_ends_with_an_error_is_seen() -> None:
    failed = {"closing": Closing.ERROR, "error_code": "billing_unavailable", "told_nano": None}
    assert "refusals_are_named" in violated(evidence({MEANWHILE: failed}))


@pytest.mark.parametrize(
    ("began_us", "wrong"),
    [
        (0, True),
        (DOWN_US - 500, False),
        (UP_US, False),
        (UP_US + RETURN_US_MAX, False),
        (UP_US + RETURN_US_MAX + 1, True),
    ],
)
def test_nobody_is_turned_away_while_the_database_is_there(began_us: int, wrong: bool) -> None:
    seen = evidence({TURNED_AWAY: at(began_us)})
    assert ("refusals_are_named" in violated(seen)) is wrong


def test_an_outage_that_stops_everybody_is_seen() -> None:
    seen = evidence({MEANWHILE: at(UP_US + 1)})
    assert violated(seen) == {"leased_money_is_served"}


def test_a_stranger_that_is_served_during_the_outage_is_seen() -> None:
    seen = evidence({RETURNED: at(DOWN_US + 30)})
    assert "nobody_is_served_unmetered" in violated(seen)
    late = evidence({RETURNED: {"began_us": DOWN_US + 30, "ended_us": UP_US + 1}})
    assert violated(late) == set()


def test_who_never_comes_back_is_seen() -> None:
    assert violated(evidence({RETURNED: None})) == {"everybody_is_served_again"}
    assert violated(evidence({AFTER: None})) == {"everybody_is_served_again"}
    assert first_stranger_us(evidence({RETURNED: None})) is None


def test_an_outage_that_nobody_felt_proves_nothing() -> None:
    assert violated(evidence({TURNED_AWAY: None})) == {"outage_was_felt"}
    gone = violated(evidence({TURNED_AWAY: at(UP_US), MEANWHILE: None}))
    assert gone == {"leased_money_is_served", "outage_was_felt"}


def test_what_was_served_meanwhile_must_be_booked_once() -> None:
    seen = evidence()
    (account,) = seen.accounts
    lost = replace(account, records=(account.records[0], *account.records[2:]))
    assert "answers_match_records" in violated(replace(seen, accounts=(lost,)))
    twice = replace(account.records[1], id="req_other")
    double = replace(account, records=(*account.records, twice))
    assert "one_record_each" in violated(replace(seen, accounts=(double,)))
