"""What is held is the most that a call can cost: no less, and no nano more."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tariffs import Dealer, fair_nano, price_of
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_MAX
from tokenbooth.money.prices.rules import (
    UNBOUNDED_TOKENS,
    affordable_output_tokens,
    cost_nano,
    worst_case_nano,
)
from tokenbooth.money.prices.values import Meter, Price, Step, Uses

SEEDS = range(400)


def every_usage(input_tokens: int, output_tokens: int, uses: Uses) -> list[Usage]:
    """All usages whatsoever within small bounds, the edges of each use."""
    counts = product(
        *(range(n + 1) for n in (input_tokens, output_tokens)),
        *((0, n) for n in (uses.images, uses.audio_s, uses.video_s, uses.searches)),
    )
    return [
        Usage(
            i,
            o,
            cached,
            reasoning,
            cache_write_tokens=written,
            images=m,
            audio_s=a,
            video_s=v,
            searches=s,
        )
        for i, o, m, a, v, s in counts
        for cached in range(i + 1)
        for written in (0, i - cached)
        for reasoning in (0, o)
    ]


def small(dealer: Dealer) -> Price:
    """A price whose context steps lie within the bounds of the exhaustive search."""
    price = dealer.price(Uses(images=1, searches=2))
    steps = tuple(
        Step(least, step.lines) for least, step in zip((2, 3, 5), price.steps, strict=False)
    )
    return Price(price.version_id, price.model, price.lines, steps, uses=price.uses)


@pytest.mark.parametrize("seed", range(12))
def test_the_worst_case_is_the_dearest_of_all_usages_within_the_bound(seed: int) -> None:
    price = small(Dealer(seed))
    for input_tokens, output_tokens in ((0, 0), (1, 2), (3, 1), (5, 2)):
        dearest = max(
            fair_nano(price, usage)
            for usage in every_usage(input_tokens, output_tokens, price.uses)
        )
        assert worst_case_nano(price, input_tokens, output_tokens) == dearest


def test_no_usage_within_the_bound_costs_more_than_was_held() -> None:
    for seed in SEEDS:
        dealer = Dealer(seed)
        uses = dealer.uses()
        price = dealer.price(uses)
        input_tokens, output_tokens = dealer.count(), dealer.count()
        held_nano = worst_case_nano(price, input_tokens, output_tokens)
        for _ in range(25):
            usage = dealer.within(input_tokens, output_tokens, uses)
            assert cost_nano(price, usage) <= held_nano, (seed, usage)


def test_more_of_anything_is_never_held_for_less() -> None:
    for seed in SEEDS:
        dealer = Dealer(seed)
        price = dealer.price(dealer.uses())
        first, second = sorted((dealer.count(), dealer.count()))
        output_tokens = dealer.count()
        assert worst_case_nano(price, first, output_tokens) <= worst_case_nano(
            price, second, output_tokens
        )
        assert worst_case_nano(price, output_tokens, first) <= worst_case_nano(
            price, output_tokens, second
        )


@given(st.integers(0, 10**6), st.integers(0, 700), st.integers(0, 10**12))
def test_what_is_affordable_fits_and_one_token_more_does_not(
    seed: int, input_tokens: int, remaining_nano: int
) -> None:
    dealer = Dealer(seed)
    price = dealer.price(dealer.uses())
    bought = affordable_output_tokens(price, input_tokens, remaining_nano)
    if worst_case_nano(price, input_tokens, 0) > remaining_nano:
        assert bought == 0
    elif bought == UNBOUNDED_TOKENS:
        assert worst_case_nano(price, input_tokens, NANO_MAX) <= remaining_nano
    else:
        assert worst_case_nano(price, input_tokens, bought) <= remaining_nano
        assert worst_case_nano(price, input_tokens, bought + 1) > remaining_nano


@pytest.mark.parametrize(
    ("remaining_nano", "bought"),
    [(0, 1), (1, 2), (2, 5), (3, 6)],
    ids=["0.5 rounds to 0", "1.5 would be 2", "2.5 rounds to 2", "3.5 would be 4"],
)
def test_ties_go_to_the_even_neighbour(remaining_nano: int, bought: int) -> None:
    price = price_of(input=0, output=500)
    assert affordable_output_tokens(price, 0, remaining_nano) == bought


def test_free_output_is_unbounded_and_nothing_is_bought_with_less_than_nothing() -> None:
    assert affordable_output_tokens(price_of(input=1000, output=0), 5, 5) == UNBOUNDED_TOKENS
    assert affordable_output_tokens(price_of(input=1000, output=0), 5, 4) == 0
    assert affordable_output_tokens(price_of(input=0, output=1000), 0, -1) == 0
    # Half a nano rounds to nothing, so nothing buys it.
    assert affordable_output_tokens(price_of(input=500, output=0), 1, 0) == UNBOUNDED_TOKENS


def test_the_dearest_part_of_input_and_of_output_is_held() -> None:
    assert worst_case_nano(price_of(input=10_000, output=1, cached_input=3), 1, 0) == 10
    assert worst_case_nano(price_of(input=10_000, output=1, cached_input=30_000), 1, 0) == 30
    assert worst_case_nano(price_of(input=10_000, output=1, cache_write=13_000), 1, 0) == 13
    dear = price_of(input=1000, output=1000, cached_input=3000, reasoning=5000)
    assert worst_case_nano(dear, 2, 1) == 6 + 5


def test_a_prompt_is_held_at_the_dearest_step_that_it_can_reach() -> None:
    dearer = Step(100, {Meter.INPUT: 2000, Meter.OUTPUT: 8000})
    price = price_of(dearer, input=1000, output=4000)
    assert worst_case_nano(price, 99, 1) == 99 + 4
    assert worst_case_nano(price, 100, 1) == 200 + 8
    assert affordable_output_tokens(price, 99, 103) == 1
    assert affordable_output_tokens(price, 100, 103) == 0


def test_a_cheaper_long_context_does_not_free_what_a_shorter_one_costs() -> None:
    cheaper = Step(100, {Meter.INPUT: 10, Meter.OUTPUT: 10})
    price = price_of(cheaper, input=1000, output=1000)
    # The longest prompt under the step: 99 tokens, not the bound of 150.
    assert worst_case_nano(price, 150, 0) == 99
    assert worst_case_nano(price, 150, 2) == 101


def test_every_use_that_is_allowed_is_held_and_no_other() -> None:
    uses = Uses(images=2, audio_s=60, video_s=10, searches=3)
    price = price_of(
        uses=uses, input=0, output=0, image=1000, audio_s=2000, video_s=3000, search=4000, call=5000
    )
    assert worst_case_nano(price, 0, 0) == 2 + 120 + 30 + 12 + 5
    free = price_of(input=0, output=0, image=1000, call=5000)
    assert worst_case_nano(free, 0, 0) == 5
    assert affordable_output_tokens(price, 0, 168) == 0
    assert affordable_output_tokens(price, 0, 169) == UNBOUNDED_TOKENS
