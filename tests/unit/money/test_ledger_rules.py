"""Decisions of the ledger, without a database."""

import pytest

from tests.support.changed import changed
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, LimitWindow, Period
from tokenbooth.money.ledger.rules import (
    chain_of,
    check_cap,
    check_credit,
    check_unspent,
    check_used,
    empty_row,
    room_nano,
    window_row,
)
from tokenbooth.money.prices.service import Meter, Price

CALLER = Caller("o", "p", "k", frozenset())
SCOPES = tuple(LimitScope)
PRICE = Price("v", "m", {Meter.INPUT: 1000, Meter.OUTPUT: 1000})
NOON_US = 1_795_176_000_000_000  # 2026-11-20T12:00:00Z


def states(*limits: int | None) -> tuple[LimitState, ...]:
    """One state for each level, outermost first, nothing spent or held."""
    return tuple(
        LimitState(scope, "x", limit, 0, 0) for scope, limit in zip(SCOPES, limits, strict=True)
    )


def test_a_chain_goes_from_the_outside_to_the_key() -> None:
    assert chain_of(CALLER) == (
        (LimitScope.BALANCE, "o"),
        (LimitScope.ORGANIZATION, "o"),
        (LimitScope.PROJECT, "p"),
        (LimitScope.KEY, "k"),
    )


def test_an_unopened_level_has_no_money_or_no_cap() -> None:
    balance, key = empty_row(LimitScope.BALANCE, "o"), empty_row(LimitScope.KEY, "k")
    assert (balance.id, key.id) == ("balance:o", "key:k")
    assert balance.state() == LimitState(LimitScope.BALANCE, "o", 0, 0, 0)
    assert key.state() == LimitState(LimitScope.KEY, "k", None, 0, 0)
    assert (balance.room_nano, key.room_nano) == (0, NANO_MAX)


def test_a_window_begins_empty_with_the_cap_of_its_pattern() -> None:
    pattern = changed(
        empty_row(LimitScope.KEY, "k"),
        period=Period.DAY,
        limit_nano=70,
        spent_nano=5,
        leased_nano=4,
        held_nano=3,
        recall=2,
    )
    window = window_row(pattern, NOON_US)
    assert (window.id, window.window_id, window.period) == (
        "key:k@2026-11-20",
        "2026-11-20",
        Period.DAY,
    )
    assert (window.limit_nano, window.spent_nano, window.leased_nano) == (70, 0, 0)
    assert (window.held_nano, window.recall, window.room_nano) == (0, 0, 70)
    midnight_us = NOON_US + 12 * 3600 * 10**6
    assert window.state().window == LimitWindow(Period.DAY, "2026-11-20", midnight_us)


def test_what_is_leased_leaves_no_room_though_nobody_holds_it() -> None:
    row = changed(empty_row(LimitScope.KEY, "k"), limit_nano=100, spent_nano=30, leased_nano=20)
    assert row.room_nano == 50
    assert row.state().remaining_nano == 70
    assert changed(row, limit_nano=40).room_nano == 0


def test_room_is_what_neither_was_spent_nor_is_held() -> None:
    assert room_nano(LimitState(LimitScope.KEY, "k", 100, 30, 20)) == 50
    assert room_nano(LimitState(LimitScope.KEY, "k", None, 30, 20)) == NANO_MAX - 50


def test_enough_money_starts_a_call_to_the_nano() -> None:
    check_unspent(states(11, None, None, None), PRICE, 10, 1)
    with pytest.raises(Problem) as refused:
        check_unspent(states(10, None, None, None), PRICE, 10, 1)
    assert refused.value.code is Code.BALANCE_EXHAUSTED
    assert refused.value.kind is Kind.PAYMENT_REQUIRED
    assert refused.value.facts["limit_source"] == "balance"
    assert refused.value.facts["needed_nano"] == 11
    assert refused.value.retry_after_s is None


