"""A bounded pool of kept-alive connections to one upstream."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.upstream.values import Target, UpstreamOptions, target_of
from tokenbooth.engines.upstream.wire import Broken, Connection

CLOSE_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Pool:
    """``open`` binds it to the running event loop; ``take`` never waits."""

    def __init__(self, options: UpstreamOptions) -> None:
        self._options = options
        self._target = target_of(options.base_url)
        self._tls: ssl.SSLContext | None = None
        self._all: set[Connection] = set()
        self._free: list[Connection] = []
        self._connecting = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._head = _head(self._target, options.key)

    def open(self) -> None:
        """Reads the certificate authorities for an https upstream."""
        if self._target.tls:
            self._tls = ssl.create_default_context(cafile=self._options.ca_file)

    def request(self, verb: str, path: str, body: bytes = b"") -> bytes:
        """The bytes of a whole call; ``path`` hangs below the base URL."""
        length = f"content-length: {len(body)}\r\n" if body else ""
        line = f"{verb} {self._target.path}{path} HTTP/1.1\r\n"
        return b"".join((line.encode(), self._head, length.encode(), b"\r\n", body))

    def root_request(self, path: str) -> bytes:
        """The bytes of a ``GET`` of ``path``, whatever the path of the base URL."""
        return b"".join((f"GET {path} HTTP/1.1\r\n".encode(), self._head, b"\r\n"))

    def take(self) -> Connection | None:
        """The connection that was freed last, if one is still up."""
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
        return None

    async def connect(self) -> Connection:
        """A fresh connection.

        Raises Problem ENGINE_BUSY when the pool is full, ENGINE_NOT_READY when nobody answers, and
        UPSTREAM_REJECTED when the certificate is not accepted.
        """
        if len(self._all) + self._connecting >= self._options.pool_max:
            raise Problem(
                Code.ENGINE_BUSY, "All connections to the model's server are busy.", retry_after_s=1
            )
        self._connecting += 1
        try:
            async with asyncio.timeout(self._options.connect_timeout_ms / 1000):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._freed, self._lost),
                    self._target.host,
                    self._target.port,
                    ssl=self._tls,
                    server_hostname=self._target.host if self._tls else None,
                )
        except ssl.SSLError as error:
            raise Problem(
                Code.UPSTREAM_REJECTED,
                "No trusted connection to the model's server.",
                detail=type(error).__name__,
            ) from error
        except OSError as error:
            raise Problem(
                Code.ENGINE_NOT_READY,
                "The model's server does not answer.",
                detail=type(error).__name__,
                retry_after_s=5,
            ) from error
        finally:
            self._connecting -= 1
        self._all.add(connection)
        return connection

    async def fetch(self, request: bytes, timeout_ms: int, bytes_max: int) -> HttpAnswer:
        """A whole answer.

        Raises Problem as ``connect`` does, RUN_TIMEOUT, and ENGINE_FAILED for a broken answer or
        one over ``bytes_max``.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                connection = self.take() or await self.connect()
                answer = await _Whole(bytes_max).over(connection, request)
                if answer is None:
                    answer = await _Whole(bytes_max).over(await self.connect(), request)
        except TimeoutError as error:
            raise Problem(Code.RUN_TIMEOUT, "The model's server did not answer in time.") from error
        assert answer is not None, "a fresh connection is never stale"
        return answer

    async def close(self) -> None:
        """Break every connection and wait, bounded, until the transports are gone."""
        self._free.clear()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in tuple(self._all):
            connection.close()
        if self._all:
            self._emptied.clear()
            try:
                await asyncio.wait_for(self._emptied.wait(), CLOSE_WAIT_S)
            except TimeoutError:
                self._all.clear()

    def _freed(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.free_since_s = loop.time()
        self._free.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._options.pool_idle_ms / 1000, self._swept)

    def _lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if not self._all:
            self._emptied.set()

    def _swept(self) -> None:
        """Close what was free for too long; the list is ordered by the time of freeing."""
        loop = asyncio.get_running_loop()
        idle_s = self._options.pool_idle_ms / 1000
        kept = [c for c in self._free if loop.time() - c.free_since_s < idle_s]
        for connection in self._free:
            if connection not in kept:
                connection.abort()
        self._free = kept
        self._sweep = None
        if kept:
            self._sweep = loop.call_later(idle_s, self._swept)


class _Whole:
    """Collects one answer."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._future: asyncio.Future[HttpAnswer | None] = asyncio.get_running_loop().create_future()

    async def over(self, connection: Connection, request: bytes) -> HttpAnswer | None:
        """``None`` when the connection was stale."""
        connection.send(request, self)
        try:
            return await self._future
        finally:
            # Once the answer has ended the connection may already serve somebody else.
            if not self._ended:
                connection.abort()

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self._status, self._headers = status, headers

    def body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size <= self._bytes_max:
            self._pieces.append(chunk)
        else:
            self._fail("sent more than the limit")

    def done(self) -> None:
        self._ended = True
        if not self._future.done():
            self._future.set_result(HttpAnswer(self._status, self._headers, b"".join(self._pieces)))

    def broken(self, cause: Broken) -> None:
        self._ended = True
        if cause is Broken.STALE and not self._future.done():
            self._future.set_result(None)
        else:
            self._fail("broke the connection")

    def _fail(self, what: str) -> None:
        if not self._future.done():
            self._future.set_exception(Problem(Code.ENGINE_FAILED, f"The model's server {what}."))


def _head(target: Target, key: str | None) -> bytes:
    """The headers that every call shares; the texts were checked when the options were made."""
    lines = [
        f"host: {target.authority}",
        "user-agent: tokenbooth",
        "accept: text/event-stream, application/json",
        "accept-encoding: identity",
        "content-type: application/json",
    ]
    if key is not None:
        lines.append(f"authorization: Bearer {key}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
