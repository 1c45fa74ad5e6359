"""What a replica does beside answering: each verb over a real store."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.support.booth import MemorySink, TestBooth, chat, open_test_booth
from tokenbooth.access.keys import service as keys
from tokenbooth.catalog.models import service as catalog
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.money.leases import service as leases
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


def replica_line(booth: TestBooth) -> Coroutine[Any, Any, leases.ReplicaLine]:
    async def found() -> leases.ReplicaLine:
        (line,) = await booth.store.read(lambda tx: leases.replicas(booth.op, tx))
        return line

    return found()


def test_a_beat_says_that_the_replica_lives(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await booth.store.write(lambda tx: tx.execute(text("UPDATE replica SET seen_us = 7")))
            await upkeep(booth).beat()
            assert (await replica_line(booth)).seen_us > 7

    in_loop(scenario)


def test_a_beat_charges_nothing_and_keeps_what_calls_hold(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            sink, running = await hanging(booth)
            await booth.rooms.till.flushed()
            held_nano = (await replica_line(booth)).held_nano
            await upkeep(booth).beat()
            assert (await replica_line(booth)).held_nano == held_nano > 0
            sink.listener.stop(Outcome.INTERRUPTED, None)
            await running
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_a_process_whose_name_another_took_hears_it_from_its_beat(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            line = await replica_line(booth)
            enroll = partial(leases.enroll, booth.op, replica_id="main", journal_id=line.journal_id)
            await booth.store.write(lambda tx: enroll(tx=tx))
            with pytest.raises(Problem) as refused:
                await upkeep(booth).beat()
            assert refused.value.code is Code.REPLICA_FENCED

    in_loop(scenario)


def test_every_verb_is_looped_with_its_own_period(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            loops = upkeep(booth).loops()
            names = [loop.name for loop in loops]
            assert names == [
                "revocations",
                "catalog",
                "beat",
                "replays",
                "files",
                "responses",
                "cancels",
                "health",
            ]
            assert all(loop.every_ms > 0 for loop in loops)
            assert [await loops[at].verb() for at in (3, 4, 5)] == [0, 0, 0]

    in_loop(scenario)
