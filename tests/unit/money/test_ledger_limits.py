"""Opening, capping and crediting: levels of money before any call."""

import pytest
from sqlalchemy.exc import DBAPIError

from tests.support.bank import CALLER, Bank
from tokenbooth.core.codes import Code
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.ledger import service as ledger


def open_limit(bank: Bank, scope: LimitScope, owner: str, limit: int | None) -> None:
    bank.write(lambda op, tx: ledger.open_limit(op, tx, scope, owner, limit))


def set_limit(bank: Bank, scope: LimitScope, owner: str, limit: int | None) -> None:
    bank.write(lambda op, tx: ledger.set_limit(op, tx, scope, owner, limit))


def state_of(bank: Bank, scope: LimitScope, owner: str) -> LimitState:
    (state,) = bank.read(lambda op, tx: ledger.limits(op, tx, ((scope, owner),)))
    return state


def test_unopened_levels_read_as_empty(bank: Bank) -> None:
    limits = bank.limits()
    assert [state.limit_nano for state in limits.values()] == [0, None, None, None]
    assert list(limits) == ["balance", "organization", "project", "key"]


@pytest.mark.parametrize("limit", [None, 0, 12, NANO_MAX])
def test_an_opened_cap_is_read_back(bank: Bank, limit: int | None) -> None:
    open_limit(bank, LimitScope.KEY, "key_a", limit)
    assert state_of(bank, LimitScope.KEY, "key_a") == LimitState(
        LimitScope.KEY, "key_a", limit, 0, 0
    )


def test_opening_twice_alike_changes_nothing(bank: Bank) -> None:
    open_limit(bank, LimitScope.KEY, "key_a", 12)
    open_limit(bank, LimitScope.KEY, "key_a", 12)
    assert state_of(bank, LimitScope.KEY, "key_a").limit_nano == 12


def test_opening_twice_otherwise_is_refused(bank: Bank) -> None:
    open_limit(bank, LimitScope.KEY, "key_a", 12)
    with pytest.raises(Problem) as refused:
        open_limit(bank, LimitScope.KEY, "key_a", 13)
    assert refused.value.code is Code.ALREADY_EXISTS
    assert state_of(bank, LimitScope.KEY, "key_a").limit_nano == 12


def test_a_balance_opens_empty_and_stays_as_it_is_when_opened_again(bank: Bank) -> None:
    open_limit(bank, LimitScope.BALANCE, "org_a", None)
    bank.fund(500)
    open_limit(bank, LimitScope.BALANCE, "org_a", 0)
    assert state_of(bank, LimitScope.BALANCE, "org_a").limit_nano == 500


def test_a_balance_opens_its_three_accounts(bank: Bank) -> None:
    open_limit(bank, LimitScope.BALANCE, "org_a", 0)
    assert bank.verify().accounts == 3


def test_money_cannot_be_made_by_opening_or_capping_a_balance(bank: Bank) -> None:
    for change in (open_limit, set_limit):
        with pytest.raises(Problem) as refused:
            change(bank, LimitScope.BALANCE, "org_a", 500)
        assert refused.value.code is Code.STATE_CONFLICT
    assert state_of(bank, LimitScope.BALANCE, "org_a").limit_nano == 0


def test_a_cap_can_be_set_changed_and_lifted(bank: Bank) -> None:
    for limit in (12, 7, None):
        set_limit(bank, LimitScope.PROJECT, "project_a", limit)
        assert state_of(bank, LimitScope.PROJECT, "project_a").limit_nano == limit


def test_a_cap_below_what_is_held_is_refused(bank: Bank) -> None:
    bank.price(1000, 1000)
    bank.fund(1000)
    bank.hold("req_1")
    bank.flush()
    with pytest.raises(Problem) as refused:
        set_limit(bank, LimitScope.KEY, CALLER.key_id, 109)
    assert refused.value.code is Code.STATE_CONFLICT
    assert refused.value.facts == {
        "limit_id": "key:key_a",
        "cap_nano": 109,
        "spent_nano": 0,
        "leased_nano": 110,
        "held_nano": 110,
    }
    set_limit(bank, LimitScope.KEY, CALLER.key_id, 110)
    assert bank.limits()["key"].remaining_nano == 0


def test_credit_raises_the_balance_by_a_balanced_transaction(bank: Bank) -> None:
    after = bank.fund(700)
    assert after == LimitState(LimitScope.BALANCE, "org_a", 700, 0, 0)
    assert bank.limits()["balance"] == after
    assert bank.rows("SELECT account_id, amount_nano FROM ledger_posting ORDER BY line") == [
        ("prepaid:org_a", 700),
        ("clearing:org_a", -700),
    ]
    assert bank.rows("SELECT kind, ref, actor FROM ledger_txn") == [("credit", "first", "tester")]


def test_the_same_reference_books_once(bank: Bank) -> None:
    assert bank.fund(700, ref="a") == bank.fund(700, ref="a")
    assert bank.fund(1, ref="b").limit_nano == 701
    assert bank.verify().difference_nano == 0


def test_the_same_reference_with_another_amount_is_refused(bank: Bank) -> None:
    bank.fund(700)
    with pytest.raises(Problem) as refused:
        bank.fund(701)
    assert refused.value.code is Code.STATE_CONFLICT
    assert refused.value.facts == {"booked_nano": 700}
    assert bank.limits()["balance"].limit_nano == 700


def test_organizations_do_not_share_references_or_money(bank: Bank) -> None:
    bank.fund(700, "org_a")
    bank.fund(5, "org_b")
    assert state_of(bank, LimitScope.BALANCE, "org_a").limit_nano == 700
    assert state_of(bank, LimitScope.BALANCE, "org_b").limit_nano == 5


def test_a_balance_never_overflows(bank: Bank) -> None:
    bank.fund(NANO_MAX)
    with pytest.raises(Problem) as refused:
        bank.fund(1, ref="more")
    assert refused.value.code is Code.INVALID_VALUE
    assert bank.limits()["balance"].limit_nano == NANO_MAX
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_a_refused_credit_leaves_no_trace(bank: Bank) -> None:
    with pytest.raises(Problem):
        bank.fund(-5)
    assert bank.rows("SELECT count(*) FROM ledger_txn") == [(0,)]
    assert bank.verify().problems == ()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_posting SET amount_nano = amount_nano * 2",
        "DELETE FROM ledger_posting",
        "UPDATE ledger_txn SET ref = 'x'",
        "DELETE FROM ledger_txn",
        "DELETE FROM spend_limit",
        "DELETE FROM ledger_account",
        "UPDATE spend_limit SET leased_nano = limit_nano + 1",
        "UPDATE spend_limit SET leased_nano = -1",
        "UPDATE spend_limit SET held_nano = leased_nano + 1",
        "UPDATE spend_limit SET period = 'week'",
        "UPDATE spend_limit SET window_id = '2026-11'",
        "UPDATE spend_limit SET spent_nano = -1",
        "UPDATE spend_limit SET held_nano = -1",
        "UPDATE spend_limit SET limit_nano = NULL WHERE scope = 'balance'",
        "INSERT INTO ledger_posting VALUES ('credit:org_a:first', 9, 'prepaid:org_a', 0)",
        "INSERT INTO ledger_posting VALUES ('nothing', 0, 'prepaid:org_a', 5)",
    ],
)
def test_the_database_itself_refuses_broken_books(bank: Bank, statement: str) -> None:
    bank.fund(700)
    with pytest.raises(DBAPIError):
        bank.sql(statement)
    assert bank.verify() == ledger.Verification(3, 0, 0, ())
