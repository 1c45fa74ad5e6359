"""Processes that lease money: what their start, their crash, their end and their loss mean."""

import pytest

from tests.support.bank import CALLER, Bank
from tests.support.replica import Replica
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import ReplicaLine, RoundAsk
from tokenbooth.money.ledger import service as ledger

SOUND = ledger.Verification(3, 0, 0, ())


@pytest.fixture
def held(bank: Bank) -> Bank:
    """``req_1`` holds 120 of 1000 on ``replica_a``."""
    bank.price(1000, 2000)
    bank.fund(1000)
    bank.hold("req_1")
    bank.flush()
    return bank


def line(bank: Bank, name: str = "replica_a") -> ReplicaLine:
    (found,) = (v for v in bank.seen(leases.replicas) if v.id == name)
    return found


def enroll(bank: Bank, name: str, journal: str) -> int:
    return bank.write(lambda op, tx: leases.enroll(op, tx, name, journal))


def lose(bank: Bank, name: str = "replica_a") -> Replica:
    """The process is gone with all that it did not tell, and only its journal is left."""
    return bank.replicas.pop(name)


def back(bank: Bank, lost: Replica) -> Replica:
    """It starts again with its journal."""
    lost.restart()
    bank.replicas[lost.name] = lost
    return lost


# Epochs


def test_every_start_begins_a_new_epoch(bank: Bank) -> None:
    assert [enroll(bank, "a", "j"), enroll(bank, "b", "k"), enroll(bank, "a", "j")] == [1, 1, 2]
    assert (line(bank, "a").epoch, line(bank, "a").rounds) == (2, 0)


def test_an_older_process_of_the_name_is_fenced(held: Bank) -> None:
    enroll(held, "replica_a", "journal_of_replica_a")
    held.settle("req_1")
    with pytest.raises(Problem) as refused:
        held.flush()
    assert refused.value.code is Code.REPLICA_FENCED
    held.replicas.clear()
    assert held.limits()["balance"].spent_nano == 0


def test_a_fenced_process_hears_it_from_its_beat_too(held: Bank) -> None:
    held.write(lambda op, tx: leases.beat(op, tx, "replica_a", 1))
    enroll(held, "replica_a", "journal_of_replica_a")
    with pytest.raises(Problem) as refused:
        held.write(lambda op, tx: leases.beat(op, tx, "replica_a", 1))
    assert refused.value.code is Code.REPLICA_FENCED


def test_a_process_that_never_enrolled_books_nothing(bank: Bank) -> None:
    ask = RoundAsk(replica_id="nobody", epoch=1, number=1)
    with pytest.raises(Problem) as refused:
        bank.write(lambda op, tx: leases.book(op, tx, ask))
    assert refused.value.code is Code.REPLICA_FENCED


def test_a_gap_in_the_rounds_is_a_fault(held: Bank) -> None:
    ask = RoundAsk(replica_id="replica_a", epoch=1, number=line(held).rounds + 2)
    with pytest.raises(AssertionError, match="after round"):
        held.write(lambda op, tx: leases.book(op, tx, ask))


def test_a_name_with_money_is_kept_for_its_journal(held: Bank) -> None:
    """Only the journal knows what was spent of the lease."""
    with pytest.raises(Problem) as refused:
        enroll(held, "replica_a", "another")
    assert refused.value.code is Code.STATE_CONFLICT
    assert "lease forfeit replica_a" in refused.value.public
    assert line(held).epoch == 1


def test_a_name_without_money_may_get_another_journal(held: Bank) -> None:
    held.settle("req_1")
    held.replica().stop()
    assert enroll(held, "replica_a", "another") == 2


# Restarts


def test_a_restart_books_what_had_ended_and_returns_the_rest(held: Bank) -> None:
    held.settle("req_1")
    back(held, lose(held))
    assert held.call("req_1").cost_nano == 120
    assert held.limits()["balance"].remaining_nano == 880
    assert line(held).granted_nano == 0
    assert held.verify() == SOUND


