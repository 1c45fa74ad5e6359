"""Nouns of the journal, and the port to the disk below it."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TypeAlias

from tokenbooth.money.leases.values import CallFacts, Progress, SettledCall, Settlement

__all__ = [
    "CallFacts",
    "Disk",
    "FrameKind",
    "Header",
    "JournalStart",
    "Place",
    "Progress",
    "Record",
    "Replay",
    "ReplayedCall",
    "SegmentBytes",
    "SettledCall",
    "Settlement",
]

SEGMENT_BYTES_MAX = 8 * 2**20

Record: TypeAlias = CallFacts | Progress | Settlement | SettledCall

SegmentBytes: TypeAlias = tuple[int, bytes]
"""Number and content of one segment file."""


class FrameKind(IntEnum):
    """What a frame holds. ``MARK`` says up to which sequence everything was durable by then;
    ``WHOLE`` is the beginning and the end of one call, since format 2."""

    OPEN = 1
    PROGRESS = 2
    SETTLE = 3
    MARK = 4
    WHOLE = 5


@dataclass(frozen=True, slots=True)
class Header:
    """The first bytes of a segment; ``journal_id`` is 16 bytes, ``replica`` at most 64."""

    journal_id: bytes
    replica: str
    epoch: int
    segment: int


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes that are not valid records: where they begin, and what is wrong with the first."""

    segment: int
    offset: int
    byte_count: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReplayedCall:
    """All that the journal knows of a call; ``epoch`` is that of the run which opened it."""

    facts: CallFacts
    progress: Progress | None
    settlement: Settlement | None
    epoch: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What the files hold, in order of opening.

    ``torn`` names what a crash left unfinished: nobody was ever told that it was kept.
    ``damage`` is set where bytes are wrong that had been durable: charges may be missing.
    ``empty`` are the segments in which no record is.
    """

    calls: tuple[ReplayedCall, ...]
    last_sequence: int
    torn: tuple[Place, ...]
    damage: Place | None
    empty: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStart:
    """``epoch`` rises with every start of the replica; ``segment_bytes_max`` is a soft bound."""

    journal_id: bytes
    replica: str
    epoch: int
    segment_bytes_max: int = SEGMENT_BYTES_MAX


class Disk(Protocol):
    """One directory that nobody else writes to. Every method may raise OSError."""

    def list(self) -> tuple[str, ...]:
        """Names of all files, sorted."""

    def read(self, name: str) -> bytes: ...

    def open(self, name: str) -> int:
        """Create an empty file and return its number; FileExistsError where it is there."""

    def append(self, file: int, chunk: bytes | bytearray) -> None:
        """Hand all of ``chunk`` to the operating system; it survives the end of the process."""

    def sync(self, file: int) -> None:
        """Return when all that was appended survives a power cut."""

    def sync_named(self, name: str) -> None:
        """The same for a file that an earlier process wrote."""

    def close(self, file: int) -> None: ...

    def remove(self, name: str) -> None: ...

    def sync_directory(self) -> None:
        """Return when created and removed names survive a power cut."""

    def release(self) -> None:
        """Let another process have the directory."""
