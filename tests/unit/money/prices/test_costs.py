"""What a call costs, against an independent arithmetic in exact fractions."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tariffs import Dealer, fair_nano, price_of
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import pico_to_nano_half_even
from tokenbooth.money.prices.rules import cost_nano, effective_pico
from tokenbooth.money.prices.values import Meter, Step

VECTORS = 100_000
VECTORS_OF_A_PRICE = 20
MILLION = 1_000_000


def test_a_hundred_thousand_random_usages_cost_the_same_to_the_nano() -> None:
    dealer = Dealer(seed=20)
    stepped = cached = rounded = 0
    for _ in range(VECTORS // VECTORS_OF_A_PRICE):
        price = dealer.price()
        for _ in range(VECTORS_OF_A_PRICE):
            usage = dealer.usage()
            expected = fair_nano(price, usage)
            assert cost_nano(price, usage) == expected, (price, usage)
            stepped += any(s.context_min_tokens <= usage.input_tokens for s in price.steps)
            cached += Meter.CACHED_INPUT in price.lines and bool(usage.cached_input_tokens)
            rounded += expected > 0
    # The dealer dealt what matters, and not zeroes only.
    assert min(stepped, cached, rounded) > VECTORS // 10


@given(st.integers(0, 10**18), st.integers(0, 10**6))
def test_rounding_never_turns_the_order_around(pico: int, more_pico: int) -> None:
    assert pico_to_nano_half_even(pico) <= pico_to_nano_half_even(pico + more_pico)
    assert pico_to_nano_half_even(pico) == round(Fraction(pico, 1000))


def test_a_million_charges_of_a_tenth_add_up_exactly_where_floats_drift() -> None:
    """The named regression "float drift": 0.10 per million tokens, a million calls of one token."""
    price, one = price_of(input=100_000, output=0), Usage(1, 0)
    total_nano, total = 0, 0.0
    for _ in range(MILLION):
        total_nano += cost_nano(price, one)
        total += 0.10 / MILLION
    assert total_nano == 100_000_000
    assert total != 0.10


def test_a_tenth_of_a_nano_is_rounded_once_for_each_call_and_never_before() -> None:
    price = price_of(input=100, output=100)
    assert [cost_nano(price, Usage(n, 0)) for n in (0, 4, 5, 6, 15, 25)] == [0, 0, 0, 1, 2, 2]
    # Five and five tenths are one nano: parts are not rounded before they are added up.
    assert cost_nano(price, Usage(5, 5)) == 1


def test_a_price_list_for_a_million_is_exact() -> None:
    price = price_of(input=1_250_000, output=4_250_000, cached_input=150_000)
    assert cost_nano(price, Usage(MILLION, 0)) == 1_250_000_000
    assert cost_nano(price, Usage(MILLION, 0, MILLION)) == 150_000_000
    assert cost_nano(price, Usage(0, MILLION)) == 4_250_000_000


def test_parts_without_a_price_cost_what_their_whole_costs() -> None:
    price = price_of(input=1000, output=3000)
    plain = cost_nano(price, Usage(10, 10))
    split = Usage(10, 10, cached_input_tokens=4, cache_write_tokens=3, reasoning_tokens=6)
    assert cost_nano(price, split) == plain == 40
    assert effective_pico(price.lines, Meter.CACHE_WRITE) == 1000
    assert effective_pico(price.lines, Meter.CACHED_INPUT) == 1000
    assert effective_pico(price.lines, Meter.REASONING) == 3000
    assert effective_pico(price.lines, Meter.IMAGE) == 0
    assert effective_pico({**price.lines, Meter.IMAGE: 7}, Meter.IMAGE) == 7


def test_parts_with_a_price_cost_their_own() -> None:
    price = price_of(input=1000, output=3000, cached_input=100, cache_write=1250, reasoning=500)
    usage = Usage(100, 10, cached_input_tokens=40, cache_write_tokens=20, reasoning_tokens=4)
    assert cost_nano(price, usage) == 40 + 4 + 25 + 18 + 2


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        (Usage(10, 0, cached_input_tokens=50), 1),
        (Usage(10, 0, cached_input_tokens=6, cache_write_tokens=50), 6),
        (Usage(10, 0, cache_write_tokens=50), 12),
        (Usage(0, 10, reasoning_tokens=50), 5),
        (Usage(10, 0, cached_input_tokens=None), 10),
    ],
    ids=["cached", "written beside cached", "written", "reasoning", "untold"],
)
def test_a_part_beyond_its_whole_is_charged_once(usage: Usage, nano: int) -> None:
    price = price_of(input=1000, output=3000, cached_input=100, cache_write=1250, reasoning=500)
    assert cost_nano(price, usage) == nano


def test_uses_and_the_call_itself_have_prices() -> None:
    price = price_of(
        input=0, output=0, image=7000, audio_s=100_000, video_s=200_000, search=2_500_000, call=9000
    )
    assert cost_nano(price, Usage(0, 0)) == 9
    usage = Usage(0, 0, images=2, audio_s=3, video_s=4, searches=5)
    assert cost_nano(price, usage) == 9 + 14 + 300 + 800 + 12_500


def test_the_context_step_of_the_whole_input_prices_the_whole_call() -> None:
    lines = {Meter.INPUT: 2000, Meter.OUTPUT: 9000}
    top = {Meter.INPUT: 1000, Meter.OUTPUT: 1000}
    price = price_of(Step(100, lines), Step(200, top), input=1000, output=4000)
    assert cost_nano(price, Usage(99, 1)) == 99 + 4
    assert cost_nano(price, Usage(100, 1)) == 200 + 9
    assert cost_nano(price, Usage(199, 1)) == 398 + 9
    assert cost_nano(price, Usage(200, 1)) == 200 + 1
