"""The timer that goes off after a silence."""

import asyncio

from tests.support.memory_loop import passing, run
from tokenbooth.engines.upstream.silence import Silence


async def clocked(limit_ms: int) -> tuple[Silence, list[float]]:
    loop = asyncio.get_running_loop()
    rung: list[float] = []
    silence = Silence(lambda: rung.append(round(loop.time(), 3)))
    silence.limit(limit_ms)
    return silence, rung


def test_it_rings_once_when_the_limit_has_passed() -> None:
    async def work() -> None:
        _, rung = await clocked(1_000)
        await passing(0.9)
        assert rung == []
        await passing(5)
        assert rung == [1.0]

    run(work())


def test_what_is_heard_puts_it_off() -> None:
    async def work() -> None:
        silence, rung = await clocked(1_000)
        for _ in range(5):
            await passing(0.75)
            silence.heard()
        assert rung == []
        await passing(5)
        assert rung == [4.75]

    run(work())


def test_a_new_limit_counts_from_now() -> None:
    async def work() -> None:
        silence, rung = await clocked(10_000)
        await passing(1)
        silence.limit(500)
        await passing(20)
        assert rung == [1.5]

    run(work())


def test_a_stopped_timer_is_silent_and_may_begin_again() -> None:
    async def work() -> None:
        silence, rung = await clocked(100)
        silence.stop()
        silence.stop()
        await passing(1)
        assert rung == []
        silence.limit(100)
        await passing(1)
        assert rung == [1.1]

    run(work())
