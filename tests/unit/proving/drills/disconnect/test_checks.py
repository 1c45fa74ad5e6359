"""Every law of the disconnect drill finds what it is about."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.drill_parts import books, recorded
from tokenbooth.proving.drills.disconnect.checks import (
    CANCEL_US_MAX,
    CHECKS,
    CutSeen,
    DisconnectSaw,
    Seen,
)
from tokenbooth.proving.drills.disconnect.plan import (
    CHUNKS,
    EVENTS,
    FAR,
    NEAR,
    PRICE,
    Cut,
    Place,
    cuts,
)
from tokenbooth.proving.drills.laws import violations
from tokenbooth.proving.observations import CallSeen, Closing, Evidence, RecordSeen

PLANNED = cuts(5)
CUT_US, LEFT_US = 1_000_000, 1_007_000


def seen_of(cut: Cut) -> CutSeen:
    plan = cut.plan
    ended = plan.cut_after_events == EVENTS
    call = CallSeen(
        plan=plan,
        closing=Closing.DONE if ended else Closing.CUT,
        status=200 if plan.cut_after_events else None,
        request_id=f"req_{plan.number}" if plan.cut_after_events else None,
        events=plan.cut_after_events,
        texts=cut.delivered,
    )
    if plan.cut_after_events > EVENTS - 2:
        call = replace(call, told_nano=recorded(plan, PRICE, (cut.input_tokens, CHUNKS)).cost_nano)
    left_us = LEFT_US if cut.far and cut.place is Place.SILENT else None
    return CutSeen(cut, call, CUT_US, left_us)


def record_of(cut: Cut) -> RecordSeen:
    """As cut, but for answers that were all out: those are completed."""
    if cut.place is Place.ENDED:
        return recorded(cut.plan, PRICE, (cut.input_tokens, CHUNKS))
    tokens = (cut.charged_input_tokens, cut.delivered)
    return recorded(cut.plan, PRICE, tokens, "client_gone")


def evidence(cuts_seen: Iterable[CutSeen], records: Iterable[RecordSeen]) -> Seen:
    kept = tuple(cuts_seen)
    saw = DisconnectSaw(calls=tuple(each.call for each in kept), cuts=kept)
    return Evidence(saw=saw, **books(records, PRICE))


ALL = tuple(map(seen_of, PLANNED))
RECORDS = tuple(map(record_of, PLANNED))


def violated(seen: Seen) -> set[str]:
    return {violation.check for violation in violations(seen, CHECKS)}


def find(**wanted: object) -> int:
    """The number of the first cut that is like this."""
    for cut in PLANNED:
        found = {
            "model": cut.plan.model,
            "place": cut.place,
            "stream": cut.plan.stream,
            "some": cut.delivered > 0,
        }
        if wanted.items() <= found.items():
            return cut.plan.number
    raise AssertionError(f"no cut is like {wanted}")


def with_record(number: int, **changed: Any) -> Seen:
    """Balances follow, so that only what the record says is wrong."""
    records = [
        replace(record, **changed) if record.id == f"req_{number}" else record for record in RECORDS
    ]
    return evidence(ALL, records)


def with_cut(number: int, **changed: Any) -> Seen:
    return evidence(
        (replace(e, **changed) if e.cut.plan.number == number else e for e in ALL), RECORDS
    )


def with_call(number: int, **changed: Any) -> Seen:
    return with_cut(number, call=replace(ALL[number].call, **changed))


def charged(number: int, tokens: tuple[int, int], status: str = "client_gone") -> Seen:
    wrong = recorded(PLANNED[number].plan, PRICE, tokens, status)
    return with_record(
        number,
        status=status,
        input_tokens=wrong.input_tokens,
        output_tokens=wrong.output_tokens,
        cost_nano=wrong.cost_nano,
    )


SILENT = find(model=FAR, place=Place.SILENT, stream=True, some=True)
NEAR_SILENT = find(model=NEAR, place=Place.SILENT, stream=True, some=True)
BLIND = find(model=FAR, place=Place.SILENT, stream=True, some=False)
WHOLE = find(model=FAR, place=Place.SILENT, stream=False)
NEAR_WHOLE = find(model=NEAR, place=Place.SILENT, stream=False)
ENDED = find(model=FAR, place=Place.ENDED)
RACE = find(place=Place.RACING)


def test_nothing_is_wrong_when_all_pay_for_what_they_got() -> None:
    assert violations(evidence(ALL, RECORDS), CHECKS) == ()


@pytest.mark.parametrize("number", [SILENT, NEAR_SILENT, ENDED])
@pytest.mark.parametrize("more", [1, -1])
def test_one_token_too_many_or_too_few_is_seen(number: int, more: int) -> None:
    cut = PLANNED[number]
    tokens = (cut.charged_input_tokens, cut.delivered + more)
    assert "charge_is_what_was_delivered" in violated(charged(number, tokens))


@pytest.mark.parametrize("number", [SILENT, NEAR_SILENT])
def test_another_input_than_the_documented_one_is_seen(number: int) -> None:
    cut = PLANNED[number]
    wrong = charged(number, (cut.charged_input_tokens - 1, cut.delivered))
    assert violated(wrong) == {"charge_is_what_was_delivered"}


@pytest.mark.parametrize("number", [BLIND, WHOLE, NEAR_WHOLE])
def test_who_got_nothing_pays_nothing(number: int) -> None:
    tokens = (PLANNED[number].charged_input_tokens, 0)
    free = charged(number, tokens)
    assert violated(free) == set()
    cost = with_record(number, cost_nano=5)
    assert "charge_is_what_was_delivered" in violated(cost)
    assert "charge_is_what_was_delivered" in violated(charged(number, (30, CHUNKS)))


@pytest.mark.parametrize("status", ["completed", "engine_failed", "interrupted", "running"])
def test_another_outcome_of_a_silent_call_is_seen(status: str) -> None:
    assert "charge_is_what_was_delivered" in violated(with_record(SILENT, status=status))


def test_an_answer_that_was_all_out_may_be_left_before_its_end() -> None:
    cut = PLANNED[ENDED]
    gone = charged(ENDED, (cut.charged_input_tokens, CHUNKS))
    told = {"told_costs_are_booked"} if ALL[ENDED].call.told_nano is not None else set()
    assert violated(gone) == told


@pytest.mark.parametrize("tokens", range(CHUNKS + 1))
def test_a_race_ends_between_what_was_read_and_what_there_is(tokens: int) -> None:
    cut = PLANNED[RACE]
    found = violated(charged(RACE, (cut.charged_input_tokens, tokens)))
    assert ("charge_is_what_was_delivered" in found) is (tokens < cut.delivered)


def test_a_race_may_be_won_by_the_answer() -> None:
    cut = PLANNED[RACE]
    assert violated(charged(RACE, (cut.input_tokens, CHUNKS), "completed")) == set()


@pytest.mark.parametrize(("number", "seen"), [(SILENT, True), (WHOLE, True), (NEAR_WHOLE, False)])
def test_a_call_that_was_there_for_sure_has_a_record(number: int, seen: bool) -> None:
    records = [record for record in RECORDS if record.id != f"req_{number}"]
    found = violated(evidence(ALL, records))
    assert ("charge_is_what_was_delivered" in found) is seen


def test_an_engine_that_is_never_left_is_seen() -> None:
    assert violated(with_cut(SILENT, left_us=None)) == {"engine_is_told"}
    assert violated(with_cut(NEAR_SILENT, left_us=None)) == set()


@pytest.mark.parametrize(("more", "seen"), [(0, False), (1, True)])
def test_an_engine_that_is_left_late_is_seen(more: int, seen: bool) -> None:
    late = with_cut(WHOLE, left_us=CUT_US + CANCEL_US_MAX + more)
    assert violated(late) == ({"engine_is_told"} if seen else set())


def test_an_engine_that_was_left_first_took_no_time() -> None:
    early = replace(ALL[SILENT], left_us=CUT_US - 5)
    assert early.cancel_us == 0
    assert ALL[SILENT].cancel_us == LEFT_US - CUT_US
    assert ALL[RACE].cancel_us is None


@pytest.mark.parametrize(
    "changed",
    [
        {"broken": "BrokenWire: x", "closing": Closing.BROKEN},
        {"closing": Closing.ERROR, "error_code": "engine_failed"},
        {"events": 0},
        {"closing": Closing.DONE},
    ],
)
def test_a_cut_that_fell_elsewhere_is_seen(changed: dict[str, Any]) -> None:
    assert "cuts_fell_where_planned" in violated(with_call(SILENT, **changed))


def test_a_client_that_never_hung_up_proves_nothing() -> None:
    assert "every_place_was_cut" in violated(with_cut(RACE, cut_us=None))
    assert violated(evidence((), ())) == {"every_place_was_cut"}
