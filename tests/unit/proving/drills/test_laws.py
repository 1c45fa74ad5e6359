"""The laws that the mixed drill does not use; the others are tested with its evidence."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.drill_evidence import clean_evidence, first, swap_call, swap_record
from tokenbooth.proving.drills.laws import (
    all_levels,
    answers_match_records,
    cost_nano,
    duplicates,
    lost,
    refusals_add_up,
)
from tokenbooth.proving.drills.mixed.checks import Seen
from tokenbooth.proving.observations import LevelSeen, PriceSeen, RefusalSeen
from tokenbooth.proving.plans import CallKind

CLEAN = clean_evidence()
WHOLE = first(CLEAN, CallKind.WHOLE)
OVER_CAP = first(CLEAN, CallKind.OVER_CAP)


def without_records(seen: Seen, number: int) -> Seen:
    (account,) = seen.accounts
    mark = seen.calls[number].plan.mark
    records = tuple(record for record in account.records if record.end_customer != mark)
    return replace(seen, accounts=(replace(account, records=records),))


def with_refusal(retry_after_s: int | None, **changed: int) -> Seen:
    numbers = {"limit_nano": 100, "spent_nano": 70, "held_nano": 20, "needed_nano": 15, **changed}
    refusal = RefusalSeen("key", **numbers)
    return swap_call(CLEAN, OVER_CAP, refusal=refusal, retry_after_s=retry_after_s)


def test_nothing_is_wrong_with_clean_evidence() -> None:
    assert list(answers_match_records(CLEAN)) == []
    assert list(refusals_add_up(CLEAN)) == []
    assert (lost(CLEAN), duplicates(CLEAN)) == (0, 0)


def test_an_answer_without_a_record_is_lost() -> None:
    seen = without_records(CLEAN, WHOLE)
    assert "there is no record" in next(answers_match_records(seen))
    assert lost(seen) == 1


def test_an_answer_whose_record_costs_less_is_lost_too() -> None:
    told = CLEAN.calls[WHOLE].told_nano
    assert told is not None
    seen = swap_record(CLEAN, WHOLE, cost_nano=told - 1)
    assert list(answers_match_records(seen)) == []
    assert lost(seen) == 1


@pytest.mark.parametrize(("status", "wrong"), [("cap_reached", 0), ("interrupted", 1)])
def test_an_answer_is_recorded_as_served(status: str, wrong: int) -> None:
    assert len(list(answers_match_records(swap_record(CLEAN, WHOLE, status=status)))) == wrong


@pytest.mark.parametrize(("status", "wrong"), [(429, 1), (404, 1), (503, 0), (None, 0)])
def test_a_call_refused_at_the_door_has_no_record(status: int | None, wrong: int) -> None:
    seen = swap_call(CLEAN, WHOLE, status=status)
    assert len(list(answers_match_records(seen))) == wrong


@pytest.mark.parametrize(
    ("numbers", "retry_after_s", "wrong"),
    [
        ({}, 1, 0),
        ({}, None, 1),
        ({"needed_nano": 31}, None, 0),
        ({"needed_nano": 31}, 1, 1),
        ({"needed_nano": 10}, 1, 1),
        ({"needed_nano": 10}, None, 2),
    ],
)
def test_a_refusal_agrees_with_its_own_numbers(
    numbers: dict[str, int], retry_after_s: int | None, wrong: int
) -> None:
    found = list(refusals_add_up(with_refusal(retry_after_s, **numbers)))
    assert len(found) == wrong


def test_a_level_over_its_limit_is_seen_in_a_refusal_too() -> None:
    seen = with_refusal(None, spent_nano=101)
    assert LevelSeen("key", "", 100, 101, 20) in set(all_levels(seen))


@pytest.mark.parametrize(
    ("tokens", "nano"), [((0, 0), 0), ((1, 0), 0), ((3, 0), 2), ((4, 1, 4), 1), ((2, 2), 2)]
)
def test_half_a_nano_goes_to_the_even_one(tokens: Any, nano: int) -> None:
    assert cost_nano(PriceSeen(500, 100, 500), *tokens) == nano