def test_a_whole_answer_that_a_crash_cut_off_costs_nothing(held: Bank) -> None:
    back(held, lose(held))
    record = held.call("req_1")
    assert (record.outcome, record.cost_nano) == (Outcome.INTERRUPTED, 0)
    assert held.limits()["balance"].remaining_nano == 1000
    assert held.verify() == SOUND


def test_a_stream_that_a_crash_cut_off_costs_what_had_left(held: Bank) -> None:
    held.hold("req_2", stream=True)
    held.replica().progress("req_2", Usage(100, 4))
    back(held, lose(held))
    record = held.call("req_2")
    assert (record.outcome, record.cost_nano) == (Outcome.INTERRUPTED, 108)
    assert record.usage == Usage(100, 4)
    assert held.limits()["balance"].spent_nano == 108
    assert held.verify() == SOUND


def test_a_crash_between_the_round_and_the_journal_charges_once(held: Bank) -> None:
    """The ledger has booked it, but the process dies before it hears that."""
    held.settle("req_1")
    lost = lose(held)
    ask = lost.ask_round()
    held.write(lambda op, tx: leases.book(op, tx, ask))
    back(held, lost)
    assert held.limits()["balance"].spent_nano == 120
    assert held.rows("SELECT count(*) FROM ledger_txn WHERE kind = 'charge'") == [(1,)]
    assert held.verify() == SOUND


def test_a_crash_in_the_middle_of_a_recovery_is_recovered_from(held: Bank) -> None:
    held.settle("req_1")
    lost = lose(held)
    journal = dict(lost.journal)
    lost.restart()
    lost.journal.update(journal)
    back(held, lost)
    assert held.limits()["balance"].spent_nano == 120
    assert held.verify() == SOUND


def test_other_replicas_go_on_while_one_is_gone(held: Bank) -> None:
    """The money of the dead one is frozen, and never released by itself."""
    lost = lose(held)
    assert held.hold("req_2", on="replica_b", output_tokens_max=390).amount_nano == 880
    silence(held, "replica_a")
    with pytest.raises(Problem) as refused:
        held.hold("req_3", on="replica_b")
    assert refused.value.facts["reason"] == "held_by_running_calls"
    back(held, lost)
    assert held.hold("req_3", on="replica_b").amount_nano == 120


def silence(bank: Bank, name: str) -> None:
    """Nobody has heard of that process for a while."""
    bank.sql(f"UPDATE replica SET seen_us = seen_us - {leases.SILENT_US} WHERE id = '{name}'")


def test_a_clean_end_leaves_nothing_leased(held: Bank) -> None:
    held.settle("req_1")
    held.replica().stop()
    assert (line(held).granted_nano, line(held).held_nano) == (0, 0)
    assert held.verify() == SOUND


# Forfeits


def test_a_forfeit_gives_the_leases_back_to_the_customers(held: Bank) -> None:
    lose(held)
    silence(held, "replica_a")
    assert held.write(lambda op, tx: leases.forfeit(op, tx, "replica_a")) == 120
    assert held.limits()["balance"].remaining_nano == 1000
    assert (line(held).granted_nano, line(held).forfeited_epoch) == (0, 1)
    assert held.log.faults == [
        ("leases_forfeited", {"replica_id": "replica_a", "returned_nano": 120})
    ]
    assert held.verify().problems == ()


def test_what_turns_up_after_a_forfeit_is_the_operators_loss(held: Bank) -> None:
    held.settle("req_1")
    lost = lose(held)
    held.forfeit("replica_a")
    back(held, lost)
    record = held.call("req_1")
    assert (record.cost_nano, record.operator_loss_nano) == (0, 120)
    assert record.outcome is Outcome.INTERRUPTED
    assert "forfeited" in record.reason
    assert held.rows("SELECT state, swept FROM call_record") == [("void", 1)]
    assert held.limits()["balance"].remaining_nano == 1000
    assert held.verify() == SOUND


