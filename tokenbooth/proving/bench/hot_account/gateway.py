"""``python -m tokenbooth.proving.bench.hot_account.gateway``: the money of one gateway process.

It reads its plan and then one turn after the other from standard input, one JSON document a line,
and writes what it saw of each turn to standard output, until its input ends.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from tokenbooth.access.keys import service as keys
from tokenbooth.booth import Booth, open_booth
from tokenbooth.config import load_settings
from tokenbooth.edge.loop import run_on_fast_loop
from tokenbooth.gateway.till import Till
from tokenbooth.money.prices import service as prices
from tokenbooth.opened_till import books_of, open_till
from tokenbooth.proving.bench.hot_account.plan import GatewayPlan, GatewaySaw, TurnPlan, Way
from tokenbooth.proving.bench.hot_account.ways import (
    Buyer,
    Desk,
    LeasedDesk,
    Tally,
    TransactionDesk,
    call_until,
    now_us,
)

READY = "ready"
US_PER_S = 1_000_000


async def play(plan: GatewayPlan) -> None:
    """Serve turns until the input ends; the leases go back on the way out."""
    settings = load_settings(Path(plan.data_dir)).settings.listening(None, None, plan.replica)
    async with open_booth(settings) as booth, open_till(booth, books_of(booth)) as till:
        buyer = await _buyer(booth, plan)
        leased: list[Desk] = [LeasedDesk(till, buyer) for _ in range(plan.callers)]
        plain = [
            TransactionDesk(booth.store, buyer, f"{plan.replica}-{number}")
            for number in range(plan.callers)
        ]
        for desk in plain:
            await desk.open(booth.op("bench"))
        desks: dict[Way, list[Desk]] = {Way.LEASED: leased, Way.BY_TRANSACTION: [*plain]}
        _say(READY)
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            turn = msgspec.json.decode(line, type=TurnPlan)
            _say(await _turn(booth, till, desks[turn.way], turn))


async def _buyer(booth: Booth, plan: GatewayPlan) -> Buyer:
    op, hmac = booth.op("bench"), keys.secret_hmac(plan.secret, booth.secrets.pepper)
    found = await booth.store.read(lambda tx: keys.find(op, tx, hmac))
    caller = keys.caller_of(found, op.now())
    version = await booth.store.read(lambda tx: prices.offered(op, tx, caller.org_id, plan.model))
    question = prices.PriceQuestion(plan.model, caller.org_id)
    price = prices.price_in(version, question.tier, question.data_terms, question.uses)
    return Buyer(caller, price, plan.model)


async def _turn(booth: Booth, till: Till, desks: list[Desk], turn: TurnPlan) -> GatewaySaw:
    """All desks at once; over when the ledger has heard of everything."""
    tally = Tally(0, 0, [], [])
    begun_us = now_us()
    until_us = begun_us + int(turn.seconds * US_PER_S)
    await asyncio.gather(
        *(
            call_until(desk, lambda: booth.op("bench"), tally, lambda: now_us() >= until_us)
            for desk in desks
        )
    )
    while not await till.flushed():  # bounded by the bench, which ends this process
        pass
    return GatewaySaw(
        calls=tally.calls,
        charged_nano=tally.charged_nano,
        wall_us=now_us() - begun_us,
        hold_us=tally.hold_us,
        settle_us=tally.settle_us,
    )


def _say(what: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=GatewayPlan)
    run_on_fast_loop(play(plan))


if __name__ == "__main__":
    main()
