"""Many at once, near the cap, over one process and over several: nobody ever gets too much."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bank import CALLER, USD, Bank, opened_bank
from tests.support.tills import OpenTill, open_tills
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.leases.service import Hold, HoldAsk
from tokenbooth.money.ledger import service as ledger
from tokenbooth.store.options import StoreOptions

ROOT = Path(__file__).parents[3]
CALL_NANO = USD // 10


@pytest.fixture
def funded(store_options: StoreOptions) -> Iterator[Bank]:
    """Five dollars; a call of one output token costs ten cents."""
    with opened_bank(store_options) as bank:
        bank.price(0, CALL_NANO * 1000)
        bank.fund(5 * USD)
        yield bank


def asks_of(bank: Bank, count: int) -> list[HoldAsk]:
    price = bank.ask("req_price").price
    return [bank.ask(f"req_{n:05}", output_tokens_max=1, price=price) for n in range(count)]


async def held(process: OpenTill, ask: HoldAsk) -> Hold | Problem:
    try:
        return await process.till.hold(process.op, ask)
    except Problem as problem:
        return problem


def stampede(bank: Bank, directory: Path, count: int, processes: int) -> list[Hold | Problem]:
    """All holds at once, spread over the processes; what got one ends free of charge."""
    asks = asks_of(bank, count)

    async def scene() -> list[Hold | Problem]:
        async with open_tills(bank.options, directory, processes) as tills:
            homes = [tills[n % processes] for n in range(count)]
            results = await asyncio.gather(*map(held, homes, asks))
            for home, result in zip(homes, results, strict=True):
                if isinstance(result, Hold):
                    ending = bank.ending(result.request_id, usage=Usage(0, 1))
                    await home.till.settle(home.op, ending)
            return results

    return asyncio.run(scene())


@pytest.mark.parametrize("processes", [1, 3])
def test_a_stampede_gets_exactly_what_the_balance_buys(
    funded: Bank, tmp_path: Path, processes: int
) -> None:
    results = stampede(funded, tmp_path, 300, processes)
    refused = [result for result in results if isinstance(result, Problem)]
    assert Counter(isinstance(result, Hold) for result in results) == {True: 50, False: 250}
    assert {problem.code for problem in refused} == {Code.BALANCE_EXHAUSTED}
    balance = funded.limits()["balance"]
    assert (balance.spent_nano, balance.held_nano) == (5 * USD, 0)
    assert funded.verify() == ledger.Verification(3, 0, 0, ())


@pytest.mark.parametrize("scope", [LimitScope.ORGANIZATION, LimitScope.PROJECT, LimitScope.KEY])
def test_a_stampede_stops_at_every_cap(funded: Bank, tmp_path: Path, scope: LimitScope) -> None:
    owner = dict(ledger.chain_of(CALLER))[scope]
    funded.write(lambda op, tx: ledger.set_limit(op, tx, scope, owner, 7 * CALL_NANO + 1))
    results = stampede(funded, tmp_path, 60, 2)
    assert sum(isinstance(result, Hold) for result in results) == 7
    refused = [result for result in results if isinstance(result, Problem)]
    assert {problem.facts["limit_source"] for problem in refused} == {scope.value}
    assert funded.limits()[scope.value].remaining_nano == 1


def test_nobody_is_refused_though_the_money_lies_elsewhere(funded: Bank, tmp_path: Path) -> None:
    """One process has leased everything and uses nothing; fifty calls on the others fit."""
    whole = funded.ask("req_whole", output_tokens_max=50)
    asks = asks_of(funded, 50)

    async def scene() -> list[Hold | Problem]:
        async with open_tills(funded.options, tmp_path, 3) as (first, *others):
            await first.till.hold(first.op, whole)
            ending = funded.ending("req_whole", charge=False)
            await first.till.settle(first.op, ending)
            return await asyncio.gather(*(held(others[n % 2], ask) for n, ask in enumerate(asks)))

    results = asyncio.run(scene())
    assert all(isinstance(result, Hold) for result in results)


def test_calls_and_credits_at_once_lose_nothing(funded: Bank, tmp_path: Path) -> None:
    asks = asks_of(funded, 120)
    refused: list[Code] = []

    async def one(process: OpenTill, number: int) -> int:
        hold = await held(process, asks[number])
        if isinstance(hold, Problem):
            refused.append(hold.code)
            return 0
        ending = funded.ending(hold.request_id, usage=Usage(0, number % 2), charge=number % 3 > 0)
        return (await process.till.settle(process.op, ending)).cost_nano

    async def top_up(process: OpenTill, number: int) -> None:
        await process.store.write(
            lambda tx: ledger.credit(process.op, tx, "org_a", CALL_NANO, f"top_up_{number % 10}")
        )

    async def scene() -> list[int]:
        async with open_tills(funded.options, tmp_path, 3) as tills:
            calls = [one(tills[n % 3], n) for n in range(len(asks))]
            top_ups = [top_up(tills[n % 3], n) for n in range(20)]
            costs, _ = await asyncio.gather(asyncio.gather(*calls), asyncio.gather(*top_ups))
            return costs

    costs = asyncio.run(scene())
    assert set(refused) <= {Code.BALANCE_EXHAUSTED}
    balance = funded.limits()["balance"]
    assert balance.limit_nano == 5 * USD + 10 * CALL_NANO
    assert balance.spent_nano == sum(costs) > 0
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
