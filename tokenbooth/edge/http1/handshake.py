"""Which calls ask for a WebSocket, and what they are answered (RFC 6455 4.2)."""

from collections.abc import Mapping, Sequence

from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.front import Asked
from tokenbooth.edge.http1 import wire
from tokenbooth.protocols.dialect import Answer

SWITCHED = 101
_ASKED = ("connection", "upgrade", "sec-websocket-key", "sec-websocket-version")
_GIVEN = ("upgrade", "connection", "sec-websocket-accept")


def asks_for_socket(method: bytes, headers: Mapping[str, str]) -> bool:
    """Whether the upgrade of a call is to a WebSocket, and nothing stands behind its head."""
    bodiless = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    wanted = headers.get("upgrade", "").strip().lower()
    return method == b"GET" and wanted == "websocket" and bodiless


def acceptance(asked: Asked, headers: Sequence[tuple[str, str]], date_line: str) -> bytes:
    """The head that accepts it, without extensions: compressed frames would let a few bytes fill
    memory. Raises MALFORMED_HTTP for a handshake that is not well-formed."""
    handshake = ServerProtocol()
    said = Headers({name: asked.headers[name] for name in _ASKED if name in asked.headers})
    answer = handshake.accept(Request(asked.path, said))
    if answer.status_code != SWITCHED:
        public = f"The WebSocket handshake is refused: {handshake.handshake_exc}."
        raise Problem(Code.MALFORMED_HTTP, public)
    given = [(name, answer.headers[name]) for name in _GIVEN]
    return wire.head(SWITCHED, (*given, *headers), _named(asked), date_line)


def rejection(asked: Asked, answer: Answer, date_line: str) -> bytes:
    """A whole answer, after which the connection ends."""
    framing = f"content-length: {len(answer.body)}\r\n"
    own = "sec-websocket-version: 13\r\nconnection: close\r\n"
    return wire.head(answer.status, answer.headers, _named(asked), framing, date_line, own) + (
        answer.body
    )


def _named(asked: Asked) -> str:
    return f"x-request-id: {asked.request_id}\r\n"
