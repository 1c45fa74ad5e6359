"""A Body that a parser fills: bounded in bytes and in time, and kept from filling memory."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from tokenbooth.core.problem import Problem
from tokenbooth.edge.space import BodySpace, announced_bytes, stopped, too_large, too_late

# Read ahead of a call that does not ask for its body yet.
AHEAD_BYTES_MAX = 64 * 1024
# Taken of a body that nobody reads, so that its sender sees why it was refused.
UNREAD_BYTES_MAX = 64 * 1024 * 1024


class Flow(Protocol):
    """What a body asks of its connection."""

    def go_ahead(self) -> None:
        """Tell a peer that waits for it to send the body."""

    def hold_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class PushedBody:
    """Read once. ``complete`` when all of it has come."""

    __slots__ = (
        "_announced_bytes", "_bytes_max", "_expected", "_flow", "_late_s", "_left_bytes",
        "_lost", "_pieces", "_size_bytes", "_space", "_taken_bytes", "_wait", "_wait_max_s",
        "complete", "unread",
    )  # fmt: skip

    def __init__(
        self,
        flow: Flow,
        space: BodySpace,
        headers: Mapping[str, str],
        wait_max_s: int,
    ) -> None:
        self._flow = flow
        self._space = space
        self._announced_bytes = announced_bytes(headers) if "content-length" in headers else 0
        self._expected = "expect" in headers and headers["expect"].lower() == "100-continue"
        self._wait_max_s = wait_max_s
        self._pieces: list[bytes] = []
        self._size_bytes = self._taken_bytes = self._bytes_max = 0
        self._left_bytes = UNREAD_BYTES_MAX
        self._wait: asyncio.Future[None] | None = None
        self._late_s: float | None = None
        self._lost: Problem | None = None
        self.complete = False
        self.unread = False

    # What the connection tells.

    def feed(self, piece: bytes) -> None:
        if self.unread:
            self._left_bytes -= len(piece)
            return
        self._pieces.append(piece)
        self._size_bytes += len(piece)
        if self._wait is not None:
            self._account()
        elif self._size_bytes > AHEAD_BYTES_MAX:
            self._flow.hold_reading()

    def finish(self) -> None:
        self.complete = True
        if self._wait is not None and not self._wait.done():
            self._wait.set_result(None)

    def lose(self, problem: Problem) -> None:
        """The rest will not come."""
        if self.complete or self._lost is not None:
            return
        self._lost = problem
        if self._wait is not None and not self._wait.done():
            self._wait.set_exception(problem)

    def tick(self, now_s: float) -> None:
        """Time runs from the first tick that finds somebody waiting."""
        if self._wait is None:
            return
        if self._late_s is None:
            self._late_s = now_s + self._wait_max_s
        elif now_s >= self._late_s:
            self.lose(too_late(self._wait_max_s))

    def leave_unread(self) -> bool:
        """The call is answered: what still comes is dropped. False when nothing should come."""
        self.unread = True
        self._pieces.clear()
        return not self._expected

    @property
    def overflowed(self) -> bool:
        """More came of a body that nobody reads than is borne."""
        return self._left_bytes < 0

    # What the call asks.

    async def read(self, bytes_max: int) -> bytes:
        if self._announced_bytes > bytes_max:
            raise too_large(bytes_max)
        self._bytes_max = bytes_max
        if not self.complete:
            await self._rest()
        else:
            self._take()
            self._flow.resume_reading()
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def release(self) -> None:
        if self._taken_bytes:
            self._space.give_back(self._taken_bytes)
            self._taken_bytes = 0

    def cut_short(self) -> None:
        self.lose(stopped())

    async def _rest(self) -> None:
        if self._lost is not None:
            raise self._lost
        self._take()
        if self._expected:
            self._expected = False
            self._flow.go_ahead()
        self._wait = asyncio.get_running_loop().create_future()
        self._flow.resume_reading()
        try:
            await self._wait
        finally:
            self._wait = None

    def _account(self) -> None:
        try:
            self._take()
        except Problem as problem:
            self.lose(problem)

    def _take(self) -> None:
        if self._size_bytes > self._bytes_max:
            raise too_large(self._bytes_max)
        more_bytes = self._size_bytes - self._taken_bytes
        if more_bytes:
            self._space.take(more_bytes)
            self._taken_bytes = self._size_bytes
