"""A Body over ASGI's ``receive``: bounded in bytes and in time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tokenbooth.edge.space import (
    BodySpace,
    announced_bytes,
    hung_up,
    stopped,
    too_large,
    too_late,
)

LINGER_BYTES_MAX = 64 * 1024 * 1024
LINGER_MAX_S = 2
Receive = Callable[[], Awaitable[dict[str, Any]]]


class AsgiBody:
    """Reads once; afterwards ``until_gone`` waits for the peer to hang up."""

    def __init__(
        self,
        receive: Receive,
        headers: Mapping[str, str],
        *,
        space: BodySpace,
        wait_max_s: int,
        on_complete: Callable[[], None],
    ) -> None:
        self._receive = receive
        self._announced_bytes = announced_bytes(headers)
        self._space = space
        self._taken_bytes = 0
        self._wait_max_s = wait_max_s
        self._on_complete = on_complete
        self._complete = False
        self._cut = False
        self._wait: asyncio.Timeout | None = None

    async def read(self, bytes_max: int) -> bytes:
        if self._announced_bytes > bytes_max:
            raise too_large(bytes_max)
        try:
            async with asyncio.timeout(0 if self._cut else self._wait_max_s) as self._wait:
                raw = await self._collect(bytes_max)
        except TimeoutError:
            raise (stopped() if self._cut else too_late(self._wait_max_s)) from None
        finally:
            self._wait = None
        self._on_complete()
        return raw

    def release(self) -> None:
        """The call has ended, and what it was asked with is needed no more."""
        self._space.give_back(self._taken_bytes)
        self._taken_bytes = 0

    def cut_short(self) -> None:
        """``read`` waits no longer and raises SHUTTING_DOWN."""
        self._cut = True
        if self._wait is not None:
            self._wait.reschedule(asyncio.get_running_loop().time())

    async def _collect(self, bytes_max: int) -> bytes:
        pieces: list[bytes] = []
        size_bytes = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise hung_up()
            piece: bytes = message.get("body", b"")
            size_bytes += len(piece)
            if size_bytes > bytes_max:
                raise too_large(bytes_max)
            self._space.take(len(piece))
            self._taken_bytes += len(piece)
            pieces.append(piece)
            if not message.get("more_body", False):
                self._complete = True
                return b"".join(pieces)

    async def linger(self) -> None:
        """Take what the peer still sends of a body that nobody read, within bounds.

        Closing on unread bytes would reset the connection, and the peer would never see why it
        was refused.
        """
        left_bytes = LINGER_BYTES_MAX
        try:
            async with asyncio.timeout(LINGER_MAX_S):
                while not self._complete and left_bytes > 0:
                    message = await self._receive()
                    left_bytes -= len(message.get("body", b""))
                    self._complete = not message.get("more_body", False)
        except TimeoutError:
            return

    async def until_gone(self) -> None:
        """Returns when the peer has hung up."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
