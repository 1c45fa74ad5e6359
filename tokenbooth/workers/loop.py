"""The one shape of every background loop: a verb, a period, and no way to die of an error."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tokenbooth.core.op import Log


@dataclass(frozen=True, slots=True)
class Loop:
    """``verb`` is run every ``every_ms``; a failure is logged and the next round tries again."""

    name: str
    every_ms: int
    verb: Callable[[], Awaitable[object]]


async def run_loop(loop: Loop, log: Log) -> None:
    """Runs until it is cancelled; a verb that is at work is not cut in the middle of its write."""
    while True:
        await asyncio.sleep(loop.every_ms / 1000)
        try:
            await loop.verb()
        except Exception as error:  # noqa: BLE001  the worker loop: it outlives every failure
            log.fault("loop_failed", error, loop=loop.name)


class Workers:
    """The running loops of one replica."""

    def __init__(self, loops: tuple[Loop, ...], log: Log) -> None:
        self._loops = loops
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(run_loop(loop, self._log)) for loop in self._loops]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
