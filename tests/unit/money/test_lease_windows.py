"""Caps that begin anew: each window counts for itself, and only the database's clock decides.

The database is told what time it is; it begins at noon of 2026-11-20.
"""

import pytest

from tests.support.bank import CALLER, Bank
from tests.support.timed import Timed, moment_us
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, LimitWindow, Period
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import LevelKey, Verdict, Waiter
from tokenbooth.money.ledger import service as ledger

DAY = LimitWindow(Period.DAY, "2026-11-20", moment_us("2026-11-21T00:00:00"))
NEXT = LimitWindow(Period.DAY, "2026-11-21", moment_us("2026-11-22T00:00:00"))
MONTH = LimitWindow(Period.MONTH, "2026-11", moment_us("2026-12-01T00:00:00"))
CHAIN = tuple(LevelKey(*level) for level in ledger.chain_of(CALLER))


def cap(bank: Bank, limit: int | None, period: Period | None = None) -> None:
    bank.write(
        lambda op, tx: ledger.set_limit(op, tx, LimitScope.KEY, CALLER.key_id, limit, period)
    )


@pytest.fixture
def daily(timed: Timed) -> Timed:
    """Much on the balance, and 240 a day for the key: two calls of 120."""
    timed.bank.price(1000, 2000)
    timed.bank.fund(10_000)
    cap(timed.bank, 240, Period.DAY)
    return timed


def key(bank: Bank) -> LimitState:
    return bank.limits()["key"]


def refused(bank: Bank, request_id: str, on: str = "replica_a") -> Problem:
    with pytest.raises(Problem) as caught:
        bank.hold(request_id, on=on)
    assert caught.value.code is Code.CAP_REACHED
    return caught.value


def test_the_window_of_the_moment_is_shown_before_any_call(daily: Timed) -> None:
    assert key(daily.bank) == LimitState(LimitScope.KEY, "key_a", 240, 0, 0, DAY)
    daily.to("2026-11-21T00:00:00")
    assert key(daily.bank) == LimitState(LimitScope.KEY, "key_a", 240, 0, 0, NEXT)
    assert daily.bank.rows("SELECT count(*) FROM spend_limit WHERE scope = 'key'") == [(1,)]


def test_a_cap_counts_in_its_window_alone(daily: Timed) -> None:
    bank = daily.bank
    for number in (1, 2):
        bank.hold(f"req_{number}")
        bank.settle(f"req_{number}")
    refused(bank, "req_3")
    daily.to("2026-11-20T23:59:59")
    refused(bank, "req_4")
    daily.to("2026-11-21T00:00:00")
    assert bank.hold("req_5").limits[3].window == NEXT
    bank.settle("req_5")
    assert key(bank) == LimitState(LimitScope.KEY, "key_a", 240, 120, 0, NEXT)
    assert bank.rows(
        "SELECT id, spent_nano FROM spend_limit WHERE window_id <> '' ORDER BY id"
    ) == [
        ("key:key_a@2026-11-20", 240),
        ("key:key_a@2026-11-21", 120),
    ]
    assert bank.limits()["balance"].spent_nano == 360
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_a_refusal_says_when_the_cap_renews(daily: Timed) -> None:
    daily.bank.hold("req_1", output_tokens_max=70)
    facts = refused(daily.bank, "req_2").facts
    assert facts["renews_at"] == "2026-11-21T00:00:00Z"


