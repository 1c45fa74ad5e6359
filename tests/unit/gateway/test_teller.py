"""What the loop between a process and the ledger owes to others, busy or quiet as it may be."""

import asyncio
from pathlib import Path

from tests.support.booth import TestBooth, chat, open_test_booth
from tokenbooth.core.receipt import LimitScope
from tokenbooth.gateway.books import StoreBooks
from tokenbooth.gateway.till import Till
from tokenbooth.money.leases import service as leases
from tokenbooth.money.prices import service as prices


class Busy:
    """A database during each of whose rounds another call settles."""

    def __init__(self, booth: TestBooth) -> None:
        self.read, self._write, self._booth = booth.store.read, booth.store.write, booth
        self.rounds = 0

    async def write(self, verb):
        self.rounds += 1
        assert (await self._booth.ask(chat(max_tokens=1))).status == 200
        return await self._write(verb)


def test_who_waits_for_the_ledger_does_not_wait_for_calls_that_came_later(tmp_path: Path):
    async def scenario():
        async with asyncio.timeout(30), open_test_booth(tmp_path) as booth:
            till = booth.rooms.till
            assert (await booth.ask(chat(max_tokens=1))).status == 200
            assert await till.flushed()
            busy, books = Busy(booth), till._teller._books
            till._teller._books = StoreBooks(busy, ())
            assert (await booth.ask(chat(max_tokens=1))).status == 200
            assert await till.flushed()
            assert busy.rounds <= 3
            till._teller._books = books
            assert (await booth.verified()).open_holds == 0

    asyncio.run(scenario())


def test_a_process_that_stops_right_after_a_rush_leases_nothing_more(tmp_path: Path):
    async def scenario():
        async with asyncio.timeout(5), open_test_booth(tmp_path, credit_nano=10**15) as booth:
            assert (await booth.ask(chat(max_tokens=1))).status == 200
            pool = booth.rooms.till._pool
            for level in pool._book.by_limit.values():
                level.rate_nano = 10**12  # as if a great many calls had come in this second
            assert pool.running_low(booth.clock.monotonic_us())
            await booth.rooms.till.close()
            assert not pool.has_leases

    asyncio.run(scenario())


async def hold_for_long(booth: TestBooth, till: Till) -> None:
    """A call that runs on and on, while all that it does not hold goes back."""
    price = await booth.store.read(lambda tx: prices.current(booth.op, tx, "demo"))
    ask = leases.HoldAsk(
        request_id="req_long",
        caller=await booth.rooms.directory.caller(booth.op, booth.secret),
        model="demo",
        price=price,
        input_tokens=10,
        output_tokens_max=100,
        choices=1,
        stream=True,
        stated=True,
        strict=False,
        step_tokens=10,
    )
    await till.hold(booth.op, ask)
    booth.clock.us += 3_000_000
    while till._pool.leased or till._pool.unanswered:
        await asyncio.sleep(0)


def test_a_process_whose_calls_hold_all_that_it_leased_answers_others_at_once(tmp_path: Path):
    """Another process, which finds too little, must not wait in vain for what cannot come back."""

    async def scenario():
        credit_nano = 10**6
        async with (
            asyncio.timeout(20),
            open_test_booth(tmp_path, credit_nano=credit_nano) as booth,
        ):
            till = booth.rooms.till
            await hold_for_long(booth, till)
            op, store = booth.op, booth.store
            epoch = await store.write(lambda tx: leases.enroll(op, tx, "other", "j"))
            pool = leases.Pool("other", epoch, leases.PoolOptions())
            queue = leases.MoneyQueue(pool, block_nano_max=0)
            key = leases.LevelKey(LimitScope.BALANCE, booth.org_id)
            waiter = leases.Waiter((key,), credit_nano, runs=False)
            queue.add(waiter)
            verdict = leases.Verdict.WAIT
            while verdict is leases.Verdict.WAIT:
                await store.write(lambda tx: leases.beat(op, tx, "main", till.epoch))
                ask = pool.next_round(queue.wants(0), 0)
                queue.asked(ask)
                done = await store.write(lambda tx, ask=ask: leases.book(op, tx, ask))
                pool.apply(done)
                queue.heard(done)
                verdict = queue.verdict(waiter, pool.levels((key,), 0))
                await asyncio.sleep(0)
            assert verdict is leases.Verdict.SHORT
            (level,) = pool.levels((key,), 0)
            assert level is not None
            assert 0 < level.refusing_state().held_nano < credit_nano

    asyncio.run(scenario())
