"""How large a hold is, and what a call costs of it, without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.changed import changed
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.leases.sizing import (
    afforded,
    charge_of,
    extension_nano,
    least_nano,
    least_output_tokens,
    wished,
)
from tokenbooth.money.leases.values import HoldAsk, Sized
from tokenbooth.money.prices.service import Meter, Price, cost_nano, worst_case_nano

CALLER = Caller("o", "p", "k", frozenset())


def price_of(input_pico: int, output_pico: int) -> Price:
    return Price("v", "m", {Meter.INPUT: input_pico, Meter.OUTPUT: output_pico})


PLAIN = price_of(1000, 3000)


def ask_of(price: Price = PLAIN, **fields: object) -> HoldAsk:
    plain = HoldAsk(
        request_id="r",
        caller=CALLER,
        model="m",
        price=price,
        input_tokens=10,
        output_tokens_max=10,
        choices=1,
        stream=False,
        stated=True,
        strict=False,
        step_tokens=4,
    )
    return changed(plain, **fields)


def states(room: int) -> tuple[LimitState, ...]:
    return tuple(LimitState(scope, "x", room, 0, 0) for scope in LimitScope)


def test_a_stated_limit_is_held_whole_for_every_choice() -> None:
    assert wished(ask_of(choices=4)) == Sized(10 + 4 * 10 * 3, 40, 10, lowered=False)


def test_an_unstated_limit_is_held_for_a_first_step() -> None:
    assert wished(ask_of(stated=False, choices=2)) == Sized(10 + 2 * 4 * 3, 8, 10, lowered=False)


def test_a_step_never_passes_the_limit() -> None:
    sized = wished(ask_of(stated=False, step_tokens=50))
    assert sized == Sized(10 + 10 * 3, 10, 10, lowered=False)


def test_the_least_is_one_token_for_each_choice() -> None:
    assert least_output_tokens(ask_of(choices=3)) == 3
    assert least_output_tokens(ask_of(output_tokens_max=0)) == 0
    assert least_nano(ask_of(choices=3)) == 10 + 3 * 3
    assert least_nano(ask_of(output_tokens_max=0)) == 10


def test_the_output_is_lowered_to_what_the_money_buys() -> None:
    sized = afforded(ask_of(choices=2), 10 + 2 * 9 + 5, states(33))
    assert sized == Sized(10 + 2 * 9, 6, 3, lowered=True)


def test_an_even_share_of_each_choice_is_bought() -> None:
    sized = afforded(ask_of(price_of(0, 1000), choices=3), 11, states(11))
    assert sized == Sized(9, 9, 3, lowered=True)


def test_an_unstated_limit_is_not_lowered_but_extended_later() -> None:
    sized = afforded(ask_of(stated=False), 16, states(16))
    assert sized == Sized(16, 2, 10, lowered=False)


def test_too_little_to_start_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        afforded(ask_of(), 12, states(12))
    assert refused.value.code is Code.BALANCE_EXHAUSTED
    assert refused.value.facts["needed_nano"] == 13


@pytest.mark.parametrize("room", [13, 39])
def test_a_strict_caller_gets_the_whole_limit_or_a_refusal(room: int) -> None:
    with pytest.raises(Problem) as refused:
        afforded(ask_of(strict=True), room, states(room))
    assert refused.value.code is Code.OUTPUT_UNAFFORDABLE
    assert refused.value.facts["affordable_output_tokens"] == (room - 10) // 3


def test_a_strict_caller_that_could_not_even_start_hears_that() -> None:
    with pytest.raises(Problem) as refused:
        afforded(ask_of(strict=True), 12, states(12))
    assert refused.value.code is Code.BALANCE_EXHAUSTED


def test_nobody_is_strict_about_a_limit_that_was_not_stated() -> None:
    assert afforded(ask_of(strict=True, stated=False), 13, states(13)).held_output_tokens == 1


@given(
    st.integers(0, 10**7),
    st.integers(1, 10**7),
    st.integers(1, 10**5),
    st.integers(1, 10**5),
    st.integers(1, 8),
    st.integers(0, 10**9),
    st.booleans(),
)
def test_a_hold_never_passes_the_room_and_wastes_none(
    input_pico: int,
    output_pico: int,
    input_tokens: int,
    wanted: int,
    choices: int,
    room: int,
    stated: bool,
) -> None:
    price = price_of(input_pico, output_pico)
    ask = ask_of(
        price, input_tokens=input_tokens, output_tokens_max=wanted, choices=choices, stated=stated
    )
    if wished(ask).amount_nano <= room:
        return
    try:
        sized = afforded(ask, room, states(room))
    except Problem:
        assert least_nano(ask) > room
        return
    assert least_nano(ask) <= sized.amount_nano <= room
    assert sized.held_output_tokens % choices == 0
    assert sized.lowered is stated
    assert worst_case_nano(price, input_tokens, sized.held_output_tokens + choices) > room


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 3000))
def test_an_extension_is_what_is_missing(input_tokens: int, tokens: int, held: int) -> None:
    missing = extension_nano(PLAIN, input_tokens, tokens, held)
    whole = worst_case_nano(PLAIN, input_tokens, tokens)
    assert missing == max(0, whole - held)


def test_the_charge_is_exact_within_the_hold() -> None:
    assert charge_of(PLAIN, Usage(10, 5), 100) == (25, 0)


def test_what_passes_the_hold_is_the_operators_loss() -> None:
    assert charge_of(PLAIN, Usage(10, 50), 100) == (100, 60)


@given(st.integers(0, NANO_MAX), st.integers(0, NANO_MAX), st.integers(0, NANO_MAX))
def test_charge_and_loss_together_are_the_cost(used_in: int, used_out: int, held: int) -> None:
    price, usage = price_of(10**7, 10**7), Usage(used_in, used_out)
    kept, lost = charge_of(price, usage, held)
    full = cost_nano(price, usage)
    assert kept == min(full, held)
    assert lost == min(full - kept, NANO_MAX)
