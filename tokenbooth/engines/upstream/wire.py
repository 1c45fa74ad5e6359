"""One HTTP/1.1 client connection, one exchange at a time, over ``asyncio.Protocol``."""

import asyncio
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol, cast

import httptools

HEAD_BYTES_MAX = 64 * 2**10


class Broken(Enum):
    """STALE: a kept-alive connection closed before any byte of the answer; safe to call again."""

    STALE = "stale"
    CLOSED = "closed"
    MALFORMED = "malformed"


class Exchange(Protocol):
    """Who hears an answer: ``head``, ``body`` any number of times and never empty, then ``done`` or
    ``broken``."""

    def head(self, status: int, headers: Mapping[str, str]) -> None: ...

    def body(self, chunk: bytes) -> None: ...

    def done(self) -> None: ...

    def broken(self, cause: Broken) -> None: ...


class Connection(asyncio.Protocol):
    """``on_free`` is called after a whole answer on a connection that may be used again,
    ``on_lost`` when the connection is gone."""

    def __init__(
        self, on_free: Callable[["Connection"], None], on_lost: Callable[["Connection"], None]
    ) -> None:
        self._on_free = on_free
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._answer = _Answer()
        self._used = False
        self._paused = False
        self.free_since_s = 0.0

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes, exchange: Exchange) -> None:
        """Begin an exchange; the connection must be usable and free."""
        assert self._transport is not None
        assert self._exchange is None
        self._exchange = exchange
        self._answer.begin()
        self._transport.write(request)

    def pause(self) -> None:
        if not self._paused and self.usable:
            self._paused = True
            cast("asyncio.Transport", self._transport).pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            if self.usable:
                cast("asyncio.Transport", self._transport).resume_reading()

    def abort(self) -> None:
        """Close at once; the exchange hears nothing any more."""
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, received: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.abort()  # bytes that nobody asked for may belong to nobody's answer
            return
        answer = self._answer
        had_head = answer.status is not None
        if not answer.feed(received):
            self._break(Broken.MALFORMED)
            return
        if not had_head and answer.status is not None:
            exchange.head(answer.status, answer.headers)
        chunk = answer.take()
        if chunk and self._exchange is exchange:
            exchange.body(chunk)
        if answer.complete and self._exchange is exchange:
            self._finish(reusable=answer.keeps_alive)

    def connection_lost(self, error: Exception | None) -> None:
        if self._exchange is not None:
            answer = self._answer
            if error is None and answer.status is not None and answer.until_eof:
                self._finish(reusable=False)
            else:
                stale = self._used and not answer.bytes_seen
                self._break(Broken.STALE if stale else Broken.CLOSED)
        self._on_lost(self)

    def _finish(self, *, reusable: bool) -> None:
        exchange = cast("Exchange", self._exchange)
        self._exchange = None
        self._used = True
        self.resume()
        if reusable and self.usable:
            self._on_free(self)
        else:
            self.abort()
        exchange.done()

    def _break(self, cause: Broken) -> None:
        exchange = self._exchange
        self.abort()
        if exchange is not None:
            exchange.broken(cause)

    def close(self) -> None:
        """Close at once and tell the exchange."""
        self._break(Broken.CLOSED)


class _Answer:
    """The parse of the answers of one connection, one at a time; pieces are kept until taken, so no
    callback runs inside the parser.

    Interim answers (1xx) are skipped. A second answer in the same bytes is malformed: nobody asked.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the last answer. A parser of its own for each would be a cycle of objects each."""
        self._pieces: list[bytes] = []
        self._head: dict[str, str] = {}
        self._extra = False
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.bytes_seen = 0
        self.complete = False
        self.keeps_alive = False

    @property
    def until_eof(self) -> bool:
        """An answer without a length ends where the connection ends."""
        return not {"content-length", "transfer-encoding"} & self.headers.keys()

    def feed(self, received: bytes) -> bool:
        """False when the bytes break the protocol or the head is too long."""
        self.bytes_seen += len(received)
        try:
            self._parser.feed_data(received)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return False
        if self.status is None and self.bytes_seen > HEAD_BYTES_MAX:
            return False
        return not self._extra

    def take(self) -> bytes:
        """The body that was received since the last time, in one piece."""
        pieces = self._pieces
        if not pieces:
            return b""
        self._pieces = []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def on_message_begin(self) -> None:
        if self.complete:
            self._extra = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status is None:
            self._head[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._head = {}
        else:
            self.status = status
            self.headers = self._head

    def on_body(self, chunk: bytes) -> None:
        self._pieces.append(chunk)

    def on_message_complete(self) -> None:
        if self.status is not None:
            self.complete = True
            self.keeps_alive = self._parser.should_keep_alive()
