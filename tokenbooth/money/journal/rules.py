"""The format of the journal's files, and what recovery makes of them. Pure.

A segment is a header of ``HEADER_BYTES`` and then frames, little-endian throughout:

    crc32 u32 · length u32 · sequence u64 · kind u8 · payload (msgpack, ``length`` bytes)

The checksum covers all that follows it and starts from a salt made of the journal's id and the
segment's number, so that a frame is valid in its own file only. Sequences rise by one from frame
to frame, across segments too; a mark's payload is the u64 of the last durable sequence.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.money.journal.values import (
    CallFacts,
    FrameKind,
    Header,
    Place,
    Progress,
    Record,
    Replay,
    ReplayedCall,
    SegmentBytes,
    SettledCall,
    Settlement,
)

MAGIC = b"TBJOURN\n"
FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
RECORD_BYTES_MAX = 64 * 1024
REPLICA_BYTES_MAX = 64
JOURNAL_ID_BYTES = 16
ID_FILE = "journal.id"
NOT_STREAMED = "The server stopped while the call ran; nothing had been sent, nothing is charged."
NOTHING_SENT = "The server stopped before any output was sent; nothing is charged."
PART_SENT = "The server stopped while the call ran; what had been sent by then is charged."

_HEADER = struct.Struct(f"<8sIQQ{JOURNAL_ID_BYTES}s{REPLICA_BYTES_MAX}s")
_CRC = struct.Struct("<I")
_HEAD = struct.Struct("<IQB")
_MARK = struct.Struct("<Q")
HEADER_BYTES = _HEADER.size + _CRC.size
FRAME_BYTES = _CRC.size + _HEAD.size
_MARK_LENGTH = struct.pack("<I", _MARK.size)

_encode = msgspec.msgpack.Encoder().encode
_DECODERS: dict[int, msgspec.msgpack.Decoder[Record]] = {
    FrameKind.OPEN: msgspec.msgpack.Decoder(CallFacts),
    FrameKind.PROGRESS: msgspec.msgpack.Decoder(Progress),
    FrameKind.SETTLE: msgspec.msgpack.Decoder(Settlement),
    FrameKind.WHOLE: msgspec.msgpack.Decoder(SettledCall),
}


def segment_name(number: int) -> str:
    return f"segment-{number:010d}.log"


def segment_number(name: str) -> int | None:
    """``None`` for a file that is no segment."""
    digits = name.removeprefix("segment-").removesuffix(".log")
    return int(digits) if digits.isdigit() and segment_name(int(digits)) == name else None


def encode_id(journal_id: bytes) -> bytes:
    """The content of the file that names the journal: text, with a checksum of its own."""
    text = f"tokenbooth journal {journal_id.hex()}"
    return f"{text} {zlib.crc32(text.encode()):08x}\n".encode()


def decode_id(content: bytes) -> bytes | None:
    """``None`` unless every byte is as ``encode_id`` wrote it."""
    words = content.decode("ascii", "replace").split(" ")
    digits = words[2] if len(words) == 4 else ""
    hexadecimal = len(digits) == 2 * JOURNAL_ID_BYTES and set(digits) <= set("0123456789abcdef")
    journal_id = bytes.fromhex(digits) if hexadecimal else b""
    return journal_id if journal_id and encode_id(journal_id) == content else None


def salt_of(journal_id: bytes, segment: int) -> int:
    return zlib.crc32(journal_id + _MARK.pack(segment))


def encode_header(header: Header) -> bytes:
    """Raises ValueError for a replica name that does not fit."""
    replica = header.replica.encode()
    if not 0 < len(replica) <= REPLICA_BYTES_MAX or b"\0" in replica:
        raise ValueError(f"a replica's name has 1 to {REPLICA_BYTES_MAX} bytes")
    body = _HEADER.pack(
        MAGIC, FORMAT_VERSION, header.segment, header.epoch, header.journal_id, replica
    )
    return body + _CRC.pack(zlib.crc32(body))


def decode_header(content: bytes) -> Header | None:
    """``None`` where the bytes are not a whole header of this format."""
    if len(content) < HEADER_BYTES:
        return None
    body = content[: _HEADER.size]
    magic, version, segment, epoch, journal_id, replica = _HEADER.unpack(body)
    if magic != MAGIC or _CRC.unpack_from(content, _HEADER.size)[0] != zlib.crc32(body):
        return None
    if version not in READABLE_VERSIONS:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The journal was written in format {version}; this program reads up to"
            f" {FORMAT_VERSION}.",
        )
    return Header(journal_id, replica.rstrip(b"\0").decode(), epoch, segment)


def encode_record(kind: FrameKind, record: Record, sequence: int, salt: int) -> bytes:
    """One frame. Raises ValueError for a record above ``RECORD_BYTES_MAX``."""
    payload = _encode(record)
    if len(payload) > RECORD_BYTES_MAX:
        raise ValueError(f"a record of {len(payload)} bytes is above {RECORD_BYTES_MAX}")
    return _frame(kind, payload, sequence, salt)


def encode_mark(durable: int, sequence: int, salt: int) -> bytes:
    return _frame(FrameKind.MARK, _MARK.pack(durable), sequence, salt)


def _frame(kind: int, payload: bytes, sequence: int, salt: int) -> bytes:
    head = _HEAD.pack(len(payload), sequence, kind)
    return _CRC.pack(zlib.crc32(payload, zlib.crc32(head, salt))) + head + payload


@dataclass(frozen=True, slots=True)
class _Frame:
    kind: int
    sequence: int
    payload: bytes
    end: int


def _frame_at(content: bytes, offset: int, salt: int) -> _Frame | str:
    """The frame that begins at ``offset``, or what is wrong there."""
    if offset + FRAME_BYTES > len(content):
        return "the file ends inside a frame"
    (checksum,) = _CRC.unpack_from(content, offset)
    length, sequence, kind = _HEAD.unpack_from(content, offset + _CRC.size)
    begin = offset + FRAME_BYTES
    if not 0 < length <= RECORD_BYTES_MAX:
        return "a frame has an impossible length"
    if begin + length > len(content):
        return "the file ends inside a frame"
    if zlib.crc32(content[offset + _CRC.size : begin + length], salt) != checksum:
        return "a frame's checksum is wrong"
    return _Frame(kind, sequence, content[begin : begin + length], begin + length)


def _marks_after(content: bytes, offset: int, salt: int) -> Iterator[int]:
    """What valid marks behind an invalid byte say was durable."""
    found = content.find(_MARK_LENGTH, offset)
    while found >= 0:
        frame = _frame_at(content, max(found - _CRC.size, 0), salt)
        if isinstance(frame, _Frame) and frame.kind == FrameKind.MARK:
            yield _MARK.unpack(frame.payload)[0]
        found = content.find(_MARK_LENGTH, found + 1)


@dataclass(slots=True)
class _Kept:
    facts: CallFacts
    epoch: int
    progress: Progress | None = None
    settlement: Settlement | None = None


@dataclass(slots=True)
class _Reader:
    """Walks through the segments once; ``expected`` is the sequence that must come next, and
    ``broken_off`` the first place that should have held it, where it was ``missing``."""

    journal_id: bytes
    expected: int | None = None
    durable: int = 0
    missing: int | None = -1
    broken_off: Place | None = None
    damage: Place | None = None
    calls: dict[str, _Kept] = field(default_factory=dict)
    torn: list[Place] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)

    def segment(self, number: int, content: bytes) -> None:
        before = self.expected
        self._segment(number, content)
        if self.expected == before or (before is None and self.expected == 1):
            self.empty.append(number)

    def _segment(self, number: int, content: bytes) -> None:
        header = decode_header(content)
        if header is None:
            self._tail(number, content, 0, "the segment's header is not valid")
        elif (header.journal_id, header.segment) != (self.journal_id, number):
            place = Place(number, 0, len(content), "the segment belongs to another journal")
            self.damage = self.damage or place
        else:
            self._frames(number, content, header.epoch)

    def _frames(self, number: int, content: bytes, epoch: int) -> None:
        salt, offset = salt_of(self.journal_id, number), HEADER_BYTES
        while offset < len(content):
            frame = _frame_at(content, offset, salt)
            if isinstance(frame, str):
                self._tail(number, content, offset, frame)
                return
            if self.expected is not None and frame.sequence != self.expected:
                self._tail(number, content, offset, "records before this one are missing")
                return
            self.expected = frame.sequence + 1
            if not self._take(frame, epoch):
                reason = "a record is not readable although its checksum is right"
                place = Place(number, offset, frame.end - offset, reason)
                self.damage = self.damage or place
            offset = frame.end

    def _tail(self, number: int, content: bytes, offset: int, reason: str) -> None:
        place = Place(number, offset, len(content) - offset, reason)
        if place.byte_count:
            self.torn.append(place)
            if self.missing != self.expected:
                self.missing, self.broken_off = self.expected, place
        marks = _marks_after(content, offset, salt_of(self.journal_id, number))
        self.durable = max(self.durable, *marks, 0)
        # Older segments are removed only before one that holds records, and empty ones are never
        # left behind: so a first segment without any was the first of all.
        self.expected = self.expected or 1

    def _take(self, frame: _Frame, epoch: int) -> bool:
        if frame.kind == FrameKind.MARK:
            return True
        decoder = _DECODERS.get(frame.kind)
        if decoder is None:
            return False
        try:
            record = decoder.decode(frame.payload)
        except msgspec.MsgspecError:
            return False
        self._keep(record, epoch)
        return True

    def _keep(self, record: Record, epoch: int) -> None:
        """A record of a call whose beginning is gone is of a call that was booked long ago."""
        if isinstance(record, CallFacts):
            self.calls.setdefault(record.request_id, _Kept(record, epoch))
        elif isinstance(record, SettledCall):
            opened = self.calls.setdefault(record.facts.request_id, _Kept(record.facts, epoch))
            opened.settlement = opened.settlement or record.settlement
        elif kept := self.calls.get(record.request_id):
            if isinstance(record, Progress):
                kept.progress = record
            else:
                kept.settlement = kept.settlement or record

    def result(self) -> Replay:
        last_sequence = (self.expected or 1) - 1
        damage = self.damage
        if damage is None and self.durable > last_sequence:
            damage = self.broken_off
        kept = self.calls.values()
        calls = (ReplayedCall(k.facts, k.progress, k.settlement, k.epoch) for k in kept)
        return Replay(tuple(calls), last_sequence, tuple(self.torn), damage, tuple(self.empty))


def replay_of(journal_id: bytes, segments: Sequence[SegmentBytes]) -> Replay:
    """Read all segments, in order of their numbers.

    Reading stops at the first byte that is not valid, and goes on in a later segment only where
    the very next sequence stands there. What is left out was never durable, unless a mark behind
    it says that it was: then it is named as ``damage``. Damage in the last records before the end
    of the newest segment cannot be told from a cut. Raises Problem STATE_CONFLICT for a segment of
    another format version.
    """
    reader = _Reader(journal_id)
    for number, content in segments:
        reader.segment(number, content)
    return reader.result()


def settled_calls(replay: Replay, now_us: int) -> tuple[SettledCall, ...]:
    """How each call ended: as it was settled, or interrupted by the end of its server."""
    return tuple(
        SettledCall(call.facts, call.settlement or interrupted(call, now_us), call.epoch)
        for call in replay.calls
    )


def interrupted(call: ReplayedCall, now_us: int) -> Settlement:
    """A stream costs what its last progress says had left; anything else costs nothing."""
    facts, progress = call.facts, call.progress
    sent = progress if facts.stream else None
    held_nano = progress.held_nano if progress else facts.held_nano
    unsent = NOTHING_SENT if facts.stream else NOT_STREAMED
    return Settlement(
        request_id=facts.request_id,
        outcome=Outcome.INTERRUPTED,
        reason=PART_SENT if sent else unsent,
        usage=sent.usage if sent else Usage(0, 0, source=UsageSource.BOUND),
        charged=sent is not None,
        cost_nano=min(sent.cost_nano, held_nano) if sent else 0,
        loss_nano=max(sent.cost_nano - held_nano, 0) if sent else 0,
        held_nano=held_nano,
        started_us=facts.created_us,
        first_output_us=sent.first_output_us if sent else None,
        ended_us=max(now_us, facts.created_us),
        fingerprint=None,
        deployment_id=None,
    )
