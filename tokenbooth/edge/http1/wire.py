"""The bytes of answers (RFC 9112), and of a call whose upgrade is declined (RFC 9110 7.8)."""

from collections.abc import Iterable, Mapping
from email.utils import formatdate
from http import HTTPStatus

GO_AHEAD = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
BODILESS = frozenset({204, 304})
_HOP_HEADERS = frozenset({"connection", "upgrade", "http2-settings"})
_STATUS_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n" for each in HTTPStatus}
_UNSAFE = dict.fromkeys((*range(0x20), 0x7F), " ")


def head(status: int, headers: Iterable[tuple[str, str]], *more: str) -> bytes:
    """A whole head; ``more`` are lines of our own, with their ends.

    What of a value would begin another line is sent as a blank.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        text = "".join(f"{name}: {value.translate(_UNSAFE)}\r\n" for name, value in headers)
    begin = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"
    return "".join((begin, text, *more, "\r\n")).encode("latin-1", "replace")


def chunk(piece: bytes) -> bytes:
    """One chunk of the chunked coding; ``piece`` is not empty."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def date_line(now_us: int) -> str:
    """RFC 9110 6.6.1."""
    return f"date: {formatdate(now_us // 1_000_000, usegmt=True)}\r\n"


def without_upgrade(
    method: bytes, url: bytes, version: str, headers: Mapping[str, str], rest: bytes
) -> bytes:
    """The same call without its wish, for a parser that stopped at it; ``rest`` came behind."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    kept = [pair for pair in headers.items() if pair[0] not in _HOP_HEADERS]
    if "close" in headers.get("connection", "").lower():
        kept.append(("connection", "close"))
    lines += [f"{name}: {value}".encode("latin-1") for name, value in kept]
    return b"\r\n".join((*lines, b"", rest))