def test_a_call_settles_in_the_window_that_it_was_admitted_in(daily: Timed) -> None:
    bank = daily.bank
    bank.hold("req_1")
    daily.to("2026-11-21T06:00:00")
    bank.hold("req_2")
    receipt = bank.settle("req_1", usage=Usage(100, 3))
    assert receipt.limits[3] == LimitState(LimitScope.KEY, "key_a", 240, 106, 0, DAY)
    bank.settle("req_2", usage=Usage(100, 1))
    assert bank.rows("SELECT request_id, chain FROM call_record ORDER BY request_id") == [
        (
            f"req_{number}",
            "balance:org_a organization:org_a project:project_a key:key_a@2026-11-2" + day,
        )
        for number, day in ((1, "0"), (2, "1"))
    ]
    assert key(bank).spent_nano == 102
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_a_call_is_extended_in_its_own_window(daily: Timed) -> None:
    bank = daily.bank
    bank.hold("req_1", stated=False)
    daily.to("2026-11-21T06:00:00")
    bank.hold("req_2", output_tokens_max=70)
    assert bank.replica().extend("req_1", 70)
    assert not bank.replica().extend("req_1", 71)
    assert bank.settle("req_1", usage=Usage(100, 70)).cost_nano == 240
    assert bank.verify().problems == ()


def test_unspent_leases_of_a_window_are_never_spent_in_the_next(daily: Timed) -> None:
    """Replica a keeps 140 free of the old day: they neither add to the new day nor stay."""
    bank = daily.bank
    bank.hold("req_1", output_tokens_max=70)
    bank.settle("req_1", usage=Usage(100, 0))
    assert bank.replica().free_nano["key:key_a@2026-11-20"] == 140
    daily.to("2026-11-21T00:00:00")
    bank.hold("req_2")
    bank.hold("req_3")
    refused(bank, "req_4")
    assert "key:key_a@2026-11-20" not in bank.replica().free_nano
    assert bank.rows(
        "SELECT id, spent_nano, leased_nano FROM spend_limit WHERE window_id <> '' ORDER BY id"
    ) == [("key:key_a@2026-11-20", 100, 0), ("key:key_a@2026-11-21", 0, 240)]


def test_many_replicas_carry_nothing_over(daily: Timed) -> None:
    bank = daily.bank
    for number, name in enumerate(("replica_a", "replica_b", "replica_c")):
        bank.hold(f"req_{number}", on=name, output_tokens_max=0)
        bank.settle(f"req_{number}", usage=Usage(0, 0))
    daily.to("2026-11-21T00:00:00")
    held = [
        bank.hold(f"req_1{number}", on=name, output_tokens_max=10).amount_nano
        for number, name in enumerate(("replica_a", "replica_b"))
    ]
    assert held == [120, 120]
    refused(bank, "req_20", on="replica_c")
    assert bank.verify().problems == ()


@pytest.mark.parametrize("replicas_us", [0, 10**9])
def test_the_database_decides_the_window_though_a_replicas_clock_is_wrong(
    daily: Timed, replicas_us: int
) -> None:
    """A replica whose clock runs late learns of the end at its next round at the latest; one whose
    clock runs ahead asks, and stays in the window that the database names."""
    bank = daily.bank
    bank.hold("req_1", output_tokens_max=0)
    bank.settle("req_1", usage=Usage(100, 0))
    daily.to("2026-11-20T18:00:00", replicas_us=replicas_us * 100)
    assert bank.hold("req_2", output_tokens_max=0).limits[3].window == DAY
    daily.to("2026-11-21T00:00:01", replicas_us=replicas_us)
    bank.hold("req_3")
    bank.flush()
    assert key(bank).window == NEXT


def test_a_waiting_call_crosses_the_end_of_a_window(daily: Timed) -> None:
    bank, other = daily.bank, daily.bank.replica("replica_b")
    bank.hold("req_1", output_tokens_max=70)
    bank.settle("req_1", usage=Usage(50, 0))
    waiter = Waiter(CHAIN, 240, runs=False)
    other.queue.add(waiter)
    other.round()
    assert other.queue.verdict(waiter, other.pool.levels(CHAIN, other.now_us)) is Verdict.WAIT
    daily.to("2026-11-21T00:00:00")
    other.round()
    levels = other.pool.levels(CHAIN, other.now_us)
    assert other.queue.verdict(waiter, levels) is Verdict.FITS
    assert levels[3] is not None
    assert levels[3].limit_id == "key:key_a@2026-11-21"


