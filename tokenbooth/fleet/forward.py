"""Calls that a data plane does not answer go to the control process, and their answers back."""

import asyncio
from collections.abc import Mapping
from typing import cast
from urllib.parse import quote

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.edge.front import FAR, FORWARDED, NEAR, Asked
from tokenbooth.engines.upstream.wire import Broken, Connection

# What has a large body is answered by the data plane itself.
BODY_BYTES_MAX = 1024 * 1024
CONNECTIONS_MAX = 256
HEAD_WAIT_MAX_S = 60
CONNECT_TRIES, CONNECT_PAUSE_S = 50, 0.1
# An answer up to this is sent on in one piece, so that its length stands in its head.
WHOLE_BYTES_MAX = 1024 * 1024
_OF_THE_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
    | {"content-length", "proxy-connection", "http2-settings", FORWARDED}
)
# The front gives each answer its own of these; limits are counted where calls are.
_OF_THE_FRONT = ("date", "x-request-id", "request-id", "x-ratelimit-", "anthropic-ratelimit-")
_SAFE = "/!$&'()*+,;=:@~"


class Forward:
    """An ``Elsewhere``: the control process at the other end of a Unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._free: list[Connection] = []
        self._open = 0

    async def __call__(self, op: Op, asked: Asked, body: Body, sink: Sink) -> None:
        raw = await body.read(BODY_BYTES_MAX)
        raw_call = _raw_call(op.request_id, asked, raw)
        if await self._relayed(self._taken() or await self._connected(), raw_call, sink):
            return
        # The connection had been let go of before a byte of an answer came.
        await self._relayed(await self._connected(), raw_call, sink)

    def close(self) -> None:
        for connection in tuple(self._free):
            connection.abort()

    async def _relayed(self, connection: Connection, raw_call: bytes, sink: Sink) -> bool:
        relay = _Relay(connection, sink)
        connection.send(raw_call, relay)
        sink.listen(relay)
        try:
            async with asyncio.timeout(HEAD_WAIT_MAX_S):
                await relay.begun.wait()
            await relay.over.wait()
        except TimeoutError:
            raise _away() from None
        finally:
            if not relay.over.is_set():
                connection.abort()
        if relay.broken_by is not None and not sink.started:
            if relay.broken_by is Broken.STALE:
                return False
            raise _away()
        return True

    def _taken(self) -> Connection | None:
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
        return None

    async def _connected(self) -> Connection:
        if self._open >= CONNECTIONS_MAX:
            raise Problem(
                Code.ENGINE_BUSY, "Too many calls of this kind are open.", retry_after_s=1
            )
        self._open += 1
        try:
            return await self._made()
        except BaseException:
            self._open -= 1
            raise

    async def _made(self) -> Connection:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECT_TRIES):
            try:
                _, made = await loop.create_unix_connection(
                    lambda: Connection(self._free.append, self._lost), self._path
                )
                return made
            except OSError:  # it is being started again
                await asyncio.sleep(CONNECT_PAUSE_S)
        raise _away()

    def _lost(self, connection: Connection) -> None:
        self._open -= 1
        if connection in self._free:
            self._free.remove(connection)


class _Relay:
    """One answer on its way; a caller that takes less is waited for."""

    def __init__(self, connection: Connection, sink: Sink) -> None:
        self._connection = connection
        self._sink = sink
        self._head: tuple[int, list[tuple[str, str]]] | None = None
        self._held: list[bytes] | None = None
        self.begun, self.over = asyncio.Event(), asyncio.Event()
        self.broken_by: Broken | None = None

    # What the connection tells.

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.begun.set()
        length = headers.get("content-length", "")
        kept = [pair for pair in headers.items() if _goes_on(pair[0])]
        if length.isdigit() and int(length) <= WHOLE_BYTES_MAX:
            self._head, self._held = (status, kept), []
        else:
            self._sink.start(status, kept)

    def body(self, chunk: bytes) -> None:
        if self._held is None:
            self._sink.write(chunk)
        else:
            self._held.append(chunk)

    def done(self) -> None:
        if self._held is not None:
            self._sink.start(*cast("tuple[int, list[tuple[str, str]]]", self._head))
            self._sink.write(b"".join(self._held))
        self._sink.end()
        self._ended()

    def broken(self, cause: Broken) -> None:
        self.broken_by = cause
        self._ended()

    # What the caller's end tells.

    def gone(self) -> None:
        self._connection.abort()
        self._ended()

    def pressure(self, high: bool) -> None:
        if high:
            self._connection.pause()
        else:
            self._connection.resume()

    def _ended(self) -> None:
        self.begun.set()
        self.over.set()


def _raw_call(request_id: str, asked: Asked, raw: bytes) -> bytes:
    # Whoever wants the head alone gets it of our own answer.
    method = "GET" if asked.method == "HEAD" else asked.method
    query = f"?{asked.query}" if asked.query else ""
    where = NEAR if asked.near() else FAR
    lines = [
        f"{method} {quote(asked.path, _SAFE)}{query} HTTP/1.1",
        f"{FORWARDED}: {request_id} {where}",
        *(f"{name}: {value}" for name, value in asked.headers.items() if name not in _OF_THE_HOP),
    ]
    if "host" not in asked.headers:
        lines.append("host: localhost")
    if raw:
        lines.append(f"content-length: {len(raw)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + raw


def _goes_on(name: str) -> bool:
    return name not in _OF_THE_HOP and not name.startswith(_OF_THE_FRONT)


def _away() -> Problem:
    return Problem(
        Code.SHUTTING_DOWN, "This part of the server is being started; try again.", retry_after_s=1
    )
