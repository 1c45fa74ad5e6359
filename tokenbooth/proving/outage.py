"""Kills the engine under load and brings it back on the same port."""

import asyncio
import socket
import time
from collections.abc import Callable, Collection

from tokenbooth.proving.child import Child
from tokenbooth.proving.client import Address, Ask, call
from tokenbooth.proving.observations import OutageSeen
from tokenbooth.proving.wire import BrokenWire

UP_WAIT_S = 60
POLL_S = 0.05


class Outage:
    """One kill: ``kill`` at once, back when the ``meanwhile`` calls have ended."""

    def __init__(
        self, engine: Child, address: Address, meanwhile: Collection[int], now_us: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._address = address
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
            await engine_up(self._address)
            self._up_us = self._now_us()
        finally:
            self.over.set()

    def _look(self) -> None:
        if self._killed.is_set() and not self._meanwhile:
            self._lived_through.set()


async def engine_up(address: Address, within_s: int = UP_WAIT_S) -> None:
    """Wait until the engine's server answers. Raises TimeoutError."""
    until = time.monotonic() + within_s
    while True:
        try:
            await call(address, Ask("GET", "/v1/models"), within_s=5)
        except (OSError, BrokenWire, TimeoutError):
            if time.monotonic() > until:
                raise TimeoutError(f"no engine at {address.base_url}") from None
            await asyncio.sleep(POLL_S)
        else:
            return


def free_port() -> int:
    """A port that is free now; nobody guarantees that it stays so."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
