"""A small HTTP/1.1 and SSE client over asyncio streams: what a stranger's program would see.

One connection for each exchange. It can hang up at any place, politely or not, which ordinary
clients cannot. Callers bound the time with ``asyncio.timeout``.
"""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

from tokenbooth.proving.wire import BrokenWire, EventFold, Head, head_of

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 64 * 1024 * 1024
PIECE_BYTES = 64 * 1024
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an instance answers."""

    host: str
    port: int

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Ask:
    """What to send. ``announced_bytes`` is the content-length to claim, ``None`` for the truth."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    announced_bytes: int | None = None

    def encoded(self, address: Address) -> bytes:
        length = len(self.body) if self.announced_bytes is None else self.announced_bytes
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            f"host: {address.host}:{address.port}",
            "connection: close",
            f"content-length: {length}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer that was read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def document(self) -> dict[str, object]:
        """The JSON object in the body. Raises BrokenWire when there is none."""
        try:
            found = json.loads(self.body)
        except ValueError as error:
            raise BrokenWire(f"not JSON: {self.body[:80]!r}") from error
        if not isinstance(found, dict):
            raise BrokenWire(f"not a JSON object: {self.body[:80]!r}")
        return found


class Exchange:
    """``async with Exchange(address, ask) as exchange``: one call, from its bytes to its end.

    ``connected`` is awaited once when the connection stands and nothing is sent yet.
    """

    def __init__(
        self, address: Address, ask: Ask, connected: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._address = address
        self._ask = ask
        self._connected = connected
        self._head: Head | None = None

    async def __aenter__(self) -> "Exchange":
        """Connect and send; a peer that answers before it has read all is no failure."""
        self._reader, self._writer = await asyncio.open_connection(
            self._address.host, self._address.port, limit=HEAD_BYTES_MAX
        )
        sent = False
        try:
            if self._connected is not None:
                await self._connected()
            with contextlib.suppress(ConnectionError):
                self._writer.write(self._ask.encoded(self._address))
                await self._writer.drain()
            sent = True
        finally:
            if not sent:
                self._writer.transport.abort()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def head(self) -> Head:
        """Raises BrokenWire."""
        while self._head is None:
            head = head_of(await self._until(b"\r\n\r\n"))
            if head.status >= 200:
                self._head = head
        return self._head

    async def body(self) -> bytes:
        """The rest of the answer. Raises BrokenWire when it ends too early."""
        body = bytearray()
        async for piece in self._pieces():
            body += piece
            if len(body) > BODY_BYTES_MAX:
                raise BrokenWire("the body is larger than any body should be")
        return bytes(body)

    async def events(self) -> AsyncIterator[str]:
        """The ``data`` of each event as it comes. Raises BrokenWire for a broken stream."""
        fold = EventFold()
        async for piece in self._pieces():
            for event in fold.feed(piece):
                yield event
        if fold.inside:
            raise BrokenWire("the stream ended inside an event")

    def cut(self, *, abrupt: bool) -> None:
        """Hang up now; ``abrupt`` sends a reset instead of a close."""
        link = self._writer.get_extra_info("socket")
        if abrupt and link is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self._writer.transport.abort()

    async def _pieces(self) -> AsyncIterator[bytes]:
        headers = (await self.head()).headers
        if headers.get("transfer-encoding", "").lower() == "chunked":
            async for piece in self._chunks():
                yield piece
        elif "content-length" in headers:
            left = int(headers["content-length"])
            while left:
                piece = await self._some(min(left, PIECE_BYTES))
                left -= len(piece)
                yield piece
        else:
            with contextlib.suppress(EOFError):
                while True:
                    yield await self._some(PIECE_BYTES, end=EOFError)

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            line = await self._until(b"\r\n")
            try:
                left = int(line.split(b";")[0], 16)
            except ValueError as error:
                raise BrokenWire(f"not a chunk size: {line[:20]!r}") from error
            if left == 0:
                await self._until(b"\r\n")
                return
            while left:
                piece = await self._some(min(left, PIECE_BYTES))
                left -= len(piece)
                yield piece
            if await self._until(b"\r\n") != b"\r\n":
                raise BrokenWire("a chunk is longer than it says")

    async def _some(self, bytes_max: int, end: type[Exception] = BrokenWire) -> bytes:
        try:
            piece = await self._reader.read(bytes_max)
        except ConnectionError as error:
            raise BrokenWire("the connection was reset inside the answer") from error
        if not piece:
            raise end("the connection closed inside the answer")
        return piece

    async def _until(self, mark: bytes) -> bytes:
        try:
            return await self._reader.readuntil(mark)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise BrokenWire("the connection closed before the answer") from error
        except asyncio.LimitOverrunError as error:
            raise BrokenWire("a line or head is larger than any should be") from error


async def call(address: Address, ask: Ask, *, within_s: int = 60) -> WholeAnswer:
    """One whole exchange. Raises BrokenWire, OSError when nobody listens, or TimeoutError."""
    async with asyncio.timeout(within_s), Exchange(address, ask) as exchange:
        head = await exchange.head()
        body = b"" if ask.method == "HEAD" else await exchange.body()
        return WholeAnswer(head.status, dict(head.headers), body)


def bearer(secret: str) -> tuple[tuple[str, str], ...]:
    """The header of a key."""
    return (("authorization", f"Bearer {secret}"),)


def json_ask(path: str, secret: str, fields: dict[str, object]) -> Ask:
    """A POST of a JSON body with a key."""
    headers = (("content-type", "application/json"), *bearer(secret))
    return Ask("POST", path, headers, json.dumps(fields).encode())
