"""Settlements: each hold is resolved once, to the nano, whatever is tried."""

import pytest
from sqlalchemy.exc import DBAPIError

from tests.support.bank import Bank
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.receipt import Outcome

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


def charges(bank: Bank) -> list[tuple[object, ...]]:
    return bank.rows(
        "SELECT account_id, amount_nano FROM ledger_posting"
        " WHERE txn_id LIKE 'charge:%' ORDER BY txn_id, line"
    )


def test_a_settlement_charges_the_exact_cost_and_frees_the_rest(held: Bank) -> None:
    receipt = held.settle("req_1", usage=Usage(90, 4, 40, 3))
    assert receipt.cost_nano == 50 + 20 + 8
    assert receipt.outcome is Outcome.COMPLETED
    assert receipt.usage == Usage(90, 4, 40, 3)
    assert receipt.limits == tuple(held.limits().values())
    assert {(s.spent_nano, s.held_nano) for s in receipt.limits} == {(78, 0)}
    assert charges(held) == [("prepaid:org_a", -78), ("revenue:org_a", 78)]
    assert proof(held) == SOUND


def test_calls_of_one_round_share_one_charge_for_each_organization(held: Bank) -> None:
    other = Caller("org_b", "project_b", "key_b", frozenset(Scope))
    held.fund(1000, "org_b")
    held.hold("req_2")
    held.hold("req_3", caller=other)
    held.flush()
    for number in (1, 2, 3):
        held.settle(f"req_{number}", usage=Usage(100, number))
    assert charges(held) == [
        ("prepaid:org_a", -206),
        ("revenue:org_a", 206),
        ("prepaid:org_b", -106),
        ("revenue:org_b", 106),
    ]
    refs = held.rows("SELECT DISTINCT ref FROM ledger_txn WHERE kind = 'charge'")
    assert len(refs) == 1
    assert proof(held) == SOUND


def test_every_call_names_the_charge_that_it_is_in(held: Bank) -> None:
    held.hold("req_2")
    held.settle("req_1")
    held.settle("req_2", charge=False, outcome=Outcome.TIMED_OUT)
    ((first, charge), (second, nothing)) = held.rows(
        "SELECT request_id, txn_id FROM call_record ORDER BY request_id"
    )
    assert (first, second, nothing) == ("req_1", "req_2", None)
    assert held.rows("SELECT id FROM ledger_txn WHERE kind = 'charge'") == [(charge,)]


def test_an_announced_call_is_closed_and_not_written_twice(held: Bank) -> None:
    held.flush()
    assert held.rows("SELECT state, outcome FROM call_record") == [("open", None)]
    held.settle("req_1")
    assert held.rows("SELECT state, outcome FROM call_record") == [("posted", "completed")]


def test_a_call_that_nobody_announced_is_written_when_it_ends(held: Bank) -> None:
    held.settle("req_1")
    assert held.rows("SELECT state, swept FROM call_record") == [("posted", 0)]
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
        deployment_id="dep_7",
    )
    record = held.call("req_1")
    assert record.usage == Usage(100, 2, None, 1, UsageSource.BOUND)
    assert (record.outcome, record.reason) == (Outcome.CLIENT_GONE, "The client hung up.")
    assert (record.started_us, record.first_output_us, record.ended_us) == (11, None, 13)
    assert record.fingerprint is None
    assert record.held_nano == 120
    assert held.rows("SELECT deployment_id, chain FROM call_record") == [
        ("dep_7", "balance:org_a organization:org_a project:project_a key:key_a")
    ]


def test_an_extended_hold_is_charged_up_to_what_was_held_in_the_end(bank: Bank) -> None:
    bank.price(1000, 2000)
    bank.fund(1000)
    assert bank.hold("req_1", stated=False).amount_nano == 108
    assert bank.replica().extend("req_1", 8)
    assert bank.settle("req_1", usage=Usage(100, 8)).cost_nano == 116
    assert (bank.call("req_1").held_nano, bank.call("req_1").operator_loss_nano) == (116, 0)
    assert proof(bank) == SOUND


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
    held.flush()
    with pytest.raises(DBAPIError):
        held.sql(statement)
    assert proof(held) == SOUND


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE call_record SET key_id = 'key_b'",
        "UPDATE call_record SET state = 'posted'",
        "UPDATE call_record SET state = 'void', outcome = 'refused', cost_nano = 5",
        "UPDATE call_record SET cost_nano = 121",
        "DELETE FROM call_record",
    ],
)
def test_the_database_refuses_to_bend_a_running_call(held: Bank, statement: str) -> None:
    held.flush()
    with pytest.raises(DBAPIError):
        held.sql(statement)
    assert proof(held) == SOUND
