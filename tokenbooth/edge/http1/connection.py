"""One accepted connection: heads in time and within a size, calls in order, nobody waited for.

Parsing is llhttp's, with none of its leniencies. An upgrade leads to a WebSocket where the front
has one; any other is declined by serving the call as it is, as RFC 9110 7.8 allows.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.front import Asked
from tokenbooth.edge.http1 import heads, wire
from tokenbooth.edge.http1.body import PushedBody
from tokenbooth.edge.http1.exchange import Exchange, Wait
from tokenbooth.edge.http1.handshake import asks_for_socket
from tokenbooth.edge.http1.sink import ConnectionSink
from tokenbooth.edge.http1.stall import Stall
from tokenbooth.edge.http1.websocket import WebSocket
from tokenbooth.edge.peers import on_this_machine
from tokenbooth.edge.space import hung_up

if TYPE_CHECKING:
    from tokenbooth.edge.http1.connections import Connections

HEAD_BYTES_MAX = 32 * 1024
HEADERS_MAX = 256
PIPELINED_MAX = 16
UNREAD_MAX_S = 2
NEVER_S = float("inf")


class Connection(asyncio.Protocol):
    """``_other_bytes`` are those since the last piece of a body: heads, chunk frames, trailers."""

    __slots__ = (
        "_arriving", "_connections", "_current", "_head_bytes", "_header_count", "_headers",
        "_held_reading", "_host", "_hosts", "_in_head", "_late_s", "_loop", "_other_bytes",
        "_parser", "_queue", "_stall", "_transport", "_url", "_wait",
    )  # fmt: skip

    def __init__(self, connections: "Connections", loop: asyncio.AbstractEventLoop) -> None:
        self._connections = connections
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport = cast("asyncio.Transport", None)
        self._stall = cast("Stall", None)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._host: str | None = None
        self._hosts = self._head_bytes = self._header_count = 0
        self._other_bytes = 0
        self._in_head = True
        self._held_reading = False
        self._arriving: Exchange | None = None
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._wait = Wait.HEAD
        self._late_s = NEVER_S

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        options = self._connections.options
        self._stall = Stall(self._transport, options.stall_max_s)
        self._transport.set_write_buffer_limits(
            options.pressure_high_bytes, options.pressure_low_bytes
        )
        if self._connections.add(self):
            self._await(Wait.HEAD, options.head_wait_max_s)
        else:
            public = "The server has too many connections open."
            self._refuse(Problem(Code.ENGINE_BUSY, public, retry_after_s=1))

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._await(Wait.ANSWER, NEVER_S)
        for exchange in (self._current, *self._queue):
            if exchange is not None:
                exchange.body.lose(hung_up())
                exchange.sink.gone()
        self._current = self._arriving = None
        self._queue.clear()

    def data_received(self, piece: bytes) -> None:
        self._feed(piece)
        if self._transport.is_closing():
            return
        if self._other_bytes > HEAD_BYTES_MAX:
            self._refuse(_too_large())
        elif self._wait is Wait.NEXT:
            self._await(Wait.HEAD, self._connections.options.head_wait_max_s)
        elif self._wait is Wait.UNREAD and cast("Exchange", self._current).body.overflowed:
            self._finish()

    def pause_writing(self) -> None:
        self._stall.begin(self.now_s())
        if self._current is not None:
            self._current.sink.press(high=True)

    def resume_writing(self) -> None:
        self._stall.end()
        if self._current is not None:
            self._current.sink.press(high=False)
        elif self._queue:
            self._begin(self._queue.popleft())
            self.resume_reading()

    # What the parser tells.

    def on_message_begin(self) -> None:
        self._in_head = True
        self._url = b""
        self._headers = {}
        self._hosts = self._head_bytes = self._header_count = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._head_bytes += len(url)

    def on_header(self, raw_name: bytes, raw_value: bytes) -> None:
        if not self._in_head:  # a trailer is nobody's concern
            return
        self._header_count += 1
        self._head_bytes += len(raw_name) + len(raw_value)
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers = self._headers
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if name == "host":
            self._hosts += 1

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._parser.should_upgrade() or self._transport.is_closing():
            return
        if self._head_bytes > HEAD_BYTES_MAX or self._header_count > HEADERS_MAX:
            self._refuse(_too_large())
            return
        exchange = self._exchange()
        if exchange is None:
            self._refuse(_malformed("What was sent is not HTTP/1.1."))
            return
        self._arriving = exchange
        if self._current is None and not self._pressed:
            self._begin(exchange)
            return
        self._queue.append(exchange)
        self.hold_reading()
        if len(self._queue) > PIPELINED_MAX:
            self._transport.abort()

    def on_body(self, piece: bytes) -> None:
        self._other_bytes = 0
        if self._arriving is not None:
            self._arriving.body.feed(piece)

    def on_message_complete(self) -> None:
        self._other_bytes = 0
        exchange = self._arriving
        if exchange is None or self._parser.should_upgrade():
            return
        self._arriving = None
        exchange.body.finish()
        if exchange is self._current and self._wait is Wait.UNREAD:
            self._next()

    # What a call asks for.

    def go_ahead(self) -> None:
        self.send(wire.GO_AHEAD)

    def hold_reading(self) -> None:
        if not self._held_reading and not self._transport.is_closing():
            self._held_reading = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._held_reading and not self._queue and not self._transport.is_closing():
            self._held_reading = False
            self._transport.resume_reading()

    def now_s(self) -> float:
        return self._loop.time()

    def send(self, piece: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(piece)

    def soon(self, act: Callable[[], None]) -> None:
        self._loop.call_soon(act)

    def own_lines(self) -> tuple[str, ...]:
        date = self._connections.date_line
        current = self._current
        last = current is None or current.last or self._connections.draining
        return (date, "connection: close\r\n") if last else (date,)

    def answered(self) -> None:
        exchange = self._current
        if exchange is None or self._transport.is_closing():
            return
        if exchange.body.complete:
            self._next()
        elif exchange.body.leave_unread():
            # Closing on unread bytes would reset the connection, and hide the answer.
            self._await(Wait.UNREAD, UNREAD_MAX_S)
            self.resume_reading()
        else:
            self._finish()

    # What the clock and the server tell.

    def tick(self, now_s: float) -> None:
        """Judge what is late; called every second or so."""
        if self._current is not None:
            self._current.body.tick(now_s)
        if self._stall.late(now_s):
            self.abort()
        if now_s < self._late_s:
            return
        if self._wait is Wait.HEAD and self._other_bytes:
            wait_s = self._connections.options.head_wait_max_s
            public = f"The head did not arrive within {wait_s} s."
            self._refuse(Problem(Code.HEAD_TIMEOUT, public))
        elif self._wait in (Wait.NEXT, Wait.UNREAD):
            self._finish()
        else:
            self.abort()

    def drain(self) -> None:
        """An idle connection ends now, a busy one with its answer."""
        if self._current is None and not self._transport.is_closing():
            self._finish()

    def abort(self) -> None:
        self._late_s = NEVER_S
        self._transport.abort()

    # How a connection goes on.

    @property
    def _pressed(self) -> bool:
        """A peer that does not take its answers gets no further ones."""
        return self._stall.on

    def _feed(self, piece: bytes) -> None:
        while piece and not self._transport.is_closing():
            self._other_bytes += len(piece)
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                piece = piece[int(upgrade.args[0]) :]
                if self._upgraded(piece):
                    return
                piece = self._declined(piece)
            except httptools.HttpParserError:
                if not self._ends_after_this():
                    self._refuse(_malformed("What was sent is not HTTP/1.1."))
                return
            else:
                return

    def _ends_after_this(self) -> bool:
        """Whether the peer announced its end, behind which nothing is read (RFC 9112 9.6)."""
        last = self._queue[-1] if self._queue else self._current
        return last is not None and last.last and last.body.complete

    def _upgraded(self, rest: bytes) -> bool:
        """Whether a WebSocket has the connection from here on; ``rest`` came behind its call."""
        method, version = self._parser.get_method(), self._parser.get_http_version()
        free = self._current is None and not self._queue and not self._pressed
        small = self._other_bytes <= HEAD_BYTES_MAX
        wanted = free and small and asks_for_socket(method, version, self._headers)
        exchange = self._exchange() if wanted else None
        if exchange is None:
            return False
        route = self._connections.front.talk_at(exchange.asked.path)
        if route is None:
            return False
        self._other_bytes = 0
        self._await(Wait.ANSWER, NEVER_S)
        socket = WebSocket(self._connections, self._loop, self._transport, exchange.asked, route)
        self._connections.upgrade(self, socket)
        socket.begin(rest)
        return True

    def _declined(self, rest: bytes) -> bytes:
        """The parser skips the body of a call with an upgrade; what a fresh one is to read."""
        method, version = self._parser.get_method(), self._parser.get_http_version()
        if method == b"CONNECT":
            self._refuse(_malformed("This server is not a proxy."))
        self._parser = httptools.HttpRequestParser(self)
        return wire.without_upgrade(method, self._url, version, self._headers, rest)

    def _exchange(self) -> Exchange | None:
        """``None`` for a target, a host or a framing that HTTP does not allow."""
        version, method = self._parser.get_http_version(), self._parser.get_method()
        front, headers, current = self._connections.front, self._headers, version == "1.1"
        target = heads.target(self._url)
        if (
            target is None
            or not heads.framing_allowed(version, headers)
            or not self._one_host(current)
        ):
            return None
        asked = Asked(
            front.ids.new("req"), method.decode("latin-1"), *target, headers, self._from_loopback
        )
        wait_max_s = self._connections.options.body_wait_max_s
        return Exchange(
            asked,
            PushedBody(self, front.space, headers, wait_max_s),
            ConnectionSink(self, asked.request_id, head_only=method == b"HEAD", chunked=current),
            last=not (current and self._parser.should_keep_alive()),
        )

    def _one_host(self, needed: bool) -> bool:
        if self._hosts != 1:
            return self._hosts == 0 and not needed
        host = self._headers["host"]
        if host != self._host:  # a peer names the same one with each call
            if not heads.host_allowed(host):
                return False
            self._host = host
        return True

    def _from_loopback(self) -> bool:
        peer = self._transport.get_extra_info("peername")
        return bool(peer) and on_this_machine(peer[0])

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        self._await(Wait.ANSWER, NEVER_S)
        self._connections.front.begin(exchange.asked, exchange.body, exchange.sink)

    def _next(self) -> None:
        """The connection is free for another call, or at its end."""
        exchange = cast("Exchange", self._current)
        self._current = None
        if exchange.last or self._connections.draining:
            self._finish()
        elif self._queue:
            if not self._pressed:
                self._begin(self._queue.popleft())
                self.resume_reading()
        else:
            started = self._other_bytes > 0
            options = self._connections.options
            wait_s = options.head_wait_max_s if started else options.keep_alive_s
            self._await(Wait.HEAD if started else Wait.NEXT, wait_s)
            self.resume_reading()

    def _finish(self) -> None:
        """Close; what is still unsent gets as long as a stalled reader is borne."""
        self._transport.close()
        self._await(Wait.LAST, self._connections.options.stall_max_s)

    def _await(self, wait: Wait, wait_s: float) -> None:
        self._wait = wait
        self._late_s = NEVER_S if wait_s == NEVER_S else self.now_s() + wait_s

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
        front = self._connections.front
        request_id = front.ids.new("req")
        answer = front.refusal(problem, request_id)
        sink = ConnectionSink(self, request_id, head_only=False, chunked=False)
        sink.start(answer.status, answer.headers)
        sink.write(answer.body)
        sink.end()
        self._finish()


def _malformed(public: str) -> Problem:
    return Problem(Code.MALFORMED_HTTP, public)


def _too_large() -> Problem:
    public = f"The head is larger than {HEAD_BYTES_MAX // 1024} KiB or {HEADERS_MAX} headers."
    return Problem(Code.HEAD_TOO_LARGE, public)
