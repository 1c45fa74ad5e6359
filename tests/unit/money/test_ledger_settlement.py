"""Settlements: each hold is resolved once, to the nano, whatever is tried."""

import pytest
from sqlalchemy.exc import DBAPIError

from tests.support.bank import Bank
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.money.ledger import service as ledger

SOUND = ((), 0)


def proof(bank: Bank) -> tuple[tuple[str, ...], int]:
    found = bank.verify()
    return found.problems, found.difference_nano


@pytest.fixture
def held(bank: Bank) -> Bank:
    """A balance of 1000, of which ``req_1`` holds 120."""
    bank.price(1000, 2000, 500)
    bank.fund(1000)
    bank.hold("req_1")
    return bank


def test_a_settlement_charges_the_exact_cost_and_frees_the_rest(held: Bank) -> None:
    receipt = held.settle("req_1", usage=Usage(90, 4, 40, 3))
    assert receipt.cost_nano == 50 + 20 + 8
    assert receipt.outcome is Outcome.COMPLETED
    assert receipt.usage == Usage(90, 4, 40, 3)
    assert receipt.limits == tuple(held.limits().values())
    assert {(s.spent_nano, s.held_nano) for s in receipt.limits} == {(78, 0)}
    assert held.rows(
        "SELECT account_id, amount_nano FROM ledger_posting"
        " WHERE txn_id = 'charge:org_a:req_1' ORDER BY line"
    ) == [("prepaid:org_a", -78), ("revenue:org_a", 78)]
    assert proof(held) == SOUND


def test_settling_again_returns_the_first_receipt(held: Bank) -> None:
    first = held.settle("req_1")
    again = held.settle("req_1", usage=Usage(1, 1), outcome=Outcome.CLIENT_GONE, reason="late")
    assert again == first
    assert held.limits()["balance"].spent_nano == 120
    assert held.call("req_1").operator_loss_nano == 0
    assert proof(held) == SOUND


def test_a_void_settled_again_stays_void(held: Bank) -> None:
    first = held.settle("req_1", charge=False, outcome=Outcome.ENGINE_FAILED, usage=Usage(0, 0))
    again = held.settle("req_1")
    assert again == first
    assert (first.cost_nano, first.outcome) == (0, Outcome.ENGINE_FAILED)
    assert held.call("req_1").operator_loss_nano == 0
    assert proof(held) == SOUND


def test_without_charge_the_hold_is_released_and_nothing_posted(held: Bank) -> None:
    receipt = held.settle("req_1", charge=False, outcome=Outcome.TIMED_OUT, usage=Usage(100, 7))
    assert receipt.cost_nano == 0
    assert held.limits()["balance"].remaining_nano == 1000
    assert held.rows("SELECT state FROM call_record") == [("void",)]
    assert held.rows("SELECT count(*) FROM ledger_txn WHERE kind = 'charge'") == [(0,)]
    assert held.call("req_1").usage == Usage(100, 7)
    assert proof(held) == SOUND


def test_usage_beyond_the_hold_costs_the_operator_and_is_flagged(held: Bank) -> None:
    receipt = held.settle("req_1", usage=Usage(100, 500))
    assert receipt.cost_nano == 120
    record = held.call("req_1")
    assert (record.cost_nano, record.operator_loss_nano) == (120, 980)
    assert held.log.faults == [("usage_above_hold", {"request_id": "req_1", "loss_nano": 980})]
    assert proof(held) == SOUND


def test_the_event_keeps_everything_said_at_the_end(held: Bank) -> None:
    held.settle(
        "req_1",
        usage=Usage(100, 2, None, 1, UsageSource.BOUND),
        outcome=Outcome.CLIENT_GONE,
        reason="The client hung up.",
        started_us=11,
        first_output_us=None,
        ended_us=13,
        fingerprint=None,
    )
    record = held.call("req_1")
    assert record.usage == Usage(100, 2, None, 1, UsageSource.BOUND)
    assert (record.outcome, record.reason) == (Outcome.CLIENT_GONE, "The client hung up.")
    assert (record.started_us, record.first_output_us, record.ended_us) == (11, None, 13)
    assert record.fingerprint is None
    assert record.held_nano == 120


def test_nothing_held_cannot_be_settled(bank: Bank) -> None:
    with pytest.raises(Problem) as refused:
        bank.settle("req_unknown")
    assert refused.value.code is Code.RECORD_NOT_FOUND


def test_an_impossible_usage_settles_nothing(held: Bank) -> None:
    with pytest.raises(Problem) as refused:
        held.settle("req_1", usage=Usage(-1, 0))
    assert refused.value.code is Code.INTERNAL
    assert held.read(ledger.open_holds) == 1


def test_a_failure_after_the_charge_undoes_all_of_it(held: Bank) -> None:
    def settle_and_fail(op, tx):
        ledger.settle(op, tx, held.ending("req_1"))
        raise RuntimeError("the process broke here")

    with pytest.raises(RuntimeError):
        held.write(settle_and_fail)
    assert held.read(ledger.open_holds) == 1
    assert held.limits()["balance"].spent_nano == 0
    assert held.settle("req_1").cost_nano == 120


def test_a_hold_and_its_settlement_may_share_a_transaction(held: Bank) -> None:
    ask = held.ask("req_2")

    def both(op, tx):
        ledger.hold(op, tx, ask)
        return ledger.settle(op, tx, held.ending("req_2"))

    assert held.write(both).cost_nano == 120
    assert held.limits()["balance"].held_nano == 120
    assert proof(held) == SOUND


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE call_record SET cost_nano = 1",
        "UPDATE call_record SET output_tokens = 1",
        "UPDATE call_record SET state = 'open'",
        "UPDATE call_record SET reason = 'changed'",
        "UPDATE call_record SET held_nano = 500",
        "UPDATE call_record SET org_id = 'org_b'",
        "UPDATE call_record SET price_version = 'other'",
        "DELETE FROM call_record",
    ],
)
def test_the_database_refuses_to_change_a_settled_call(held: Bank, statement: str) -> None:
    held.settle("req_1")
    with pytest.raises(DBAPIError):
        held.sql(statement)
    assert proof(held) == SOUND


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE call_record SET held_nano = 1",
        "UPDATE call_record SET key_id = 'key_b'",
        "UPDATE call_record SET state = 'posted'",
        "UPDATE call_record SET state = 'void', outcome = 'refused', cost_nano = 5",
        "UPDATE call_record SET cost_nano = 121",
        "DELETE FROM call_record",
    ],
)
def test_the_database_refuses_to_bend_an_open_hold(held: Bank, statement: str) -> None:
    with pytest.raises(DBAPIError):
        held.sql(statement)
    assert proof(held) == SOUND
