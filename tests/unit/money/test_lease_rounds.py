"""Rounds: what several processes tell and ask one ledger, and what each of them gets."""

from collections import Counter

import pytest

from tests.support.bank import CALLER, Bank
from tests.support.replica import Replica
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.level import take
from tokenbooth.money.leases.service import (
    Giving,
    LevelKey,
    PoolOptions,
    RoundAsk,
    Verdict,
    Waiter,
)
from tokenbooth.money.ledger import service as ledger

SECOND_US = 1_000_000
CHAIN = tuple(LevelKey(*level) for level in ledger.chain_of(CALLER))
OTHER = Caller(CALLER.org_id, CALLER.project_id, "key_b", frozenset(Scope))


@pytest.fixture
def funded(bank: Bank) -> Bank:
    """A balance of 1000; a call of 100 input tokens holds 100 and 2 for each output token."""
    bank.price(1000, 2000)
    bank.fund(1000)
    return bank


def free(replica: Replica) -> Counter[str]:
    """By level; 0 where nothing was ever leased, or all was given back."""
    return Counter({n.partition(":")[0]: nano for n, nano in replica.free_nano.items()})


def leased(bank: Bank) -> int:
    """What all replicas have of the balance."""
    return sum(line.granted_nano for line in bank.seen(leases.replicas))


def cap(bank: Bank, scope: LimitScope, owner: str, limit: int | None) -> None:
    bank.write(lambda op, tx: ledger.set_limit(op, tx, scope, owner, limit))


# What a call takes


def test_leased_money_is_spent_without_a_round(funded: Bank) -> None:
    replica = funded.replica()
    funded.hold("req_1", output_tokens_max=200)
    funded.settle("req_1", usage=Usage(100, 0))
    assert free(replica) == dict.fromkeys(free(replica), 400)
    replica.queue.wants = None  # type: ignore[assignment,method-assign]
    assert funded.hold("req_2", output_tokens_max=150).amount_nano == 400
    assert free(replica)["balance"] == 0


def test_nothing_is_leased_beyond_the_need_unless_asked_for(funded: Bank) -> None:
    funded.hold("req_1")
    assert leased(funded) == 120
    assert set(free(funded.replica()).values()) == {0}


def test_an_advance_is_a_part_of_what_is_left(funded: Bank) -> None:
    funded.pool_options = PoolOptions(block_nano_max=10**9)
    funded.hold("req_1")
    assert free(funded.replica())["balance"] == (1000 - 120) // 20
    assert free(funded.replica())["key"] == 16 * 120
    assert leased(funded) == 120 + 44


def test_a_level_that_nobody_opened_is_opened_by_the_first_call(funded: Bank) -> None:
    funded.hold("req_1")
    assert funded.rows("SELECT id FROM spend_limit ORDER BY id") == [
        ("balance:org_a",),
        ("key:key_a",),
        ("organization:org_a",),
        ("project:project_a",),
    ]


def test_two_replicas_share_one_balance_to_the_nano(funded: Bank) -> None:
    assert funded.hold("req_1", on="replica_a", output_tokens_max=200).amount_nano == 500
    assert funded.hold("req_2", on="replica_b", output_tokens_max=200).amount_nano == 500
    for name in ("replica_a", "replica_b"):
        with pytest.raises(Problem) as refused:
            funded.hold(f"req_{name}", on=name)
        assert refused.value.code is Code.BALANCE_EXHAUSTED
    assert funded.limits()["balance"].remaining_nano == 0
    assert funded.verify().problems == ()


# Recalls


def test_what_another_does_not_use_is_recalled(funded: Bank) -> None:
    """Replica a holds 900 of 1000 in advance; b needs 880 of it."""
    funded.hold("req_1", output_tokens_max=450)
    funded.settle("req_1", usage=Usage(10, 0))
    assert free(funded.replica())["balance"] == 990
    assert funded.hold("req_2", on="replica_b", output_tokens_max=390).amount_nano == 880
    assert free(funded.replica())["balance"] == 0
    assert funded.limits()["balance"].remaining_nano == 110


def test_nobody_is_refused_while_another_still_has_to_answer(funded: Bank) -> None:
    funded.hold("req_1", output_tokens_max=450)
    funded.settle("req_1", usage=Usage(0, 0))
    other = funded.replica("replica_b")
    waiter = Waiter(CHAIN, 120, runs=False)
    other.queue.add(waiter)
    for _ in range(3):
        other.round()
        assert other.queue.verdict(waiter, other.pool.levels(CHAIN, 0)) is Verdict.WAIT
    funded.answer(but="replica_b")
    other.round()
    assert other.queue.verdict(waiter, other.pool.levels(CHAIN, 0)) is Verdict.FITS


