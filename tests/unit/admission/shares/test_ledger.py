"""Who shares a limit out keeps it: parts, parts of the dead, and those who wait, in any order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.admission.shares.ledger import GHOST_US
from tokenbooth.admission.shares.service import Kind, Limited, ShareLedger

CALLS = Limited(Kind.REQUESTS, "key", "k")
SEATS = Limited(Kind.PLACES, "deployment", "d")


def test_the_first_gets_all_and_the_next_nothing_before_something_is_given_back() -> None:
    ledger = ShareLedger()
    assert ledger.missing(CALLS, 10, 4, 0) == 0
    assert ledger.grant("a", CALLS, 10, 0) == 10
    assert ledger.missing(CALLS, 10, 4, 0) == 4
    assert ledger.grant("b", CALLS, 10, 0) == 0
    ledger.given_back("a", CALLS, 3)
    assert ledger.missing(CALLS, 10, 4, 0) == 1
    assert ledger.grant("b", CALLS, 10, 0) == 3
    assert ledger.others(CALLS, "a") == ("b",)


def test_a_raised_limit_is_free_at_once_and_a_lowered_one_is_owed() -> None:
    ledger = ShareLedger()
    ledger.grant("a", CALLS, 10, 0)
    assert ledger.missing(CALLS, 15, 5, 0) == 0
    assert ledger.missing(CALLS, 4, 1, 0) == 7
    assert ledger.grant("b", CALLS, 4, 0) == 0
    assert ledger.limit(CALLS) == 4


@pytest.mark.parametrize("holders", [1, 2, 3, 10])
def test_an_even_part_is_at_least_one(holders: int) -> None:
    ledger = ShareLedger()
    ledger.grant("a", SEATS, 2, 0)
    assert ledger.is_short(SEATS, "b", holders)
    assert not ledger.is_short(SEATS, "a", holders)


def test_who_waits_longest_is_next_unless_another_has_less_than_its_part() -> None:
    ledger = ShareLedger()
    ledger.joined("rich", {SEATS: (4, 3)})
    ledger.joined("other", {SEATS: (4, 1)})
    assert ledger.next_needy(SEATS, 3, 0) is None
    for name in ("rich", "poor"):
        ledger.wait_for(SEATS, name)
    assert ledger.next_needy(SEATS, 3, 0) is None
    ledger.given_back("other", SEATS, 1)
    assert ledger.next_needy(SEATS, 3, 0) == "poor"
    assert (ledger.is_needy(SEATS, "poor"), ledger.is_owed(SEATS, "poor")) == (True, True)
    assert ledger.grant("poor", SEATS, 4, 0) == 1
    assert (ledger.is_needy(SEATS, "poor"), ledger.is_owed(SEATS, "poor")) == (False, True)
    assert not ledger.is_owed(SEATS, "rich")
    ledger.given_back("poor", SEATS, 1)
    assert ledger.next_needy(SEATS, 3, 0) == "rich"


def test_what_a_dead_one_had_of_a_minute_is_free_when_no_window_can_hold_it() -> None:
    ledger = ShareLedger()
    ledger.grant("a", CALLS, 10, 0)
    ledger.given_back("a", CALLS, 4)
    assert list(ledger.left("a", 1000)) == [CALLS]
    assert ledger.ghosts_end_us(CALLS) == 1000 + GHOST_US
    assert ledger.grant("b", CALLS, 10, 1000) == 4
    assert ledger.missing(CALLS, 10, 1, GHOST_US + 999) == 1
    assert ledger.grant("b", CALLS, 10, GHOST_US + 1000) == 6
    assert ledger.ghosts_end_us(CALLS) is None


def test_places_of_the_dead_are_free_at_once_and_it_waits_no_more() -> None:
    ledger = ShareLedger()
    ledger.grant("a", SEATS, 2, 0)
    ledger.wait_for(SEATS, "a")
    ledger.wait_for(SEATS, "b")
    assert list(ledger.left("a", 0)) == [SEATS]
    assert (ledger.is_needy(SEATS, "a"), ledger.next_needy(SEATS, 2, 0)) == (False, "b")
    assert ledger.grant("b", SEATS, 2, 0) == 2


def test_what_nobody_knows_of_is_no_error() -> None:
    ledger = ShareLedger()
    ledger.given_back("a", CALLS, 5)
    ledger.tidy(0)
    assert list(ledger.left("a", 0)) == []
    assert (ledger.next_needy(CALLS, 2, 0), ledger.ghosts_end_us(CALLS)) == (None, None)
    assert not ledger.is_needy(CALLS, "a")
    assert not ledger.is_owed(CALLS, "a")
    assert len(ledger) == 0


def test_giving_more_back_than_one_had_makes_nothing_of_nothing() -> None:
    ledger = ShareLedger()
    ledger.grant("a", CALLS, 10, 0)
    ledger.given_back("a", CALLS, 99)
    assert len(ledger) == 0
    assert ledger.grant("b", CALLS, 10, 0) == 10


moves = st.lists(
    st.tuples(
        st.sampled_from(("grant", "give", "die", "wait", "tidy", "tick", "limit")),
        st.sampled_from("abc"),
        st.integers(0, 9),
    ),
    max_size=50,
)


@settings(max_examples=60)
@given(st.sampled_from((CALLS, SEATS)), moves)
def test_parts_of_the_living_and_the_dead_are_never_more_than_the_limit(limited, moves) -> None:
    ledger, limit, now_us = ShareLedger(), 9, 0
    held = dict.fromkeys("abc", 0)
    dead: list[tuple[int, int]] = []
    for word, name, number in moves:
        if word == "grant":
            missing = ledger.missing(limited, limit, number, now_us)
            amount = ledger.grant(name, limited, limit, now_us)
            held[name] += amount
            assert (amount >= number) == (missing == 0)
        elif word == "give":
            amount = min(number, held[name])
            ledger.given_back(name, limited, amount)
            held[name] -= amount
        elif word == "die":
            if limited is CALLS and held[name]:
                dead.append((now_us + GHOST_US, held[name]))
            list(ledger.left(name, now_us))
            held[name] = 0
        elif word == "wait" and limited in ledger._accounts:
            ledger.wait_for(limited, name)
        elif word == "tidy":
            ledger.tidy(now_us)
        elif word == "tick":
            now_us += number * 10_000_000
        elif word == "limit" and sum(held.values()) == 0 and not dead:
            limit = max(1, number)
        dead = [each for each in dead if each[0] > now_us]
        assert sum(held.values()) + sum(amount for _, amount in dead) <= limit
    for name in held:
        list(ledger.left(name, now_us))
    ledger.tidy(now_us + GHOST_US)
    assert len(ledger) == 0
