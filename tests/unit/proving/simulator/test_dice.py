"""Dice: the same numbers for a seed for ever, inside their bounds."""

from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.proving.simulator.dice import Dice

SEEDS = st.integers(0, 2**32)


def test_numbers_are_pinned_so_that_a_seed_means_the_same_life_for_ever() -> None:
    dice = Dice(7)
    assert [dice.below(1000) for _ in range(6)] == [128, 724, 279, 998, 288, 624]
    assert dice.token_bytes(4) == b"\x12\x8b/3"


@given(SEEDS, st.integers(1, 2**32))
def test_below_stays_below(seed: int, bound: int) -> None:
    assert 0 <= Dice(seed).below(bound) < bound


@given(SEEDS, st.integers(-50, 50), st.integers(0, 50))
def test_between_holds_both_ends(seed: int, low: int, width: int) -> None:
    assert low <= Dice(seed).between(low, low + width) <= low + width


@given(SEEDS)
def test_chance_keeps_its_two_extremes(seed: int) -> None:
    assert not Dice(seed).chance(0)
    assert Dice(seed).chance(100)


def test_one_of_takes_from_all() -> None:
    dice = Dice(1)
    assert {dice.one_of("abc") for _ in range(100)} == set("abc")