def test_two_that_each_have_a_part_do_not_keep_it_from_each_other(funded: Bank) -> None:
    """Each has 500 and needs 600: one gets it, the other hears that there is too little."""
    first, second = funded.replica("replica_a"), funded.replica("replica_b")
    waiters = {}
    for replica in (first, second):
        funded.hold(f"req_{replica.name}", on=replica.name, output_tokens_max=200)
        funded.settle(f"req_{replica.name}", usage=Usage(0, 0))
        waiters[replica.name] = Waiter(CHAIN, 600, runs=False)
    for replica in (first, second):
        replica.queue.add(waiters[replica.name])
    verdicts = {}
    for _ in range(4):
        for replica in (first, second):
            replica.answer()
            replica.round()
            waiter = waiters[replica.name]
            verdict = replica.queue.verdict(waiter, replica.pool.levels(CHAIN, 0))
            if verdict is not Verdict.WAIT and replica.name not in verdicts:
                verdicts[replica.name] = verdict
                replica.queue.remove(waiter)
                if verdict is Verdict.FITS:
                    held = replica.pool.leased_at(CHAIN, 0)
                    assert held is not None
                    take(held.levels, 600, 0)
    assert sorted(v.value for v in verdicts.values()) == ["fits", "short"]


def test_a_small_call_gets_what_a_larger_one_elsewhere_could_not_use(funded: Bank) -> None:
    """Replica a has 400 free, and its call of 500 is refused; the call of 300 on b must fit."""
    funded.hold("req_1", output_tokens_max=150)
    funded.settle("req_1", usage=Usage(0, 0))
    funded.hold("req_2", on="replica_c", output_tokens_max=250)
    with pytest.raises(Problem):
        funded.hold("req_3", output_tokens_max=200, strict=True)
    assert funded.hold("req_4", on="replica_b", output_tokens_max=100).amount_nano == 300


def test_steady_recalls_of_one_do_not_keep_another_waiting(funded: Bank) -> None:
    """An answer counts for every recall up to it, however many are asked meanwhile."""
    funded.hold("req_1", on="replica_c", output_tokens_max=450)
    first, second = funded.replica("replica_a"), funded.replica("replica_b")
    waiter = Waiter(CHAIN, 120, runs=False)
    first.queue.add(waiter)
    first.round()
    for _ in range(5):
        second.queue.add(Waiter(CHAIN, 200, runs=False))
        second.round()
    funded.replica("replica_c").answer()
    second.queue.add(Waiter(CHAIN, 200, runs=False))
    second.round()
    first.round()
    assert first.queue.verdict(waiter, first.pool.levels(CHAIN, 0)) is Verdict.SHORT


def test_nothing_is_taken_in_advance_for_a_while_after_a_recall(funded: Bank) -> None:
    funded.pool_options = PoolOptions(block_nano_max=10**9)
    first = funded.replica("replica_a")
    funded.hold("req_1")
    assert free(first)["balance"] == 44
    funded.hold("req_2", on="replica_b", output_tokens_max=390)
    assert free(first)["balance"] == 0
    funded.settle("req_2", usage=Usage(0, 0))
    funded.replica("replica_b").stop()
    funded.hold("req_3", output_tokens_max=20)
    assert free(first)["balance"] == 0
    funded.clock.us += SECOND_US
    funded.hold("req_4", output_tokens_max=20)
    assert free(first)["balance"] > 0


def test_what_is_given_back_is_not_taken_in_advance_in_the_same_round(funded: Bank) -> None:
    """A busy replica that answers a recall would otherwise keep a twentieth of it."""
    funded.pool_options = PoolOptions(block_nano_max=10**9, idle_us=10 * SECOND_US)
    first = funded.replica("replica_a")
    funded.hold("req_1")
    funded.clock.us += SECOND_US
    first.round(announce=True)
    funded.clock.us += SECOND_US
    assert first.pool.running_low(funded.clock.us)
    assert first.queue.wants(funded.clock.us).advances
    # One who gives everything back would take it again at once.
    assert not first.queue.wants(funded.clock.us, close=True).advances
    assert funded.hold("req_2", on="replica_b", output_tokens_max=1000).amount_nano == 880
    assert free(first)["balance"] == 0
    assert funded.limits()["balance"].remaining_nano == 0


def test_a_silent_replica_is_not_waited_for(funded: Bank) -> None:
    funded.hold("req_1", output_tokens_max=450)
    funded.settle("req_1", usage=Usage(0, 0))
    funded.flush()
    funded.replicas.pop("replica_a")
    funded.sql(f"UPDATE replica SET seen_us = seen_us - {leases.SILENT_US}")
    other = funded.replica("replica_b")
    waiter = Waiter(CHAIN, 120, runs=False)
    other.queue.add(waiter)
    other.round()
    levels = other.pool.levels(CHAIN, 0)
    assert other.queue.verdict(waiter, levels) is Verdict.SHORT
    refusing = next(level for level in levels if level is not None).refusing_state()
    assert (refusing.held_nano, refusing.remaining_nano) == (1000, 0)


