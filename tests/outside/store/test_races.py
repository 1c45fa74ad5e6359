"""Two hands on the same row: whichever comes first, the books agree."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from tests.support.bank import CALLER, Bank, opened_bank
from tests.support.ops import CountingIds, make_op
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import LevelKey, RoundDone, Verdict, Waiter
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices import service as prices
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions

OP = make_op()
CHAIN = tuple(LevelKey(*level) for level in ledger.chain_of(CALLER))


@pytest.fixture
def bank(store_options: StoreOptions):
    with opened_bank(store_options) as opened:
        opened.price(1000, 2000)
        yield opened


def together(bank: Bank, *verbs: Callable[[Tx], object]) -> list[object]:
    """Each verb over a store of its own, as from so many replicas; errors are results."""

    async def scene() -> list[object]:
        stores = [open_store(bank.options) for _ in verbs]
        results = await asyncio.gather(
            *(store.write(verb) for store, verb in zip(stores, verbs, strict=True)),
            return_exceptions=True,
        )
        for store in stores:
            await store.close()
        return results

    return asyncio.run(scene())


def test_one_reference_credited_from_everywhere_is_booked_once(bank: Bank) -> None:
    results = together(
        bank, *(lambda tx: ledger.credit(OP, tx, "org_a", 500, "invoice_7") for _ in range(12))
    )
    assert results == [LimitState(LimitScope.BALANCE, "org_a", 500, 0, 0)] * 12
    assert bank.rows("SELECT count(*) FROM ledger_txn") == [(1,)]
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_one_round_told_from_everywhere_is_booked_once(bank: Bank) -> None:
    bank.fund(1000)
    bank.hold("req_1")
    bank.settle("req_1")
    ask = bank.replica().ask_round()
    results = together(bank, *(lambda tx: leases.book(OP, tx, ask) for _ in range(12)))
    done = [result for result in results if isinstance(result, RoundDone)]
    assert len(done) == 12
    assert len({repr(sorted(d.lines.items())) for d in done}) == 1
    bank.replica().take_in(ask, done[0])
    assert bank.limits()["balance"].spent_nano == 120
    assert bank.rows("SELECT count(*) FROM ledger_txn WHERE kind = 'charge'") == [(1,)]
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_one_call_settled_by_several_replicas_is_charged_once(bank: Bank) -> None:
    """Only the first record of a call counts; the others give their money back."""
    bank.fund(1000)
    names = [f"replica_{n}" for n in range(6)]
    for name in names:
        bank.hold("req_1", on=name, output_tokens_max=0)
        bank.replica(name).settle(bank.ending("req_1", usage=Usage(100, 0)))
    asks = {name: bank.replica(name).ask_round() for name in names}
    results = together(bank, *(lambda tx, a=ask: leases.book(OP, tx, a) for ask in asks.values()))
    for name, result in zip(names, results, strict=True):
        replica, ask = bank.replica(name), asks[name]
        if isinstance(result, RoundDone):
            replica.take_in(ask, result)
    bank.flush()
    assert bank.limits()["balance"].spent_nano == 100
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


@pytest.mark.parametrize("turn", range(4))
def test_a_round_against_a_forfeit_ends_one_way(bank: Bank, turn: int) -> None:
    bank.fund(1000)
    bank.hold("req_1")
    bank.settle("req_1")
    ask = bank.replica().ask_round()
    verbs = [
        lambda tx: leases.book(OP, tx, ask),
        lambda tx: leases.forfeit(OP, tx, "replica_a", living=True),
        lambda tx: leases.forfeit(OP, tx, "replica_a", living=True),
    ]
    results = together(bank, *verbs[turn % 3 :], *verbs[: turn % 3])
    problems = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(p, Problem) and p.code is Code.REPLICA_FENCED for p in problems)
    lost = bank.replicas.pop("replica_a")
    lost.restart()
    record = bank.call("req_1")
    charged = not problems
    assert (record.cost_nano, record.operator_loss_nano) == ((120, 0) if charged else (0, 120))
    assert bank.limits()["balance"].spent_nano == record.cost_nano
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_one_name_enrolled_from_everywhere_has_one_living_epoch(bank: Bank) -> None:
    results = together(
        bank, *(lambda tx: leases.enroll(OP, tx, "replica_z", "journal") for _ in range(8))
    )
    assert sorted(result for result in results if isinstance(result, int)) == list(range(1, 9))
    (line,) = (v for v in bank.read(leases.replicas) if v.id == "replica_z")
    assert line.epoch == 8


def test_a_lowered_cap_and_a_lease_never_both_succeed(bank: Bank) -> None:
    bank.fund(10_000)
    replica = bank.replica()
    replica.queue.add(Waiter(CHAIN, 120, runs=False))
    ask = replica.ask_round()
    done, cap = together(
        bank,
        lambda tx: leases.book(OP, tx, ask),
        lambda tx: ledger.set_limit(OP, tx, LimitScope.KEY, "key_a", 50),
    )
    assert isinstance(done, RoundDone)
    fits = done.answers[0].verdict is Verdict.FITS
    assert fits != (cap is None)
    replica.take_in(ask, done)
    assert bank.verify().problems == ()


def test_levels_opened_by_the_first_calls_are_opened_once(bank: Bank) -> None:
    bank.fund(10_000)
    replicas = [bank.replica(f"replica_{n}") for n in range(8)]
    asks = []
    for replica in replicas:
        replica.queue.add(Waiter(CHAIN, 120, runs=False))
        asks.append(replica.ask_round())
    results = together(bank, *(lambda tx, a=ask: leases.book(OP, tx, a) for ask in asks))
    done = [result for result in results if isinstance(result, RoundDone)]
    assert [d.answers[0].verdict for d in done] == [Verdict.FITS] * 8
    assert (
        bank.seen(lambda op, tx: tx.execute(text("SELECT count(*) FROM spend_limit")).scalar()) == 4
    )
    for replica, ask, result in zip(replicas, asks, done, strict=True):
        replica.take_in(ask, result)
    assert bank.verify().problems == ()


def test_the_last_money_goes_to_as_many_as_it_serves(bank: Bank) -> None:
    """Eight processes ask at once for 120 of 500 each: four get it, and none a part of it."""
    bank.fund(500)
    replicas = [bank.replica(f"replica_{n}") for n in range(8)]
    asks = []
    for replica in replicas:
        replica.queue.add(Waiter(CHAIN, 120, runs=False))
        asks.append(replica.ask_round())
    results = together(bank, *(lambda tx, a=ask: leases.book(OP, tx, a) for ask in asks))
    done = [result for result in results if isinstance(result, RoundDone)]
    fitting = [d for d in done if d.answers[0].verdict is Verdict.FITS]
    assert (len(done), len(fitting)) == (8, 4)
    assert sum(line.granted_nano for line in bank.seen(leases.replicas)) == 480


def test_two_authors_never_share_a_version(bank: Bank) -> None:
    ask = prices.PriceAsk("m", 1, 2)

    def publish(number: int) -> Callable[[Tx], prices.Price]:
        ids = CountingIds(1000 * number)
        return lambda tx: prices.publish(OP, tx, ask, ids)

    results = together(bank, *(publish(number) for number in range(1, 7)))
    published = [result for result in results if isinstance(result, prices.Price)]
    assert published
    history = bank.read(lambda op, tx: prices.history(op, tx, "m"))
    assert [version.sequence for version in history] == list(range(len(published) + 1, 0, -1))
    current = bank.read(lambda op, tx: prices.current(op, tx, "m"))
    assert current in published
