"""Server-sent events (HTML Living Standard, 9.2.6) as a fold over bytes, and HTTP/1.1 heads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

EVENT_BYTES_MAX = 1 << 22


class BrokenWire(Exception):
    """The peer broke the protocol, or hung up inside its answer."""


@dataclass(frozen=True, slots=True)
class Head:
    """``headers`` has lower-case names; a repeated one is joined with ``", "``."""

    status: int
    headers: Mapping[str, str]


def head_of(raw: bytes) -> Head:
    """Read a status line and its headers, up to the empty line. Raises BrokenWire."""
    lines = raw.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit()):
        raise BrokenWire(f"not an HTTP/1.1 answer: {lines[0][:80]!r}")
    headers: dict[str, str] = {}
    for line in filter(None, lines[1:]):
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BrokenWire(f"not a header: {line[:80]!r}")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Head(int(status), headers)


class EventFold:
    """Bytes in, the ``data`` of finished events out; comments and other fields are dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[str] = []

    def feed(self, piece: bytes) -> Iterator[str]:
        """Raises BrokenWire for an event without an end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > EVENT_BYTES_MAX:
            raise BrokenWire("an event is larger than any event should be")
        for line in lines:
            text = line.rstrip(b"\r").decode("utf-8", "replace")
            if text.startswith("data:"):
                self._lines.append(text[5:].removeprefix(" "))
            elif not text and self._lines:
                yield "\n".join(self._lines)
                self._lines = []

    @property
    def inside(self) -> bool:
        """Whether an event has begun and not ended."""
        return bool(self._rest or self._lines)
