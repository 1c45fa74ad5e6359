"""A loop goes on after failures, stops when told, and says what went wrong."""

import asyncio

from tests.support.ops import SilentLog
from tokenbooth.workers.loop import Loop, Workers


def test_a_loop_outlives_the_failures_of_its_verb():
    async def scenario():
        log, rounds, enough = SilentLog(), [], asyncio.Event()

        async def verb():
            rounds.append(len(rounds))
            if len(rounds) == 2:
                raise RuntimeError("once")
            if len(rounds) == 4:
                enough.set()

        workers = Workers((Loop("test", 0, verb),), log)
        workers.start()
        async with asyncio.timeout(10):
            await enough.wait()
        await workers.stop()
        assert log.faults == [("loop_failed", {"loop": "test"})]

    asyncio.run(scenario())


def test_stopping_ends_every_loop():
    async def scenario():
        started = asyncio.Event()

        async def hang():
            started.set()
            await asyncio.Event().wait()

        workers = Workers((Loop("a", 0, hang), Loop("b", 10_000, hang)), SilentLog())
        workers.start()
        async with asyncio.timeout(10):
            await started.wait()
            await workers.stop()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())
