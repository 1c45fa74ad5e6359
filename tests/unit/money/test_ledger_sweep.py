"""What a crash left: holds of dead replicas are voided, and their late endings cost nobody."""

import pytest

from tests.support.bank import CALLER, Bank
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.receipt import Outcome
from tokenbooth.money.ledger import service as ledger

SECOND_US = 1_000_000


@pytest.fixture
def held(bank: Bank) -> Bank:
    """``req_1`` holds 120 for ``replica_a``."""
    bank.price(1000, 2000)
    bank.fund(1000)
    register(bank, "replica_a")
    bank.hold("req_1")
    return bank


def register(bank: Bank, replica_id: str) -> None:
    bank.write(lambda op, tx: ledger.beat(op, tx, replica_id))


def beat(bank: Bank, replica_id: str) -> None:
    bank.write(lambda op, tx: ledger.beat(op, tx, replica_id))


def sweep(bank: Bank, own: str, silent_for_us: int = 0) -> int:
    return bank.write(lambda op, tx: ledger.sweep(op, tx, own, silent_for_us))


def test_a_swept_hold_is_void_and_free_of_charge(held: Bank) -> None:
    assert sweep(held, "replica_b") == 1
    record = held.call("req_1")
    assert (record.outcome, record.cost_nano) == (Outcome.INTERRUPTED, 0)
    assert record.usage == Usage(0, 0, source=UsageSource.BOUND)
    assert record.reason == "The server stopped while the call ran; nothing is charged."
    assert record.started_us is None
    assert record.ended_us == held.clock.us
    assert {state.held_nano for state in held.limits().values()} == {0}
    assert held.verify() == ledger.Verification(3, 0, 0, ())


def test_sweeping_again_finds_nothing(held: Bank) -> None:
    assert [sweep(held, "replica_b"), sweep(held, "replica_b")] == [1, 0]


def test_the_own_holds_are_left_alone(held: Bank) -> None:
    assert sweep(held, "replica_a") == 0
    assert held.read(ledger.open_holds) == 1


def test_zero_silence_sweeps_even_a_replica_whose_clock_runs_ahead(held: Bank) -> None:
    held.clock.us += SECOND_US
    beat(held, "replica_a")
    held.clock.us -= SECOND_US
    assert sweep(held, "replica_b") == 1


def test_a_beating_replica_keeps_its_holds(held: Bank) -> None:
    held.clock.us += 10 * SECOND_US
    beat(held, "replica_a")
    assert sweep(held, "replica_b", 5 * SECOND_US) == 0
    held.clock.us += 6 * SECOND_US
    assert sweep(held, "replica_b", 5 * SECOND_US) == 1


def test_holds_of_a_replica_nobody_knows_are_swept(held: Bank) -> None:
    held.hold("req_2", replica_id="never_registered")
    assert sweep(held, "replica_b", 5 * SECOND_US) == 1
    assert held.call("req_1").running


def test_a_replica_without_holds_is_forgotten_and_known_again_by_its_beat(held: Bank) -> None:
    sweep(held, "replica_b")
    assert held.rows("SELECT id FROM replica") == []
    beat(held, "replica_a")
    held.hold("req_2")
    assert sweep(held, "replica_b", 5 * SECOND_US) == 0


def test_registering_twice_is_one_replica(held: Bank) -> None:
    register(held, "replica_a")
    assert held.rows("SELECT count(*) FROM replica") == [(1,)]


def test_a_late_settlement_charges_nothing_and_records_the_loss(held: Bank) -> None:
    sweep(held, "replica_b")
    receipt = held.settle("req_1")
    assert (receipt.outcome, receipt.cost_nano) == (Outcome.INTERRUPTED, 0)
    assert held.call("req_1").operator_loss_nano == 120
    assert held.limits()["balance"].spent_nano == 0
    assert held.log.faults == [("settled_after_sweep", {"request_id": "req_1", "loss_nano": 120})]
    assert held.verify() == ledger.Verification(3, 0, 0, ())


def test_a_late_settlement_is_recorded_once(held: Bank) -> None:
    sweep(held, "replica_b")
    assert held.settle("req_1") == held.settle("req_1", usage=Usage(100, 5))
    assert held.call("req_1").operator_loss_nano == 120
    assert len(held.log.faults) == 1


@pytest.mark.parametrize("fields", [{"charge": False}, {"usage": Usage(0, 0)}])
def test_a_late_ending_that_costs_nothing_is_no_loss(held: Bank, fields: dict) -> None:
    sweep(held, "replica_b")
    held.settle("req_1", **fields)
    assert held.call("req_1").operator_loss_nano == 0
    assert held.log.faults == []


def test_the_freed_money_can_be_held_again(held: Bank) -> None:
    held.hold("req_2", output_tokens_max=390)
    sweep(held, "replica_b")
    assert held.limits()["balance"].remaining_nano == 1000
    assert held.hold("req_3", output_tokens_max=450).amount_nano == 1000


def test_a_sweep_frees_each_owner_exactly_what_it_held(held: Bank) -> None:
    other = Caller("org_b", "project_b", "key_b", frozenset(Scope))
    neighbour = Caller(CALLER.org_id, CALLER.project_id, "key_c", frozenset(Scope))
    held.fund(1000, "org_b")
    held.hold("req_2", caller=other)
    held.hold("req_3", caller=neighbour)
    held.hold("req_4", caller=neighbour, replica_id="replica_b")
    assert sweep(held, "replica_b") == 3
    assert held.limits()["balance"].held_nano == 120
    assert held.limits(neighbour)["key"].held_nano == 120
    assert held.limits(other)["balance"].held_nano == 0
    assert held.verify() == ledger.Verification(6, 0, 1, ())


def test_more_holds_than_one_batch_are_all_swept(held: Bank) -> None:
    price = held.price(0, 0, model="free")
    asks = [held.ask(f"req_free_{n:04}", model="free", price=price) for n in range(501)]
    held.write(lambda op, tx: [ledger.hold(op, tx, ask) for ask in asks])
    assert sweep(held, "replica_b") == 502
    assert held.read(ledger.open_holds) == 0
