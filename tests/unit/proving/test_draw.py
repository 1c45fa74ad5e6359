import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.proving.draw import Draw


def test_the_same_seed_and_name_give_the_same_numbers() -> None:
    first, second = Draw(7, "a"), Draw(7, "a")
    assert [first.below(1000) for _ in range(50)] == [second.below(1000) for _ in range(50)]


def test_numbers_are_pinned_so_that_a_seed_means_the_same_drill_for_ever() -> None:
    draw = Draw(1, "mixed")
    assert [draw.below(1000) for _ in range(5)] == [792, 870, 811, 370, 623]


def test_another_seed_or_name_gives_other_numbers() -> None:
    def numbers(seed: int, name: str) -> list[int]:
        draw = Draw(seed, name)
        return [draw.below(10**6) for _ in range(20)]

    assert len({tuple(numbers(s, n)) for s in (1, 2) for n in ("a", "b")}) == 4


@given(st.integers(), st.integers(1, 2**32))
def test_below_stays_below(seed: int, bound: int) -> None:
    assert 0 <= Draw(seed, "x").below(bound) < bound


@pytest.mark.parametrize("bound", [0, -1, 2**32 + 1])
def test_a_bound_out_of_range_is_refused(bound: int) -> None:
    with pytest.raises(ValueError, match="bound"):
        Draw(1, "x").below(bound)


@given(st.integers(), st.integers(-50, 50), st.integers(0, 50))
def test_between_holds_both_ends(seed: int, low: int, width: int) -> None:
    assert low <= Draw(seed, "x").between(low, low + width) <= low + width


def test_between_reaches_both_ends() -> None:
    draw = Draw(3, "x")
    assert {draw.between(1, 3) for _ in range(200)} == {1, 2, 3}


@given(st.integers(), st.lists(st.integers(), max_size=30))
def test_shuffling_keeps_every_item(seed: int, items: list[int]) -> None:
    assert sorted(Draw(seed, "x").shuffled(items)) == sorted(items)


def test_shuffling_leaves_the_original_alone_and_moves_things() -> None:
    items = list(range(100))
    shuffled = Draw(1, "x").shuffled(items)
    assert items == list(range(100))
    assert shuffled != items


def test_chance_keeps_its_two_extremes() -> None:
    draw = Draw(1, "x")
    assert not any(draw.chance(0) for _ in range(100))
    assert all(draw.chance(100) for _ in range(100))


def test_one_of_takes_from_all() -> None:
    draw = Draw(1, "x")
    assert {draw.one_of("abc") for _ in range(200)} == set("abc")
