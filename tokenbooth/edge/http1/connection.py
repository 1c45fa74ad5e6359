"""One accepted connection: calls in order, nobody waited for.

An upgrade to a WebSocket is followed where the front has one for the path; any other is declined by
serving the call as it is, as RFC 9110 7.8 allows.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.front import Asked, Front
from tokenbooth.edge.http1 import wire
from tokenbooth.edge.http1.body import PushedBody
from tokenbooth.edge.http1.patience import Patience, Wait
from tokenbooth.edge.http1.reading import CallLines, CallReader, Fault
from tokenbooth.edge.http1.sink import ConnectionSink
from tokenbooth.edge.http1.websocket import WebSocket
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.edge.peers import on_this_machine
from tokenbooth.edge.space import hung_up

PIPELINED_MAX = 16
UNREAD_MAX_S = 2


@dataclass(slots=True)
class Exchange:
    """A call and its answer; ``last`` is the one after which the peer wants the end."""

    asked: Asked
    body: PushedBody
    sink: ConnectionSink
    last: bool


class Home(Protocol):
    """What all connections of a server share."""

    front: Front
    options: EdgeOptions
    date_line: str
    draining: bool

    def add(self, connection: "Connection") -> bool:
        """False when there are too many."""

    def upgrade(self, connection: "Connection", socket: WebSocket) -> None:
        """The socket takes its place."""

    def discard(self, connection: "Connection | WebSocket") -> None:
        """It is lost."""


class Connection(asyncio.Protocol):
    """What arrives becomes exchanges; one is current, the next ones wait for its answer."""

    __slots__ = (
        "_arriving", "_current", "_held_reading", "_loop", "_patience", "_queue", "_reader",
        "connections", "transport",
    )  # fmt: skip

    def __init__(self, connections: Home, loop: asyncio.AbstractEventLoop) -> None:
        self.connections = connections
        self._loop = loop
        self._patience = Patience(loop.time, connections.options.stall_max_s)
        self._reader = CallReader(self, partial(_upgraded, self))
        self.transport = cast("asyncio.Transport", None)
        self._held_reading = False
        self._arriving: Exchange | None = None
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        options = self.connections.options
        self.transport.set_write_buffer_limits(
            options.pressure_high_bytes, options.pressure_low_bytes
        )
        if self.connections.add(self):
            self._patience.begin(Wait.HEAD, options.head_wait_max_s)
        else:
            self._refuse(_too_many())

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        for exchange in (self._current, *self._queue):
            if exchange is not None:
                exchange.body.lose(hung_up())
                exchange.sink.gone()
        self._current = self._arriving = None
        self._queue.clear()

    def data_received(self, piece: bytes) -> None:
        fault = self._reader.feed(piece)
        if self.closing:
            return
        if fault is not None:
            self._refuse(_unreadable(fault))
        elif self._patience.wait is Wait.NEXT:
            self._patience.begin(Wait.HEAD, self.connections.options.head_wait_max_s)
        elif self._patience.wait is Wait.UNREAD and cast("Exchange", self._current).body.overflowed:
            self._finish()

    def pause_writing(self) -> None:
        self._patience.press(self.transport.get_write_buffer_size())
        if self._current is not None:
            self._current.sink.press(high=True)

    def resume_writing(self) -> None:
        self._patience.ease()
        if self._current is not None:
            self._current.sink.press(high=False)
        elif self._queue:
            self._begin(self._queue.popleft())
            self.resume_reading()

    # What the reader tells.

    @property
    def closing(self) -> bool:
        return self.transport.is_closing()

    def arrived(self, lines: CallLines) -> None:
        self._arriving = exchange = _exchange(self, lines)
        # Who does not take answers gets no further ones.
        if self._current is None and not self._patience.pressed:
            self._begin(exchange)
        elif len(self._queue) < PIPELINED_MAX:
            self._queue.append(exchange)
            self.hold_reading()
        else:
            self.abort()

    def piece(self, piece: bytes) -> None:
        if self._arriving is not None:
            self._arriving.body.feed(piece)

    def complete(self) -> None:
        exchange, self._arriving = self._arriving, None
        if exchange is None:
            return
        exchange.body.finish()
        if exchange is self._current and self._patience.wait is Wait.UNREAD:
            self._next()

    # What a call asks for.

    def go_ahead(self) -> None:
        self.send(wire.GO_AHEAD)

    def hold_reading(self) -> None:
        if not self._held_reading and not self.closing:
            self._held_reading = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._held_reading and not self._queue and not self.closing:
            self._held_reading = False
            self.transport.resume_reading()

    def send(self, piece: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(piece)

    def soon(self, act: Callable[[], None]) -> None:
        self._loop.call_soon(act)

    def own_lines(self) -> tuple[str, ...]:
        date, current = self.connections.date_line, self._current
        last = current is None or current.last or self.connections.draining
        return (date, "connection: close\r\n") if last else (date,)

    def answered(self) -> None:
        exchange = self._current
        if exchange is None or self.closing:
            return
        if exchange.body.complete:
            self._next()
        elif exchange.body.leave_unread():
            # Closing on unread bytes would reset the connection, and hide the answer.
            self._patience.begin(Wait.UNREAD, UNREAD_MAX_S)
            self.resume_reading()
        else:
            self._finish()

    # What the clock and the server tell.

    def tick(self, now_s: float) -> None:
        """Judge what is late; called every second or so."""
        if self._current is not None:
            self._current.body.tick(now_s)
        if self._patience.stalled(now_s, self.transport.get_write_buffer_size):
            self.abort()
        elif self._patience.over(now_s):
            self._late()

    def drain(self) -> None:
        """An idle connection ends now, a busy one with its answer."""
        if self._current is None and not self.closing:
            self._finish()

    def abort(self) -> None:
        self.transport.abort()

    # How a connection goes on.

    def _late(self) -> None:
        if self._patience.wait is Wait.HEAD and self._reader.other_bytes:
            self._refuse(_head_late(self.connections.options.head_wait_max_s))
        elif self._patience.wait in (Wait.NEXT, Wait.UNREAD):
            self._finish()
        else:
            self.abort()

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        self._patience.begin(Wait.ANSWER)
        self.connections.front.begin(exchange.asked, exchange.body, exchange.sink)

    def _next(self) -> None:
        """The connection is free for another call, or at its end."""
        last, self._current = cast("Exchange", self._current).last, None
        if last or self.connections.draining:
            self._finish()
        elif self._queue:
            if not self._patience.pressed:
                self._begin(self._queue.popleft())
                self.resume_reading()
        else:
            options, started = self.connections.options, self._reader.other_bytes > 0
            wait_s = options.head_wait_max_s if started else options.keep_alive_s
            self._patience.begin(Wait.HEAD if started else Wait.NEXT, wait_s)
            self.resume_reading()

    def _finish(self) -> None:
        """Close; what is still unsent gets as long as a stalled reader is borne."""
        self.transport.close()
        self._patience.begin(Wait.LAST, self.connections.options.stall_max_s)

    def _refuse(self, problem: Problem) -> None:
        """Say why and close; inside an answer there is no place left to say it."""
        current = self._current
        if current is not None:
            if self._queue or current.sink.started:
                self.abort()
                return
            current.body.lose(hung_up())
            current.sink.gone()
            self._current = None
        _write_refusal(self, self.connections.front, problem)
        self._finish()


def _unreadable(fault: Fault) -> Problem:
    code = Code.HEAD_TOO_LARGE if fault is Fault.TOO_LARGE else Code.MALFORMED_HTTP
    return Problem(code, fault.value)


def _upgraded(connection: Connection, lines: CallLines, rest: bytes) -> bool:
    """Whether a WebSocket has the connection from here on; ``rest`` came behind its call."""
    connections = connection.connections
    route = connections.front.talk_at(lines.path)
    busy = connection._current is not None or connection._queue or connection._patience.pressed
    if route is None or busy or connection.closing:
        return False
    asked = _asked(connection, lines)
    socket = WebSocket(connections, connection._loop, connection.transport, asked, route)
    connections.upgrade(connection, socket)
    socket.begin(rest)
    return True


def _exchange(line: Connection, lines: CallLines) -> Exchange:
    front, asked = line.connections.front, _asked(line, lines)
    head_only = asked.method == "HEAD"
    return Exchange(
        asked,
        PushedBody(line, front.space, lines.headers, front.options.body_wait_max_s),
        ConnectionSink(line, asked.request_id, head_only=head_only, chunked=lines.chunks),
        lines.last,
    )


def _asked(line: Connection, lines: CallLines) -> Asked:
    near = partial(_from_loopback, line.transport)
    method = lines.method.decode("latin-1")
    return line.connections.front.asked(method, (lines.path, lines.query), lines.headers, near)


def _from_loopback(transport: asyncio.Transport) -> bool:
    peer = transport.get_extra_info("peername")
    return bool(peer) and on_this_machine(peer[0])


def _write_refusal(connection: Connection, front: Front, problem: Problem) -> None:
    request_id = front.ids.new("req")
    answer = front.refusal(problem, request_id)
    sink = ConnectionSink(connection, request_id, head_only=False, chunked=False)
    sink.start(answer.status, answer.headers)
    sink.write(answer.body)
    sink.end()


def _too_many() -> Problem:
    public = "The server has too many connections open."
    return Problem(Code.ENGINE_BUSY, public, retry_after_s=1)


def _head_late(wait_max_s: int) -> Problem:
    return Problem(Code.HEAD_TIMEOUT, f"The head did not arrive within {wait_max_s} s.")
