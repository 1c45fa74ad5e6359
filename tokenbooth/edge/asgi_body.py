"""A Body over ASGI's ``receive``: bounded in bytes and in time."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

LINGER_BYTES_MAX = 64 * 1024 * 1024
LINGER_MAX_S = 2
_LENGTH = re.compile(r"[0-9]{1,40}")
Receive = Callable[[], Awaitable[dict[str, Any]]]


class BodySpace:
    """What the bodies of all open calls may take together; a call keeps its part until it ends."""

    def __init__(self, bytes_max: int) -> None:
        self._free_bytes = bytes_max

    def take(self, size_bytes: int) -> None:
        """Raises ENGINE_BUSY when there is no room for so much more."""
        if size_bytes > self._free_bytes:
            raise Problem(
                Code.ENGINE_BUSY, "The server holds too many large bodies.", retry_after_s=1
            )
        self._free_bytes -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        self._free_bytes += size_bytes


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
        announced = headers.get("content-length", "")
        self._announced_bytes = int(announced) if _LENGTH.fullmatch(announced) else 0
        self._space = space
        self._taken_bytes = 0
        self._wait_max_s = wait_max_s
        self._on_complete = on_complete
        self._complete = False
        self._cut = False
        self._wait: asyncio.Timeout | None = None

    async def read(self, bytes_max: int) -> bytes:
        if self._announced_bytes > bytes_max:
            raise _too_large(bytes_max)
        try:
            async with asyncio.timeout(0 if self._cut else self._wait_max_s) as self._wait:
                raw = await self._collect(bytes_max)
        except TimeoutError:
            if self._cut:
                raise Problem(
                    Code.SHUTTING_DOWN, "The server stopped before the body was complete."
                ) from None
            raise Problem(
                Code.BODY_TIMEOUT, f"The body did not arrive within {self._wait_max_s} s."
            ) from None
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
                raise Problem(Code.BODY_TIMEOUT, "The connection closed inside the body.")
            piece: bytes = message.get("body", b"")
            size_bytes += len(piece)
            if size_bytes > bytes_max:
                raise _too_large(bytes_max)
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


def _too_large(bytes_max: int) -> Problem:
    return Problem(
        Code.BODY_TOO_LARGE,
        f"The body is larger than {bytes_max} bytes.",
        facts={"body_bytes_max": bytes_max},
    )
