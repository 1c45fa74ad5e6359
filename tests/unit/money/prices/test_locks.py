"""When two locks are in each other's way, and which versions an organization can be locked to."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices.rules import binds_from, check_lock, holds_at, overlapping
from tokenbooth.money.prices.values import DEFAULT, Book, PriceLock, PriceVersion

MOMENT = st.integers(0, 12)
NOW_US = 5
HORIZON_US = 14


def lock(from_us: int, until_us: int | None, model: str = "m") -> PriceLock:
    return PriceLock(
        org_id="o", model=model, sequence=1, version_id="v", from_us=from_us, until_us=until_us
    )


LOCKS = st.builds(lock, MOMENT, st.none() | MOMENT)
VERSION = PriceVersion(
    id="v",
    model="m",
    book_id="default",
    currency="USD",
    sequence=1,
    author="me",
    effective_us=0,
    tariffs=(),
)


def held(one: PriceLock) -> set[int]:
    """Every moment up to the horizon at which the lock holds."""
    until_us = HORIZON_US if one.until_us is None else one.until_us
    return set(range(one.from_us, until_us))


def test_locks_are_in_the_way_exactly_when_both_hold_at_one_moment() -> None:
    spans = [lock(*span) for span in product(range(5), (None, *range(5)))]
    for new, other in product(spans, spans):
        if held(new):
            assert (overlapping(new, [other]) == other) == bool(held(new) & held(other))


def test_a_lock_on_another_model_is_not_in_the_way() -> None:
    assert overlapping(lock(0, None), [lock(0, None, model="other")]) is None
    other = lock(3, None)
    assert overlapping(lock(0, 4), [lock(0, 9, model="other"), other]) == other


@given(LOCKS, MOMENT)
def test_a_lock_holds_from_its_first_moment_to_before_its_last(one: PriceLock, now_us: int) -> None:
    assert holds_at(one, now_us) == (now_us in held(one))
    assert binds_from(one, now_us) == any(moment >= now_us for moment in held(one))


@pytest.mark.parametrize(("from_us", "until_us"), [(0, 5), (7, 7), (7, 6), (0, 1)])
def test_a_lock_that_could_never_hold_is_refused(from_us: int, until_us: int) -> None:
    with pytest.raises(Problem) as caught:
        check_lock(lock(from_us, until_us), VERSION, DEFAULT, NOW_US)
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "until"


@pytest.mark.parametrize(("from_us", "until_us"), [(0, 6), (7, 8), (7, None), (0, None)])
def test_a_lock_that_will_hold_is_good(from_us: int, until_us: int | None) -> None:
    check_lock(lock(from_us, until_us), VERSION, DEFAULT, NOW_US)


def test_a_version_of_another_book_is_in_another_currency_and_refused() -> None:
    with pytest.raises(Problem) as caught:
        check_lock(lock(0, None), VERSION, Book("book_1", "europe", "EUR"), NOW_US)
    assert caught.value.code is Code.STATE_CONFLICT
    assert "europe" in caught.value.public
