"""The two ways out: names to addresses, and a connection to one address."""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.upstream.wire import Broken, Connection
from tokenbooth.media.fetch.rules import REDIRECTS, check_head, too_large
from tokenbooth.media.fetch.values import Peer

THREADS_MAX = 8


class Resolver:
    """The system's resolver, with threads of its own: one that hangs must not hold up others."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS_MAX, "resolver")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Every address of a host, in the system's order. Raises OSError."""
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return tuple(str(place[0]) for *_, place in found)


class Connector:
    """Connects to an address; ``context`` replaces the system's certificate authorities."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context

    async def __call__(self, peer: Peer) -> Connection:
        """Raises OSError, of which an untrusted certificate is one."""
        tls: ssl.SSLContext | None = None
        if peer.tls_name is not None:
            tls = self._context = self._context or ssl.create_default_context()
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(Connection.close, _forget),
            peer.address,
            peer.port,
            ssl=tls,
            server_hostname=peer.tls_name,
        )
        return connection


class Answer:
    """Collects one answer of at most ``bytes_max``; nothing of a redirect but where it leads."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.headers: Mapping[str, str] = {}

    async def over(self, connection: Connection, asked: bytes) -> bytes:
        """The body. Raises MEDIA_UNREACHABLE or MEDIA_TOO_LARGE."""
        connection.send(asked, self)
        try:
            await self._future
        finally:
            connection.abort()
        return b"".join(self._pieces)

    @property
    def redirects(self) -> bool:
        return self.status in REDIRECTS

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, headers
        if self.redirects:
            self._settle(None)
            return
        try:
            check_head(status, headers, self._bytes_max)
        except Problem as problem:
            self._settle(problem)

    def body(self, chunk: bytes) -> None:
        self._size_bytes += len(chunk)
        if self._size_bytes > self._bytes_max:
            self._settle(too_large(self._bytes_max))
        elif not self._future.done():
            self._pieces.append(chunk)

    def done(self) -> None:
        self._settle(None)

    def broken(self, cause: Broken) -> None:
        public = "The URL's server broke off its answer."
        self._settle(Problem(Code.MEDIA_UNREACHABLE, public, detail=cause.value))

    def _settle(self, problem: Problem | None) -> None:
        if self._future.done():
            return
        if problem is None:
            self._future.set_result(None)
        else:
            self._future.set_exception(problem)


def _forget(connection: Connection) -> None:
    """Nobody keeps a list of connections that serve once."""
