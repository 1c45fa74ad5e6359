"""Reads the journal's files by their written format, and says where a power cut may tear them.

Written anew from that format and not with the product's reader, which is what is on trial. Pure.
"""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import msgspec

from tokenbooth.proving.draw import Draw

HEADER_BYTES = 112
_HEAD = struct.Struct("<IIQB")
_MARK = struct.Struct("<Q")
OPEN, PROGRESS, SETTLE, MARK, WHOLE = 1, 2, 3, 4, 5
GARBAGE_PERCENT = 50
GARBAGE_BYTES_MAX = 300


@dataclass(frozen=True, slots=True)
class Frame:
    """One record, up to ``end`` in its file. ``durable`` is what a mark says was durable."""

    end: int
    sequence: int
    kind: int
    request_id: str | None
    durable: int


@dataclass(frozen=True, slots=True)
class Tear:
    """Cut the file at ``offset`` and append ``garbage``; ``lost`` are the records that go."""

    offset: int
    garbage: bytes
    lost: int


def frames(content: bytes) -> tuple[Frame, ...]:
    """Every whole record of one segment, in order."""
    return tuple(_frames(content))


def _frames(content: bytes) -> Iterator[Frame]:
    begin = HEADER_BYTES
    while begin + _HEAD.size <= len(content):
        _checksum, length, sequence, kind = _HEAD.unpack_from(content, begin)
        end = begin + _HEAD.size + length
        if end > len(content):
            return
        payload = content[begin + _HEAD.size : end]
        if kind == MARK:
            yield Frame(end, sequence, kind, None, _MARK.unpack(payload)[0])
        else:
            record = msgspec.msgpack.decode(payload)
            call = record["facts"] if kind == WHOLE else record
            yield Frame(end, sequence, kind, call["request_id"], 0)
        begin = end


def floor_of(found: Collection[Frame], finished: Collection[str]) -> int:
    """The offset before which everything was durable for sure.

    A caller has seen the end of a ``finished`` call, so its settlement was on the disk; a mark says
    itself what was; and the first record of a segment is there before anybody is served.
    """
    durable = max((frame.durable for frame in found), default=0)
    kept = [
        frame.end
        for place, frame in enumerate(found)
        if place == 0
        or frame.sequence <= durable
        or (frame.kind in (SETTLE, WHOLE) and frame.request_id in finished)
    ]
    return max(kept, default=HEADER_BYTES)


def tear_of(content: bytes, finished: Collection[str], draw: Draw) -> Tear:
    """Any byte from the last durable one on, and in half of the cases a tail of garbage."""
    found = frames(content)
    floor = floor_of(found, finished)
    offset = draw.between(floor, max(floor, len(content)))
    garbage = b""
    if draw.chance(GARBAGE_PERCENT):
        garbage = bytes(draw.below(256) for _ in range(draw.between(1, GARBAGE_BYTES_MAX)))
    return Tear(offset, garbage, sum(frame.end > offset for frame in found))