def test_what_turns_up_after_a_forfeit_and_cost_nothing_is_no_loss(held: Bank) -> None:
    held.settle("req_1", charge=False, outcome=Outcome.ENGINE_FAILED)
    lost = lose(held)
    held.forfeit("replica_a")
    back(held, lost)
    record = held.call("req_1")
    assert (record.outcome, record.operator_loss_nano) == (Outcome.INTERRUPTED, 0)
    assert held.verify() == SOUND


def test_a_forfeited_process_that_lives_on_cannot_charge(held: Bank) -> None:
    held.forfeit("replica_a")
    held.settle("req_1")
    with pytest.raises(Problem) as refused:
        held.flush()
    assert refused.value.code is Code.REPLICA_FENCED
    back(held, lose(held))
    assert held.call("req_1").operator_loss_nano == 120
    assert held.verify() == SOUND


def test_what_was_booked_before_the_forfeit_stays_charged(held: Bank) -> None:
    held.settle("req_1")
    lost = lose(held)
    lost.flush()
    journal = dict(lost.journal)
    held.forfeit("replica_a")
    lost.journal.update(journal)
    back(held, lost)
    assert (held.call("req_1").cost_nano, held.call("req_1").operator_loss_nano) == (120, 0)
    assert held.verify() == SOUND


def test_new_calls_after_a_forfeit_are_charged(held: Bank) -> None:
    lost = lose(held)
    held.forfeit("replica_a")
    back(held, lost)
    held.hold("req_2")
    held.settle("req_2")
    assert held.call("req_2").cost_nano == 120
    assert held.verify() == SOUND


def test_the_freed_money_can_be_held_by_others_at_once(held: Bank) -> None:
    lose(held)
    held.forfeit("replica_a")
    assert held.hold("req_2", on="replica_b", output_tokens_max=450).amount_nano == 1000


def test_a_forfeited_name_may_get_another_journal(held: Bank) -> None:
    """Its directory is lost; should it be found after all, its old calls cost nobody."""
    held.settle("req_1")
    lost = lose(held)
    held.forfeit("replica_a")
    held.replica("replica_a").stop()
    again = held.replicas.pop("replica_a")
    back(held, lost)
    assert held.call("req_1").operator_loss_nano == 120
    assert again.epoch < lost.epoch
    assert held.verify() == SOUND


def test_a_living_replica_is_forfeited_only_by_force(held: Bank) -> None:
    with pytest.raises(Problem) as refused:
        held.write(lambda op, tx: leases.forfeit(op, tx, "replica_a"))
    assert refused.value.code is Code.STATE_CONFLICT
    assert "--force" in refused.value.public
    assert line(held).granted_nano == 120


def test_nobody_of_that_name_can_be_forfeited(bank: Bank) -> None:
    with pytest.raises(Problem) as refused:
        bank.forfeit("nobody")
    assert refused.value.code is Code.NAME_NOT_FOUND


def test_replicas_are_listed_with_what_they_have(held: Bank) -> None:
    held.hold("req_2", on="replica_b", caller=CALLER)
    held.flush()
    first, second = held.seen(leases.replicas)
    assert (first.id, first.epoch, first.granted_nano, first.held_nano) == (
        "replica_a",
        1,
        120,
        120,
    )
    assert (second.id, second.leases) == ("replica_b", 4)
    assert second.started_us <= second.seen_us


def test_a_forfeit_ends_the_calls_that_were_shown_as_running(held: Bank) -> None:
    """Nobody else ever will; what they would have cost is noted when their journal turns up."""
    held.flush()
    assert held.call("req_1").running
    lost = lose(held)
    held.forfeit("replica_a")
    ended = held.call("req_1")
    assert (ended.outcome, ended.cost_nano, ended.operator_loss_nano) == (Outcome.INTERRUPTED, 0, 0)
    assert held.verify() == SOUND
    for _ in range(2):  # the same journal found twice notes it once
        back(held, lost)
        lost = lose(held)
    assert held.call("req_1").outcome is Outcome.INTERRUPTED
    assert held.verify() == SOUND
