"""What a replica does beside answering: each verb over a real store."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.support.booth import MemorySink, TestBooth, chat, open_test_booth
from tokenbooth.access.keys import service as keys
from tokenbooth.catalog.models import service as catalog
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway.held import unheld
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices import service as prices
from tokenbooth.workers.options import WorkerOptions
from tokenbooth.workers.upkeep import Upkeep

HANG = ScriptOptions(fault=Fault.HANG, fault_after_chunks=3)


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


def upkeep(booth: TestBooth) -> Upkeep:
    return Upkeep(booth.rooms, lambda: booth.op, WorkerOptions())


async def hanging(booth: TestBooth) -> tuple[MemorySink, "asyncio.Task[MemorySink]"]:
    sink = MemorySink()
    running = asyncio.create_task(booth.ask(chat(stream=True), sink=sink))
    while not sink.started:
        await asyncio.sleep(0)
    return sink, running


def test_revoking_a_key_ends_its_running_calls(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            assert await upkeep(booth).stop_revoked() == 0
            sink, running = await hanging(booth)
            assert await upkeep(booth).stop_revoked() == 0
            await booth.store.write(lambda tx: keys.revoke(booth.op, tx, booth.key_id))
            assert await upkeep(booth).stop_revoked() == 1
            await running
            assert sink.events[-1]["error"]["code"] == "revoked_api_key"

    in_loop(scenario)


def test_engines_of_removed_models_are_closed(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            keeper = upkeep(booth)
            await booth.ask(chat())
            await keeper.follow_catalog()
            assert len(await booth.rooms.engines.health()) == 1
            await booth.store.write(lambda tx: catalog.remove_model(booth.op, tx, "demo"))
            await keeper.follow_catalog()
            assert await booth.rooms.engines.health() == {}

    in_loop(scenario)


def test_an_unchanged_catalog_is_not_read_again(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            keeper = upkeep(booth)
            await keeper.follow_catalog()
            reads = []
            read = booth.store.read

            async def counted(verb):
                reads.append(verb)
                return await read(verb)

            booth.store.read = counted  # type: ignore[method-assign]
            await keeper.follow_catalog()
            assert len(reads) == 1

    in_loop(scenario)


def test_the_holds_of_a_silent_replica_are_swept_and_ones_own_are_not(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            sink, running = await hanging(booth)
            assert await upkeep(booth).beat_and_sweep() == 0
            sink.listener.stop(Outcome.INTERRUPTED, None)
            await running
            ask = ledger.HoldAsk(
                request_id="req_lost",
                caller=await booth.store.read(
                    lambda tx: keys.authenticate(booth.op, tx, booth.secret, booth.rooms.pepper)
                ),
                model="demo",
                price=await booth.store.read(lambda tx: prices.current(booth.op, tx, "demo")),
                input_tokens=5,
                output_tokens_max=5,
                choices=1,
                replica_id="rep_dead",
                stream=False,
            )

            def lose(tx: Any) -> None:
                ledger.beat(booth.op, tx, "rep_dead")
                ledger.hold(booth.op, tx, ask)

            await booth.store.write(lose)
            assert await upkeep(booth).beat_and_sweep() == 0
            booth.clock.us += 120_000_000
            assert await upkeep(booth).beat_and_sweep() == 1
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_every_verb_is_looped_with_its_own_period(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            loops = upkeep(booth).loops()
            assert [x.name for x in loops] == ["revocations", "catalog", "beat", "settle", "health"]
            assert all(x.every_ms > 0 for x in loops)
            assert await loops[3].verb() == 0

    in_loop(scenario)


def test_an_ending_that_came_late_is_booked_and_told(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            assert await upkeep(booth).settle_late() == 0
            assert booth.op.log.events == []
            booth.rooms.settler.later(booth.op, unheld(booth.op))
            assert await upkeep(booth).settle_late() == 1
            assert booth.op.log.events == [("settled_late", {"calls": 1})]
            assert booth.rooms.settler.late == 0

    in_loop(scenario)
