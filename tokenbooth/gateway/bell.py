"""One who waits, at a time, for something that may be told before, meanwhile or never."""

import asyncio


class Bell:
    """Costs one future and one timer for a wait, and nothing before it."""

    __slots__ = ("_loop", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    async def heard(self, wait_max_s: float) -> None:
        """Until it rings, and no longer than so many seconds."""
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(wait_max_s, self.ring)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def ring(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
