"""One organization's wait for money is not everybody's."""

import asyncio
from pathlib import Path

from tests.support.booth import chat, open_test_booth
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.gateway.books import StoreBooks
from tokenbooth.money.leases.service import LevelKey


class Away:
    """A store whose writes fail."""

    def __init__(self, store) -> None:
        self._store = store

    async def read(self, verb):
        return await self._store.read(verb)

    async def write(self, verb):
        raise Problem(Code.LEDGER_UNAVAILABLE, "away")


def test_a_call_with_leased_money_does_not_wait_for_the_running_calls_of_others(tmp_path: Path):
    """The database is away, and a running call of another organization has used its lease up."""

    async def scenario():
        async with asyncio.timeout(30), open_test_booth(tmp_path) as booth:
            assert (await booth.ask(chat(max_tokens=1))).status == 200
            await booth.rooms.till.flushed()
            teller = booth.rooms.till._teller
            books, teller._books = teller._books, StoreBooks(Away(booth.store), ())
            others = (LevelKey(LimitScope.BALANCE, "org_of_others", ""),)
            waits = asyncio.create_task(
                teller.waiting.wait(
                    others, 10, runs=True, take=lambda levels: True, short=lambda levels: False
                )
            )
            while not teller.waiting.away:
                await asyncio.sleep(0)
            sink = await booth.ask(chat(max_tokens=3))
            assert sink.status == 200
            assert not waits.done()
            waits.cancel()
            await asyncio.wait({waits})
            teller._books = books

    asyncio.run(scenario())
