"""What a start finds in the journal: booked once, in parts where a part cannot be booked."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import Noise, chat, open_test_booth
from tests.support.ops import make_op
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.books import StoreBooks
from tokenbooth.gateway.options import TillOptions
from tokenbooth.gateway.recovery import recovered
from tokenbooth.money.journal.service import JournalDriver, open_directory
from tokenbooth.money.leases import service as leases
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.meter import service as meter


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


class Silent:
    """A database that takes nothing more: what comes after is in the journal alone."""

    def __init__(self, store) -> None:
        self.read = store.read

    async def write(self, verb):
        raise Problem(Code.LEDGER_UNAVAILABLE, "away")


class Choosy:
    """A database that refuses rounds with certain calls in them."""

    def __init__(self, store, *refused: str) -> None:
        self._store, self._refused, self.sizes = store, refused, []

    async def read(self, verb):
        return await self._store.read(verb)

    async def write(self, verb):
        settled = verb.args[1].settled if hasattr(verb, "args") else ()
        if settled:
            self.sizes.append(len(settled))
        if any(call.facts.request_id in self._refused for call in settled):
            raise ValueError("a key that this copy does not know")
        return await self._store.write(verb)


async def crashed(booth, calls: int) -> None:
    """Calls whose charges no round told of, then the end of the process."""
    assert (await booth.ask(chat(max_tokens=1))).status == 200
    await booth.rooms.till.flushed()
    booth.rooms.till._teller._books = StoreBooks(Silent(booth.store), ())
    for _ in range(calls):
        assert (await booth.ask(chat(max_tokens=1))).status == 200
    till = booth.rooms.till
    till._closed = True
    till._teller._task.cancel()
    await asyncio.wait({till._teller._task})
    await till._journal.close()


async def start(booth, directory: Path, store: Any, **options: int) -> tuple[Any, Any]:
    op = make_op(booth.clock)
    disk, journal_id = open_directory(directory / "journal", Noise())
    pool, journal = await recovered(
        store,
        op,
        disk,
        journal_id,
        "main",
        TillOptions(**options),  # type: ignore[arg-type]
    )
    driver = JournalDriver(journal)
    await driver.close()
    return op, pool


def record_of(booth, call: int):
    request_id = f"req_{call:032x}"
    return booth.store.read(lambda tx: meter.call(booth.op, tx, booth.org_id, request_id))


@pytest.mark.parametrize("at_once", [1, 2, 1024])
def test_a_start_books_what_no_round_told_and_gives_the_leases_back(tmp_path: Path, at_once: int):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await crashed(booth, 5)
            with pytest.raises(Problem):
                await record_of(booth, 2)
            op, pool = await start(booth, tmp_path, booth.store, round_calls_max=at_once)
            for call in range(2, 7):
                assert (await record_of(booth, call)).cost_nano > 0
            (line,) = await booth.store.read(lambda tx: leases.replicas(op, tx))
            assert (line.granted_nano, line.epoch) == (0, pool.epoch)
            assert ("replica_recovered" in dict(op.log.events)) is True
            found = await booth.store.read(lambda tx: ledger.verify(op, tx))
            assert (found.difference_nano, found.problems) == (0, ())

    in_loop(scenario)


def test_a_call_that_the_ledger_cannot_take_keeps_no_other_from_its_place(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await crashed(booth, 6)
            stuck = f"req_{4:032x}"
            choosy = Choosy(booth.store, stuck)
            op, _ = await start(booth, tmp_path, choosy)
            assert [fields["request_id"] for _, fields in op.log.faults] == [stuck]
            assert choosy.sizes[0] >= 6
            for call in (2, 3, 5, 6, 7):
                assert (await record_of(booth, call)).cost_nano > 0
            again, _ = await start(booth, tmp_path, booth.store)
            # Its lease went back meanwhile; the journal kept it, and its limits have room for it.
            assert again.log.faults == []
            assert (await record_of(booth, 4)).cost_nano > 0
            found = await booth.store.read(lambda tx: ledger.verify(op, tx))
            assert (found.difference_nano, found.problems) == (0, ())

    in_loop(scenario)


def test_an_outage_at_the_start_is_told_and_nothing_is_given_up(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await crashed(booth, 2)
            before = await booth.store.read(lambda tx: leases.replicas(booth.op, tx))
            disk, journal_id = open_directory(tmp_path / "journal", Noise())
            with pytest.raises(Problem) as refused:
                await recovered(
                    Silent(booth.store), booth.op, disk, journal_id, "main", TillOptions()
                )
            disk.release()
            assert refused.value.code is Code.LEDGER_UNAVAILABLE
            after = await booth.store.read(lambda tx: leases.replicas(booth.op, tx))
            assert after == before
            assert after[0].granted_nano > 0

    in_loop(scenario)
