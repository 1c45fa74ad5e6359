"""Many at once, near the cap, over one store and over several: nobody ever gets too much."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.bank import CALLER, USD, Bank, opened_bank
from tests.support.ops import make_op
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger
from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.options import StoreOptions

ROOT = Path(__file__).parents[3]
OP = make_op()
CALL_NANO = USD // 10


def stampede(options: StoreOptions, asks: Sequence[ledger.HoldAsk], stores: int) -> list[object]:
    """All holds at once, spread over several stores as over replicas."""

    async def scene() -> list[object]:
        opened = [open_store(options) for _ in range(stores)]

        def hold(store: AsyncStore, ask: ledger.HoldAsk):
            return store.write(lambda tx: ledger.hold(OP, tx, ask))

        results = await asyncio.gather(
            *(hold(opened[n % stores], ask) for n, ask in enumerate(asks)), return_exceptions=True
        )
        for store in opened:
            await store.close()
        return results

    return asyncio.run(scene())


@pytest.fixture
def funded(store_options: StoreOptions):
    """Five dollars; a call of one output token costs ten cents."""
    with opened_bank(store_options) as bank:
        bank.price(0, CALL_NANO * 1000)
        bank.fund(5 * USD)
        yield bank


def asks_of(bank: Bank, count: int, **fields: object) -> list[ledger.HoldAsk]:
    return [bank.ask(f"req_{n:05}", output_tokens_max=1, **fields) for n in range(count)]


@pytest.mark.parametrize("stores", [1, 3])
def test_a_stampede_gets_exactly_what_the_balance_buys(funded: Bank, stores: int) -> None:
    results = stampede(funded.options, asks_of(funded, 300), stores)
    taken = [r for r in results if isinstance(r, ledger.Hold)]
    refused = [r for r in results if isinstance(r, Problem)]
    assert (len(taken), len(refused)) == (50, 250)
    assert {problem.code for problem in refused} == {Code.BALANCE_EXHAUSTED}
    assert funded.limits()["balance"].remaining_nano == 0
    assert funded.verify() == ledger.Verification(3, 0, 50, ())


@pytest.mark.parametrize("scope", [LimitScope.ORGANIZATION, LimitScope.PROJECT, LimitScope.KEY])
def test_a_stampede_stops_at_every_cap(funded: Bank, scope: LimitScope) -> None:
    owner = dict(ledger.chain_of(CALLER))[scope]
    funded.write(lambda op, tx: ledger.set_limit(op, tx, scope, owner, 7 * CALL_NANO + 1))
    results = stampede(funded.options, asks_of(funded, 60), 2)
    assert sum(isinstance(r, ledger.Hold) for r in results) == 7
    refused = [r for r in results if isinstance(r, Problem)]
    assert {problem.facts["scope"] for problem in refused} == {scope.value}
    assert funded.limits()[scope.value].remaining_nano == 1


def test_holds_settlements_sweeps_and_credits_at_once_lose_nothing(funded: Bank) -> None:
    asks = asks_of(funded, 120)
    options = funded.options
    refused: list[Code] = []

    async def one(store: AsyncStore, number: int, ask: ledger.HoldAsk) -> int:
        try:
            await store.write(lambda tx: ledger.hold(OP, tx, ask))
        except Problem as problem:
            refused.append(problem.code)
            return 0
        if number % 5 == 0:
            await store.write(lambda tx: ledger.sweep(OP, tx, "replica_b", 0))
        ending = funded.ending(ask.request_id, charge=number % 3 > 0)
        receipts = await asyncio.gather(
            *(store.write(lambda tx: ledger.settle(OP, tx, ending)) for _ in range(2))
        )
        assert receipts[0].cost_nano == receipts[1].cost_nano
        return receipts[0].cost_nano

    async def scene() -> list[int]:
        stores = [open_store(options) for _ in range(3)]
        calls = [one(stores[n % 3], n, ask) for n, ask in enumerate(asks)]
        top_ups = [
            stores[n % 3].write(
                lambda tx, n=n: ledger.credit(OP, tx, "org_a", CALL_NANO, f"top_up_{n % 10}")
            )
            for n in range(20)
        ]
        costs, _ = await asyncio.gather(asyncio.gather(*calls), asyncio.gather(*top_ups))
        for store in stores:
            await store.close()
        return costs

    costs = asyncio.run(scene())
    assert set(refused) <= {Code.BALANCE_EXHAUSTED}
    balance = funded.limits()["balance"]
    assert balance.limit_nano == 5 * USD + 10 * CALL_NANO
    assert balance.spent_nano == sum(costs)
    assert balance.held_nano == 0
    assert funded.verify() == ledger.Verification(3, 0, 0, ())


CREDIT = """
import sys
from tests.support.ops import make_op
from tokenbooth.money.ledger import service as ledger
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions

options, name = StoreOptions(sys.argv[1]), sys.argv[2]
for number in range(20):
    run_once(options, lambda tx: ledger.credit(make_op(), tx, "org_a", 1, f"{name}_{number}"))
"""


def test_other_processes_may_write_while_a_store_is_open(funded: Bank) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", CREDIT, funded.options.url, name], cwd=ROOT)
        for name in ("one", "two")
    ]
    for number in range(30):
        funded.fund(1, ref=f"here_{number}")
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    assert funded.limits()["balance"].limit_nano == 5 * USD + 70
    assert funded.verify().problems == ()
