"""Two hands on the same row: whichever comes first, the books agree."""

import asyncio
from collections.abc import Callable

import pytest

from tests.support.bank import Bank, opened_bank
from tests.support.ops import CountingIds, make_op
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome, Receipt
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices import service as prices
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions

OP = make_op()


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


def test_one_ending_settled_from_everywhere_is_charged_once(bank: Bank) -> None:
    bank.fund(1000)
    bank.hold("req_1")
    ending = bank.ending("req_1")
    results = together(bank, *(lambda tx: ledger.settle(OP, tx, ending) for _ in range(12)))
    assert {result.cost_nano for result in results if isinstance(result, Receipt)} == {120}
    assert bank.limits()["balance"].spent_nano == 120
    assert bank.rows("SELECT count(*) FROM ledger_txn WHERE kind = 'charge'") == [(1,)]
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


@pytest.mark.parametrize("turn", range(4))
def test_a_settlement_against_a_sweep_ends_one_way(bank: Bank, turn: int) -> None:
    bank.fund(1000)
    bank.hold("req_1")
    ending = bank.ending("req_1")
    verbs = [
        lambda tx: ledger.settle(OP, tx, ending),
        lambda tx: ledger.sweep(OP, tx, "replica_b", 0),
        lambda tx: ledger.sweep(OP, tx, "replica_c", 0),
    ]
    results = together(bank, *verbs[turn % 3 :], *verbs[: turn % 3])
    assert not any(isinstance(result, BaseException) for result in results)
    record = bank.call("req_1")
    charged = record.outcome is Outcome.COMPLETED
    assert (record.cost_nano, record.operator_loss_nano) == ((120, 0) if charged else (0, 120))
    assert bank.limits()["balance"].spent_nano == record.cost_nano
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_one_request_id_held_from_everywhere_is_held_once(bank: Bank) -> None:
    bank.fund(10_000)
    ask = bank.ask("req_1")
    results = together(bank, *(lambda tx: ledger.hold(OP, tx, ask) for _ in range(8)))
    assert sum(isinstance(result, ledger.Hold) for result in results) == 1
    refused = [result for result in results if isinstance(result, Problem)]
    assert {problem.code for problem in refused} == {Code.STATE_CONFLICT}
    assert len(refused) == 7
    assert bank.limits()["balance"].held_nano == 120


def test_a_lowered_cap_and_a_hold_never_both_succeed(bank: Bank) -> None:
    bank.fund(10_000)
    ask = bank.ask("req_1")
    hold, cap = together(
        bank,
        lambda tx: ledger.hold(OP, tx, ask),
        lambda tx: ledger.set_limit(OP, tx, LimitScope.KEY, "key_a", 50),
    )
    assert isinstance(hold, ledger.Hold) != (cap is None)
    key = bank.limits()["key"]
    assert key.remaining_nano is None or key.remaining_nano >= 0
    assert bank.verify().problems == ()


def test_levels_opened_by_the_first_calls_are_opened_once(bank: Bank) -> None:
    bank.fund(10_000)
    asks = [bank.ask(f"req_{n}") for n in range(8)]
    results = together(bank, *(lambda tx, a=a: ledger.hold(OP, tx, a) for a in asks))
    assert all(isinstance(result, ledger.Hold) for result in results)
    assert bank.rows("SELECT count(*) FROM spend_limit") == [(4,)]
    assert bank.limits()["key"].held_nano == 8 * 120


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
