"""kill -9 in the middle of business: what was acknowledged is booked, and nothing else is."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bank import USD, Bank, opened_bank
from tests.support.tills import open_till
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.meter import service as meter
from tokenbooth.money.meter.service import PageAsk
from tokenbooth.store.options import StoreOptions

ROOT = Path(__file__).parents[3]
KILLS = 4
BUSINESS = """
import asyncio, sys
from pathlib import Path
from tests.support.bank import Bank
from tests.support.tills import open_till
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.store.options import StoreOptions

options, directory, tag = StoreOptions(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
bank = Bank(options)
price = bank.ask("req_plain").price
bank.close()

async def customer(process, number):
    for turn in range(10**6):
        request_id = f"req_{tag}_{number}_{turn:06}"
        stream = turn % 2 == 0
        try:
            await process.till.hold(process.op, bank.ask(request_id, price=price, stream=stream))
        except Problem:
            return
        process.till.running.progress(request_id, Usage(100, turn % 5), None)
        await asyncio.sleep(0)
        ending = bank.ending(request_id, usage=Usage(100, turn % 10), charge=turn % 4 > 0)
        receipt = await process.till.settle(process.op, ending)
        print(request_id, receipt.cost_nano, flush=True)

async def main():
    async with open_till(options, directory, "replica") as process:
        await asyncio.gather(*(customer(process, number) for number in range(8)))

asyncio.run(main())
"""


def run_and_kill(options: StoreOptions, directory: Path, tag: str, lines: int) -> dict[str, int]:
    """Acknowledged costs by request id, of a process killed after about so many of them."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUSINESS, options.url, str(directory), tag],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as stream:
        found = [stream.readline() for _ in range(lines)]
        process.kill()
        found += stream.readlines()
    process.wait()
    whole = [line.split() for line in found if line.endswith("\n")]
    return {request_id: int(cost) for request_id, cost in whole}


def recover(options: StoreOptions, directory: Path) -> None:
    """Start the process of that name again and stop it cleanly."""

    async def scene() -> None:
        async with open_till(options, directory, "replica"):
            pass

    asyncio.run(scene())


def all_calls(bank: Bank) -> dict[str, meter.CallRecord]:
    found: dict[str, meter.CallRecord] = {}
    after = None
    while True:
        ask = PageAsk(limit=1000, after=after)
        page = bank.read(lambda op, tx, ask=ask: meter.calls(op, tx, "org_a", ask))
        found.update({record.request_id: record for record in page.records})
        after = page.next_after
        if after is None:
            return found


def test_no_kill_loses_or_invents_a_charge(store_options: StoreOptions, tmp_path: Path) -> None:
    """Each process begins by booking what the one before it left behind."""
    acknowledged: dict[str, int] = {}
    with opened_bank(store_options) as bank:
        bank.price(1_000_000, 2_000_000)
        bank.fund(1000 * USD)
        for kill in range(KILLS):
            acknowledged |= run_and_kill(store_options, tmp_path, f"k{kill}", 25 + 13 * kill)
            found = bank.verify()
            assert (found.difference_nano, found.problems) == (0, ())
        recover(store_options, tmp_path)
        calls = all_calls(bank)
        balance = bank.limits()["balance"]
        proof = bank.verify()
    assert len(acknowledged) >= 25 * KILLS
    for request_id, cost_nano in acknowledged.items():
        assert calls[request_id].cost_nano == cost_nano
    for request_id in calls.keys() - acknowledged.keys():
        record = calls[request_id]
        assert record.usage is not None
        assert record.cost_nano in (0, 1_000_000 * 100 // 1000 + 2000 * record.usage.output_tokens)
    assert balance.spent_nano == sum(record.cost_nano for record in calls.values())
    assert balance.held_nano == 0
    assert proof == ledger.Verification(3, 0, 0, ())


@pytest.mark.parametrize("room", [0, 1])
def test_a_kill_near_the_cap_leaves_the_cap_exact(
    store_options: StoreOptions, tmp_path: Path, room: int
) -> None:
    """Each call costs 100 to 118 micro-units; the cap stops the business soon."""
    with opened_bank(store_options) as bank:
        bank.price(1_000_000, 2_000_000)
        bank.fund(1000 * USD)
        cap = 40 * 120_000 + room
        bank.write(lambda op, tx: ledger.set_limit(op, tx, LimitScope.KEY, "key_a", cap))
        assert len(run_and_kill(store_options, tmp_path, "k", 20)) >= 20
        ((used,),) = bank.rows(
            "SELECT spent_nano + leased_nano FROM spend_limit WHERE id = 'key:key_a'"
        )
        assert isinstance(used, int)
        assert used <= cap
        recover(store_options, tmp_path)
        key = bank.limits()["key"]
        assert key.held_nano == 0
        assert key.spent_nano <= cap
        assert bank.verify().problems == ()
