"""Bytes of one connection to the calls in them: llhttp without leniencies, and our own bounds."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import httptools

from tokenbooth.edge.http1 import heads, wire
from tokenbooth.edge.http1.handshake import asks_for_socket

HEAD_BYTES_MAX = 32 * 1024
HEADERS_MAX = 256


class Fault(Enum):
    """What cannot be read; the text is for the peer."""

    MALFORMED = "What was sent is not HTTP/1.1."
    PROXY = "This server is not a proxy."
    TOO_LARGE = f"The head is larger than {HEAD_BYTES_MAX // 1024} KiB or {HEADERS_MAX} headers."


@dataclass(slots=True)
class CallLines:
    """The head of a call as it was read. ``chunks`` says whether its peer understands chunks,
    ``last`` that it wants the end after this answer."""

    method: bytes
    path: str
    query: str
    headers: dict[str, str]
    chunks: bool
    last: bool


class Arrivals(Protocol):
    """Who hears what was read."""

    @property
    def closing(self) -> bool:
        """Nothing more is wanted."""

    def arrived(self, lines: CallLines) -> None:
        """A call begins."""

    def piece(self, piece: bytes) -> None:
        """More of its body."""

    def complete(self) -> None:
        """The call has all come."""


class CallReader:
    """``other_bytes`` are those since the last piece of a body: heads, chunk frames, trailers.

    ``upgraded`` says whether somebody else has the connection from here on, whose first bytes it is
    given; it is asked for WebSockets alone.
    """

    __slots__ = (
        "_arrivals", "_ending", "_fault", "_followed", "_head_bytes", "_header_count", "_headers",
        "_host", "_hosts", "_in_head", "_parser", "_url", "other_bytes",
    )  # fmt: skip

    def __init__(self, arrivals: Arrivals, upgraded: Callable[[CallLines, bytes], bool]) -> None:
        self._arrivals = arrivals
        self._followed = upgraded
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._host: str | None = None
        self._hosts = self._head_bytes = self._header_count = 0
        self._in_head = True
        self._ending = False
        self._fault: Fault | None = None
        self.other_bytes = 0

    def feed(self, piece: bytes) -> Fault | None:
        """Tell the arrivals what is in ``piece``; what is wrong with it ends the connection."""
        while piece and self._fault is None and not self._arrivals.closing:
            self.other_bytes += len(piece)
            try:
                self._parser.feed_data(piece)
                break
            except httptools.HttpParserUpgrade as upgrade:
                piece = piece[int(upgrade.args[0]) :]
                if self._upgraded(piece):
                    return None
                piece = self._declined(piece)
            except httptools.HttpParserError:
                # Behind the call that wanted the end, nothing is read (RFC 9112 9.6).
                return None if self._ending else Fault.MALFORMED
        if self.other_bytes > HEAD_BYTES_MAX:
            return self._fault or Fault.TOO_LARGE
        return self._fault

    def _upgraded(self, rest: bytes) -> bool:
        lines = self._lines()
        if isinstance(lines, Fault) or not asks_for_socket(lines.method, lines.headers):
            return False
        return lines.chunks and self._followed(lines, rest)

    def _declined(self, rest: bytes) -> bytes:
        """The parser skips the body of a call with an upgrade; what a fresh one is to read."""
        method, version = self._parser.get_method(), self._parser.get_http_version()
        if method == b"CONNECT":
            self._fault = Fault.PROXY
        self._parser = httptools.HttpRequestParser(self)
        return wire.without_upgrade(method, self._url, version, self._headers, rest)

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
        if self._parser.should_upgrade() or self._ignored:
            return
        lines = self._lines()
        if isinstance(lines, Fault):
            self._fault = lines
            return
        self._arrivals.arrived(lines)
        self._ending = lines.last

    def on_body(self, piece: bytes) -> None:
        self.other_bytes = 0
        if not self._ignored:
            self._arrivals.piece(piece)

    def on_message_complete(self) -> None:
        self.other_bytes = 0
        if not self._ignored and not self._parser.should_upgrade():
            self._arrivals.complete()

    def _lines(self) -> CallLines | Fault:
        """What the head says, or what is wrong with it."""
        if self._head_bytes > HEAD_BYTES_MAX or self._header_count > HEADERS_MAX:
            return Fault.TOO_LARGE
        version, headers = self._parser.get_http_version(), self._headers
        target, current = heads.target(self._url), version == "1.1"
        if (
            target is None
            or not heads.framing_allowed(version, headers)
            or not self._one_host(current)
        ):
            return Fault.MALFORMED
        last = not (current and self._parser.should_keep_alive())
        return CallLines(self._parser.get_method(), *target, headers, current, last)

    @property
    def _ignored(self) -> bool:
        return self._fault is not None or self._arrivals.closing

    def _one_host(self, needed: bool) -> bool:
        if self._hosts != 1:
            return self._hosts == 0 and not needed
        host = self._headers["host"]
        if host != self._host:  # a peer names the same one with each call
            if not heads.host_allowed(host):
                return False
            self._host = host
        return True
