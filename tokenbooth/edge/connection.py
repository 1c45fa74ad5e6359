"""One accepted connection: uvicorn's HTTP/1.1 protocol with bounds that it lacks.

A head must arrive in time and within a size, connections and pipelined calls are counted, a peer
that takes nothing of its last bytes is cut off, and what is not HTTP gets a named answer with an
id. An upgrade is declined by serving the call as it is, as RFC 9110 7.8 allows.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Ids
from tokenbooth.core.problem import Problem
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.protocols.dialect import Answer

HEAD_BYTES_MAX = 32 * 1024
PIPELINED_MAX = 16
_HOP_HEADERS = frozenset({b"connection", b"upgrade", b"http2-settings"})
_STATUS_LINES = {
    400: b"HTTP/1.1 400 Bad Request\r\n",
    413: b"HTTP/1.1 413 Content Too Large\r\n",
    503: b"HTTP/1.1 503 Service Unavailable\r\n",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What every connection of a server shares; ``connections_max`` fits the open-file limit."""

    options: EdgeOptions
    connections_max: int
    ids: Ids
    refusal: Callable[[Problem, str], Answer]


class BoundedConnection(HttpToolsProtocol):
    """``_other_bytes`` are those since the last piece of a body: heads, chunk frames, trailers."""

    def __init__(self, bounds: Bounds, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._bounds = bounds
        self._other_bytes = 0
        self._in_head = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections_max:
            public = "The server has too many connections open."
            self._refuse(Problem(Code.ENGINE_BUSY, public, retry_after_s=1))
        else:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, piece: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._feed(piece)
        if self.transport.is_closing():
            return
        if self._other_bytes > HEAD_BYTES_MAX:
            public = f"The head is larger than {HEAD_BYTES_MAX // 1024} KiB."
            self._refuse(Problem(Code.HEAD_TOO_LARGE, public))
        elif self._timer is None and not self._answering:
            self._wait_for_head()

    def _feed(self, piece: bytes) -> None:
        while piece and not self.transport.is_closing():
            self._other_bytes += len(piece)
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserError:
                self._refuse(Problem(Code.MALFORMED_HTTP, "What was sent is not HTTP/1.1."))
            except httptools.HttpParserUpgrade as upgrade:
                piece = self._declined(piece[int(upgrade.args[0]) :])
            else:
                return

    def _declined(self, rest: bytes) -> bytes:
        """The parser stops at an upgrade and skips the body; what a fresh one is to read."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self._refuse(Problem(Code.MALFORMED_HTTP, "This server is not a proxy."))
        head = [b"%s %s HTTP/%s" % (method, self.url, version.encode())]
        head += [b"%s: %s" % pair for pair in self.headers if pair[0] not in _HOP_HEADERS]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            head.append(b"connection: close")
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join((*head, b"", rest))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer is nobody's concern
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self.parser.should_upgrade() or self.transport.is_closing():
            return
        super().on_headers_complete()
        self._stop_timer()
        if len(self.pipeline) > PIPELINED_MAX:
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        self._other_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._other_bytes = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._linger()

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self._linger()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._linger()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        async def whole(scope: Any, receive: Any, send: Any) -> None:
            with contextlib.suppress(asyncio.CancelledError):  # the server stops, and time is over
                await app(scope, receive, send)
            if not cycle.response_complete:
                # The peer was given up: closing politely would wait for it for ever.
                cycle.disconnected = True
                if not self.transport.is_closing():
                    self.transport.abort()

        super()._start_asgi_task(cycle, cast("Any", whole))

    @property
    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _wait_for_head(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self._bounds.options.head_wait_max_s, self._head_late)

    def _linger(self) -> None:
        """What is still unsent gets as long as a stalled reader is borne."""
        self._stop_timer()
        self._timer = self.loop.call_later(self._bounds.options.stall_max_s, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_late(self) -> None:
        self._timer = None
        if self._other_bytes:
            wait_s = self._bounds.options.head_wait_max_s
            public = f"The head did not arrive within {wait_s} s."
            self._refuse(Problem(Code.HEAD_TIMEOUT, public))
        else:
            self.transport.abort()

    def _refuse(self, problem: Problem) -> None:
        """Say why and close; inside an answer there is no place left to say it."""
        if self._answering:
            if self.pipeline or self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        request_id = self._bounds.ids.new("req")
        answer = self._bounds.refusal(problem, request_id)
        lines = [_STATUS_LINES[answer.status]]
        lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in answer.headers]
        lines.append(
            f"x-request-id: {request_id}\r\ncontent-length: {len(answer.body)}\r\n"
            "connection: close\r\n\r\n".encode("latin-1")
        )
        self.transport.write(b"".join((*lines, answer.body)))
        self.transport.close()
        self._linger()
