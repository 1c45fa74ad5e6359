import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.admission.rates.window import SLOTS, WINDOW_S, SlidingWindow

START_S = 1_000


def test_counts_what_is_added() -> None:
    window = SlidingWindow(START_S)
    window.add(3)
    window.add(4)
    assert window.total == 7


def test_add_returns_the_second_it_counted_in() -> None:
    window = SlidingWindow(START_S)
    window.advance(START_S + 5)
    assert window.add(1) == START_S + 5


@pytest.mark.parametrize(
    ("later_s", "left"), [(0, 5), (1, 5), (60, 5), (61, 0), (62, 0), (9999, 0)]
)
def test_an_amount_leaves_after_sixty_one_seconds(later_s: int, left: int) -> None:
    window = SlidingWindow(START_S)
    window.add(5)
    window.advance(START_S + later_s)
    assert window.total == left


def test_slots_leave_one_by_one() -> None:
    window = SlidingWindow(0)
    for second in range(SLOTS):
        window.advance(second)
        window.add(1)
    assert window.total == SLOTS
    window.advance(SLOTS)
    assert window.total == SLOTS - 1
    window.advance(SLOTS + 10)
    assert window.total == SLOTS - 11


def test_a_clock_that_steps_back_changes_nothing() -> None:
    window = SlidingWindow(START_S)
    window.add(2)
    window.advance(START_S - 30)
    assert window.add(1) == START_S
    assert window.total == 3


def test_take_back_lowers_the_total_at_once() -> None:
    window = SlidingWindow(START_S)
    second = window.add(10)
    window.take_back(second, 4)
    assert window.total == 6


def test_take_back_in_the_last_second_of_the_window_still_counts() -> None:
    window = SlidingWindow(START_S)
    second = window.add(10)
    window.advance(START_S + WINDOW_S)
    window.take_back(second, 4)
    assert window.total == 6
    window.advance(START_S + SLOTS)
    assert window.total == 0


def test_take_back_after_the_slot_left_never_touches_its_successor() -> None:
    window = SlidingWindow(START_S)
    second = window.add(10)
    window.advance(START_S + SLOTS)
    window.add(3)
    window.take_back(second, 10)
    assert window.total == 3


def test_free_at_names_the_second_when_enough_has_left() -> None:
    window = SlidingWindow(0)
    window.add(5)
    window.advance(10)
    window.add(5)
    assert window.free_at_s(1) == SLOTS
    assert window.free_at_s(5) == SLOTS
    assert window.free_at_s(6) == SLOTS + 10
    assert window.empty_at_s() == SLOTS + 10


def test_a_window_is_empty_when_its_newest_amount_leaves() -> None:
    window = SlidingWindow(0)
    window.add(5)
    window.advance(10)
    taken_back = window.add(5)
    window.advance(40)
    window.take_back(taken_back, 5)
    assert window.empty_at_s() == SLOTS


@given(
    st.lists(
        st.tuples(st.integers(0, 70), st.integers(0, 100), st.booleans()), min_size=1, max_size=60
    )
)
def test_equals_a_list_of_everything_ever_added(steps: list[tuple[int, int, bool]]) -> None:
    window = SlidingWindow(0)
    now_s = 0
    kept: list[list[int]] = []
    for step_s, amount, take_back in steps:
        now_s += step_s
        window.advance(now_s)
        if take_back and kept:
            entry = kept[amount % len(kept)]
            half = entry[1] // 2
            window.take_back(entry[0], half)
            entry[1] -= half
        else:
            kept.append([window.add(amount), amount])
        alive = [entry for entry in kept if now_s - entry[0] <= WINDOW_S]
        assert window.total == sum(entry[1] for entry in alive)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 50)), min_size=1, max_size=40),
    st.data(),
)
def test_free_at_is_the_first_second_that_frees_enough(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    window = SlidingWindow(0)
    now_s = 0
    for step_s, amount in steps:
        now_s += step_s
        window.advance(now_s)
        window.add(amount)
    before = window.total
    wanted = data.draw(st.integers(1, before))
    free_at_s = window.free_at_s(wanted)
    assert window.empty_at_s() == window.free_at_s(before)
    assert free_at_s > now_s
    window.advance(free_at_s - 1)
    assert before - window.total < wanted
    window.advance(free_at_s)
    assert before - window.total >= wanted