def test_a_restart_in_the_next_window_books_in_the_old_one(daily: Timed) -> None:
    bank = daily.bank
    bank.hold("req_1")
    bank.settle("req_1")
    daily.to("2026-11-21T00:00:00")
    bank.replica().restart()
    assert key(bank).spent_nano == 0
    assert bank.rows("SELECT spent_nano FROM spend_limit WHERE window_id = '2026-11-20'") == [
        (120,)
    ]
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


# Changing caps and their rhythm


def test_a_new_cap_holds_in_the_window_of_the_moment_and_in_later_ones(daily: Timed) -> None:
    bank = daily.bank
    bank.hold("req_1")
    bank.settle("req_1")
    bank.flush()
    bank.replica().stop()
    cap(bank, 130)
    assert key(bank) == LimitState(LimitScope.KEY, "key_a", 130, 120, 0, DAY)
    refused(bank, "req_2")
    daily.to("2026-11-21T00:00:00")
    assert bank.hold("req_3", output_tokens_max=100).amount_nano == 130
    assert bank.rows("SELECT limit_nano FROM spend_limit WHERE window_id = '2026-11-20'") == [
        (130,)
    ]


def test_a_cap_below_what_its_window_used_is_refused_and_later_windows_do_not_matter(
    daily: Timed,
) -> None:
    bank = daily.bank
    bank.hold("req_1")
    bank.settle("req_1")
    bank.flush()
    with pytest.raises(Problem) as caught:
        cap(bank, 100)
    assert caught.value.facts["limit_id"] == "key:key_a@2026-11-20"
    assert caught.value.facts["spent_nano"] == 120
    daily.to("2026-11-21T00:00:00")
    cap(bank, 100)
    assert key(bank).limit_nano == 100


def test_another_rhythm_begins_to_count_anew(daily: Timed) -> None:
    bank = daily.bank
    bank.hold("req_1")
    bank.settle("req_1")
    bank.flush()
    cap(bank, 120, Period.MONTH)
    assert key(bank) == LimitState(LimitScope.KEY, "key_a", 120, 0, 0, MONTH)
    bank.answer()
    bank.hold("req_2")
    refused(bank, "req_3")
    bank.settle("req_2")
    assert key(bank) == LimitState(LimitScope.KEY, "key_a", 120, 120, 0, MONTH)
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_a_cap_that_begins_to_renew_leaves_what_was_spent_before_it_behind(timed: Timed) -> None:
    bank = timed.bank
    bank.price(1000, 2000)
    bank.fund(10_000)
    bank.hold("req_1")
    bank.hold("req_2", output_tokens_max=40)
    bank.settle("req_2", usage=Usage(100, 0))
    assert bank.replica().free_nano["key:key_a"] == 80
    cap(bank, 110, Period.DAY)
    bank.answer()
    assert bank.hold("req_3").amount_nano == 110
    bank.settle("req_1")
    bank.settle("req_3", usage=Usage(100, 5))
    assert key(bank) == LimitState(LimitScope.KEY, "key_a", 110, 110, 0, DAY)
    assert bank.rows("SELECT spent_nano, leased_nano FROM spend_limit WHERE id = 'key:key_a'") == [
        (220, 0)
    ]
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_a_running_call_goes_on_under_the_cap_that_it_began_under(timed: Timed) -> None:
    bank = timed.bank
    bank.price(1000, 2000)
    bank.fund(10_000)
    bank.hold("req_1", stated=False)
    cap(bank, 5000, Period.DAY)
    bank.answer()
    assert bank.replica().extend("req_1", 40)
    bank.settle("req_1", usage=Usage(100, 40))
    assert (key(bank).spent_nano, bank.call("req_1").cost_nano) == (0, 180)
    assert bank.verify().problems == ()


