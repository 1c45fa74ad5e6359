"""A Sink onto one connection: whole answers with their length, streams in chunks."""

from collections.abc import Callable, Sequence
from typing import Protocol

from tokenbooth.core.ports import SinkListener
from tokenbooth.edge.http1 import wire

EVENTS = "text/event-stream"


class Line(Protocol):
    """What a sink asks of its connection."""

    def send(self, piece: bytes) -> None: ...

    def soon(self, act: Callable[[], None]) -> None:
        """After what runs now has run."""

    def own_lines(self) -> tuple[str, ...]:
        """The head's lines about the connection itself."""

    def answered(self) -> None:
        """The answer is out, as far as this side can do."""


class ConnectionSink:
    """The length of an answer that is written in one go is known, and stands in its head.

    ``chunked`` is False for a peer that knows no chunks: the end of the connection ends its answer.
    """

    __slots__ = (
        "_chunked", "_ended", "_gone", "_head_only", "_headers", "_held", "_line", "_listener",
        "_request_id", "_status", "_streams", "started",
    )  # fmt: skip

    def __init__(self, line: Line, request_id: str, *, head_only: bool, chunked: bool) -> None:
        self._line = line
        self._request_id = request_id
        self._head_only = head_only
        self._chunked = chunked
        self._listener: SinkListener | None = None
        self._status = 0
        self._headers: Sequence[tuple[str, str]] = ()
        self._held: list[bytes] = []
        self._streams = self._ended = self._gone = False
        self.started = False

    def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        assert not self.started, "an answer is started once"
        self.started = True
        self._status, self._headers = status, headers

    def write(self, chunk: bytes) -> None:
        if self._gone or not chunk:
            return
        if self._streams:
            if not self._head_only:
                self._line.send(wire.chunk(chunk) if self._chunked else chunk)
            return
        self._held.append(chunk)
        if any(name == "content-type" and value == EVENTS for name, value in self._headers):
            self._stream()
        elif len(self._held) == 1:
            self._line.soon(self._stream)

    def end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._listener = None  # it holds this sink
        if self.started and not self._gone:
            if not self._streams:
                self._whole()
            elif self._chunked and not self._head_only:
                self._line.send(wire.LAST_CHUNK)
        self._line.answered()

    def listen(self, listener: SinkListener) -> None:
        self._listener = listener
        if self._gone:
            listener.gone()

    def gone(self) -> None:
        """The peer hung up: drop what it will never read, and tell the writer."""
        if self._gone:
            return
        self._gone = True
        self._held.clear()
        if self._listener is not None:
            self._listener.gone()

    def press(self, *, high: bool) -> None:
        """The peer takes less than is written, or has caught up."""
        if self._listener is not None:
            self._listener.pressure(high)

    def _stream(self) -> None:
        if self._streams or self._ended or self._gone:
            return
        self._streams = True
        body = b"".join(self._held)
        self._held.clear()
        head = self._head("transfer-encoding: chunked\r\n") if self._chunked else self._head()
        if self._head_only:
            self._line.send(head)
        else:
            self._line.send(head + (wire.chunk(body) if self._chunked else body))

    def _whole(self) -> None:
        body = b"".join(self._held)
        self._held.clear()
        if self._status in wire.BODILESS:
            self._line.send(self._head())
            return
        head = self._head(f"content-length: {len(body)}\r\n")
        self._line.send(head if self._head_only else head + body)

    def _head(self, *framing: str) -> bytes:
        # The second name is the one that the clients of Anthropic read.
        named = f"x-request-id: {self._request_id}\r\nrequest-id: {self._request_id}\r\n"
        return wire.head(self._status, self._headers, named, *framing, *self._line.own_lines())
