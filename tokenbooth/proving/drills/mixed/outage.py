"""Kills the engine under load and brings it back on the same port."""

import asyncio
from collections.abc import Callable, Collection

from tokenbooth.proving.drills.engine import MockEngine
from tokenbooth.proving.drills.mixed.checks import OutageSeen


class Outage:
    """One kill: ``kill`` at once, back when the ``meanwhile`` calls have ended."""

    def __init__(
        self, engine: MockEngine, meanwhile: Collection[int], now_us: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._meanwhile = set(meanwhile)
        self._now_us = now_us
        self._killed_us: int | None = None
        self._up_us: int | None = None
        self._killed = asyncio.Event()
        self._lived_through = asyncio.Event()
        self.over = asyncio.Event()

    @property
    def seen(self) -> OutageSeen | None:
        """``None`` before the kill."""
        return None if self._killed_us is None else OutageSeen(self._killed_us, self._up_us)

    def kill(self) -> None:
        """End the engine with SIGKILL, in the middle of whatever it does."""
        self._killed_us = self._now_us()
        self._engine.kill()
        self._killed.set()
        self._look()

    def ended(self, number: int) -> None:
        """The call ``number`` has ended."""
        self._meanwhile.discard(number)
        self._look()

    async def restore(self) -> None:
        """Bring the engine back; ``over`` is set whether it came back or not."""
        try:
            await self._lived_through.wait()
            self._engine.start()
            await self._engine.up()
            self._up_us = self._now_us()
        finally:
            self.over.set()

    def _look(self) -> None:
        if self._killed.is_set() and not self._meanwhile:
            self._lived_through.set()
