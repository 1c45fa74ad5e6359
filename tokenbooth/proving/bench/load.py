"""A load generator over kept connections: calls as fast as they are answered, or at a fixed rate.

It times each answer from its bytes leaving to its first body byte and to its end, and spends little
itself: one protocol object for each connection, no tasks.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools

from tokenbooth.proving.client import Address, Ask

US_PER_S = 1_000_000
DONE = b"data: [DONE]"
CLOSING = b"connection: close\r\n"


def kept_bytes(ask: Ask, address: Address) -> bytes:
    """The call as it is sent on a connection that stays."""
    return ask.encoded(address).replace(CLOSING, b"", 1)


@dataclass(slots=True)
class LoadSeen:
    """What came of a load. Times are of good answers, in microseconds, in no order.

    ``failed`` are answers that were not 200, or a stream without its end; ``unsent`` are calls that
    were due when no line was free: the load was more than the gateway took.
    """

    first_us: list[int] = field(default_factory=list)
    whole_us: list[int] = field(default_factory=list)
    failed: int = 0
    unsent: int = 0

    @property
    def good(self) -> int:
        return len(self.whole_us)


class _Line(asyncio.Protocol):
    """One kept connection: one call at a time."""

    def __init__(self, now_us: Callable[[], int], ended: Callable[["_Line", int, bytes], None]):
        self._now_us = now_us
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._body: list[bytes] = []
        self._whole = False
        self.sent_us = 0
        self.first_us = 0

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of another class

    def call(self, ask: bytes) -> None:
        assert self._transport is not None, "called before it was connected"
        self._parser = httptools.HttpResponseParser(self)
        self._body = []
        self._whole = False
        self.sent_us = self._now_us()
        self.first_us = 0
        self._transport.write(ask)

    def data_received(self, chunk: bytes) -> None:
        parser = self._parser
        if parser is None:
            return
        try:
            parser.feed_data(chunk)
        except httptools.HttpParserError:
            self._end(0)
            return
        if self._whole:
            self._end(parser.get_status_code())

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._parser is not None:
            self._end(0)

    def close(self) -> None:
        self._parser = None
        if self._transport is not None:
            self._transport.abort()

    def _end(self, status: int) -> None:
        self._parser = None
        self._ended(self, status, b"".join(self._body))

    # What the parser says.

    def on_body(self, body: bytes) -> None:
        if not self.first_us:
            self.first_us = self._now_us()
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._whole = True


class LoadClient:
    """``async with LoadClient(addresses, ask, lines) as client``: lines are spread evenly.

    ``ask`` gives the bytes of one call to an address. One load at a time.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        ask: Callable[[Address], bytes],
        lines: int,
        now_us: Callable[[], int],
    ) -> None:
        """``now_us`` is a clock that never runs backwards."""
        self._addresses = addresses
        self._ask = ask
        self._count = lines
        self._now_us = now_us
        self._free: deque[tuple[_Line, Address]] = deque()
        self._busy: dict[_Line, Address] = {}
        self._seen = LoadSeen()
        self._more: Callable[[], None] = _nothing
        self._idle = asyncio.Event()

    async def __aenter__(self) -> "LoadClient":
        for number in range(self._count):
            await self._connect(self._addresses[number % len(self._addresses)])
        return self

    async def __aexit__(self, *ignored: object) -> None:
        for line in (*self._busy, *(line for line, _ in self._free)):
            line.close()

    async def _connect(self, address: Address) -> None:
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(
            lambda: _Line(self._now_us, self._ended), address.host, address.port
        )
        self._free.append((line, address))

    async def closed_loop(self, calls_at_once: int, seconds: float) -> LoadSeen:
        """``calls_at_once`` run all the time; whoever ends is followed by the next."""
        until_us = self._now_us() + int(seconds * US_PER_S)

        def more() -> None:
            if self._now_us() < until_us:
                self._call()

        self._begin(more)
        for _ in range(calls_at_once):
            self._call()
        return await self._drained()

    async def at_rate(self, calls_per_s: int, seconds: float) -> LoadSeen:
        """A call every so often, whatever became of those before; none waits for a free line.

        A call without a free line is counted as unsent.
        """
        self._begin(_nothing)
        loop = asyncio.get_running_loop()
        begun, due = loop.time(), 0
        calls = max(1, round(calls_per_s * seconds))
        while due < calls:
            passed = int((loop.time() - begun) * calls_per_s)
            while due <= min(passed, calls - 1):
                due += 1
                self._call()
            await asyncio.sleep(max(0, begun + due / calls_per_s - loop.time()))
        return await self._drained()

    def _begin(self, more: Callable[[], None]) -> None:
        self._seen = LoadSeen()
        self._more = more

    async def _drained(self) -> LoadSeen:
        self._idle.clear()
        if self._busy:
            await self._idle.wait()
        for line, address in [entry for entry in self._free if not entry[0].open]:
            self._free.remove((line, address))
            await self._connect(address)
        return self._seen

    def _call(self) -> None:
        while self._free:
            line, address = self._free.popleft()
            if line.open:
                self._busy[line] = address
                line.call(self._ask(address))
                return
        self._seen.unsent += 1

    def _ended(self, line: _Line, status: int, body: bytes) -> None:
        address = self._busy.pop(line)
        seen = self._seen
        streamed = body.startswith(b"data:")
        if status != 200 or (streamed and DONE not in body[-32:]):
            seen.failed += 1
        else:
            seen.first_us.append(line.first_us - line.sent_us)
            seen.whole_us.append(self._now_us() - line.sent_us)
        self._free.append((line, address))
        self._more()
        if not self._busy:
            self._idle.set()


def _nothing() -> None:
    """At a fixed rate nothing follows an answer."""