@pytest.mark.parametrize("scope", SCOPES[1:])
def test_the_cap_that_refuses_is_named(scope: LimitScope) -> None:
    limits = tuple(
        LimitState(each, "x", 5 if each is scope else 10**9, 0, 0) for each in LimitScope
    )
    with pytest.raises(Problem) as refused:
        check_unspent(limits, PRICE, 10, 1)
    assert refused.value.code is Code.CAP_REACHED
    assert refused.value.facts["limit_source"] == scope.value


def test_what_running_calls_hold_does_not_refuse_before_the_queue() -> None:
    check_unspent((LimitState(LimitScope.KEY, "k", 100, 10, 90),), PRICE, 10, 1)
    with pytest.raises(Problem):
        check_unspent((LimitState(LimitScope.KEY, "k", 100, 90, 10),), PRICE, 10, 1)


def test_a_level_without_cap_refuses_what_64_bits_cannot_count() -> None:
    limits = (LimitState(LimitScope.KEY, "k", None, NANO_MAX - 5, 0),)
    with pytest.raises(Problem) as refused:
        check_unspent(limits, PRICE, 10, 1)
    assert refused.value.facts["limit_nano"] == NANO_MAX


@pytest.mark.parametrize(
    ("amount", "ref", "param"),
    [
        (0, "a", "amount"),
        (-1, "a", "amount"),
        (True, "a", "amount"),
        (NANO_MAX, "a", "amount"),
        (5, "", "ref"),
        (5, "a\0b", "ref"),
        (5, "a" * 201, "ref"),
    ],
)
def test_a_credit_that_cannot_be_booked_is_refused(amount: int, ref: str, param: str) -> None:
    balance = changed(empty_row(LimitScope.BALANCE, "o"), limit_nano=1)
    with pytest.raises(Problem) as refused:
        check_credit(amount, ref, balance)
    assert refused.value.code is Code.INVALID_VALUE
    assert refused.value.param == param


def test_a_credit_may_fill_the_balance_to_the_last_nano() -> None:
    balance = changed(empty_row(LimitScope.BALANCE, "o"), limit_nano=1)
    assert check_credit(NANO_MAX - 1, "a" * 200, balance) is None


@pytest.mark.parametrize("limit", [-1, True, NANO_MAX + 1])
@pytest.mark.parametrize("period", list(Period))
def test_a_cap_that_cannot_be_booked_is_refused(limit: int, period: Period) -> None:
    with pytest.raises(Problem) as refused:
        check_cap(LimitScope.KEY, limit, period)
    assert (refused.value.code, refused.value.param) == (Code.INVALID_VALUE, "limit")


@pytest.mark.parametrize("limit", [0, 1, NANO_MAX])
@pytest.mark.parametrize("period", list(Period))
@pytest.mark.parametrize("scope", SCOPES[1:])
def test_a_cap_may_renew_at_every_level(scope: LimitScope, limit: int, period: Period) -> None:
    assert check_cap(scope, limit, period) is None


def test_what_is_not_capped_cannot_renew() -> None:
    check_cap(LimitScope.KEY, None, Period.NONE)
    with pytest.raises(Problem) as refused:
        check_cap(LimitScope.KEY, None, Period.MONTH)
    assert (refused.value.code, refused.value.param) == (Code.INVALID_VALUE, "cap-period")


@pytest.mark.parametrize(("limit", "period"), [(5, Period.NONE), (None, Period.DAY)])
def test_a_balance_takes_no_cap_and_never_renews(limit: int | None, period: Period) -> None:
    check_cap(LimitScope.BALANCE, 0, Period.NONE)
    with pytest.raises(Problem) as refused:
        check_cap(LimitScope.BALANCE, limit, period)
    assert refused.value.code is Code.STATE_CONFLICT


def test_a_cap_reaches_down_to_what_is_spent_and_leased() -> None:
    row = changed(empty_row(LimitScope.KEY, "k"), spent_nano=3, leased_nano=4, held_nano=1)
    check_used(row, 7)
    check_used(row, None)
    with pytest.raises(Problem) as refused:
        check_used(row, 6)
    assert refused.value.code is Code.STATE_CONFLICT
    assert refused.value.facts == {
        "limit_id": "key:k",
        "cap_nano": 6,
        "spent_nano": 3,
        "leased_nano": 4,
        "held_nano": 1,
    }
