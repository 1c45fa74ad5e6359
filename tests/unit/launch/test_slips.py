"""Promised dates: each that was ever said stays, and what became of it is counted."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Select

from tests.support.ops import START_US, ManualClock
from tests.unit.launch.test_stages import standing
from tokenbooth.core.codes import Code
from tokenbooth.core.days import US_PER_DAY
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem
from tokenbooth.launch.slips import service as slips
from tokenbooth.launch.slips.rules import RATIO_MAX_PERMILLE
from tokenbooth.launch.slips.service import Promise, ratios_permille, slipped_us
from tokenbooth.launch.stages.rules import YEAR_9999_US, gated_edges
from tokenbooth.launch.stages.service import Stage

OPENINGS = (Stage.PRIVATE_PREVIEW, Stage.PUBLIC_PREVIEW, Stage.GA)
SAID = Promise(
    model="demo",
    stage=Stage.GA,
    promised_us=START_US + 10 * US_PER_DAY,
    early_us=START_US + 5 * US_PER_DAY,
    late_us=None,
    reason="said on stage",
    said_us=START_US,
    author="Ada",
)


def refusal(op: Op, tx: Connection, said: Promise) -> Problem:
    with pytest.raises(Problem) as caught:
        slips.promise(op, tx, said)
    return caught.value


def test_a_promise_comes_back_as_it_was_said(op: Op, tx: Connection) -> None:
    assert slips.promise(op, tx, SAID) == SAID
    assert slips.promises(op, tx) == (SAID,)


def test_nothing_was_promised_in_the_beginning(op: Op, tx: Connection) -> None:
    assert slips.promises(op, tx) == ()


def test_a_later_word_stands_beside_the_earlier_one(
    op: Op, tx: Connection, clock: ManualClock
) -> None:
    slips.promise(op, tx, SAID)
    clock.us += 3 * US_PER_DAY
    moved = replace(SAID, said_us=clock.us, promised_us=SAID.promised_us + 4 * US_PER_DAY)
    slips.promise(op, tx, moved)
    found = slips.promises(op, tx)
    assert found == (SAID, moved)
    assert slipped_us(found) == 4 * US_PER_DAY


def test_promises_of_one_moment_keep_the_order_in_which_they_were_said(
    op: Op, tx: Connection
) -> None:
    """Three times in the same microsecond; only the numbers of the rows tell them apart."""
    said = [replace(SAID, promised_us=SAID.promised_us + days) for days in (5, 1, 3)]
    for each in said:
        slips.promise(op, tx, each)
    assert list(slips.promises(op, tx)) == said


def test_models_and_stages_are_numbered_apart_and_listed_together(op: Op, tx: Connection) -> None:
    said = [
        replace(SAID, model="other", said_us=START_US - 2),
        replace(SAID, stage=Stage.PRIVATE_PREVIEW, said_us=START_US - 1),
        SAID,
    ]
    for each in reversed(said):
        slips.promise(op, tx, each)
    assert list(slips.promises(op, tx)) == said


@pytest.mark.parametrize("ahead_us", [0, -1, -START_US, -(2**60)])
def test_nobody_promises_the_past(op: Op, tx: Connection, ahead_us: int) -> None:
    found = refusal(op, tx, replace(SAID, promised_us=START_US + ahead_us))
    assert (found.code, found.param) == (Code.INVALID_VALUE, "by")
    assert slips.promises(op, tx) == ()


def test_the_next_microsecond_is_later(op: Op, tx: Connection) -> None:
    slips.promise(op, tx, replace(SAID, promised_us=START_US + 1))
    assert len(slips.promises(op, tx)) == 1


@pytest.mark.parametrize("promised_us", [YEAR_9999_US, YEAR_9999_US + US_PER_DAY, 2**63, 2**200])
def test_a_date_that_no_calendar_shows_is_refused(op: Op, tx: Connection, promised_us: int) -> None:
    found = refusal(op, tx, replace(SAID, promised_us=promised_us))
    assert (found.code, found.param) == (Code.INVALID_VALUE, "by")
    slips.promise(op, tx, replace(SAID, promised_us=YEAR_9999_US - 1))
    assert len(slips.promises(op, tx)) == 1


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "two\nlines", "\x1b[31mred", "a\u2028b"])
def test_a_promise_says_why_in_words_that_a_terminal_can_show(
    op: Op, tx: Connection, reason: str
) -> None:
    found = refusal(op, tx, replace(SAID, reason=reason))
    assert (found.code, found.param) == (Code.INVALID_VALUE, "reason")
    assert slips.promises(op, tx) == ()


@pytest.mark.parametrize("reason", ["x" * 500, '<b>Größe</b> & "so"', "'); drop table --"])
def test_any_printable_reason_is_kept_letter_by_letter(op: Op, tx: Connection, reason: str) -> None:
    slips.promise(op, tx, replace(SAID, reason=reason))
    assert [each.reason for each in slips.promises(op, tx)] == [reason]


class Unaware:
    """A transaction that does not see what another one has just written: its reads find nothing."""

    def __init__(self, tx: Connection) -> None:
        self._tx = tx

    def execute(self, statement: Any) -> Any:
        unseen = isinstance(statement, Select)
        return self._tx.execute(statement.where(False) if unseen else statement)


def test_of_two_who_promise_at_the_same_moment_one_is_told_to_look_again(
    op: Op, tx: Connection
) -> None:
    slips.promise(op, tx, SAID)
    other = replace(SAID, promised_us=SAID.promised_us + 1)
    with pytest.raises(Problem) as caught:
        slips.promise(op, Unaware(tx), other)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.param) == (Code.STATE_CONFLICT, "by")
    assert slips.promises(op, tx) == (SAID,)


def promised(said_day: int, by_day: int, stage: Stage) -> Promise:
    said_us, by_us = said_day * US_PER_DAY, by_day * US_PER_DAY
    return replace(SAID, stage=stage, said_us=said_us, promised_us=by_us)


def test_a_promise_is_kept_by_a_stage_that_opens_further_than_it_said() -> None:
    history = [standing(Stage.GA, effective_us=15 * US_PER_DAY)]
    for stage in OPENINGS:
        assert ratios_permille([promised(5, 15, stage)], history) == (1000,)


@pytest.mark.parametrize("stage", [Stage.CLOSED, Stage.WAITLIST, Stage.RETIRED])
def test_a_move_that_opens_nothing_keeps_no_promise(stage: Stage) -> None:
    history = [standing(stage, effective_us=15 * US_PER_DAY)]
    assert ratios_permille([promised(5, 15, Stage.PRIVATE_PREVIEW)], history) == ()


def test_what_was_open_before_it_was_promised_does_not_count() -> None:
    was = standing(Stage.GA, effective_us=5 * US_PER_DAY)
    assert ratios_permille([promised(5, 15, Stage.GA)], [was]) == ()
    again = standing(Stage.GA, effective_us=10 * US_PER_DAY)
    assert ratios_permille([promised(5, 15, Stage.GA)], [was, again]) == (500,)


def test_the_first_opening_keeps_a_promise_though_it_was_taken_back_later() -> None:
    history = [
        standing(Stage.GA, effective_us=20 * US_PER_DAY),
        standing(Stage.CLOSED, effective_us=21 * US_PER_DAY),
        standing(Stage.GA, effective_us=90 * US_PER_DAY),
    ]
    assert ratios_permille([promised(10, 20, Stage.GA)], history) == (1000,)
    assert ratios_permille([promised(20, 30, Stage.GA)], history) == (7000,)


def test_one_that_came_at_once_still_took_some_time() -> None:
    soon = standing(Stage.GA, effective_us=START_US + 1)
    assert ratios_permille([SAID], [soon]) == (1,)


DAYS = st.integers(1, 400)
PROMISES = st.lists(st.builds(promised, DAYS, DAYS, st.sampled_from(OPENINGS)), max_size=6)
HISTORIES = st.lists(st.tuples(st.sampled_from(Stage), DAYS), max_size=6).map(
    lambda moves: [
        standing(stage, effective_us=day * US_PER_DAY)
        for stage, day in sorted(moves, key=lambda each: each[1])
    ]
)


@settings(max_examples=60)
@given(PROMISES, HISTORIES)
def test_each_promise_is_judged_alone_by_when_it_came_true(
    said: list[Promise], history: list[Any]
) -> None:
    found = ratios_permille(said, history)
    assert found == sum((ratios_permille([each], history) for each in said), ())
    for each in said:
        kept = [
            e.effective_us
            for e in history
            if e.effective_us > each.said_us and not gated_edges(e.stage, each.stage)
        ]
        one = ratios_permille([each], history)
        assert bool(one) == (bool(kept) and each.promised_us > each.said_us)
        if one:
            in_time = min(kept) <= each.promised_us
            assert (one[0] <= 1000) == in_time or one[0] == 1000
            assert 1 <= one[0] <= RATIO_MAX_PERMILLE


@settings(max_examples=40)
@given(st.lists(st.builds(promised, DAYS, DAYS, st.just(Stage.GA)), min_size=1, max_size=6))
def test_slips_add_up_over_what_was_said(said: list[Promise]) -> None:
    steps = [slipped_us([a, b]) for a, b in pairwise(said)]
    assert slipped_us(said) == sum(steps)
    assert slipped_us(said[:1]) == 0
    assert slipped_us(said) == -slipped_us(said[::-1])
