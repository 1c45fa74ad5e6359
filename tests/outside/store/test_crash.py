"""kill -9 in the middle of business: what was acknowledged is booked, and nothing else is."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.bank import USD, Bank, opened_bank
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.meter import service as meter
from tokenbooth.money.meter.service import PageAsk
from tokenbooth.store.options import StoreOptions

ROOT = Path(__file__).parents[3]
KILLS = 4
BUSINESS = """
import asyncio, sys
from tests.support.bank import Bank
from tests.support.ops import make_op
from tokenbooth.core.delta import Usage
from tokenbooth.money.ledger import service as ledger
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions

options, name = StoreOptions(sys.argv[1]), sys.argv[2]
bank = Bank(options)
plain_ask, plain_ending = bank.ask("req_plain"), bank.ending("req_plain")
bank.close()
op = make_op()

async def customer(store, number):
    for turn in range(10**6):
        request_id = f"req_{name}_{number}_{turn:06}"
        ask = bank.ask(request_id, price=plain_ask.price, replica_id=name)
        await store.write(lambda tx: ledger.hold(op, tx, ask))
        ending = bank.ending(request_id, usage=Usage(100, turn % 10), charge=turn % 4 > 0)
        receipt = await store.write(lambda tx: ledger.settle(op, tx, ending))
        print(request_id, receipt.cost_nano, flush=True)

async def main():
    store = open_store(options)
    await store.write(lambda tx: ledger.beat(op, tx, name))
    await asyncio.gather(*(customer(store, number) for number in range(8)))

asyncio.run(main())
"""


def run_and_kill(options: StoreOptions, name: str, lines: int) -> dict[str, int]:
    """Acknowledged costs by request id, of a replica killed after about so many of them."""
    replica = subprocess.Popen(
        [sys.executable, "-c", BUSINESS, options.url, name],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert replica.stdout is not None
    with replica.stdout as stream:
        found = [stream.readline() for _ in range(lines)]
        replica.kill()
        found += stream.readlines()
    replica.wait()
    whole = [line.split() for line in found if line.endswith("\n")]
    return {request_id: int(cost) for request_id, cost in whole}


def sweep_until_free(bank: Bank) -> None:
    """PostgreSQL may need a moment to see that a client is gone and to let go of its locks."""
    for _ in range(200):
        bank.write(lambda op, tx: ledger.sweep(op, tx, "the_next_one", 0))
        if bank.read(ledger.open_holds) == 0:
            return
        time.sleep(0.02)
    raise AssertionError("holds of a killed replica stay")


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


def test_no_kill_loses_or_invents_a_charge(store_options: StoreOptions) -> None:
    acknowledged: dict[str, int] = {}
    with opened_bank(store_options) as bank:
        bank.price(1_000_000, 2_000_000)
        bank.fund(1000 * USD)
        for kill in range(KILLS):
            acknowledged |= run_and_kill(store_options, f"replica_{kill}", 25 + 13 * kill)
            found = bank.verify()
            assert (found.difference_nano, found.problems) == (0, ())
            sweep_until_free(bank)
        calls = all_calls(bank)
        balance = bank.limits()["balance"]
        proof = bank.verify()
    assert len(acknowledged) >= 25 * KILLS
    for request_id, cost_nano in acknowledged.items():
        assert calls[request_id].cost_nano == cost_nano
    assert balance.spent_nano == sum(record.cost_nano for record in calls.values())
    assert balance.held_nano == 0
    assert proof == ledger.Verification(3, 0, 0, ())


@pytest.mark.parametrize("room", [0, 1])
def test_a_kill_near_the_cap_leaves_the_cap_exact(store_options: StoreOptions, room: int) -> None:
    """Each call costs 100 to 118 micro-units; the cap stops the business soon."""
    with opened_bank(store_options) as bank:
        bank.price(1_000_000, 2_000_000)
        bank.fund(1000 * USD)
        cap = 40 * 120_000 + room
        bank.write(lambda op, tx: ledger.set_limit(op, tx, LimitScope.KEY, "key_a", cap))
        run_and_kill(store_options, "replica_0", 20)
        key = bank.limits()["key"]
        assert key.spent_nano + key.held_nano <= cap
        sweep_until_free(bank)
        assert bank.limits()["key"].held_nano == 0
        assert bank.verify().problems == ()
