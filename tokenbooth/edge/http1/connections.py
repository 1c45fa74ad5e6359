"""The connections of one server: their bound, their clock, and their end."""

import asyncio
from collections.abc import Callable

from tokenbooth.edge.front import Front
from tokenbooth.edge.http1.connection import Connection
from tokenbooth.edge.http1.websocket import WebSocket
from tokenbooth.edge.http1.wire import date_line


class Connections:
    """One hand of one clock judges all of them, so that a connection needs no timer."""

    def __init__(
        self,
        front: Front,
        loop: asyncio.AbstractEventLoop,
        *,
        connections_max: int,
        now_us: Callable[[], int],
    ) -> None:
        self.front = front
        self.options = front.options
        self._loop = loop
        self._connections_max = connections_max
        self._now_us = now_us
        self._open: set[Connection | WebSocket] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.date_line = date_line(now_us())
        self.draining = False

    def __len__(self) -> int:
        return len(self._open)

    def accepted(self) -> Connection:
        """A protocol for a socket that was accepted."""
        return Connection(self, self._loop)

    def add(self, connection: Connection) -> bool:
        """False when there are too many."""
        self._open.add(connection)
        self._empty.clear()
        return len(self._open) <= self._connections_max

    def upgrade(self, connection: Connection, socket: WebSocket) -> None:
        """The same connection under another protocol."""
        self._open.add(socket)
        self._open.discard(connection)

    def discard(self, connection: Connection | WebSocket) -> None:
        self._open.discard(connection)
        if not self._open:
            self._empty.set()

    def tick(self) -> None:
        """To be called about once a second."""
        self.date_line = date_line(self._now_us())
        now_s = self._loop.time()
        for connection in tuple(self._open):
            connection.tick(now_s)

    def drain(self) -> None:
        """No connection outlives the answer that it is at."""
        self.draining = True
        for connection in tuple(self._open):
            connection.drain()

    def abort(self) -> None:
        for connection in tuple(self._open):
            connection.abort()

    async def gone(self) -> None:
        """Wait until none is left."""
        await self._empty.wait()