def test_a_lease_that_its_replica_forgot_comes_back_whole(funded: Bank) -> None:
    """The answer to a round was lost, and what it granted is in nobody's memory."""
    funded.hold("req_1")
    lost = funded.replica("replica_a")
    level = LevelKey(LimitScope.KEY, "key_b")
    ask = RoundAsk(
        replica_id="replica_a",
        epoch=lost.epoch,
        number=lost.pool._round + 1,
        wants=leases.Wants(
            (leases.Want(chain=(level,), amount_nano=70, least_nano=70, runs=False, recalls={}),)
        ),
    )
    funded.write(lambda op, tx: leases.book(op, tx, ask))
    lost.pool._round += 1
    funded.write(lambda op, tx: leases.recall(op, tx, "key:key_b"))
    lost.answer()
    assert funded.rows("SELECT leased_nano FROM spend_limit WHERE id = 'key:key_b'") == [(0,)]
    assert funded.verify().problems == ()


# The same round twice


def test_a_round_that_is_asked_again_is_booked_once(funded: Bank) -> None:
    replica = funded.replica()
    funded.hold("req_1")
    funded.settle("req_1")
    ask = replica.ask_round()
    for _ in range(3):
        done = funded.write(lambda op, tx: leases.book(op, tx, ask))
    replica.take_in(ask, done)
    assert funded.limits()["balance"].spent_nano == 120
    assert funded.rows("SELECT count(*) FROM call_record") == [(1,)]
    assert funded.verify().problems == ()


def test_a_grant_whose_answer_was_lost_is_there_the_next_time(funded: Bank) -> None:
    replica = funded.replica()
    waiter = Waiter(CHAIN, 120, runs=False)
    replica.queue.add(waiter)
    ask = replica.ask_round()
    for _ in range(2):
        done = funded.write(lambda op, tx: leases.book(op, tx, ask))
    assert done.answers == ()
    assert replica.ask_round() is ask
    replica.take_in(ask, done)
    assert replica.queue.verdict(waiter, replica.pool.levels(CHAIN, 0)) is Verdict.FITS
    assert leased(funded) == 120


def test_a_refusal_whose_answer_was_lost_is_asked_for_again(funded: Bank) -> None:
    replica = funded.replica()
    waiter = Waiter(CHAIN, 1001, runs=False)
    replica.queue.add(waiter)
    ask = replica.ask_round()
    for _ in range(2):
        done = funded.write(lambda op, tx: leases.book(op, tx, ask))
    replica.take_in(ask, done)
    assert replica.queue.verdict(waiter, replica.pool.levels(CHAIN, 0)) is Verdict.WAIT
    replica.round()
    assert replica.queue.verdict(waiter, replica.pool.levels(CHAIN, 0)) is Verdict.SHORT


def test_what_was_freed_since_the_round_decided_is_asked_for_again(funded: Bank) -> None:
    replica = funded.replica()
    funded.hold("req_1", output_tokens_max=400)
    waiter = Waiter(CHAIN, 870, runs=False)
    replica.queue.add(waiter)
    replica.round()
    assert replica.queue.verdict(waiter, replica.pool.levels(CHAIN, 0)) is Verdict.SHORT
    replica.settle(funded.ending("req_1"))
    assert replica.queue.verdict(waiter, replica.pool.levels(CHAIN, 0)) is Verdict.WAIT
    replica.round()
    assert replica.queue.verdict(waiter, replica.pool.levels(CHAIN, 0)) is Verdict.FITS


def test_one_call_that_two_replicas_settle_is_charged_once(funded: Bank) -> None:
    for name in ("replica_a", "replica_b"):
        funded.hold("req_1", on=name)
        funded.replica(name).settle(funded.ending("req_1"))
    funded.flush()
    assert funded.limits()["balance"].spent_nano == 120
    assert funded.rows("SELECT replica_id FROM call_record") == [("replica_a",)]
    assert funded.verify() == ledger.Verification(3, 0, 0, ())


def test_more_calls_than_a_round_takes_are_told_in_several(bank: Bank) -> None:
    bank.price(1000, 2000)
    bank.fund(10_000)
    bank.pool_options = PoolOptions(block_nano_max=0, round_calls_max=3)
    for number in range(8):
        bank.hold(f"req_{number}", output_tokens_max=0)
    for number in range(8):
        bank.settle(f"req_{number}", usage=Usage(100, 0))
    before = bank.seen(leases.replicas)[0].rounds
    bank.flush()
    assert bank.seen(leases.replicas)[0].rounds - before == 3
    assert bank.limits()["balance"].spent_nano == 800
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


# What is told


