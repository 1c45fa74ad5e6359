"""Spend alerts in the database: exactly one event for each crossing."""

import json
from dataclasses import replace

import pytest

from tests.support.bank import Bank
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.alerts import service as alerts
from tokenbooth.money.alerts.service import DEFAULT_PERCENTS, SpendMove
from tokenbooth.money.outbox import service as outbox

KEY = SpendMove(
    scope=LimitScope.KEY,
    owner_id="key_1",
    window_id="",
    org_id="org_a",
    limit_nano=1000,
    before_nano=0,
    after_nano=0,
)
BALANCE = replace(KEY, scope=LimitScope.BALANCE, owner_id="org_a")


class Spending:
    """One limit that is spent from, as the rounds do: alerts and money in one transaction."""

    def __init__(self, bank: Bank, move: SpendMove) -> None:
        self.bank = bank
        self.move = move

    def spend(self, *steps: int, **changes: object) -> None:
        for step in steps:
            before = self.move.after_nano
            self.move = replace(self.move, before_nano=before, after_nano=before + step, **changes)
            self.again()

    def again(self) -> None:
        moves = (self.move,)

        def work(op, tx):
            outbox.put(op, tx, alerts.events_for(op, tx, moves, DEFAULT_PERCENTS))

        self.bank.write(work)


def told(bank: Bank, org_id: str | None = "org_a") -> list[tuple[str, int]]:
    """Source and threshold of every alert, oldest first."""
    page = bank.read(lambda op, tx: outbox.page(op, tx, org_id, after=None, limit=100))
    bodies = [json.loads(event.body) for event in page.events]
    return [(body["limit_source"], body["threshold_percent"]) for body in reversed(bodies)]


def test_each_threshold_is_told_once(bank: Bank) -> None:
    key = Spending(bank, KEY)
    key.spend(499, 1, 0, 100, 200, 0, 150, 50)
    assert told(bank) == [("key", 50), ("key", 80), ("key", 95), ("key", 100)]


def test_the_same_transaction_again_tells_nothing_twice(bank: Bank) -> None:
    key = Spending(bank, KEY)
    key.spend(600)
    for _ in range(3):
        key.again()
    assert told(bank) == [("key", 50)]


def test_a_raised_cap_arms_the_thresholds_again(bank: Bank) -> None:
    key = Spending(bank, KEY)
    key.spend(1000)
    assert len(told(bank)) == 4
    key.spend(200, limit_nano=2000)
    assert len(told(bank)) == 4
    key.spend(400, 300)
    assert told(bank)[4:] == [("key", 80), ("key", 95)]


def test_a_new_window_arms_the_thresholds_again(bank: Bank) -> None:
    november = Spending(bank, replace(KEY, window_id="2026-11"))
    november.spend(500)
    december = Spending(bank, replace(KEY, window_id="2026-12"))
    december.spend(500)
    assert told(bank) == [("key", 50), ("key", 50)]


def test_credit_arms_the_balance_again_and_counts_from_there(bank: Bank) -> None:
    balance = Spending(bank, BALANCE)
    balance.spend(1000)
    assert sorted(percent for _, percent in told(bank)) == [50, 80, 95, 100]
    balance.spend(49, limit_nano=1100)
    assert len(told(bank)) == 4
    balance.spend(1, 30)
    assert [percent for _, percent in told(bank)[4:]] == [50, 80]


def test_where_a_balance_counts_from_is_kept(bank: Bank) -> None:
    balance = Spending(bank, replace(BALANCE, after_nano=200))
    balance.spend(1)
    assert bank.rows("SELECT * FROM alert_base") == [("balance:org_a", 1000, 200)]
    balance.spend(300)
    assert bank.rows("SELECT * FROM alert_base") == [("balance:org_a", 1000, 200)]
    balance.spend(1, limit_nano=5000)
    assert bank.rows("SELECT * FROM alert_base") == [("balance:org_a", 5000, 501)]
    Spending(bank, KEY).spend(1)
    assert len(bank.rows("SELECT * FROM alert_base")) == 1


def test_many_limits_move_at_once(bank: Bank) -> None:
    moves = tuple(
        replace(KEY, owner_id=f"key_{i}", org_id=f"org_{i % 2}", after_nano=500) for i in range(6)
    )

    def work(op, tx):
        outbox.put(op, tx, alerts.events_for(op, tx, moves, DEFAULT_PERCENTS))

    bank.write(work)
    assert len(told(bank, None)) == 6
    assert len(told(bank, "org_0")) == len(told(bank, "org_1")) == 3


def test_nothing_moves_nothing_is_read(bank: Bank) -> None:
    assert bank.read(lambda op, tx: alerts.events_for(op, None, (), DEFAULT_PERCENTS)) == ()


def test_a_limit_may_have_thresholds_of_its_own(bank: Bank) -> None:
    def set_to(percents):
        bank.write(lambda op, tx: alerts.set_percents(op, tx, LimitScope.KEY, "key_1", percents))

    def own():
        return bank.read(lambda op, tx: alerts.percents_of(op, tx, LimitScope.KEY, "key_1"))

    assert own() is None
    set_to((10, 90))
    assert own() == (10, 90)
    key = Spending(bank, replace(KEY, window_id="2026-11"))
    key.spend(500)
    other = Spending(bank, replace(KEY, owner_id="key_2"))
    other.spend(500)
    assert told(bank) == [("key", 10), ("key", 50)]
    set_to(())
    assert own() == ()
    key.spend(400)
    assert len(told(bank)) == 2
    set_to((95,))
    key.spend(60)
    assert told(bank)[2:] == [("key", 95)]
    set_to(None)
    assert own() is None
    key.spend(40)
    assert told(bank)[3:] == [("key", 100)]


def test_who_set_a_threshold_is_kept(bank: Bank) -> None:
    bank.write(lambda op, tx: alerts.set_percents(op, tx, LimitScope.PROJECT, "p", (7,)))
    rows = bank.rows("SELECT level_id, percents, set_us, set_by FROM alert_rule")
    assert rows == [("project:p", "7", bank.clock.us, "tester")]


def test_what_is_no_percentage_changes_nothing(bank: Bank) -> None:
    bank.write(lambda op, tx: alerts.set_percents(op, tx, LimitScope.KEY, "key_1", (10,)))
    with pytest.raises(Problem) as refused:
        bank.write(lambda op, tx: alerts.set_percents(op, tx, LimitScope.KEY, "key_1", (0,)))
    assert refused.value.code is Code.INVALID_VALUE
    assert bank.rows("SELECT percents FROM alert_rule") == [("10",)]