@pytest.mark.parametrize("limit", [None, 120])
def test_a_cap_that_no_longer_renews_counts_what_was_spent_while_none_did(
    daily: Timed, limit: int | None
) -> None:
    bank = daily.bank
    bank.hold("req_1")
    bank.settle("req_1")
    bank.flush()
    cap(bank, limit, Period.NONE)
    bank.answer()
    assert key(bank) == LimitState(LimitScope.KEY, "key_a", limit, 0, 0)
    bank.hold("req_2")
    bank.settle("req_2")
    assert key(bank).spent_nano == 120
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_lifting_a_cap_ends_its_rhythm_too(daily: Timed) -> None:
    cap(daily.bank, None)
    assert key(daily.bank) == LimitState(LimitScope.KEY, "key_a", None, 0, 0)


def test_a_rhythm_is_kept_unless_another_is_named(daily: Timed) -> None:
    cap(daily.bank, 300)
    assert key(daily.bank).window == DAY
    assert key(daily.bank).limit_nano == 300


def test_a_limit_may_renew_from_its_beginning(timed: Timed) -> None:
    def opened(op, tx):
        for _ in range(2):
            ledger.open_limit(op, tx, LimitScope.PROJECT, "project_a", 50, Period.MONTH)

    timed.bank.write(opened)
    assert timed.bank.limits()["project"] == LimitState(
        LimitScope.PROJECT, "project_a", 50, 0, 0, MONTH
    )
    with pytest.raises(Problem) as caught:
        timed.bank.write(
            lambda op, tx: ledger.open_limit(op, tx, LimitScope.PROJECT, "project_a", 50)
        )
    assert caught.value.code is Code.ALREADY_EXISTS


def test_every_level_but_the_balance_renews(timed: Timed) -> None:
    bank = timed.bank
    bank.price(1000, 2000)
    bank.fund(10_000)
    levels = ledger.chain_of(CALLER)[1:]
    for scope, owner in levels:
        bank.write(lambda op, tx, s=scope, o=owner: ledger.set_limit(op, tx, s, o, 120, Period.DAY))
    bank.hold("req_1")
    refused(bank, "req_2")
    timed.to("2026-11-21T00:00:00")
    assert bank.hold("req_2").amount_nano == 120
    assert [state.held_nano for state in bank.limits().values()] == [240, 120, 120, 120]


def test_the_last_day_of_a_month_ends_both_rhythms(timed: Timed) -> None:
    bank = timed.bank
    bank.price(1000, 2000)
    bank.fund(10_000)
    bank.write(
        lambda op, tx: ledger.set_limit(op, tx, LimitScope.PROJECT, "project_a", 120, Period.MONTH)
    )
    cap(bank, 1000, Period.DAY)
    timed.to("2026-11-30T23:59:59")
    bank.hold("req_1")
    bank.settle("req_1")
    assert refused(bank, "req_2").facts["limit_source"] == "project"
    timed.to("2026-12-01T00:00:00")
    bank.hold("req_2")
    bank.settle("req_2")
    states = bank.limits()
    assert states["project"].window is not None
    assert (states["project"].window.id, states["project"].spent_nano) == ("2026-12", 120)
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_what_a_lost_answer_granted_in_a_window_that_is_over_comes_back(daily: Timed) -> None:
    """Asked again on the next day, the round's wants stand for the next day's window."""
    bank, replica = daily.bank, daily.bank.replica()
    waiter = Waiter(CHAIN, 120, runs=False)
    replica.queue.add(waiter)
    ask = replica.ask_round()
    bank.write(lambda op, tx: leases.book(op, tx, ask))
    daily.to("2026-11-21T00:00:01")
    replica.take_in(ask, bank.write(lambda op, tx: leases.book(op, tx, ask)))
    granted = "SELECT granted_nano FROM lease WHERE limit_id = 'key:key_a@2026-11-20'"
    assert bank.rows(granted) == [(120,)]
    replica.round()
    assert bank.rows(granted) == [(0,)]
    assert bank.verify().problems == ()
