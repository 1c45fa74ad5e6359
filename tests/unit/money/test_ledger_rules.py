"""Decisions of the ledger, without a database."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome
from tokenbooth.money.ledger.rules import (
    chain_of,
    charge_of,
    check_credit,
    check_limit,
    check_start,
    check_usage,
    empty_limit,
    room_nano,
    size_hold,
)
from tokenbooth.money.ledger.values import Charge, Ending, HoldAsk
from tokenbooth.money.prices.service import Meter, Price, cost_nano, worst_case_nano

CALLER = Caller("o", "p", "k", frozenset())
SCOPES = tuple(LimitScope)


def price_of(input_pico: int, output_pico: int) -> Price:
    return Price("v", "m", {Meter.INPUT: input_pico, Meter.OUTPUT: output_pico})


def ask_of(price: Price, **fields: object) -> HoldAsk:
    plain = HoldAsk(
        request_id="r",
        caller=CALLER,
        model="m",
        price=price,
        input_tokens=10,
        output_tokens_max=10,
        choices=1,
        replica_id="me",
        stream=False,
    )
    return replace(plain, **fields)


def chain_limits(*limits: int | None) -> tuple[LimitState, ...]:
    """One state for each level, outermost first, nothing spent or held."""
    return tuple(
        LimitState(scope, "x", limit, 0, 0) for scope, limit in zip(SCOPES, limits, strict=True)
    )


def ending_of(usage: Usage, *, charge: bool = True) -> Ending:
    return Ending(
        request_id="r",
        outcome=Outcome.COMPLETED,
        reason="done",
        usage=usage,
        charge=charge,
        started_us=1,
        first_output_us=None,
        ended_us=2,
        fingerprint=None,
    )


def test_a_chain_goes_from_the_outside_to_the_key() -> None:
    assert chain_of(CALLER) == (
        (LimitScope.BALANCE, "o"),
        (LimitScope.ORGANIZATION, "o"),
        (LimitScope.PROJECT, "p"),
        (LimitScope.KEY, "k"),
    )


def test_an_unopened_level_has_no_money_or_no_cap() -> None:
    assert empty_limit(LimitScope.BALANCE, "o").remaining_nano == 0
    assert empty_limit(LimitScope.KEY, "k").remaining_nano is None


def test_room_is_what_neither_was_spent_nor_is_held() -> None:
    assert room_nano(LimitState(LimitScope.KEY, "k", 100, 30, 20)) == 50
    assert room_nano(LimitState(LimitScope.KEY, "k", None, 30, 20)) == NANO_MAX - 50


def test_enough_money_starts_a_call_to_the_nano() -> None:
    price = price_of(1000, 1000)
    check_start(chain_limits(11, None, None, None), price, 10, 1)
    with pytest.raises(Problem) as refused:
        check_start(chain_limits(10, None, None, None), price, 10, 1)
    assert refused.value.code is Code.BALANCE_EXHAUSTED
    assert refused.value.kind is Kind.PAYMENT_REQUIRED
    assert refused.value.facts["limit_source"] == "balance"
    assert refused.value.facts["needed_nano"] == 11
    assert "0.000000010 left" in refused.value.public
    assert refused.value.retry_after_s is None


@pytest.mark.parametrize("scope", SCOPES[1:])
def test_the_cap_that_refuses_is_named(scope: LimitScope) -> None:
    limits = tuple(
        LimitState(each, "x", 5 if each is scope else 10**9, 0, 0) for each in LimitScope
    )
    with pytest.raises(Problem) as refused:
        check_start(limits, price_of(1000, 1000), 10, 1)
    assert refused.value.code is Code.CAP_REACHED
    assert refused.value.facts["limit_source"] == scope.value
    assert scope.value in refused.value.public


def test_the_outermost_of_equally_tight_levels_is_named() -> None:
    with pytest.raises(Problem) as refused:
        check_start(chain_limits(5, 5, 5, 5), price_of(1000, 1000), 10, 1)
    assert refused.value.facts["limit_source"] == "balance"


def test_money_that_is_only_held_may_come_back_soon() -> None:
    limits = (LimitState(LimitScope.KEY, "k", 100, 10, 85),)
    with pytest.raises(Problem) as refused:
        check_start(limits, price_of(1000, 1000), 10, 1)
    assert refused.value.retry_after_s == 1
    assert refused.value.facts["held_nano"] == 85


def test_a_level_without_cap_refuses_what_64_bits_cannot_count() -> None:
    limits = (LimitState(LimitScope.KEY, "k", None, NANO_MAX - 5, 0),)
    with pytest.raises(Problem) as refused:
        check_start(limits, price_of(1000, 1000), 10, 1)
    assert refused.value.facts["limit_nano"] == NANO_MAX


def test_a_hold_is_the_worst_case_of_every_choice() -> None:
    sized = size_hold(ask_of(price_of(1000, 3000), choices=4), chain_limits(10**6, *[None] * 3))
    assert sized.amount_nano == 10 + 4 * 10 * 3
    assert (sized.output_tokens_max, sized.clamped_by) == (10, None)


@pytest.mark.parametrize("scope", SCOPES)
def test_the_output_is_lowered_to_what_the_tightest_level_buys(scope: LimitScope) -> None:
    limits = tuple(
        LimitState(each, "x", 10 + 2 * 9 if each is scope else 10**9, 0, 0) for each in LimitScope
    )
    sized = size_hold(ask_of(price_of(1000, 3000), choices=2), limits)
    assert (sized.output_tokens_max, sized.clamped_by) == (3, scope)
    assert sized.amount_nano == 28


def test_an_even_share_of_each_choice_is_bought() -> None:
    sized = size_hold(ask_of(price_of(0, 1000), choices=3), chain_limits(11, *[None] * 3))
    assert sized.output_tokens_max == 3
    assert sized.amount_nano == 9


def test_a_call_without_output_holds_its_input_alone() -> None:
    ask = ask_of(price_of(1000, 3000), output_tokens_max=0)
    sized = size_hold(ask, chain_limits(10, *[None] * 3))
    assert (sized.amount_nano, sized.output_tokens_max, sized.clamped_by) == (10, 0, None)


def test_a_free_model_runs_on_an_empty_balance() -> None:
    sized = size_hold(ask_of(price_of(0, 0)), chain_limits(0, *[None] * 3))
    assert (sized.amount_nano, sized.output_tokens_max, sized.clamped_by) == (0, 10, None)


@given(
    st.integers(0, 10**7),
    st.integers(0, 10**7),
    st.integers(1, 10**5),
    st.integers(1, 10**5),
    st.integers(1, 8),
    st.lists(st.none() | st.integers(0, 10**9), min_size=3, max_size=3),
    st.integers(0, 10**9),
)
def test_a_hold_never_passes_any_level_and_wastes_no_room(
    input_pico: int,
    output_pico: int,
    input_tokens: int,
    wanted: int,
    choices: int,
    caps: list[int | None],
    balance: int,
) -> None:
    price = price_of(input_pico, output_pico)
    ask = ask_of(price, input_tokens=input_tokens, output_tokens_max=wanted, choices=choices)
    limits = chain_limits(balance, *caps)
    tightest = min(room_nano(state) for state in limits)
    try:
        sized = size_hold(ask, limits)
    except Problem:
        assert worst_case_nano(price, input_tokens, choices) > tightest
        return
    assert sized.amount_nano <= tightest
    assert 1 <= sized.output_tokens_max <= wanted
    assert (sized.clamped_by is None) == (sized.output_tokens_max == wanted)
    if sized.clamped_by is not None:
        more = choices * (sized.output_tokens_max + 1)
        assert worst_case_nano(price, input_tokens, more) > tightest


def test_the_charge_is_exact_within_the_hold() -> None:
    price = price_of(1000, 3000)
    assert charge_of(price, ending_of(Usage(10, 5)), 100) == Charge(25, 0)


def test_what_passes_the_hold_is_the_operators_loss() -> None:
    price = price_of(1000, 3000)
    assert charge_of(price, ending_of(Usage(10, 50)), 100) == Charge(100, 60)


def test_nothing_is_charged_without_charge() -> None:
    assert charge_of(price_of(1, 1), ending_of(Usage(10, 5), charge=False), 100) == Charge(0, 0)


@given(st.integers(0, NANO_MAX), st.integers(0, NANO_MAX), st.integers(0, NANO_MAX))
def test_charge_and_loss_together_are_the_cost(used_in: int, used_out: int, held: int) -> None:
    price, usage = price_of(10**7, 10**7), Usage(used_in, used_out)
    charge = charge_of(price, ending_of(usage), held)
    full = cost_nano(price, usage)
    assert charge.cost_nano == min(full, held)
    assert charge.loss_nano == min(full - charge.cost_nano, NANO_MAX)


@pytest.mark.parametrize(
    "usage", [Usage(-1, 0), Usage(0, -1), Usage(0, 0, -1), Usage(0, 0, 0, -1), Usage(2**63, 0)]
)
def test_an_impossible_usage_is_a_fault_of_ours(usage: Usage) -> None:
    with pytest.raises(Problem) as refused:
        check_usage(ending_of(usage))
    assert refused.value.code is Code.INTERNAL
    assert "usage" in refused.value.public.lower()


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
    balance = LimitState(LimitScope.BALANCE, "o", 1, 0, 0)
    with pytest.raises(Problem) as refused:
        check_credit(amount, ref, balance)
    assert refused.value.code is Code.INVALID_VALUE
    assert refused.value.param == param


def test_a_credit_may_fill_the_balance_to_the_last_nano() -> None:
    balance = LimitState(LimitScope.BALANCE, "o", 1, 0, 0)
    assert check_credit(NANO_MAX - 1, "a" * 200, balance) is None


@pytest.mark.parametrize("limit", [-1, True, NANO_MAX + 1])
def test_a_cap_that_cannot_be_booked_is_refused(limit: int) -> None:
    with pytest.raises(Problem) as refused:
        check_limit(LimitState(LimitScope.KEY, "k", None, 0, 0), limit)
    assert refused.value.code is Code.INVALID_VALUE


def test_a_cap_reaches_down_to_what_is_spent_and_held() -> None:
    state = LimitState(LimitScope.KEY, "k", None, 3, 4)
    assert check_limit(state, 7) is None
    assert check_limit(state, None) is None
    with pytest.raises(Problem) as refused:
        check_limit(state, 6)
    assert refused.value.code is Code.STATE_CONFLICT
    assert refused.value.facts == {"spent_nano": 3, "held_nano": 4}


def test_a_balance_takes_no_cap() -> None:
    with pytest.raises(Problem) as refused:
        check_limit(LimitState(LimitScope.BALANCE, "o", 0, 0, 0), 5)
    assert refused.value.code is Code.STATE_CONFLICT
