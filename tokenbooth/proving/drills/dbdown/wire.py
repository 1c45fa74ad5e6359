"""A wire between the servers and PostgreSQL that can be cut: a TCP proxy on a loop of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

T = TypeVar("T")

PIECE_BYTES = 64 * 1024
POSTGRES_PORT = 5432
LOOP_WAIT_S = 10


@dataclass(frozen=True, slots=True)
class Target:
    """Where PostgreSQL listens: ``path`` of its socket, or ``host`` and ``port``."""

    host: str
    port: int
    path: str | None


def target_of(url: str) -> Target:
    """What a ``postgresql://`` URL points at. Raises ValueError for a URL of another kind."""
    parts = _parts(url)
    asked = dict(parse_qsl(parts.query))
    host = asked.get("host") or parts.hostname or "localhost"
    port = int(asked.get("port") or parts.port or POSTGRES_PORT)
    path = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else None
    return Target(host, port, path)


def url_through(url: str, port: int) -> str:
    """The same database through a wire that begins at that port of this machine."""
    parts = _parts(url)
    role, at, _host = parts.netloc.rpartition("@")
    kept = [(n, v) for n, v in parse_qsl(parts.query) if n not in ("host", "port")]
    return urlunsplit(
        (parts.scheme, f"{role}{at}127.0.0.1:{port}", parts.path, urlencode(kept), "")
    )


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme != "postgresql":
        raise ValueError(f"not a PostgreSQL URL: {parts.scheme}")
    return parts


class Wire:
    """``with Wire(target) as wire``: forwards until ``cut``, and again after ``mend``.

    A cut breaks every connection and refuses new ones.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.links = 0

    def __enter__(self) -> "Wire":
        self._thread.start()
        self.mend()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LOOP_WAIT_S)
        self._loop.close()

    def cut(self) -> None:
        """Blocks until no connection is left and new ones are refused."""
        self._run(self._cut())

    def mend(self) -> None:
        """Blocks until new connections are taken, on the same port as before."""
        self._run(self._mend())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LOOP_WAIT_S)

    async def _mend(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for link in tuple(self._links):
            link.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from beginning to end."""
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this in a task"
        self._tasks.add(task)
        self._links.add(writer)
        self.links += 1
        try:
            far_reader, far_writer = await self._connect()
            self._links.add(far_writer)
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            self._links.discard(far_writer)
        except OSError:
            pass  # the database itself is away: the caller sees its connection end
        finally:
            writer.transport.abort()
            self._links.discard(writer)
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.path is not None:
            return await asyncio.open_unix_connection(self._target.path)
        return await asyncio.open_connection(self._target.host, self._target.port)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one side to the other; the end of one is the end of both."""
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.transport.abort()