def test_a_call_is_shown_when_it_has_run_for_a_while(funded: Bank) -> None:
    funded.hold("req_1")
    replica = funded.replica()
    replica.round()
    assert funded.seen(lambda op, tx: ledger.verify(op, tx)).open_holds == 0
    funded.clock.us += SECOND_US
    replica.round()
    assert funded.seen(lambda op, tx: ledger.verify(op, tx)).open_holds == 1
    assert funded.call("req_1").running


def test_idle_money_goes_back_by_itself(funded: Bank) -> None:
    funded.hold("req_1", output_tokens_max=450)
    funded.settle("req_1", usage=Usage(0, 0))
    replica = funded.replica()
    replica.round()
    assert leased(funded) == 1000
    assert not replica.pool.idle_left(funded.clock.us)
    funded.clock.us += 2 * SECOND_US
    assert replica.pool.idle_left(funded.clock.us)
    replica.round()
    assert leased(funded) == 0
    assert replica.pool._book.by_limit == {}


def test_a_charge_that_nobody_leased_is_a_fault_and_books_nothing(funded: Bank) -> None:
    """What was returned cannot be spent any more."""
    funded.hold("req_1")
    funded.settle("req_1")
    replica = funded.replica()
    give_all = RoundAsk(
        replica_id="replica_a",
        epoch=replica.epoch,
        number=replica.pool._round + 1,
        givings={name: Giving(120, 0) for name in replica.free_nano},
    )
    funded.write(lambda op, tx: leases.book(op, tx, give_all))
    replica.pool._round += 1
    with pytest.raises(AssertionError, match="closed lease"):
        funded.flush()
    assert funded.seen(lambda op, tx: ledger.verify(op, tx)).problems == ()


def test_a_ledger_that_forgot_its_leases_books_what_the_journal_knows(funded: Bank) -> None:
    """As after a restore: the copy is older than the lease, the journal is not."""
    funded.hold("req_1")
    funded.settle("req_1")
    funded.sql("DELETE FROM lease")
    funded.sql("UPDATE spend_limit SET leased_nano = 0, held_nano = 0")
    funded.replica().restart()
    assert funded.limits()["balance"].spent_nano == 120
    assert leased(funded) == 0
    assert funded.verify().problems == ()


# Caps, credit and keys that come while money is leased


def test_a_cap_set_while_money_is_leased_holds_at_once(funded: Bank) -> None:
    funded.hold("req_1")
    cap(funded, LimitScope.KEY, "key_a", 230)
    with pytest.raises(Problem) as refused:
        funded.hold("req_2", strict=True)
    assert refused.value.facts["limit_source"] == "key"
    assert funded.hold("req_3", on="replica_b").amount_nano == 110
    assert funded.hold("req_4", on="replica_b", caller=OTHER).amount_nano == 120


def test_credit_is_seen_by_whoever_was_refused(funded: Bank) -> None:
    funded.hold("req_1", output_tokens_max=450)
    with pytest.raises(Problem):
        funded.hold("req_2", on="replica_b")
    funded.fund(120, ref="more")
    assert funded.hold("req_2", on="replica_b").amount_nano == 120
    assert funded.limits()["balance"].remaining_nano == 0


def test_a_raised_cap_lets_a_running_call_go_on(funded: Bank) -> None:
    cap(funded, LimitScope.KEY, "key_a", 108)
    funded.hold("req_1", stated=False)
    assert not funded.replica().extend("req_1", 8)
    cap(funded, LimitScope.KEY, "key_a", 116)
    assert funded.replica().extend("req_1", 8)
    assert funded.settle("req_1", usage=Usage(100, 8)).cost_nano == 116


def test_a_running_call_comes_before_a_new_one(funded: Bank) -> None:
    """Only 116 are left: enough for the extension of the first, or for a new call."""
    cap(funded, LimitScope.KEY, "key_a", 108 + 116)
    funded.hold("req_1", stated=False)
    replica = funded.replica()
    chain = tuple(level.named_key for level in replica.running["req_1"].held.levels)
    new, running = Waiter(CHAIN, 116, runs=False), Waiter(chain, 60, runs=True)
    replica.queue.add(new)
    replica.queue.add(running)
    replica.round()
    assert replica.queue.verdict(running, replica.pool.levels(chain, 0)) is Verdict.FITS
    assert replica.queue.verdict(new, replica.pool.levels(CHAIN, 0)) is Verdict.WAIT
    replica.pool.extend(replica.running["req_1"].held, 60, 0)
    replica.queue.remove(running)
    assert replica.queue.verdict(new, replica.pool.levels(CHAIN, 0)) is Verdict.SHORT


def test_a_recall_of_an_unknown_limit_changes_nothing(funded: Bank) -> None:
    funded.write(lambda op, tx: leases.recall(op, tx, "key:none"))
    assert funded.rows("SELECT count(*) FROM spend_limit WHERE id = 'key:none'") == [(0,)]
