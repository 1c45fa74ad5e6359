import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.admission.entry import rules
from tokenbooth.admission.entry.values import RANKS, Pace, rank_of
from tokenbooth.core.terms import ServiceTier

WAITS = st.integers(0, 10**12)


def test_tiers_have_their_order_and_own_apps_come_last_within_one() -> None:
    order = [ServiceTier.PRIORITY, ServiceTier.STANDARD, ServiceTier.FLEX, ServiceTier.BATCH]
    ranks = [rank_of(tier, first_party=own) for tier in order for own in (False, True)]
    assert ranks == list(range(RANKS))


@given(WAITS, WAITS)
def test_advice_to_come_back_is_bounded_whole_and_never_earlier_for_a_longer_wait(
    wait_us: int, more_us: int
) -> None:
    advice = rules.retry_after_s(wait_us)
    assert 1 <= advice <= rules.RETRY_AFTER_MAX_S
    assert advice * 1_000_000 >= min(wait_us, rules.RETRY_AFTER_MAX_S * 1_000_000)
    assert rules.retry_after_s(wait_us + more_us) >= advice


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 64))
def test_a_mean_moves_towards_what_is_seen_and_never_past_it(
    mean: int, seen: int, divisor: int
) -> None:
    moved = rules.smoothed(mean, seen, divisor)
    assert min(mean, seen) <= moved <= max(mean, seen)


@given(st.integers(1_000, 10**6), st.integers(0, 1_000), st.integers(1, 10**6))
def test_a_limit_never_falls_while_tokens_come_in_time(
    limit_milli: int, inside: int, itl_us: int
) -> None:
    for full in (True, False):
        moved = rules.next_limit_milli(limit_milli, inside, itl_us, itl_us, full=full)
        assert moved == limit_milli
    eased = rules.next_limit_milli(limit_milli, inside, itl_us, itl_us * 2, full=True)
    assert limit_milli + 500 <= eased <= limit_milli + max(500, limit_milli // 16)
    idle = rules.next_limit_milli(limit_milli, inside, itl_us, itl_us * 2, full=False)
    assert idle == limit_milli


@given(st.integers(1_000, 10**6), st.integers(1, 1_000), st.integers(2, 10**6))
def test_a_limit_falls_to_what_is_inside_and_a_part_of_it_at_least_half(
    limit_milli: int, inside: int, itl_us: int
) -> None:
    aim_us = itl_us // 2
    moved = rules.next_limit_milli(limit_milli, inside, itl_us, aim_us, full=True)
    assert moved <= limit_milli
    assert moved == limit_milli or inside * 500 <= moved <= inside * 1_000


def test_the_aim_follows_all_but_one_in_fifty_of_the_calls() -> None:
    bad_few = [500] * 49 + [9_000]
    assert rules.margin_milli(900, bad_few) == 990
    assert rules.margin_milli(900, [970] * 50) == 900
    assert rules.margin_milli(900, [2_000] * 50) == 810
    assert rules.margin_milli(620, [2_000] * 50) == rules.MARGIN_MILLI_MIN
    assert rules.margin_milli(1_150, [500] * 50) == rules.MARGIN_MILLI_MAX


def test_what_a_call_costs_and_how_much_may_be_read() -> None:
    assert rules.cost_tokens(100, 10) == 120
    assert rules.reading_tokens_max(1_000_000, 100_000) == 5_000
    assert rules.reading_tokens_max(1_000_000, 0) > 10**6


def test_a_pace_is_read_from_a_text() -> None:
    assert rules.pace_of("mine 2000 60 1 16") == ("mine", Pace(2_000_000, 60_000, 1, 16))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mine",
        "mine 1 2 3",
        "mine 1 2 3 4 5",
        "m a 2 3 4",
        "m 0 2 3 4",
        "m 1 0 3 4",
        "m 1 2 5 4",
    ],
)
def test_another_text_is_no_pace(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        rules.pace_of(text)
