"""Which waiting calls get money in one round, without a database."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.changed import changed
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.leases.grants import SHARE_OF_ROOM, Grants
from tokenbooth.money.leases.values import Answer, LeaseRow, LevelKey, Others, Verdict, Want
from tokenbooth.money.ledger.rules import empty_row

BALANCE, KEY = "balance:o", "key:k"
BOTH = (BALANCE, KEY)
CHAIN = (LevelKey(LimitScope.BALANCE, "o"), LevelKey(LimitScope.KEY, "k"))
SCOPES = {BALANCE: LimitScope.BALANCE, KEY: LimitScope.KEY}


def want(
    amount: int,
    least: int | None = None,
    *,
    runs: bool = False,
    recalls: Mapping[str, int] | None = None,
) -> Want:
    return Want(
        chain=CHAIN,
        amount_nano=amount,
        least_nano=amount if least is None else least,
        runs=runs,
        recalls=recalls or {},
    )


def nobody(name: str) -> Others | None:
    """No other replica has leased anything."""
    return None


def others(answered: int, idle_nano: int = 0) -> Callable[[str], Others]:
    """The same at every level."""
    return lambda name: Others(answered, idle_nano)


def at_the_key(name: str) -> Others | None:
    """They have something of the key, and have answered nothing."""
    return Others(0, 0) if name == KEY else None


def grants(
    balance: int,
    key: int,
    *,
    free: Mapping[str, int] | None = None,
    elsewhere: Callable[[str], Others | None] = nobody,
    recall: int = 3,
) -> Grants:
    """So much room at both levels, and ``free`` money in the replica's own leases, beside 7 that
    its calls hold."""
    limits = {
        name: changed(
            empty_row(SCOPES[name], name.partition(":")[2]), limit_nano=room, recall=recall
        )
        for name, room in ((BALANCE, balance), (KEY, key))
    }
    leases = {
        name: LeaseRow(limit_id=name, granted_nano=7 + nano, held_nano=7, recall_seen=0)
        for name, nano in (free or {}).items()
    }
    return Grants(limits, leases, elsewhere)


def test_a_call_that_fits_is_granted_what_is_missing() -> None:
    found = grants(100, 50, free={KEY: 10})
    assert found.answer(want(30), BOTH) == Answer(Verdict.FITS, 30, {})
    assert +found.granted_nano == {BALANCE: 30, KEY: 20}


def test_free_money_is_promised_once() -> None:
    found = grants(5, 5, free={BALANCE: 10, KEY: 10})
    verdicts = [found.answer(want(6), BOTH).verdict for _ in range(3)]
    assert verdicts == [Verdict.FITS, Verdict.FITS, Verdict.SHORT]
    assert +found.granted_nano == {BALANCE: 2, KEY: 2}


def test_nothing_is_granted_anywhere_when_one_level_refuses() -> None:
    found = grants(100, 9)
    assert found.answer(want(10), BOTH) == Answer(Verdict.SHORT, 0, {})
    assert not +found.granted_nano
    assert found.recalls == {}


def test_a_call_that_can_do_with_less_gets_all_there_is() -> None:
    found = grants(100, 9, free={BALANCE: 4})
    assert found.answer(want(10, 5), BOTH) == Answer(Verdict.SHORT, 9, {})
    assert +found.granted_nano == {BALANCE: 5, KEY: 9}
    assert found.answer(want(1), BOTH) == Answer(Verdict.SHORT, 0, {})


def test_the_least_that_makes_sense_is_granted_to_the_nano() -> None:
    assert grants(100, 5).answer(want(10, 5), BOTH).bought_nano == 5
    assert grants(100, 4).answer(want(10, 5), BOTH).bought_nano == 0


def test_nobody_is_refused_before_the_others_have_answered() -> None:
    found = grants(100, 9, elsewhere=others(3))
    assert found.answer(want(10, 5), BOTH) == Answer(Verdict.WAIT, 0, {KEY: 4})
    assert found.recalls == {KEY: 4}
    assert not +found.granted_nano


def test_calls_that_find_too_little_in_one_round_share_a_recall() -> None:
    found = grants(9, 9, elsewhere=others(3))
    assert found.answer(want(10), BOTH).recalls == {BALANCE: 4, KEY: 4}
    assert found.answer(want(11), BOTH).recalls == {BALANCE: 4, KEY: 4}
    assert found.recalls == {BALANCE: 4, KEY: 4}


@pytest.mark.parametrize(("answered", "verdict"), [(4, Verdict.WAIT), (5, Verdict.SHORT)])
def test_an_answer_counts_from_the_recall_that_the_call_asked_for(
    answered: int, verdict: Verdict
) -> None:
    """A newer recall of somebody else does not make it wait any longer."""
    found = grants(100, 9, elsewhere=others(answered), recall=9)
    assert found.answer(want(10, recalls={KEY: 5}), BOTH).verdict is verdict
    assert found.recalls == {}


@pytest.mark.parametrize(
    ("idle_nano", "wish", "verdict"),
    [
        (0, want(20, 12, recalls={KEY: 5}), Verdict.SHORT),
        (2, want(20, 12, recalls={KEY: 5}), Verdict.SHORT),
        (3, want(20, 12, recalls={KEY: 5}), Verdict.WAIT),
        (10, want(20, 5, recalls={KEY: 5}), Verdict.SHORT),
        (11, want(20, 5, recalls={KEY: 5}), Verdict.WAIT),
    ],
)
def test_who_freed_enough_after_an_answer_is_asked_again(
    idle_nano: int, wish: Want, verdict: Verdict
) -> None:
    """9 are there: with 3 more the first can start, with 11 more the other gets all of it."""
    found = grants(100, 9, elsewhere=others(5, idle_nano), recall=9)
    assert found.answer(wish, BOTH).verdict is verdict
    assert found.recalls == ({KEY: 10} if verdict is Verdict.WAIT else {})


def test_who_is_being_asked_is_not_asked_again() -> None:
    found = grants(100, 9, elsewhere=others(4, 50), recall=9)
    assert found.answer(want(20, recalls={KEY: 5}), BOTH) == Answer(Verdict.WAIT, 0, {KEY: 5})
    assert found.recalls == {}


def test_a_level_that_became_short_later_is_recalled_too() -> None:
    found = grants(9, 9, elsewhere=others(5))
    answer = found.answer(want(10, 1, recalls={KEY: 5}), BOTH)
    assert answer == Answer(Verdict.WAIT, 0, {KEY: 5, BALANCE: 4})


def test_one_hopeless_level_refuses_at_once() -> None:
    """Waiting for the key would not help: nobody else has anything of the balance."""
    found = grants(4, 9, elsewhere=at_the_key)
    assert found.answer(want(10, 5), BOTH) == Answer(Verdict.SHORT, 0, {})


def test_a_level_that_may_still_do_waits_for_the_other() -> None:
    found = grants(9, 4, elsewhere=at_the_key)
    assert found.answer(want(10, 5), BOTH) == Answer(Verdict.WAIT, 0, {KEY: 4})


def test_new_calls_leave_money_to_a_running_one_that_waits() -> None:
    found = grants(100, 9, elsewhere=others(3))
    assert found.answer(want(10, runs=True), BOTH).verdict is Verdict.WAIT
    assert found.answer(want(1, recalls={KEY: 2}), BOTH) == Answer(Verdict.WAIT, 0, {KEY: 2})
    assert found.answer(want(1), (BALANCE,)).verdict is Verdict.FITS
    assert found.answer(want(2, runs=True), BOTH).verdict is Verdict.FITS


def test_new_calls_do_not_keep_each_other_waiting() -> None:
    found = grants(100, 9, elsewhere=others(3))
    assert found.answer(want(10), BOTH).verdict is Verdict.WAIT
    assert found.answer(want(9), BOTH).verdict is Verdict.FITS


def test_an_advance_is_a_small_part_of_the_room() -> None:
    found = grants(1000, 1000)
    found.advance(BALANCE, 10**6)
    found.advance(KEY, 7)
    assert +found.granted_nano == {BALANCE: 1000 // SHARE_OF_ROOM, KEY: 7}


def test_an_advance_tops_up_what_is_free_already() -> None:
    found = grants(1000, 1000, free={BALANCE: 30, KEY: 60})
    found.advance(BALANCE, 10**6)
    found.advance(KEY, 10**6)
    assert +found.granted_nano == {BALANCE: 20}


def test_nothing_is_taken_in_advance_where_a_call_got_too_little() -> None:
    found = grants(1000, 9)
    assert found.answer(want(10), BOTH).verdict is Verdict.SHORT
    found.advance(KEY, 10**6)
    found.advance(BALANCE, 10**6)
    assert +found.granted_nano == {BALANCE: 50}


@given(
    balance=st.integers(0, 60),
    key=st.integers(0, 60),
    free=st.integers(0, 20),
    wanted=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.booleans()), max_size=8),
    alone=st.booleans(),
    block=st.integers(0, 100),
)
def test_no_round_grants_more_than_there_is(
    balance: int,
    key: int,
    free: int,
    wanted: list[tuple[int, int, bool]],
    alone: bool,
    block: int,
) -> None:
    found = grants(balance, key, free={KEY: free}, elsewhere=nobody if alone else others(3))
    room = {BALANCE: balance, KEY: key}
    left = {BALANCE: balance, KEY: key + free}
    for amount, least, runs in wanted:
        least = min(least, amount)
        answer = found.answer(want(amount, least, runs=runs), BOTH)
        match answer.verdict:
            case Verdict.FITS:
                assert answer.bought_nano == amount
            case Verdict.SHORT:
                assert min(left.values()) < amount
                assert answer.bought_nano == 0 or least <= answer.bought_nano < amount
                assert answer.bought_nano or min(left.values()) < max(1, least)
            case Verdict.WAIT:
                assert not alone
        left = {name: nano - answer.bought_nano for name, nano in left.items()}
        assert min(left.values()) >= 0
    for name in BOTH:
        found.advance(name, block)
        assert 0 <= found.granted_nano[name] <= room[name]
