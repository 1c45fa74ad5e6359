"""The events of a stream, each with the next number; or nothing at all for a whole answer."""

from typing import Protocol

from tokenbooth.protocols.wire_json import encode

Json = dict[str, object]


class Events(Protocol):
    """Where the fold of an answer tells what it does."""

    def add(self, kind: str, fields: Json) -> None:
        """One event; ``fields`` without its type and number."""

    def add_text(self, head: bytes, text: str, tail: bytes) -> None:
        """One event whose head was written before: the way of each step of text."""


class Silence:
    """Of a whole answer: nothing goes out before its end."""

    def add(self, kind: str, fields: Json) -> None:
        pass

    def add_text(self, head: bytes, text: str, tail: bytes) -> None:
        pass


class EventStream:
    """Server-sent events; ``sequence_number`` counts from 0 without a gap."""

    def __init__(self) -> None:
        self._number = 0
        self._written: list[bytes] = []

    def add(self, kind: str, fields: Json) -> None:
        self._end(event_head(kind, fields))

    def add_text(self, head: bytes, text: str, tail: bytes) -> None:
        self._end(head + encode(text) + tail)

    def taken(self) -> bytes:
        """What was written since the last time."""
        written = b"".join(self._written)
        self._written.clear()
        return written

    def _end(self, event: bytes) -> None:
        self._written.append(event + b',"sequence_number":%d}\n\n' % self._number)
        self._number += 1


def event_head(kind: str, fields: Json) -> bytes:
    """An event without its number and its end."""
    name = kind.encode()
    return b"event: " + name + b"\ndata: " + encode({"type": kind, **fields})[:-1]
