"""The price rules against an independent implementation in exact fractions."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices.rules import (
    UNBOUNDED_TOKENS,
    affordable_output_tokens,
    checked_tariffs,
    cost_nano,
    input_worst_pico,
    tariff_of,
    worst_case_nano,
)
from tokenbooth.money.prices.values import Meter, Price, PriceAsk

PICO = st.integers(0, 10**8) | st.sampled_from([0, 1, 499, 500, 501, 1000, 1500, 2500])
TOKENS = st.integers(0, 2_000_000) | st.integers(0, 3)


def price_of(input_pico: int, output_pico: int, cached_pico: int | None = None) -> Price:
    ask = PriceAsk("m", input_pico, output_pico, cached_pico)
    return Price("price_1", "m", tariff_of(ask).steps[0].lines)


PRICES = st.builds(price_of, PICO, PICO, st.none() | PICO)


def rounded(pico: int) -> int:
    """Python's own rounding of a fraction goes half to even."""
    return round(Fraction(pico, 1000))


@given(PRICES, TOKENS, TOKENS, st.none() | TOKENS)
def test_cost_is_the_exact_sum_rounded_once(
    price: Price, input_tokens: int, output_tokens: int, cached_tokens: int | None
) -> None:
    usage = Usage(input_tokens, output_tokens, cached_tokens)
    cached = min(cached_tokens or 0, input_tokens)
    cached_pico = price.lines.get(Meter.CACHED_INPUT, price.lines[Meter.INPUT])
    expected = rounded(
        (input_tokens - cached) * price.lines[Meter.INPUT]
        + cached * cached_pico
        + output_tokens * price.lines[Meter.OUTPUT]
    )
    assert cost_nano(price, usage) == expected


@given(PRICES, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS)
def test_no_usage_within_the_bounds_costs_more_than_the_worst_case(
    price: Price, bound_in: int, bound_out: int, used_in: int, used_out: int, cached: int
) -> None:
    usage = Usage(min(used_in, bound_in), min(used_out, bound_out), cached)
    assert cost_nano(price, usage) <= worst_case_nano(price, bound_in, bound_out)


@given(PRICES, TOKENS, st.integers(0, 10**12))
def test_affordable_output_is_the_largest_that_fits(
    price: Price, input_tokens: int, remaining_nano: int
) -> None:
    bought = affordable_output_tokens(price, input_tokens, remaining_nano)
    if worst_case_nano(price, input_tokens, 0) > remaining_nano:
        assert bought == 0
    elif price.lines[Meter.OUTPUT] == 0:
        assert bought == UNBOUNDED_TOKENS
    else:
        assert worst_case_nano(price, input_tokens, bought) <= remaining_nano
        assert worst_case_nano(price, input_tokens, bought + 1) > remaining_nano


@pytest.mark.parametrize(
    ("remaining_nano", "bought"),
    [(0, 1), (1, 2), (2, 5), (3, 6)],
    ids=["0.5 rounds to 0", "1.5 would be 2", "2.5 rounds to 2", "3.5 would be 4"],
)
def test_ties_go_to_the_even_neighbour(remaining_nano: int, bought: int) -> None:
    assert affordable_output_tokens(price_of(0, 500), 0, remaining_nano) == bought


def test_a_price_list_in_dollars_per_million_is_exact() -> None:
    price = price_of(1_250_000, 4_250_000, 150_000)
    assert cost_nano(price, Usage(1_000_000, 0)) == 1_250_000_000
    assert cost_nano(price, Usage(1_000_000, 0, 1_000_000)) == 150_000_000
    assert cost_nano(price, Usage(0, 1_000_000)) == 4_250_000_000


def test_the_dearer_of_plain_and_cached_input_is_the_worst() -> None:
    assert input_worst_pico(price_of(10, 1, 3)) == 10
    assert input_worst_pico(price_of(10, 1, 30)) == 30
    assert input_worst_pico(price_of(10, 1)) == 10
    assert worst_case_nano(price_of(1000, 1000, 3000), 2, 1) == 7


def test_a_plain_price_without_a_cached_one_leaves_the_line_out() -> None:
    assert tariff_of(PriceAsk("m", 1, 2)).steps[0].lines == {Meter.INPUT: 1, Meter.OUTPUT: 2}
    assert tariff_of(PriceAsk("m", 1, 2, 0)).steps[0].lines == {
        Meter.INPUT: 1,
        Meter.OUTPUT: 2,
        Meter.CACHED_INPUT: 0,
    }


@pytest.mark.parametrize(
    ("ask", "param"),
    [
        (PriceAsk("m", -1, 2), "input"),
        (PriceAsk("m", 1, 2**63), "output"),
        (PriceAsk("m", 1, 2, -5), "cached_input"),
        (PriceAsk("m", True, 2), "input"),
        (PriceAsk("m", 1, 2.5), "output"),  # type: ignore[arg-type]
        (PriceAsk("", 1, 2), "model"),
        (PriceAsk("a\0b", 1, 2), "model"),
    ],
)
def test_a_price_that_cannot_be_booked_is_refused_by_name(ask: PriceAsk, param: str) -> None:
    with pytest.raises(Problem) as refused:
        checked_tariffs(ask.model, [tariff_of(ask)])
    assert refused.value.code is Code.INVALID_VALUE
    assert refused.value.param == param
